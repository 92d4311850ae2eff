package pipeline

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
)

// TestSettingsChanged: what refuses the start holds a pipeline that runs, and no
// restart is needed when it is mended: history of consent that begins to go, a
// sender's clock that orders it, an audit that is compacted.
func TestSettingsChanged(t *testing.T) {
	cases := map[string]struct{ topic, key, wrong, right string }{
		"consent retention":  {"consent.events", "retention.ms", "1000000", "-1"},
		"consent timestamps": {"consent.events", "message.timestamp.type", "CreateTime", "LogAppendTime"},
		"audit compaction":   {"consent.audit", "cleanup.policy", "compact", "delete"},
		"output timestamps":  {rigInput + ".service", "message.timestamp.type", "LogAppendTime", "CreateTime"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.Limits.Settings = 30 * time.Millisecond })
			run := r.start()
			r.input(rigInput, 0, 1)
			r.audited(1)
			set := func(value string) {
				_, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.key, Value: &value}}, c.topic)
				if err != nil {
					t.Fatal(err)
				}
			}
			set(c.wrong)
			r.eventually("held", run.held(HoldTopicSettings, "--entity-name "+c.topic+" --add-config "+c.key+"="+c.right))
			r.input(rigInput, 0, 2)
			time.Sleep(150 * time.Millisecond)
			if n := len(r.read("consent.audit")); n != 1 {
				t.Errorf("%d records were decided", n)
			}
			set(c.right)
			r.exactlyOnce(r.chains(r.audited(2)), rigInput, 0, 2)
			r.eventually("ready", func() bool { return run.Status().Ready })
			run.stop()
		})
	}
}

// TestParkedMetric: a lane that is parked for another reason than before is not
// counted for both.
func TestParkedMetric(t *testing.T) {
	m, registry := newMetrics(), prometheus.NewRegistry()
	if err := m.register(registry); err != nil {
		t.Fatal(err)
	}
	b := newBoard(zerolog.Nop(), m, time.Now)
	cfg := new(Config)
	b.park(cfg.newParked("in", 0, [16]byte{}, ParkNoMetadata, 5))
	b.park(cfg.newParked("in", 0, [16]byte{}, ParkNoMetadata, 6))
	b.park(cfg.newParked("in", 0, [16]byte{}, ParkTopicRecreated, 6))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() == "consentstream_parked_lanes" {
			for _, metric := range f.GetMetric() {
				total += metric.GetGauge().GetValue()
			}
		}
	}
	if total != 1 {
		t.Errorf("%v lanes are parked, want 1", total)
	}
}
