package policy

import (
	"math"
	"strings"

	"github.com/consentstream/consentstream/consent"
)

// The oracle is DECISION.md's program, slowly: maps, lists and closures, written
// from the page and not from the engine. It folds for itself.

const (
	oInf  = math.MaxInt64 / 4
	oSkew = 300_000
)

type oTuple struct {
	at, rank, partition, offset int64
	action                      string
}

func (a oTuple) after(b oTuple) bool {
	for _, pair := range [][2]int64{{a.at, b.at}, {a.rank, b.rank}, {a.partition, b.partition}, {a.offset, b.offset}} {
		if pair[0] != pair[1] {
			return pair[0] > pair[1]
		}
	}
	return a.action > b.action
}

type oTerms struct {
	t, eff, exp, start               int64
	key                              string
	pos                              [2]int64
	explicit, kids, guardian, proven bool
	recipients, overrides            map[string]bool
	notice                           [2]string
}

type oSlot struct {
	no   map[string]oTuple
	y    *oTerms
	seen int64
	q    bool
}

type oRow struct {
	slots           map[string]*oSlot
	mal, lseen      int64
	interactionAt   int64
	lastInteraction int64
	erased          bool
}

func oNewRow() *oRow {
	return &oRow{slots: map[string]*oSlot{}, mal: -oInf, lseen: -oInf, interactionAt: -oInf, lastInteraction: -oInf}
}

func (r *oRow) at(k string) *oSlot {
	if r.slots[k] == nil {
		r.slots[k] = &oSlot{no: map[string]oTuple{}, seen: -oInf}
	}
	return r.slots[k]
}

func oKeep(s *oSlot, family string, n oTuple) {
	if old, ok := s.no[family]; !ok || n.after(old) {
		s.no[family] = n
	}
}

func oNo(e *consent.Event) int64 {
	if !e.Asserted.Set || e.Received-e.Asserted.Ms <= oSkew {
		return e.Received
	}
	return e.Asserted.Ms
}

func oYes(e *consent.Event) int64 {
	if e.Asserted.Set && e.Asserted.Ms < e.Received {
		return e.Asserted.Ms
	}
	return e.Received
}

var oFamilies = map[string]string{
	"withdraw": "W", "refuse": "W", "opt_out": "W", "object": "O", "invalidate": "I", "erase": "E", "restrict": "R", "limit_sensitive": "S",
}

// oFold folds all events of one identifier, in the order given.
func oFold(events []consent.Event) *oRow {
	r := oNewRow()
	for i := range events {
		oFoldOne(r, &events[i])
	}
	for i := range events { // D13: erased for good, whatever came first
		e := &events[i]
		if e.Malformed == "" && e.Action.String() == "erase" && (len(e.Purposes) == 0 || strings.Contains(strings.Join(e.Purposes, " "), "*")) {
			r.lastInteraction = -oInf
		}
	}
	return r
}

func oFoldOne(r *oRow, e *consent.Event) {
	if e.Malformed != "" {
		r.mal = max(r.mal, e.Received)
		return
	}
	action := e.Action.String()
	family, restrictive := oFamilies[action]
	switch {
	case restrictive:
		keys := e.Purposes
		if action == "restrict" || len(keys) == 0 {
			keys = []string{"*"}
		}
		rank := map[string]int64{"refuse": 1, "withdraw": 2}[action]
		for _, k := range keys {
			oKeep(r.at(k), family, oTuple{oNo(e), rank, int64(e.At.Partition), e.At.Offset, action})
		}
	case action == "grant" || action == "renew" || action == "opt_in":
		for _, k := range e.Purposes {
			s := r.at(k)
			y := oTermsOf(e, k, action)
			s.y = oNewest(s.y, &y)
			s.seen = max(s.seen, e.Received)
		}
	case action == "lift_restriction" && e.Asserted.Set && len(e.Purposes) == 0:
		oKeep(r.at("*"), "L", oTuple{at: oYes(e), partition: int64(e.At.Partition), offset: e.At.Offset})
		r.lseen = max(r.lseen, e.Received)
	case action == "request":
		for _, k := range e.Purposes {
			r.at(k).q = true
		}
	case action == "attributes" && e.Attributes.LastInteraction.Set:
		v := min(e.Attributes.LastInteraction.Ms, e.Received)
		switch t := oYes(e); {
		case t > r.interactionAt:
			r.interactionAt, r.lastInteraction = t, v
		case t == r.interactionAt:
			r.lastInteraction = min(r.lastInteraction, v)
		}
	}
}

func oTermsOf(e *consent.Event, k, action string) oTerms {
	y := oTerms{t: oYes(e), key: k, pos: [2]int64{int64(e.At.Partition), e.At.Offset}, eff: oYes(e), exp: oInf,
		explicit: e.ConsentType == consent.ConsentExplicit, kids: e.Children, guardian: e.Guardian,
		recipients: map[string]bool{}, overrides: map[string]bool{}, notice: [2]string{e.Notice.ID, e.Notice.Version}}
	if e.Effective.Set {
		y.eff = e.Effective.Ms
	}
	if e.Expires.Set {
		y.exp = e.Expires.Ms
	}
	y.start = max(y.eff, y.t)
	if action == "renew" {
		y.start = y.eff
	}
	if e.CoversPast {
		y.start = -oInf
	}
	for _, x := range e.Recipients {
		y.recipients[x] = true
	}
	for _, x := range e.Overrides {
		y.overrides[x] = true
	}
	y.proven = e.Asserted.Set && e.Evidence.Method != "" && e.Evidence.Source != "" && e.Notice.ID != "" && e.Notice.Version != "" &&
		(e.ConsentType == consent.ConsentExplicit || e.ConsentType == consent.ConsentExpressed)
	return y
}

func oNewest(a, b *oTerms) *oTerms {
	if a == nil {
		return b
	}
	if b == nil || a.t > b.t {
		return a
	}
	if b.t > a.t {
		return b
	}
	m := oTerms{t: a.t, key: a.key, pos: a.pos, eff: max(a.eff, b.eff), exp: min(a.exp, b.exp), start: max(a.start, b.start),
		explicit: a.explicit && b.explicit, kids: a.kids && b.kids, guardian: a.guardian && b.guardian,
		recipients: map[string]bool{}, overrides: map[string]bool{}, notice: a.notice,
		proven: a.proven && b.proven && a.notice == b.notice}
	if len(b.key) < len(a.key) {
		m.key = b.key
	}
	if b.pos[0] < a.pos[0] || b.pos[0] == a.pos[0] && b.pos[1] < a.pos[1] {
		m.pos = b.pos
	}
	if b.notice[0] < a.notice[0] || b.notice[0] == a.notice[0] && b.notice[1] < a.notice[1] {
		m.notice = b.notice
	}
	for x := range a.recipients {
		m.recipients[x] = a.recipients[x] && b.recipients[x]
	}
	for x := range a.overrides {
		m.overrides[x] = a.overrides[x] && b.overrides[x]
	}
	return &m
}
