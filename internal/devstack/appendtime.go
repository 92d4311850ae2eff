package devstack

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Where things stand in a record batch of format 2 (Kafka protocol, "Record
// Batch"): the CRC-32C covers everything from the attributes on.
const (
	batchMagic          = 16
	batchCRC            = 17
	batchAttributes     = 21
	batchFirstTimestamp = 27
	batchMaxTimestamp   = 35
	batchHeader         = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stampOnAppend makes a cluster honour message.timestamp.type=LogAppendTime.
//
// kfake looks at the batch's attribute bit only, which no client sets; and were
// the bit set on the way in, kfake would write its own time into the batch and
// leave the old checksum, so that every consumer refuses it. So the timestamps
// are moved before kfake sees the batch, and the bit stays clear.
func stampOnAppend(cluster *kfake.Cluster) {
	var s stamper
	s.cluster = cluster
	cluster.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		s.produce(req.(*kmsg.ProduceRequest))
		return nil, nil, false // go on with the request
	})
	// A setting may change, and a topic come back under its name.
	forget := func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		s.known.Clear()
		return nil, nil, false
	}
	for _, key := range []kmsg.Key{kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs} {
		cluster.ControlKey(key.Int16(), forget)
	}
}

// stamper knows which topics have log append time, by name (produce up to v12)
// or id (from v13 on).
type stamper struct {
	cluster *kfake.Cluster
	known   sync.Map // string or [16]byte -> bool
}

func (s *stamper) produce(req *kmsg.ProduceRequest) {
	for i := range req.Topics {
		t := &req.Topics[i]
		if !s.applies(t.Topic, t.TopicID) {
			continue
		}
		for j := range t.Partitions {
			stamp(t.Partitions[j].Records, time.Now().UnixMilli())
		}
	}
}

func (s *stamper) applies(topic string, id [16]byte) bool {
	var key any = topic
	if topic == "" {
		key = id
	}
	if known, ok := s.known.Load(key); ok {
		return known.(bool)
	}
	// kfake serves such questions while a control function runs.
	info := s.cluster.TopicInfo(topic)
	if topic == "" {
		info = s.cluster.TopicIDInfo(id)
	}
	if info == nil {
		return false // kfake refuses the request; a later topic may have the name
	}
	v := info.Configs["message.timestamp.type"]
	applies := v != nil && *v == "LogAppendTime"
	s.known.Store(key, applies)
	return applies
}

// stamp moves a batch in time so that its latest record is at now (ms); records
// keep their distance, which for a client that lets the library stamp is what
// it lingered. What is not a whole batch of format 2 is left for kfake to
// refuse.
func stamp(batch []byte, now int64) {
	if len(batch) < batchHeader || batch[batchMagic] != 2 {
		return
	}
	if binary.BigEndian.Uint32(batch[batchCRC:]) != crc32.Checksum(batch[batchAttributes:], castagnoli) {
		return // a corrupt batch must stay corrupt
	}
	first, latest := batch[batchFirstTimestamp:], batch[batchMaxTimestamp:]
	shift := uint64(now) - binary.BigEndian.Uint64(latest)
	binary.BigEndian.PutUint64(first, binary.BigEndian.Uint64(first)+shift)
	binary.BigEndian.PutUint64(latest, uint64(now))
	binary.BigEndian.PutUint32(batch[batchCRC:], crc32.Checksum(batch[batchAttributes:], castagnoli))
}
