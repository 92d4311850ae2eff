package engine

import (
	"slices"

	"github.com/consentstream/consentstream/consent"
)

// cut is the consent position that a record's decisions are made at: the fence or,
// where a subject's row was changed above it, the least of the watermarks that its
// subjects' rows were read under. In that case no row may hold a change at or above
// this position (DECISION D4).
type cut struct {
	fence consent.Vector
	least consent.Vector // of the watermarks; empty: none was read
	last  []int64        // by partition, the last change of all rows; -1: none
	above bool           // a row was changed at or above the fence
}

func (c *cut) begin(fence consent.Vector) {
	c.fence, c.least, c.last, c.above = fence, c.least[:0], c.last[:0], false
}

// add takes a row that was read under v, nil for a true miss. It is false where
// these do not belong together, or v leaves out what the fence takes into account.
func (c *cut) add(row *consent.Row, v consent.Vector) bool {
	if !v.Covers(c.fence) || row != nil && !v.Holds(row) {
		return false
	}
	if len(c.least) == 0 {
		c.least = append(c.least, v...)
	} else {
		c.least = c.least.Min(v)
	}
	if row == nil {
		return true
	}
	c.above = c.above || !c.fence.Holds(row)
	for len(c.last) < len(row.Last) {
		c.last = append(c.last, -1)
	}
	for p, last := range row.Last {
		c.last[p] = max(c.last[p], last)
	}
	return true
}

// end gives the cut where it is above the fence, else nil.
func (c *cut) end() ([]int64, error) {
	if !c.above {
		return nil, nil
	}
	for p, last := range c.last {
		if last >= 0 && last >= c.least[p] {
			return nil, ErrInconsistentCut
		}
	}
	return slices.Clip(c.least), nil
}
