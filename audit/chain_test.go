package audit

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// testChain appends leaves to a fresh lane beginning at offset 5: two
// transactions of records and quarantine, then a gap, then a record.
func testChain(t testing.TB) (values [][]byte, end Chain) {
	t.Helper()
	c := NewChain(sample().Lane, 5)
	add := func(r *Record) {
		value, err := c.Append(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	record := func(offset int64, decidedAt int64) *Record {
		r := sample()
		r.Offset, r.Cut, r.Context.DecidedAt = offset, nil, decidedAt
		if decidedAt == 0 {
			r.Context = nil
		}
		return r
	}
	add(record(5, 1000))
	add(record(6, 0))
	add(&Record{Kind: LeafQuarantine, Offset: 9, Reason: "INPUT_MALFORMED", Detail: "syntax"})
	add(record(10, 2000))
	add(record(11, 0))
	gap := reset()
	gap.Offset = 20
	add(gap)
	add(record(20, 3000))
	return values, c
}

func TestChainVerifies(t *testing.T) {
	values, end := testChain(t)
	got, err := VerifyChain(values)
	if err != nil || !reflect.DeepEqual(got, end) {
		t.Fatalf("verified to %+v, %v; appended to %+v", got, err, end)
	}
	if end.Next != 7 || end.NextSource != 21 || end.Closed || end.Head != LeafHash(values[6]) {
		t.Errorf("end %+v", end)
	}
	if none, err := VerifyChain(nil); err != nil || none.Next != 0 {
		t.Errorf("no leaves: %+v, %v", none, err)
	}
	// Every prefix verifies, and what follows it verifies from there.
	for i := 1; i < len(values); i++ {
		middle, err := VerifyChain(values[:i])
		if err != nil {
			t.Fatalf("prefix %d: %v", i, err)
		}
		if last, err := middle.Verify(values[i:]); err != nil || last.Head != end.Head {
			t.Fatalf("from %d: %v", i, err)
		}
	}
}

func TestChainFaultsAreNamed(t *testing.T) {
	values, _ := testChain(t)
	other, err := func() ([]byte, error) {
		c := NewChain(Lane{Topic: "other"}, 0)
		r := sample()
		return c.Append(nil, r)
	}()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(i int, f func(*Record)) []byte {
		r, err := DecodeRecord(values[i])
		if err != nil {
			t.Fatal(err)
		}
		f(&r)
		return AppendRecord(nil, &r)
	}
	with := func(i int, value ...[]byte) [][]byte {
		out := append([][]byte{}, values[:i]...)
		return append(out, value...)
	}
	for name, c := range map[string]struct {
		values [][]byte
		kind   FaultKind
		at     int
	}{
		"removed":             {append(with(2), values[3:]...), FaultGap, 2},
		"first removed":       {values[1:], FaultGap, 0},
		"twice":               {append(with(3, values[2]), values[3:]...), FaultDuplicate, 3},
		"older one again":     {append(with(5, values[1]), values[5:]...), FaultDuplicate, 5},
		"swapped":             {append(with(2, values[3], values[2]), values[4:]...), FaultGap, 2},
		"changed":             {append(with(2, edit(2, func(r *Record) { r.Detail = "too_deep" })), values[3:]...), FaultSplice, 3},
		"other prev":          {with(4, edit(4, func(r *Record) { r.Prev[0]++ })), FaultSplice, 4},
		"fork":                {with(4, edit(3, func(r *Record) { r.Decisions = nil })), FaultFork, 4},
		"never followed":      {with(4, edit(3, func(r *Record) { r.Prev[0]++ })), FaultSplice, 4},
		"other lane":          {with(1, other), FaultLane, 1},
		"not a record":        {with(1, []byte("x")), FaultMalformed, 1},
		"nothing":             {with(0, nil), FaultMalformed, 0},
		"source gap":          {with(1, edit(1, func(r *Record) { r.From, r.Offset = 7, 8 })), FaultGap, 1},
		"source again":        {with(1, edit(1, func(r *Record) { r.From, r.Offset = 5, 6 })), FaultDuplicate, 1},
		"no context at first": {with(0, edit(0, func(r *Record) { r.Context = nil })), FaultMalformed, 0},
		"time falls":          {with(3, edit(3, func(r *Record) { r.Context.DecidedAt = 999 })), FaultRollback, 3},
		"revision falls":      {with(3, edit(3, func(r *Record) { r.Context.Revision = 6 })), FaultRollback, 3},
		"policy exchanged":    {with(3, edit(3, func(r *Record) { r.Context.Policy[5]++ })), FaultRollback, 3},
		"fence falls":         {with(3, edit(3, func(r *Record) { r.Context.Fence[2]-- })), FaultRollback, 3},
		"fence shrinks":       {with(3, edit(3, func(r *Record) { r.Context.Fence = r.Context.Fence[:2] })), FaultRollback, 3},
		"cut below fence":     {with(1, edit(1, func(r *Record) { r.Cut = []int64{10, 0, 1} })), FaultRollback, 1},
	} {
		_, err := VerifyChain(c.values)
		var fault *ChainFault
		if !errors.As(err, &fault) || fault.Kind != c.kind || fault.At != c.at {
			t.Errorf("%s: %v; want %s at record %d", name, err, c.kind, c.at)
		}
	}
}

// A writer that ignores the closing is seen.
func TestNothingFollowsAClosedLeaf(t *testing.T) {
	values, c := testChain(t)
	for i, r := range []*Record{{Kind: LeafClosed, Offset: c.NextSource}, {Kind: LeafQuarantine, Offset: 40}} {
		c.Closed = false
		value, err := c.Append(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
		_, err = VerifyChain(values)
		var fault *ChainFault
		if bad := errors.As(err, &fault) && fault.Kind == FaultSplice && fault.At == 8; bad != (i == 1) {
			t.Errorf("leaf %d: %v", i, err)
		}
	}
}

// Every bit of every leaf counts: a flip is a fault, or in the last leaf,
// which no other one stands on, another head.
func TestEveryBitCounts(t *testing.T) {
	values, end := testChain(t)
	for i := range values {
		for bit := range 8 * len(values[i]) {
			changed := append([][]byte{}, values...)
			changed[i] = bytes.Clone(values[i])
			changed[i][bit/8] ^= 1 << (bit % 8)
			got, err := VerifyChain(changed)
			if err == nil && (i < len(values)-1 || got.Head == end.Head) {
				t.Fatalf("leaf %d bit %d: not seen", i, bit)
			}
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	_, end := testChain(t)
	closed := end
	if _, err := closed.Append(nil, &Record{Kind: LeafClosed, Offset: closed.NextSource}); err != nil || !closed.Closed {
		t.Fatalf("closing: %v", err)
	}
	for name, c := range map[string]struct {
		chain Chain
		r     *Record
		want  string
	}{
		"backwards":     {end, &Record{Kind: LeafRecord, Offset: 20}, "backwards"},
		"bad note":      {end, &Record{Kind: LeafGap, Offset: 30, Note: "\xff"}, "UTF-8"},
		"bad reason":    {end, &Record{Kind: LeafGap, Offset: 30, Reason: "\xff"}, "UTF-8"},
		"bad detail":    {end, &Record{Kind: LeafQuarantine, Offset: 30, Detail: "\xff"}, "UTF-8"},
		"bad path":      {end, &Record{Kind: LeafQuarantine, Offset: 30, Path: "\xff"}, "UTF-8"},
		"no kind":       {end, &Record{Offset: 21}, "no leaf kind"},
		"behind closed": {closed, &Record{Kind: LeafRecord, Offset: 21}, "closed"},
	} {
		chain := c.chain
		out, err := chain.Append([]byte("dst"), c.r)
		if !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), c.want) || string(out) != "dst" || !reflect.DeepEqual(chain, c.chain) {
			t.Errorf("%s: %v, dst %q", name, err, out)
		}
	}
}

// A copy of a chain goes its own way, so that a worker can throw it away.
func TestChainIsAValue(t *testing.T) {
	_, end := testChain(t)
	before, work := end, end
	if _, err := work.Append(nil, &Record{Kind: LeafQuarantine, Offset: 30}); err != nil {
		t.Fatal(err)
	}
	if end != before || work.NextSource != 31 || work.Head == end.Head {
		t.Error("the copy and the original are one")
	}
}

func TestPlanDoc(t *testing.T) {
	p := PlanDoc{Topic: "crm.contacts", Purpose: "analytics", Output: "crm.contacts.analytics",
		Fields: []Field{{Path: "email", Category: "user.contact.email", Treatment: "redact"}, {Path: "h", Category: "user.health_and_medical", Treatment: "keep", Gate: "explicit_consent"}}}
	text, digest, err := p.Canonical()
	const want = `{"kind":"plan","version":1,"topic":"crm.contacts","purpose":"analytics","output":"crm.contacts.analytics","fields":[` +
		`{"path":"email","category":"user.contact.email","treatment":"redact"},{"path":"h","category":"user.health_and_medical","treatment":"keep","gate":"explicit_consent"}]}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	back, err := ParsePlanDoc(text)
	if err != nil || !reflect.DeepEqual(back.Fields, p.Fields) || back.Purpose != p.Purpose {
		t.Errorf("parsed %+v, %v", back, err)
	}
	if _, again, _ := back.Canonical(); again != digest {
		t.Error("the digest changed")
	}
	for _, bad := range []string{"", "{}", " " + want, want + "\n", strings.Replace(want, `"plan"`, `"policy"`, 1), strings.Replace(want, `"version":1`, `"version":2`, 1),
		strings.Replace(want, `"topic"`, `"other":1,"topic"`, 1), strings.Replace(want, `"email","cat`, `"\u0065mail","cat`, 1)} {
		if _, err := ParsePlanDoc([]byte(bad)); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
	p.Purpose = "\xff"
	if _, _, err := p.Canonical(); err == nil {
		t.Error("text that is not UTF-8 was taken")
	}
}

func BenchmarkChainAppend(b *testing.B) {
	_, c := testChain(b)
	r, buf := sample(), make([]byte, 0, 4096)
	r.Context, r.Cut, r.Offset = nil, nil, 1<<62
	b.ReportAllocs()
	for b.Loop() {
		work := c
		if _, err := work.Append(buf[:0], r); err != nil {
			b.Fatal(err)
		}
	}
}
