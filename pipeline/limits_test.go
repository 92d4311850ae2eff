package pipeline

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (r *rig) maxMessage(topic, value string) {
	r.t.Helper()
	resp, err := r.adm.AlterTopicConfigs(r.t.Context(), []kadm.AlterConfig{{Name: maxMessageBytes, Value: kadm.StringPtr(value)}}, topic)
	if err == nil {
		_, err = resp.On(topic, nil)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestLimitLowered: batches that a topic refuses since its limit was lowered make
// us read the limit, once, and write smaller ones from then on: no record is
// blamed for it, and nothing is produced twice for ever.
func TestLimitLowered(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Wait = 200 * time.Millisecond })
	run := r.start()
	ids := make([]int, 300)
	for i := range ids {
		ids[i] = i + 1
	}
	r.input(rigInput, 0, ids...)
	r.audited(300)
	r.maxMessage(rigInput+".service", "3000")
	r.maxMessage("consent.audit", "5000")
	var reads atomic.Int64
	r.stack.Kafka.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		reads.Add(1)
		return nil, nil, false
	})
	for n := 2; n <= 5; n++ {
		r.input(rigInput, 0, ids...)
		r.audited(300 * n)
	}
	r.exactlyOnce(r.chains(r.audited(1500)), rigInput, 0, 1500)
	if n := len(r.read("consent.quarantine")); n != 0 {
		t.Errorf("%d records were blamed", n)
	}
	if n := len(r.read(rigInput + ".service")); n != 1500 {
		t.Errorf("%d outputs", n)
	}
	if n := reads.Load(); n < 1 || n > 2 {
		t.Errorf("the limits were read %d times", n)
	}
	if strings.Contains(r.log.String(), "records refused by the broker") {
		t.Error("records were suspected")
	}
	run.stop()
}

// TestLimitRaised: a record that was too large for its output's topic goes through
// after the limit was raised, without a restart.
func TestLimitRaised(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Settings = 20 * time.Millisecond })
	r.maxMessage(rigInput+".service", "1000")
	run := r.start()
	large := func() *kgo.Record {
		return &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"1","n":1,"action":"` + strings.Repeat("x", 5000) + `"}`)}
	}
	r.produce(large())
	r.audited(1)
	if n := len(r.read("consent.quarantine")); n != 1 {
		t.Fatalf("%d quarantined", n)
	}
	r.maxMessage(rigInput+".service", "100000")
	r.eventually("a large record goes through", func() bool {
		r.produce(large())
		return len(r.read(rigInput+".service")) > 0
	})
	run.stop()
}

// TestTopicTooSmallMended: a topic that does not take even the leaf of a quarantined
// record holds, with the command; when it is given, the same record goes through.
func TestTopicTooSmallMended(t *testing.T) {
	r := newRig(t)
	r.maxMessage("consent.audit", "300")
	run := r.start()
	r.input(rigInput, 0, 1)
	r.eventually("held", func() bool {
		st := run.Status()
		return len(st.Holds) == 1 && st.Holds[0].Detail == "topic_too_small" && strings.Contains(st.Holds[0].Mend, "--entity-name consent.audit --add-config max.message.bytes=1048588")
	})
	r.maxMessage("consent.audit", "1048588")
	seen := r.exactlyOnce(r.chains(r.audited(1)), rigInput, 0, 1)
	if a := seen[0]; a.Detail != "" {
		t.Errorf("the record was blamed: %s", a.Detail)
	}
	run.stop()
}
