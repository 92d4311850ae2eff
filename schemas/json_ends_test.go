package schemas

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is after a container is the same whether it is skipped or known.
func TestContainerEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := []byte(drawJSONText(t, 4))
		known := containerEnds{known: true}
		known.collect(src)
		for _, at := range known.starts {
			if got, want := known.skip(src, int(at)), skipValue(src, int(at)); got != want {
				t.Fatalf("%s: behind %d is %d, want %d", src, at, got, want)
			}
		}
		cut := src[:rapid.IntRange(0, len(src)).Draw(t, "cut")]
		known.collect(cut) // no JSON: anything may be said, in bounds
		for i := range cut {
			if end := known.skip(cut, i); end > len(cut) {
				t.Fatalf("%s: behind %d is %d", cut, i, end)
			}
		}
	})
}

// drawJSONText draws a value of containers in each other.
func drawJSONText(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 4).Draw(t, "scalar") == 0 {
		return rapid.SampledFrom([]string{"0", "null", `""`, `"]"`, `"\"{"`, "-1.5e3", " true "}).Draw(t, "value")
	}
	parts := make([]string, rapid.IntRange(0, 3).Draw(t, "items"))
	array := rapid.Bool().Draw(t, "array")
	for i := range parts {
		if parts[i] = drawJSONText(t, depth-1); !array {
			parts[i] = fmt.Sprintf(`"%d" : %s`, i, parts[i])
		}
	}
	if array {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// A record of elements in each other, none of which a predicate chooses, is looked
// at a few times and not once for each of them.
func TestPredicatesInEachOther(t *testing.T) {
	l, err := NewJSON([]string{`**[k=="v"].x`})
	if err != nil {
		t.Fatal(err)
	}
	scan := func(depth int) time.Duration {
		src := []byte(`{"a":` + strings.Repeat(`[{"a":`, depth) + "[" + strings.Repeat("[],", 100_000) + "0]" + strings.Repeat("}]", depth) + "}")
		var tape Tape
		least := time.Hour
		for range 5 {
			start := time.Now()
			if err := l.Scan(src, &tape); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	if flat, deep := scan(4), scan(28); deep > 3*flat {
		t.Errorf("4 in each other take %v, 28 take %v", flat, deep)
	}
}
