package schemas

import (
	"encoding/binary"
	"math/bits"
)

// Predicates are looked at before their element is scanned: only so does the
// scan know at which nodes the element's members are. What is skipped here is
// validated by the scan after it, so of bytes that are no JSON anything may be
// said.

// predicate finds what claims the element at i: the child of the predicate that
// it meets. claims is how many do; it is above 1 also where a member's name differs
// from a predicate's only in case, so that only some readers take it for that one.
func (n *jsonNode) predicate(src []byte, i int, ends *containerEnds) (child NodeID, claims int) {
	i = spaceEnd(src, i)
	if i == len(src) || src[i] != '{' {
		return 0, 0
	}
	open := len(n.wants)
	for i++; open > 0; {
		at, from := nextName(src, i)
		if from < 0 {
			break
		}
		next := ends.skip(src, from)
		if next < 0 {
			break
		}
		name, value := src[at.start+1:at.end-1], src[from:next]
		i = next
		for k := range n.wants {
			w := &n.wants[k]
			switch {
			case !equalName(name, w.name, true):
				continue
			case !equalName(name, w.name, false):
				return 0, 2
			case len(value) > 1 && value[0] == '"' && equalName(value[1:len(value)-1], w.value, false):
				child = w.child
				claims++
			}
			open-- // a second member of the name is refused by the scan
		}
	}
	return child, claims
}

// nextMember reads the member at i, after its comma: where its name lies, with
// quotes, where its value begins and what is after it; next is -1 where there
// is none.
func nextMember(src []byte, i int) (name jsonName, value, next int) {
	if name, value = nextName(src, i); value < 0 {
		return name, 0, -1
	}
	return name, value, skipValue(src, value)
}

// nextName is nextMember without what is after the value.
func nextName(src []byte, i int) (name jsonName, value int) {
	i = spaceEnd(src, i)
	if i < len(src) && src[i] == ',' {
		i = spaceEnd(src, i+1)
	}
	if i == len(src) || src[i] != '"' {
		return name, -1
	}
	end, _, code := stringEnd(src, i+1)
	if code != "" {
		return name, -1
	}
	name.start, name.end = uint32(i), uint32(end)
	i = spaceEnd(src, end)
	if i == len(src) || src[i] != ':' {
		return name, -1
	}
	return name, spaceEnd(src, i+1)
}

// skipValue returns what is after the value at i, -1 where none ends. A record
// of arrays in each other is skipped once for each of them that has predicates,
// so this is fast.
func skipValue(src []byte, i int) int {
	for depth := 0; i < len(src); {
		switch src[i] {
		case '"':
			end, _, code := stringEnd(src, i+1)
			if code != "" {
				return -1
			}
			i = end
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			if depth == 0 {
				return scalarEnd(src, i)
			}
			i = bracketOrQuote(src, i+1)
		}
		if depth <= 0 {
			return i
		}
	}
	return -1
}

// scalarEnd skips a number or a word; it moves.
func scalarEnd(src []byte, i int) int {
	for i++; i < len(src); i++ {
		switch src[i] {
		case '"', '{', '[', '}', ']', ',':
			return i
		}
	}
	return i
}

// bracketOrQuote finds the next bracket or quote at or after i.
func bracketOrQuote(src []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(src)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(src[i:])
		quote := w ^ '"'*ones
		open := (w | 0x20*ones) ^ '{'*ones // [ and { differ in one bit, as ] and } do
		end := (w | 0x20*ones) ^ '}'*ones
		// Borrows may mark more bytes, but only after the first that is rightly marked.
		if m := ((quote-ones)&^quote | (open-ones)&^open | (end-ones)&^end) & high; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(src); i++ {
		switch src[i] {
		case '"', '{', '[', '}', ']':
			return i
		}
	}
	return i
}
