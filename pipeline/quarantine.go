package pipeline

import (
	"encoding/hex"
	"encoding/json"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
)

// quarantined is the value of a quarantine record: where the record is, why it
// is here, how large it is. It holds nothing of the record (promise P8): Path is
// a path of rule names, and the payload is only committed to, so that whoever
// has the record and the key can show that it is the one. Of a record that was
// not read at all (batch_too_large) only the coordinates are known: it counts as
// one of nulls at time 0.
type quarantined struct {
	Version      int    `json:"version"`
	Group        string `json:"group"`
	Topic        string `json:"topic"`
	TopicID      string `json:"topic_id"`
	Partition    int32  `json:"partition"`
	Offset       int64  `json:"offset"`
	Timestamp    int64  `json:"timestamp"` // of the record, ms
	Reason       string `json:"reason"`
	Detail       string `json:"detail,omitempty"`
	Path         string `json:"path,omitempty"`
	KeyBytes     int    `json:"key_bytes"`   // -1: null
	ValueBytes   int    `json:"value_bytes"` // -1: null
	HeaderBytes  int    `json:"header_bytes"`
	HeaderCount  int    `json:"header_count"`
	PayloadHMAC  string `json:"payload_hmac"`
	KeyEpoch     int32  `json:"key_epoch"`
	AuditIndex   int64  `json:"audit_index"`
	AuditTopic   string `json:"audit_topic"`
	AuditPart    int32  `json:"audit_partition"`
	ProgramBuild string `json:"program,omitempty"`
}

// stageQuarantine puts the record of a faulted item on the sheet.
func (s *session) stageQuarantine(i int32, it *engine.Item, l *lane) error {
	n := s.w.partitions(s.w.cfg.Topics.Quarantine)
	if n < 1 {
		return hold(HoldProduce, "quarantine_topic")
	}
	q := quarantined{
		Version: 1, Group: l.Group, Topic: l.topic, TopicID: hex.EncodeToString(l.TopicID[:]), Partition: l.Partition,
		Offset: it.Offset, Timestamp: it.Timestamp,
		Reason: s.reason(it, l), Detail: it.Audit.Detail, Path: it.Audit.Path,
		KeyBytes: size(it.Key), ValueBytes: size(it.Value), HeaderCount: len(it.Headers),
		PayloadHMAC: hex.EncodeToString(s.w.payloadMAC(it, l)), KeyEpoch: s.w.keyEpoch,
		AuditIndex: l.next.Next, AuditTopic: s.w.cfg.Topics.Audit, AuditPart: l.head.AuditPartition,
		ProgramBuild: s.w.cfg.Version,
	}
	for _, h := range it.Headers {
		q.HeaderBytes += len(h.Key) + len(h.Value)
	}
	value, err := json.Marshal(&q)
	if err != nil {
		return err
	}
	s.sheet.add(i, s.w.cfg.Topics.Quarantine, l.AuditPartition(n)).Value = value
	return nil
}

// reason is the audit's reason, or the pipeline's own.
func (s *session) reason(it *engine.Item, l *lane) string {
	if why, ok := s.refused[source{l.topic, l.Partition, it.Offset}]; ok && why.reason != "" {
		return string(why.reason)
	}
	return it.Audit.Reason
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// payloadMAC covers the coordinates too, so that two records with the same
// content cannot be told to be the same:
//
//	HMAC-SHA-256(K(quarantine), lp(group) ‖ topic id ‖ i32(partition) ‖ i64(offset) ‖ opt(key) ‖ opt(value) ‖ i32(headers) ‖ (lp(name) ‖ opt(value))*)
//	opt(x) = 0x00 for null, else 0x01 ‖ lp(x)
func (w *worker) payloadMAC(it *engine.Item, l *lane) []byte {
	m := w.quarantine
	m.Start()
	m.String(l.Group)
	m.Raw(l.TopicID[:])
	m.Int32(l.Partition)
	m.Int64(it.Offset)
	opt(m, it.Key)
	opt(m, it.Value)
	m.Int32(int32(len(it.Headers)))
	for _, h := range it.Headers {
		m.String(h.Key)
		opt(m, h.Value)
	}
	return m.Sum()
}

func opt(m *keys.MAC, b []byte) {
	if b == nil {
		m.Raw([]byte{0})
		return
	}
	m.Raw([]byte{1})
	m.Bytes(b)
}
