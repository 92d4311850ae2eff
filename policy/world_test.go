package policy

import (
	"bytes"
	"fmt"
	mathbits "math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// set is up to four letters, ascending; each is its index plus one, 0 for none.
type set [4]uint8

// bits has one bit per situation.
type bits [4]uint64

func (b *bits) put(i int, on bool) {
	if on {
		b[i/64] |= 1 << (i % 64)
	}
}

func (b *bits) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

// beyond is a situation in b and not in o, -1 for none.
func (b *bits) beyond(o *bits) int {
	for w := range b {
		if more := b[w] &^ o[w]; more != 0 {
			return 64*w + mathbits.TrailingZeros64(more)
		}
	}
	return -1
}

// verdict is what a set of events permits: the situations that are permitted, and
// those in which the gates are open.
type verdict struct{ permit, explicit, ground bits }

// beyond names a situation in which v allows more than o, -1 for none.
func (v *verdict) beyond(o *verdict) int {
	return max(v.permit.beyond(&o.permit), v.explicit.beyond(&o.explicit), v.ground.beyond(&o.ground))
}

// world is every set of up to three letters, and of four of the core's, the
// smaller ones first, so that what fails fails on the least; with its row's encoding
// and its verdict.
type world struct {
	letters    []letter
	situations []situation
	sets       []set
	rows       map[set][]byte
	verdicts   map[set]*verdict
	decisions  int
}

func newWorld() *world {
	w := &world{letters: alphabet(), situations: situations(), rows: map[set][]byte{}, verdicts: map[set]*verdict{}}
	for size, of := range [...]int{len(w.letters), len(w.letters), len(w.letters), len(w.letters), core} {
		w.spread(set{}, 0, size, of)
	}
	return w
}

// spread learns all sets that are s and further letters after its n ones, up to size.
func (w *world) spread(s set, n, size, of int) {
	if n == size {
		w.learn(s)
		return
	}
	after := 0
	if n > 0 {
		after = int(s[n-1])
	}
	for i := after; i < of; i++ {
		s[n] = uint8(i + 1)
		w.spread(s, n+1, size, of)
	}
}

func (w *world) learn(s set) {
	row := foldOn(consent.NewRow(), w.events(s))
	w.sets = append(w.sets, s)
	w.rows[s] = row.AppendTo(nil)
	w.verdicts[s] = w.decide(row)
}

func (w *world) of(s set) []*letter {
	list := make([]*letter, s.size())
	for i := range list {
		list[i] = &w.letters[s[i]-1]
	}
	return list
}

func (w *world) events(s set) []consent.Event {
	list := make([]consent.Event, s.size())
	for i := range list {
		list[i] = w.letters[s[i]-1].Event
	}
	return list
}

func (w *world) decide(rows ...*consent.Row) *verdict {
	var v verdict
	var d Decision
	for i := range w.situations {
		s := &w.situations[i]
		Decide(s.p, rows, &Facts{EventTime: s.event}, s.now, &d)
		v.permit.put(i, d.Permit)
		v.explicit.put(i, d.Gates&GateExplicit != 0)
		v.ground.put(i, d.Gates&GateGround != 0)
	}
	w.decisions += len(w.situations)
	return &v
}

// with adds a letter.
func (s set) with(i int) set {
	if s.has(i) {
		return s
	}
	return setOf(append(s.list(), uint8(i+1)))
}

// without takes away the letters that match.
func (s set) without(match func(*letter) bool, w *world) set {
	return setOf(slices.DeleteFunc(s.list(), func(i uint8) bool { return match(&w.letters[i-1]) }))
}

func (s set) has(i int) bool { return slices.Contains(s[:], uint8(i+1)) }

func (s set) list() []uint8 { return slices.Clone(s[:s.size()]) }

func (s set) size() (n int) {
	for n < len(s) && s[n] > 0 {
		n++
	}
	return n
}

func setOf(list []uint8) (s set) {
	slices.Sort(list)
	copy(s[:], list)
	return s
}

func (w *world) tell(s set) string {
	var names []string
	for _, l := range w.of(s) {
		names = append(names, l.name)
	}
	return "[" + strings.Join(names, "; ") + "]"
}

// at names a situation, if there is one.
func (w *world) at(i int) string {
	if i < 0 {
		return ""
	}
	s := &w.situations[i]
	return fmt.Sprintf("%+v, event and now %+d %+d ms after the beginning", s.kind, s.event-t0, s.now-t0)
}

// TestSmallWorld holds the fold and the decision to the laws that DECISION.md states, on
// everything that can be said in a few words.
func TestSmallWorld(t *testing.T) {
	w := newWorld()
	for _, law := range []struct {
		name  string
		holds func(*testing.T)
	}{
		{"nothing said", w.nothingSaid},
		{"as the words say", w.asTheWordsSay},
		{"any order", w.anyOrder},
		{"every place", w.everyPlace},
		{"narrowing", w.narrowing},
		{"clocks", w.clocks},
		{"the latest denies", w.latestDenies},
		{"the stricter permits less", w.stricterPermitsLess},
		{"time only ends", w.timeOnlyEnds},
		{"sent again", w.sentAgain},
		{"too much", w.tooMuch},
		{"a second row", w.secondRow},
		{"as the reference", w.asTheReference},
	} {
		t.Run(law.name, law.holds)
	}
	t.Logf("%d letters, %d situations, %d sets, %d decisions", len(w.letters), len(w.situations), len(w.rows), w.decisions)
}

// anyOrder: events in any order and any repetition give one row, also where that is
// written and read between any two of them; a sequence may repeat its beginning.
func (w *world) anyOrder(t *testing.T) {
	sequences := 0
	var walk func(s set, n, most int, row []byte)
	walk = func(s set, n, most int, row []byte) {
		if n == 4 || n == 3 && most > core {
			return
		}
		for i := range most {
			r, next := w.decoded(t, row), s.with(i)
			r.Fold(&w.letters[i].Event)
			sequences++
			got := r.AppendTo(nil)
			if !bytes.Equal(got, w.rows[next]) {
				t.Fatalf("%s in another order give another row", w.tell(next))
			}
			walk(next, n+1, most, got)
		}
	}
	empty := consent.NewRow().AppendTo(nil)
	walk(set{}, 0, len(w.letters), empty)
	walk(set{}, 0, core, empty)
	t.Logf("%d sequences", sequences)
}

// everyPlace is D4: a row tells, for each partition, the last place of what has changed
// it; and of what has not, since that depends on the order.
func (w *world) everyPlace(t *testing.T) {
	for _, s := range w.sets {
		want := map[int]int64{}
		for _, l := range w.of(s) {
			p := int(l.At.Partition)
			want[p] = max(want[p], l.At.Offset+1)
		}
		for p, last := range w.row(t, s).Last {
			if last+1 != want[p] {
				t.Fatalf("%s: partition %d up to %d", w.tell(s), p, last)
			}
			delete(want, p)
		}
		if len(want) > 0 {
			t.Fatalf("%s: not up to %v", w.tell(s), want)
		}
	}
}
