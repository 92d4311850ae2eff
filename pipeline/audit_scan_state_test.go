package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// expect checks what becomes of lane 0; "?": nobody knows yet.
func (g *scanLog) expect(t *testing.T, ends []int64, want ParkCode) {
	t.Helper()
	got, ok := g.scan.answer(scanLane(0), ends)
	if !ok {
		got = "?"
	}
	if got != want {
		t.Errorf("the lane gets %q, want %q", got, want)
	}
	if over := g.scan.over(scanLane(0)); ok && !over {
		t.Errorf("over is %v", over)
	}
}

// TestAuditScanAnswers: what one lane hears when things happen to the audit.
func TestAuditScanAnswers(t *testing.T) {
	const unknown ParkCode = "?"
	cases := map[string]struct {
		happens func(g *scanLog)
		before  ParkCode // after everything was read, by the old ends
		after   ParkCode // by the ends that a new question has, before reading
		read    ParkCode // after reading
	}{
		"nothing":                   {func(*scanLog) {}, "", "", ""},
		"others append":             {func(g *scanLog) { g.write(0, 1) }, "", unknown, ""},
		"another group appends":     {func(g *scanLog) { g.write(1, -1) }, "", unknown, ""},
		"half a record of it":       {func(g *scanLog) { g.write(1, -2) }, "", unknown, ""},
		"it appends":                {func(g *scanLog) { g.write(1, 0) }, "", unknown, ParkAuditHolds},
		"a partition more":          {func(g *scanLog) { g.grow(); g.write(2, 0) }, "", unknown, ParkAuditHolds},
		"what was read is deleted":  {func(g *scanLog) { g.starts[0] = 2 }, "", "", ""},
		"what comes is deleted":     {func(g *scanLog) { g.write(0, 0); g.starts[0] = 3 }, "", ParkAuditTrimmed, ParkAuditTrimmed},
		"the log lost records":      {func(g *scanLog) { g.parts[0] = g.parts[0][:1]; g.starts[1] = 0 }, "", unknown, ""},
		"the topic is another":      {func(g *scanLog) { g.recreate(2); g.write(0, 0) }, "", unknown, ParkAuditHolds},
		"another topic's beginning": {func(g *scanLog) { g.recreate(2); g.write(0, 0); g.starts[0] = 1 }, "", ParkAuditTrimmed, ParkAuditTrimmed},
		"an input got partitions":   {func(g *scanLog) { g.inputs++ }, "", unknown, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := newScanLog()
			for p := range 2 {
				g.write(p, -1)
				g.write(p, 1)
			}
			ends := g.seek(g.ends())
			g.expect(t, ends, unknown)
			g.readAll()
			g.expect(t, ends, "")
			c.happens(g)
			g.expect(t, ends, c.before)
			ends = g.seek(g.ends())
			g.expect(t, ends, c.after)
			g.readAll()
			g.expect(t, ends, c.read)
		})
	}
}

// TestAuditScanErrors: what a reader is told makes whoever waits ask again, or is shown.
func TestAuditScanErrors(t *testing.T) {
	cases := map[string]struct {
		part    kgo.FetchPartition
		topic   [16]byte
		again   bool
		trouble string
	}{
		"records were lost":       {part: kgo.FetchPartition{Err: &kgo.ErrDataLoss{}}, again: true},
		"out of range":            {part: kgo.FetchPartition{Err: kerr.OffsetOutOfRange}, again: true},
		"of another topic":        {part: kgo.FetchPartition{Records: []*kgo.Record{{Offset: 1}}}, topic: [16]byte{77}, again: true},
		"too large":               {part: kgo.FetchPartition{Err: &kgo.ErrDecompressTooLarge{}}, trouble: "batch_too_large"},
		"damaged":                 {part: kgo.FetchPartition{Err: errBroken}, trouble: "batch_unreadable"},
		"refused":                 {part: kgo.FetchPartition{Err: kerr.TopicAuthorizationFailed}, trouble: "TOPIC_AUTHORIZATION_FAILED"},
		"full":                    {part: kgo.FetchPartition{Err: errFetchFull}},
		"a partition we know not": {part: kgo.FetchPartition{Partition: 7, Err: kerr.OffsetOutOfRange}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := newScanLog()
			g.write(0, -1)
			g.write(0, 0)
			ends := g.seek(g.ends())
			_ = g.scan.take(c.topic, &c.part, g.scan.pass)
			g.expect(t, ends, "?")
			if got := g.scan.over(scanLane(0)); got != c.again {
				t.Errorf("asks again: %v", got)
			}
			progress := g.scan.hold(scanLane(0)).progress
			if read, of, trouble := progress(); read != 0 || of != 2 || trouble != c.trouble {
				t.Errorf("%d of %d, %q", read, of, trouble)
			}
			g.scan.report()
			if line := g.out.String(); !strings.Contains(line, fmt.Sprintf(`"read":0,"of":2,"trouble":%q`, c.trouble)) {
				t.Errorf("log: %s", line)
			}
			ends = g.seek(g.ends())
			_ = g.open().fetch(0, 1)
			if read, _, trouble := progress(); read != 1 || trouble != "" || g.scan.over(scanLane(0)) {
				t.Errorf("%d were read, %q", read, trouble)
			}
			g.readAll()
			g.expect(t, ends, ParkAuditHolds)
			if read, of, trouble := progress(); read != 2 || of != 2 || trouble != "" {
				t.Errorf("%d of %d, %q", read, of, trouble)
			}
		})
	}
}

// TestAuditScanResumes: a new question, and a partition more, cost no second reading of
// what was read; records that the log lost do.
func TestAuditScanResumes(t *testing.T) {
	g := newScanLog()
	g.write(0, -1)
	g.write(1, -1)
	g.seek(g.ends())
	g.readAll()
	g.grow()
	g.write(2, -1)
	g.seek(g.ends())
	if at := g.open().at; at[0] != 1 || at[1] != 1 || at[2] != 0 {
		t.Errorf("goes on at %v", at)
	}
	_ = g.scan.take(g.info.id, &kgo.FetchPartition{Err: &kgo.ErrDataLoss{}}, g.scan.pass)
	g.seek(g.ends())
	if at := g.open().at; at[0] != 0 {
		t.Errorf("goes on at %v", at)
	}
}

// TestAuditScanWanted: the scan reads on with what others append while a lane waits.
func TestAuditScanWanted(t *testing.T) {
	g := newScanLog()
	if g.scan.wanted() {
		t.Error("reads although nobody has asked")
	}
	g.write(0, -1)
	g.seek(g.ends())
	g.readAll()
	if g.scan.wanted() {
		t.Error("reads although all is known")
	}
	if g.scan.over(scanLane(0)); !g.scan.wanted() {
		t.Error("stops while somebody waits")
	}
	g.scan.waited = time.Now().Add(-2 * scanLinger)
	if g.scan.wanted() {
		t.Error("reads although nobody waits")
	}
	g.write(0, -1)
	g.seek(g.ends())
	if !g.scan.wanted() {
		t.Error("stops before the end")
	}
}

// TestAuditScanLate: what a reader brings for a reading that was given up counts for
// nothing: the new one has not come so far.
func TestAuditScanLate(t *testing.T) {
	g := newScanLog()
	g.write(0, 0)
	g.write(0, 1)
	g.seek(g.ends())
	late := g.open()
	_ = late.fetch(0, 1)
	g.inputs++
	ends := g.seek(g.ends())
	_ = late.fetch(0, 1)
	g.expect(t, ends, "?")
	g.readAll()
	g.expect(t, ends, ParkAuditHolds)
}

// TestAuditScanBounded: what somebody puts into the audit takes no memory.
func TestAuditScanBounded(t *testing.T) {
	g := newScanLog()
	for n := range 1000 {
		g.write(0, n)
	}
	ends := g.seek(g.ends())
	g.readAll()
	g.expect(t, ends, ParkAuditHolds)
	if n := len(g.scan.pass.met); n != 3 {
		t.Errorf("%d lanes are remembered", n)
	}
	if code, ok := g.scan.answer(scanLane(3), ends); ok || !g.scan.over(scanLane(3)) {
		t.Errorf("a lane that nobody looked for gets %q", code)
	}
}

// TestAuditScanProperty: whatever happens between questions of two sessions and reads, a
// lane of which the audit had a record when the question was asked is never called new
// (promise P11); nor is one that has none said to have any.
func TestAuditScanProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newScanLog()
		readers := []*scanReader{g.open()}
		type question struct {
			topic  [16]byte
			ends   []int64
			before scanPoint
		}
		var questions [2]*question
		var late *question // ends that somebody was told and has not used yet
		wrote := func(n int, ends []int64) bool {
			want := string(scanLeaf(n))
			for p := range ends {
				for _, r := range g.parts[p][:ends[p]] {
					if string(r.Value) == want {
						return true
					}
				}
			}
			return false
		}
		partition := func(t *rapid.T) int { return rapid.IntRange(0, len(g.parts)-1).Draw(t, "partition") }
		session := func(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "session") }
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				lane := rapid.IntRange(-2, 3).Draw(t, "lane")
				in := auditPartitions(&scanLane(max(lane, 0)).Lane.Lane, len(g.parts))
				g.write(int(rapid.SampledFrom(in).Draw(t, "partition")), lane)
			},
			"trim": func(t *rapid.T) {
				p := partition(t)
				g.starts[p] = rapid.Int64Range(g.starts[p], int64(len(g.parts[p]))).Draw(t, "start")
			},
			"grow": func(t *rapid.T) {
				if len(g.parts) < 4 {
					g.grow()
				}
			},
			"recreate": func(t *rapid.T) { g.recreate(rapid.IntRange(1, 3).Draw(t, "partitions")) },
			"input":    func(*rapid.T) { g.inputs = min(4, g.inputs+1) },
			"open":     func(*rapid.T) { readers = append(readers, g.open()) },
			"ask":      func(t *rapid.T) { questions[session(t)] = &question{topic: g.info.id, ends: g.seek(g.ends())} },
			"look":     func(*rapid.T) { late = &question{g.info.id, g.ends(), g.scan.point()} },
			"ask late": func(t *rapid.T) {
				if late != nil && late.topic == g.info.id && len(late.ends) == len(g.parts) {
					questions[session(t)] = &question{topic: late.topic, ends: g.seekLate(late.ends, late.before)}
				}
			},
			"fetch": func(t *rapid.T) {
				r := rapid.SampledFrom(readers[max(0, len(readers)-2):]).Draw(t, "reader")
				_ = r.fetch(int32(partition(t)), rapid.IntRange(1, 3).Draw(t, "records"))
			},
			"": func(t *rapid.T) {
				for _, q := range questions {
					if q == nil || q.topic != g.info.id {
						continue
					}
					for n := range 4 {
						code, ok := g.scan.answer(scanLane(n), q.ends)
						switch {
						case ok && code == "" && wrote(n, q.ends):
							t.Fatalf("lane %d has records and is called new", n)
						case ok && code == ParkAuditHolds && !wrote(n, g.ends()):
							t.Fatalf("lane %d has no records and is parked", n)
						}
					}
				}
			},
		})
	})
}

// BenchmarkAuditScan looks through records as the enforcer writes them: one purpose
// permitted, one denied.
func BenchmarkAuditScan(b *testing.B) {
	chain := audit.NewChain(scanLane(5).Lane.Lane, 0)
	rec := audit.Record{Kind: audit.LeafRecord, Subjects: []audit.Subject{{Name: "customer", Resolved: true}}, Decisions: []audit.Decision{
		{Purpose: "analytics", Reason: "CONSENT_MISSING", Basis: "consent"},
		{Purpose: "service", Permit: true, Reason: "GRANTED", Basis: "contract", Output: &audit.Output{Topic: "events.service"}}}}
	value, err := chain.Append(schemas.AppendFrame(nil, 1), &rec)
	if err != nil {
		b.Fatal(err)
	}
	records := make([]*kgo.Record, 1000)
	for i := range records {
		records[i] = &kgo.Record{Value: value}
	}
	pass := newScanPass(map[laneID]bool{scanLane(0).id(): false}, 1)
	for b.Loop() {
		if pass.lanesOf(rigGroup, records) != nil {
			b.Fatal("met")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}

// TestAuditScanAhead: the scan reads on while a session hears where the audit ends. It
// may then be further than that, and nothing was lost: what it has read it keeps.
func TestAuditScanAhead(t *testing.T) {
	g := newScanLog()
	g.write(0, -1)
	g.seek(g.ends())
	g.readAll()
	before, ends := g.scan.point(), g.ends() // a session asks
	g.write(0, -1)
	g.readAll() // and the scan reads on before the session has the answer
	g.seekLate(ends, before)
	if at := g.open().at; at[0] != 2 {
		t.Errorf("goes on at %v", at)
	}
	g.expect(t, ends, "")
}
