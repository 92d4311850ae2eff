package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// TestAuditRefused (G2, RELIABILITY 8.1): while the audit topic refuses, no
// output becomes visible, whatever the code; afterwards all is there once.
func TestAuditRefused(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.InvalidRequiredAcks, kerr.PolicyViolation} {
		t.Run(code.Message, func(t *testing.T) {
			r := newRig(t)
			h := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: code, Count: -1})
			r.input(rigInput, 0, 1, 2, 3)
			run := r.start()
			r.eventually("a hold is shown", func() bool { return len(run.Status().Holds) > 0 })
			if err := h.Wait(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			if n := len(r.read(rigInput + ".service")); n != 0 {
				t.Fatalf("%d outputs are visible without audit", n)
			}
			h.Remove()
			r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
			if n := len(r.read(rigInput + ".service")); n != 3 {
				t.Fatalf("%d outputs", n)
			}
			if n := len(r.read("consent.policies")); n != 3 {
				t.Fatalf("%d documents: what the aborted transaction published must be published again", n)
			}
		})
	}
}

// TestBrokerRefusesRecord: a broker that refuses a batch because of one record
// (INVALID_RECORD) costs that record only; the partition goes on.
func TestBrokerRefusesRecord(t *testing.T) {
	r := newRig(t)
	r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: rigInput + ".service", Err: kerr.InvalidRecord, Count: -1,
		When: func(req kmsg.Request) bool {
			for _, topic := range req.(*kmsg.ProduceRequest).Topics {
				for _, p := range topic.Partitions {
					if strings.Contains(string(p.Records), `"n":2,`) || strings.Contains(string(p.Records), `"n":2}`) {
						return true
					}
				}
			}
			return false
		}})
	r.input(rigInput, 0, 1, 2, 3, 4, 5)
	r.start()
	seen := r.exactlyOnce(r.chains(r.audited(5)), rigInput, 0, 5)
	for offset, a := range seen {
		if bad := offset == 1; bad != (a.Kind == audit.LeafQuarantine) {
			t.Errorf("offset %d: kind %v reason %s", offset, a.Kind, a.Reason)
		}
	}
	if a := seen[1]; a.Reason != string(reasonOutputRefused) {
		t.Errorf("reason %s", a.Reason)
	}
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 4 || got[2] != 0 {
		t.Errorf("service got %v", got)
	}
}

// TestTooLarge: an output that does not fit its topic, and an audit record that
// does not fit the audit topic, go to quarantine without blocking the lane.
func TestTooLarge(t *testing.T) {
	r := newRig(t)
	big := &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"7","n":7,"action":"` + strings.Repeat("x", 5000) + `"}`)}
	if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("2000")}}, rigInput+".service"); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 1)
	r.produce(big)
	r.input(rigInput, 0, 3)
	r.start()
	seen := r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
	if a := seen[1]; a.Kind != audit.LeafQuarantine || a.Reason != string(reasonOutputTooLarge) || a.Detail != string(codeOutputTooLarge) {
		t.Errorf("offset 1: %v %s %s", a.Kind, a.Reason, a.Detail)
	}
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 2 {
		t.Errorf("service got %v", got)
	}
	q := r.read("consent.quarantine")
	if len(q) != 1 {
		t.Fatalf("%d quarantine records", len(q))
	}
	var v quarantined
	if err := json.Unmarshal(q[0].Value, &v); err != nil {
		t.Fatal(err)
	}
	if v.Offset != 1 || v.Topic != rigInput || v.Reason != string(reasonOutputTooLarge) || v.ValueBytes != len(big.Value) || v.KeyBytes != -1 || len(v.PayloadHMAC) != 64 {
		t.Errorf("quarantine %+v", v)
	}
	if strings.Contains(string(q[0].Value), "xxxx") {
		t.Error("the quarantine record holds payload")
	}
}

// TestTooLargeAtRunTime: the topic's limit was lowered after the start, so that
// whole batches are refused; only the truly large record is lost to quarantine.
func TestTooLargeAtRunTime(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.eventually("ready", func() bool { return run.Status().Ready })
	if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("400")}}, rigInput+".service"); err != nil {
		t.Fatal(err)
	}
	ids := []int{1, 2, 3, 4, 5, 6, 7, 8}
	r.input(rigInput, 0, ids...)
	r.produce(&kgo.Record{Topic: rigInput, Value: []byte(`{"id":"9","n":9,"action":"` + strings.Repeat("x", 600) + `"}`)})
	seen := r.exactlyOnce(r.chains(r.audited(9)), rigInput, 0, 9)
	for offset, a := range seen {
		if bad := offset == 8; bad != (a.Kind == audit.LeafQuarantine) {
			t.Errorf("offset %d: %v %s", offset, a.Kind, a.Reason)
		}
	}
}
