package schemas

import "slices"

// containerEnds knows where the containers of a record end, once elements with
// predicates that lie in each other would have it skipped many times over: each
// array of a way down looks at all that lies in its elements.
type containerEnds struct {
	skipped int // bytes, so far
	known   bool
	// starts ascend; ends has 0 where none was found.
	starts, ends []uint32
}

// mostSkipped is how many times the bytes of a record are skipped before ends are
// collected, and mostKept how many are kept room for from record to record.
const (
	mostSkipped = 4
	mostKept    = 1 << 16
)

func (c *containerEnds) reset() {
	c.skipped, c.known = 0, false
	if cap(c.starts) > mostKept {
		c.starts, c.ends = nil, nil
	}
}

// skip is skipValue.
func (c *containerEnds) skip(src []byte, i int) int {
	if c.known && i < len(src) && (src[i] == '{' || src[i] == '[') {
		if k, ok := slices.BinarySearch(c.starts, uint32(i)); ok && c.ends[k] > 0 {
			return int(c.ends[k])
		}
		return -1
	}
	next := skipValue(src, i)
	if c.skipped += max(next-i, 0); !c.known && c.skipped > mostSkipped*len(src) {
		c.collect(src)
	}
	return next
}

// collect finds the ends of all containers of src up to what is not JSON.
func (c *containerEnds) collect(src []byte) {
	c.known, c.starts, c.ends = true, c.starts[:0], c.ends[:0]
	var open [maxJSONDepth]int
	depth := 0
	for i := 0; i < len(src); {
		switch src[i] {
		case '"':
			end, _, code := stringEnd(src, i+1)
			if code != "" {
				return
			}
			i = end
			continue
		case '{', '[':
			if depth == len(open) {
				return
			}
			open[depth] = len(c.starts)
			depth++
			c.starts, c.ends = append(c.starts, uint32(i)), append(c.ends, 0)
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			c.ends[open[depth]] = uint32(i + 1)
		}
		i = bracketOrQuote(src, i+1)
	}
}
