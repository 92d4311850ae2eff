package consent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// raw joins bytes (int), signed numbers (int64), texts with their length
// (string) and byte strings as they are.
func raw(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case int64:
			b = binary.AppendVarint(b, p)
		case string:
			b = appendString(b, p)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("%T", p))
		}
	}
	return b
}

// TestDecodeIsCanonical: everything that a row's encoding could say in two ways
// or should not say is refused; each fault stands beside a form that is accepted.
func TestDecodeIsCanonical(t *testing.T) {
	const none = 0 // an empty list
	row := func(flags int, parts ...any) []byte { return raw(append([]any{rowVersion, flags}, parts...)...) }
	slots := func(slots ...any) []byte { return row(0, len(slots), raw(slots...), none, none, none) }
	slot := func(key string, parts ...any) []byte { return raw(append([]any{key}, parts...)...) }
	denial := func(a Action) []byte { return raw(int64(5), int(a), 0, 0) }
	terms := func(flags int, times ...any) []byte {
		return slots(slot("a", slotTerms, 0, flags, int64(5), int64(2), 0, 0, int64(0), raw(times...), none, none, "", ""))
	}
	longer := func(flags int, by ...any) []byte {
		return slots(slot("a", slotTerms, flags, termsEffective, int64(5), int64(2), 0, 0, int64(0), none, none, "", "", raw(by...)))
	}
	ofSize := func(n int) []byte { // a row of n bytes, most of them one text
		head := raw(rowVersion, rowJurisdiction, int64(0))
		text := binary.AppendUvarint(nil, uint64(n-len(head)-3-4))
		return raw(head, text, make([]byte, n-len(head)-len(text)-4), none, none, none, none)
	}
	notices := func(list ...any) []byte { return row(0, none, len(list), raw(list...), none, none) }
	edge := func(tag byte) []byte { return raw(bytes.Repeat([]byte{tag}, 16), 1, 0, 0, 0, 0) }
	last := func(n int, parts ...any) []byte { return row(0, none, none, none, n, raw(parts...)) }
	manyNotices := func(n int) []byte {
		b := raw(rowVersion, 0, none, binary.AppendUvarint(nil, uint64(n)))
		for i := range n {
			b = appendString(b, fmt.Sprintf("%04d", i))
		}
		return raw(b, none, none)
	}
	manySlots := func(n int) []byte {
		b := raw(rowVersion, 0, binary.AppendUvarint(nil, uint64(n)))
		for i := range n {
			b = raw(b, fmt.Sprintf("%04d", i), 0, 0)
		}
		return raw(b, none, none, none)
	}
	for _, c := range []struct {
		name string
		good bool
		b    []byte
	}{
		{"nothing known", true, row(0, none, none, none, none)},
		{"no bytes", false, nil},
		{"version 0", false, raw(0, 0, none, none, none, none)},
		{"version 1, which counted receipts otherwise", false, raw(1, 0, none, none, none, none)},
		{"version 3", false, raw(3, 0, none, none, none, none)},
		{"flag not defined", false, row(rowFlags, none, none, none, none)},
		{"malformed", true, row(rowMalformed, int64(7), none, none, none, none)},
		{"malformed never", false, row(rowMalformed, -Infinite, none, none, none, none)},
		{"salt", true, row(rowSalt, bytes.Repeat([]byte{1}, 16), none, none, none, none)},
		{"salt of zeros", false, row(rowSalt, make([]byte, 16), none, none, none, none)},
		{"slot", true, slots(slot("a", 0, 0))},
		{"slots ascend", true, slots(slot("a", 0, 0), slot("b", 0, 0))},
		{"slots descend", false, slots(slot("b", 0, 0), slot("a", 0, 0))},
		{"slot twice", false, slots(slot("a", 0, 0), slot("a", 0, 0))},
		{"slot without key", false, slots(slot("", 0, 0))},
		{"slot flags", true, slots(slot("a", 0, slotLSeen, int64(5)))},
		{"slot flag not defined", false, slots(slot("a", 0, slotFlags))},
		{"lift seen never", false, slots(slot("a", 0, slotLSeen, -Infinite))},
		{"denial", true, slots(slot("a", 1<<FamilyWithdraw, 0, denial(Refuse)))},
		{"denial of another family", false, slots(slot("a", 1<<FamilyWithdraw, 0, denial(Object)))},
		{"denial by a grant", false, slots(slot("a", 1<<FamilyWithdraw, 0, denial(Grant)))},
		{"denial by nothing", false, slots(slot("a", 1<<FamilyWithdraw, 0, denial(99)))},
		{"terms", true, terms(termsEffective)},
		{"terms flag not defined", false, terms(termsEffective | termsFlags)},
		{"covers the past and its effective time", false, terms(termsEffective | termsPast)},
		{"expires", true, terms(termsEffective|termsExpires, int64(9))},
		{"expires never", false, terms(termsEffective|termsExpires, Infinite-5)},
		{"start", true, terms(0, int64(1))},
		{"start as effective", false, terms(0, int64(0))},
		{"start in the past", false, terms(0, -Infinite-5)},
		{"longer lists once", true, longer(slotLonger, 1)},
		{"longer by nothing", false, longer(slotLonger, 0)},
		{"longer than a row", false, longer(slotLonger, binary.AppendUvarint(nil, MaxRowBytes+1))},
		{"longer than the lists of no terms", false, slots(slot("a", 0, slotLonger, 1))},
		{"the longest row", true, ofSize(MaxRowBytes)},
		{"longer than a row may be", false, ofSize(MaxRowBytes + 1)},
		{"notices", true, notices("a", "b")},
		{"notices descend", false, notices("b", "a")},
		{"notice twice", false, notices("a", "a")},
		{"most notices", true, manyNotices(MaxNotices)},
		{"too many notices", false, manyNotices(MaxNotices + 1)},
		{"most slots", true, manySlots(MaxSlots)},
		{"too many slots", false, manySlots(MaxSlots + 1)},
		{"edges", true, row(0, none, none, 2, edge(1), edge(2), none)},
		{"edges descend", false, row(0, none, none, 2, edge(2), edge(1), none)},
		{"edge twice", false, row(0, none, none, 2, edge(1), edge(1), none)},
		{"last", true, last(2, 0, 9, 3, 9)},
		{"last descends", false, last(2, 3, 9, 0, 9)},
		{"last twice", false, last(2, 3, 9, 3, 9)},
		{"the last partition", true, last(1, 0xff, 1, 9)},
		{"beyond the last partition", false, last(1, 0x80, 2, 9)},
		{"a partition beyond 32 bits", false, last(1, 0x80, 0x80, 0x80, 0x80, 0x10, 9)},
		{"a negative offset", false, last(1, 0, bytes.Repeat([]byte{0xff}, 9), 1)},
		{"long form of a number", false, row(rowMalformed, 0x8e, 0, none, none, none, none)},
		{"long form before many bytes", false, row(rowMalformed, 0x8e, 0, none, 1, "aaaaaaaaaa", none, none)},
		{"more items than bytes", false, row(0, none, 0xff, 0xff, 0xff, 0x7f)},
		{"longer text than bytes", false, row(0, none, 1, 0x7f, none, none)},
		{"trailing byte", false, row(0, none, none, none, none, 0)},
	} {
		r := NewRow()
		if err := r.Decode(c.b, nil); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.good && !bytes.Equal(r.AppendTo(nil), c.b) {
			t.Errorf("%s: %x became %x", c.name, c.b, r.AppendTo(nil))
		}
	}
}
