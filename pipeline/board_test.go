package pipeline

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestHoldLog: a line of the log names what there is: a worker and its lane, or
// neither at the start, and a command only where one helps.
func TestHoldLog(t *testing.T) {
	var log bytes.Buffer
	b := newBoard(zerolog.New(&log), newMetrics(), func() time.Time { return time.Unix(1, 0) })
	b.hold(setup, &Hold{Code: HoldKafka, Detail: "connection"})
	b.release(setup)
	lane := laneKey{"in", 2}
	b.holdLane(1, lane, &Hold{Code: HoldRegistry, Mend: "curl"})
	b.releaseLane(1, lane)
	want := `{"level":"warn","reason":"kafka_unreachable","detail":"connection","message":"holding: nothing is emitted, nothing is lost"}
{"level":"info","reason":"kafka_unreachable","held_ms":0,"message":"hold ended"}
{"level":"warn","worker":1,"topic":"in","partition":2,"reason":"registry","command":"curl","message":"lane set aside, the others go on: nothing of it is emitted, nothing is lost"}
{"level":"info","worker":1,"topic":"in","partition":2,"reason":"registry","held_ms":0,"message":"hold ended"}
`
	if log.String() != want {
		t.Errorf("%s", log.String())
	}
}

// TestQuarantineLog: who reads only the log learns that records are bad, and how; a
// flood of them is a few lines.
func TestQuarantineLog(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.produce(&kgo.Record{Topic: rigInput, Value: []byte("canary")}, &kgo.Record{Topic: rigInput, Value: []byte(`{"a":1,"a":2}`)})
	r.audited(2)
	run.stop()
	for _, detail := range []string{"syntax", "duplicate_key"} {
		if line := `"topic":"events","detail":"` + detail + `","records":1,"message":"records are in quarantine`; strings.Count(r.log.String(), line) != 1 {
			t.Errorf("%s:\n%s", detail, r.log.String())
		}
	}
	if strings.Contains(r.log.String(), "canary") {
		t.Error("the log has data")
	}
	var log bytes.Buffer
	b := newBoard(zerolog.New(&log), newMetrics(), time.Now)
	for range 1000 {
		b.quarantined(pairs{{"in", "syntax", 2}})
	}
	if n := strings.Count(log.String(), `"records":2`); n != quarantineLines {
		t.Errorf("%d lines", n)
	}
}
