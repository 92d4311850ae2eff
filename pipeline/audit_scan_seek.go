package pipeline

import "slices"

// scanPoint is how far the scan had come, by partition, when somebody was about to ask
// where the audit ends: it may be beyond the answer by the time that comes.
type scanPoint []int64

func (a *auditScan) point() scanPoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := make(scanPoint, len(a.pass.parts))
	for i := range at {
		at[i] = a.pass.parts[i].next
	}
	return at
}

// lost reports that the log lacks records that had been read before its ends were asked for.
func (at scanPoint) lost(ends []int64) bool {
	for p := range min(len(ends), len(at)) {
		if ends[p] < at[p] {
			return true
		}
	}
	return false
}

// seek makes the scan look for lanes up to the ends of the audit's partitions, which
// begin at starts; both were asked for after before. inputs are all lanes that anybody
// may ask about.
func (a *auditScan) seek(audited topicInfo, inputs map[laneID]bool, lanes []*lane, starts, ends []int64, before scanPoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.topic == audited.id && before.lost(ends) {
		a.pass = newScanPass(a.pass.met, len(a.pass.parts))
	}
	unknown := func(l *lane) bool { _, ok := a.pass.met[l.id()]; return !ok }
	if a.topic != audited.id || slices.ContainsFunc(lanes, unknown) {
		a.topic, a.pass = audited.id, newScanPass(inputs, len(ends))
	}
	if grown := len(ends) - len(a.pass.parts); grown > 0 {
		next := newScanPass(a.pass.met, len(ends))
		copy(next.parts, a.pass.parts)
		a.pass = next
	}
	for p := range ends {
		part := &a.pass.parts[p]
		part.end, part.trimmed = ends[p], starts[p] > part.next
	}
	a.again = false
	a.start()
}
