package faults

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/pipeline"
)

// TestAuditUnauthorized: without the right to write the audit nothing is
// emitted, and the ACL that is missing is named.
func TestAuditUnauthorized(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.gather()
	fault := s.stack.Kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: s.topic("consent.audit"), Err: kerr.TopicAuthorizationFailed, Count: -1})
	d := s.start()
	s.everybody()
	d.holds(pipeline.HoldUnauthorized, "kafka-acls --bootstrap-server "+s.kafka+" --add --allow-principal User:ANONYMOUS --operation Write --topic "+s.topic("consent.audit"))
	s.must(fault.Wait(t.Context(), 3))
	if n := s.outputs(); n != 0 {
		t.Errorf("%d outputs are visible without an audit", n)
	}
	if n := strings.Count(d.log.String(), `"reason":"kafka_unauthorized"`); n != 1 {
		t.Errorf("the log has %d lines for one hold", n)
	}
	fault.Remove()
	s.settled()
	d.ready().stop()
}

// TestAuditTopicTooSmall: an audit topic that takes not even the leaf of a
// quarantined record is a misconfiguration and no fault of the record. It holds,
// before the start and at run time, until the limit is what it was.
func TestAuditTopicTooSmall(t *testing.T) {
	for name, early := range map[string]bool{"before the start": true, "at run time": false} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				s.gather()
				if early {
					s.auditLimit("120")
				}
				d := s.start().ready()
				if !early {
					s.everybody()
					s.audited()
					s.auditLimit("120")
				}
				before := s.outputs()
				s.everybody()
				d.holds(pipeline.HoldProduce, "kafka-configs --bootstrap-server "+s.kafka+" --alter --entity-type topics --entity-name "+s.topic("consent.audit")+" --add-config max.message.bytes=")
				if n := s.outputs(); n != before {
					t.Errorf("%d outputs are visible without an audit", n-before)
				}
				s.auditLimit("1048588")
				if early {
					d.stop() // limits are read at the start
					d = s.start()
				}
				s.settled()
				d.ready().stop()
			})
		})
	}
}

func (s *site) auditLimit(bytes string) {
	s.t.Helper()
	resp, err := s.adm.AlterTopicConfigs(s.t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &bytes}}, s.topic("consent.audit"))
	s.must(err)
	for _, r := range resp {
		s.must(r.Err)
	}
}
