package pipeline

import (
	"strings"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// scanLog is an audit topic as a scan meets it.
type scanLog struct {
	scan   *auditScan
	out    *strings.Builder
	info   topicInfo
	starts []int64
	parts  [][]*kgo.Record // from offset 0, deleted ones too
	inputs int             // how many lanes there are
}

func newScanLog() *scanLog {
	g := &scanLog{out: &strings.Builder{}, inputs: 3}
	g.scan = newAuditScan(&Config{Group: rigGroup, Log: zerolog.New(g.out), Topics: Topics{Audit: auditTopic}})
	g.recreate(2)
	return g
}

func (g *scanLog) recreate(partitions int) {
	g.info = topicInfo{id: [16]byte{g.info.id[0] + 1}, leaders: make([]leader, partitions)}
	g.starts, g.parts = make([]int64, partitions), make([][]*kgo.Record, partitions)
}

func (g *scanLog) grow() {
	g.info.leaders = append(g.info.leaders, leader{})
	g.starts, g.parts = append(g.starts, 0), append(g.parts, nil)
}

// scanLane is a lane of our group. Lane 0 can be in any of the first three partitions.
func scanLane(n int) *lane {
	l := &lane{topic: rigInput}
	l.Lane.Lane = audit.Lane{Group: rigGroup, Topic: rigInput}
	for len(auditPartitions(&l.Lane.Lane, 3)) < 3 || l.AuditPartition(2) != 1 {
		l.TopicID[0]++
	}
	l.Partition = int32(n)
	return l
}

// scanLeaf is an audit record of a lane; of another group's where n is -1, and none
// below that.
func scanLeaf(n int) []byte {
	lane := scanLane(max(n, 0)).Lane.Lane
	switch {
	case n == -1:
		lane.Group = "others"
	case n < 0:
		return append(schemas.AppendFrame(nil, 1), audit.AppendRecord(nil, &audit.Record{Lane: lane})[:60]...)
	}
	chain := audit.NewChain(lane, 0)
	value, err := chain.Append(schemas.AppendFrame(nil, 1), &audit.Record{Kind: audit.LeafRecord})
	if err != nil {
		panic(err)
	}
	return value
}

func (g *scanLog) write(p, lane int) {
	g.parts[p] = append(g.parts[p], &kgo.Record{Value: scanLeaf(lane), Partition: int32(p), Offset: int64(len(g.parts[p]))})
}

func (g *scanLog) ends() []int64 {
	ends := make([]int64, len(g.parts))
	for p := range ends {
		ends[p] = int64(len(g.parts[p]))
	}
	return ends
}

// seek asks for all lanes as of ends, which it gives and which were asked for now.
func (g *scanLog) seek(ends []int64) []int64 { return g.seekLate(ends, g.scan.point()) }

func (g *scanLog) seekLate(ends []int64, before scanPoint) []int64 {
	inputs, lanes := map[laneID]bool{}, []*lane(nil)
	for n := range g.inputs {
		lanes = append(lanes, scanLane(n))
		inputs[lanes[n].id()] = false
	}
	g.scan.seek(g.info, inputs, lanes, g.starts, ends, before)
	return ends
}

// scanReader reads the log as the scan's client does.
type scanReader struct {
	g     *scanLog
	pass  *scanPass
	at    map[int32]int64
	first topicInfo
}

func (g *scanLog) open() *scanReader {
	from, pass := g.scan.positions()
	r := &scanReader{g: g, pass: pass, at: map[int32]int64{}, first: g.info}
	for p, offset := range from {
		r.at[p] = offset.EpochOffset().Offset
	}
	return r
}

// fetch hands the scan at most n records of a partition.
func (r *scanReader) fetch(p int32, n int) error {
	at, ok := r.at[p]
	g := r.g
	if !ok || int(p) >= len(g.parts) || r.first.id != g.info.id {
		return r.g.scan.take(g.info.id, &kgo.FetchPartition{Partition: p, Err: kerr.UnknownTopicID}, r.pass)
	}
	end := int64(len(g.parts[p]))
	if at < g.starts[p] || at > end {
		return g.scan.take(g.info.id, &kgo.FetchPartition{Partition: p, Err: kerr.OffsetOutOfRange}, r.pass)
	}
	to := min(end, at+int64(n))
	r.at[p] = to
	return g.scan.take(g.info.id, &kgo.FetchPartition{Partition: p, Records: g.parts[p][at:to]}, r.pass)
}

func (g *scanLog) readAll() {
	r := g.open()
	for p := range g.parts {
		_ = r.fetch(int32(p), 1<<20)
	}
}
