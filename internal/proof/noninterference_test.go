package proof

import (
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// pairsEach is how many pairs are made of one drawn configuration, for each of
// its purposes.
const pairsEach = 6

// thorough reports that this is the run that takes its time.
func thorough() bool { return os.Getenv("CONSENTSTREAM_PAIRS") != "" }

// pairsWanted is CONSENTSTREAM_PAIRS, by default what takes a few seconds.
func pairsWanted(t *testing.T) int {
	if !thorough() {
		return 4000
	}
	text := os.Getenv("CONSENTSTREAM_PAIRS")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CONSENTSTREAM_PAIRS=%q is no number of pairs", text)
	}
	return n
}

// tally counts pairs whose records differ.
type tally struct {
	pairs   int
	written int // of them with an output
}

// P6, docs/noninterference.md: of two records that differ only where a purpose
// may not look, it gets the same output, byte for byte, or of neither one.
func TestNoninterference(t *testing.T) {
	wanted := pairsWanted(t)
	for name, format := range map[string]schemas.Format{"json": schemas.JSON, "avro": schemas.Avro} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n tally
			for n.pairs < wanted/2 && !t.Failed() {
				rapid.Check(t, func(rt *rapid.T) { n.property(rt, format) })
			}
			t.Logf("%s: %d pairs of records, %d with an output", name, n.pairs, n.written)
			if n.written < n.pairs/2 {
				t.Errorf("of %d pairs only %d had an output", n.pairs, n.written)
			}
		})
	}
}

func (n *tally) property(t *rapid.T, format schemas.Format) {
	w := drawWorld(t, format)
	d := &drawer{T: t, format: format}
	for range pairsEach {
		one := w.drawRecord(d)
		first, fault := w.look(t, &one)
		for i := range w.policy.Purposes {
			c := &changer{drawer: *d, w: w, purpose: i}
			other := c.other(one)
			if same(&one.Input, &other.Input) {
				continue
			}
			second, otherFault := w.look(t, &other)
			id := w.policy.Purposes[i].ID
			if first[id] != second[id] || fault != otherFault {
				t.Fatalf("%s sees what it may not:\n%s%s\nand\n%s%s\nof\n%s\n%s\n%s", id, first[id], fault, second[id], otherFault, one.describe(), other.describe(), w.describe(i))
			}
			n.pairs++
			if first[id] != "" {
				n.written++
			}
		}
	}
}

func (w *world) look(t *rapid.T, r *record) (map[string]string, string) {
	topics, fault, err := w.shows(r.Input)
	if err != nil {
		t.Fatal(err)
	}
	return topics, fault
}

// same reports that two records are one, but for how their headers are held.
func same(a, b *engine.Input) bool { return describe(a) == describe(b) }
