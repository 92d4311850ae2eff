package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consentstream/consentstream/internal/race"
)

// eachRecord gives every JSON record of the fixtures of real sources.
func eachRecord(t *testing.T, f func(t *testing.T, src []byte)) {
	n := 0
	for _, dir := range []string{"adobe-xdm", "debezium", "segment", "sendgrid", "unomi"} {
		files, _ := filepath.Glob(filepath.Join(fixtures, dir, "*json"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			records := [][]byte{text}
			if strings.HasSuffix(file, ".ndjson") {
				records = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
			}
			for i, src := range records {
				n++
				t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) { f(t, src) })
			}
		}
	}
	if n == 0 {
		t.Skip("no fixtures of JSON sources here")
	}
}

// parse reads a record into a doc, in its order.
func parse(t *testing.T, d *json.Decoder) *doc {
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch v := tok.(type) {
	case json.Delim:
		c := &doc{array: v == '['}
		for d.More() {
			if c.array {
				c.items = append(c.items, parse(t, d))
				continue
			}
			name, _ := d.Token()
			c.members = append(c.members, docMember{name: name.(string), value: parse(t, d)})
		}
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		return c
	case string:
		return &doc{scalar: string(appendJSONString(nil, v))}
	case nil:
		return &doc{scalar: "null"}
	}
	return &doc{scalar: fmt.Sprint(tok)}
}

func parseDoc(t *testing.T, src []byte) *doc {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	return parse(t, d)
}

// leaves lists the paths of all values that hold no others.
func (d *doc) leaves(at Path, paths []string) []string {
	add := func(step Step, v *doc) { paths = v.leaves(append(slices.Clone(at), step), paths) }
	for _, m := range d.members {
		add(member(m.name), m.value)
	}
	for _, v := range d.items {
		add(elements, v)
	}
	if p := at.String(); len(d.members)+len(d.items) == 0 && p != "" && !slices.Contains(paths, p) {
		paths = append(paths, p)
	}
	return paths
}

func kept(paths []string) (rules []rule) {
	for _, p := range paths {
		rules = append(rules, rule{p, keep})
	}
	return rules
}

// Whoever keeps everything gets the record without white space, each number
// and string as it was.
func TestKeepEverythingOfRealRecords(t *testing.T) {
	eachRecord(t, func(t *testing.T, src []byte) {
		l, p := project(t, kept(parseDoc(t, src).leaves(nil, nil)))
		got, withheld, err := scanSplice(l, p, string(src), 0)
		var want bytes.Buffer
		if err := json.Compact(&want, src); err != nil {
			t.Fatal(err)
		}
		if got != want.String() || withheld != 0 || err != nil {
			t.Errorf("%s\ngives %s, withheld %d, %v", src, got, withheld, err)
		}
	})
}

// What is added to a real record, anywhere and as anything, does not come out
// where every field that it had is kept.
func TestCanaryInRealRecords(t *testing.T) {
	const canary = "canary@example.com"
	shapes := []*doc{{scalar: `"` + canary + `"`}, {array: true, items: []*doc{{scalar: `"` + canary + `"`}}},
		{members: []docMember{{name: canary, value: &doc{scalar: "1"}}, {name: "e-mail2", value: &doc{scalar: `"` + canary + `"`}}}}}
	planted := 0
	eachRecord(t, func(t *testing.T, src []byte) {
		d := parseDoc(t, src)
		l, p := project(t, kept(d.leaves(nil, nil)))
		d.eachContainer(func(c *doc) {
			members, items := c.members, c.items
			for _, shape := range shapes {
				switch scalars := slices.ContainsFunc(items, func(v *doc) bool { return v.scalar != "" }); {
				case !c.array:
					c.members = append(slices.Clone(members), docMember{name: canary, value: shape}, docMember{name: "new", escape: true, value: shape})
				case len(items) == 0 || scalars:
					continue // a rule classifies whatever is an element here
				default:
					c.items = append(slices.Clone(items), shape)
				}
				planted++
				got, _, err := scanSplice(l, p, d.text(), 0)
				if err != nil || strings.Contains(got, canary) {
					t.Errorf("%s\ngives %s, %v", d.text(), got, err)
				}
			}
			c.members, c.items = members, items
		})
	})
	t.Logf("%d canaries", planted)
}

func (d *doc) eachContainer(f func(*doc)) {
	if d.scalar != "" {
		return
	}
	if len(d.members)+len(d.items) > 0 { // an empty one is a leaf, which is kept whole
		f(d)
	}
	for _, m := range d.members {
		m.value.eachContainer(f)
	}
	for _, v := range d.items {
		v.eachContainer(f)
	}
}

const maxCost = 100 * time.Millisecond

// A record of at most a megabyte costs at most 64 MB and 100 ms, whatever it is
// made of and whatever the wiring asks for (promise P9).
func TestJSONCost(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("measures")
	}
	const size = 1_000_000
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	deep := func(open, inner, end string) string {
		return strings.Repeat(open, 31) + strings.Repeat(inner, (size-31*(len(open)+len(end)))/len(inner)) + "0" + strings.Repeat(end, 31)
	}
	var names strings.Builder
	for i := 0; names.Len() < size-20; i++ {
		fmt.Fprintf(&names, `"%x":{},`, i)
	}
	records := map[string]string{
		"numbers":        "[" + fill("0,") + "0]",
		"objects":        "[" + fill("{},") + "{}]",
		"names":          "{" + names.String() + `"y":1}`,
		"matches":        "[" + fill(`{"a":0},`) + "0]",
		"predicates":     "[" + fill(`{"k":"v","a":1},`) + "0]",
		"deep elements":  deep(`[{"k":`, "[0,", "}]")[:31*6] + "[" + strings.Repeat("0,", 490_000) + "0]" + strings.Repeat("}]", 31),
		"deep names":     strings.Repeat(`{"m":`, 60) + "{" + names.String()[:900_000] + `"y":1}` + strings.Repeat("}", 60),
		"one string":     `{"a":"` + fill(`\n`) + `"}`,
		"deep predicate": strings.Repeat(`[{"x":0,"y":`, 31) + "[" + strings.Repeat("0,", 490_000) + "0]" + strings.Repeat(`,"k":"v"}]`, 31),
	}
	records["deep names"] = cutNames(records["deep names"], names.String())
	for _, rules := range [][]rule{
		{{"a", replace}, {"k", keep}},
		{{"**.a", replace}, {"**.*~key", keep}},
		{{`**[k=="v"].a`, keep}, {"**.x", keep}, {"**.*~key", replace}},
		{{"m", keep}, {"**.k", drop}},
		{{"**[0]", keep}, {"**[1].a", replace}, {"**.*", keep}, {"**.*~key", replace}},
	} {
		l, p := project(t, rules)
		for name, src := range records {
			if len(src) > size+100 || !json.Valid([]byte(src)) {
				t.Fatalf("%s: %d bytes, valid %v", name, len(src), json.Valid([]byte(src)))
			}
			took, memory := cost(t, l, p, []byte(src))
			t.Logf("%-14s %-40s %v, %d MB", name, rules[0].path, took.Round(time.Millisecond), memory>>20)
			if took > maxCost || memory > 64<<20 {
				t.Errorf("%s, %v: %v and %d MB", name, rules, took, memory>>20)
			}
		}
	}
}

// cutNames puts whole members into a record that was cut in one.
func cutNames(record, names string) string {
	cut := names[:900_000]
	cut = cut[:strings.LastIndexByte(cut, ',')+1]
	return strings.Replace(record, names[:900_000], cut, 1)
}

// cpuTime is the processor time of this thread: what others do on the machine
// does not count.
func cpuTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var use syscall.Rusage
	if err := syscall.Getrusage(thread, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// cost is the least of up to three runs, each with memory of its own.
func cost(t *testing.T, l Layout, p Projection, src []byte) (took time.Duration, memory uint64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took = time.Hour
	for run := 0; run < 3 && took > maxCost; run++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := cpuTime()
		var tape Tape
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		_, _, err := p.Splice(nil, src, &tape, 0)
		if err != nil && code(err) != CodeTreatmentFailed {
			t.Fatal(err)
		}
		took = min(took, cpuTime()-start)
		runtime.ReadMemStats(&after)
		memory = after.TotalAlloc - before.TotalAlloc
	}
	return took, memory
}
