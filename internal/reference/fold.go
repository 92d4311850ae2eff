package reference

import "math"

// The fold of DECISION.md, slowly: maps, and the tuples of the page.

const (
	inf  = math.MaxInt64 / 4
	skew = 300_000
)

// tuple is the winning event of one family of one slot.
type tuple struct {
	at, rank, partition, offset int64
	action                      string
}

func (a tuple) after(b tuple) bool {
	for _, pair := range [][2]int64{{a.at, b.at}, {a.rank, b.rank}, {a.partition, b.partition}, {a.offset, b.offset}} {
		if pair[0] != pair[1] {
			return pair[0] > pair[1]
		}
	}
	return a.action > b.action
}

func (a tuple) position() *Position { return &Position{int32(a.partition), a.offset} }

// terms are what a grant says.
type terms struct {
	t, recv, eff, exp, start         int64
	key                              string
	pos                              [2]int64
	explicit, kids, guardian, proven bool
	recipients                       map[string]bool
	notice                           [2]string
}

type slot struct {
	no map[string]tuple
	y  *terms
	q  bool
}

// Row is the state of one identifier.
type Row struct {
	slots           map[string]*slot
	mal, lseen      int64
	interactionAt   int64
	lastInteraction int64
}

func (r *Row) at(k string) *slot {
	if r.slots[k] == nil {
		r.slots[k] = &slot{no: map[string]tuple{}}
	}
	return r.slots[k]
}

func (s *slot) keep(family string, n tuple) {
	if old, ok := s.no[family]; !ok || n.after(old) {
		s.no[family] = n
	}
}

// no is the time of an event where it restricts, yes where it permits (D2).
func (e *Event) no() int64 {
	if e.Asserted == nil || e.Received-*e.Asserted <= skew {
		return e.Received
	}
	return *e.Asserted
}

func (e *Event) yes() int64 {
	if e.Asserted != nil && *e.Asserted < e.Received {
		return *e.Asserted
	}
	return e.Received
}

// Fold folds all events of one identifier, in the order given.
func Fold(events []Event) *Row {
	r := &Row{slots: map[string]*slot{}, mal: -inf, lseen: -inf, interactionAt: -inf, lastInteraction: -inf}
	for i := range events {
		r.fold(&events[i])
	}
	for i := range events { // D13: erased for good, whatever came first
		e := &events[i]
		if !e.Malformed && e.Action == "erase" && (len(e.Purposes) == 0 || contains(e.Purposes, "*")) {
			r.lastInteraction = -inf
		}
	}
	return r
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (r *Row) fold(e *Event) {
	if e.Malformed {
		r.mal = max(r.mal, e.Received)
		return
	}
	family, restrictive := families[e.Action]
	place := tuple{partition: int64(e.Partition), offset: e.Offset}
	switch {
	case restrictive:
		keys := e.Purposes
		if e.Action == "restrict" || len(keys) == 0 {
			keys = []string{"*"}
		}
		place.at, place.action = e.no(), e.Action
		place.rank = map[string]int64{"refuse": 1, "withdraw": 2}[e.Action]
		for _, k := range keys {
			r.at(k).keep(family, place)
		}
	case permissive(e.Action):
		for _, k := range e.Purposes {
			s := r.at(k)
			s.y = newest(s.y, e.terms(k))
		}
	case e.Action == "lift_restriction" && e.Asserted != nil && len(e.Purposes) == 0: // D12
		place.at = e.yes()
		r.at("*").keep("L", place)
		r.lseen = max(r.lseen, e.Received)
	case e.Action == "request":
		for _, k := range e.Purposes {
			r.at(k).q = true
		}
	case e.Action == "attributes" && e.LastInteraction != nil: // D18, D21
		v := min(*e.LastInteraction, e.Received)
		switch t := e.yes(); {
		case t > r.interactionAt:
			r.interactionAt, r.lastInteraction = t, v
		case t == r.interactionAt:
			r.lastInteraction = min(r.lastInteraction, v)
		}
	}
}

func (e *Event) terms(k string) *terms {
	y := terms{t: e.yes(), recv: e.Received, key: k, pos: [2]int64{int64(e.Partition), e.Offset}, eff: e.yes(), exp: inf,
		explicit: e.Type == "explicit", kids: e.Children, guardian: e.Guardian,
		recipients: map[string]bool{}, notice: [2]string{e.NoticeID, e.NoticeVersion}}
	if e.Effective != nil {
		y.eff = *e.Effective
	}
	if e.Expires != nil {
		y.exp = *e.Expires
	}
	y.start = max(y.eff, y.t)
	if e.Action == "renew" {
		y.start = y.eff
	}
	if e.CoversPast {
		y.start = -inf
	}
	for _, x := range e.Recipients {
		y.recipients[x] = true
	}
	y.proven = e.Asserted != nil && e.Method != "" && e.Source != "" && e.NoticeID != "" && e.NoticeVersion != "" &&
		(e.Type == "explicit" || e.Type == "expressed") // D17
	return &y
}

// newest: the later statement wins whole; at equal instants the meet of both.
func newest(a, b *terms) *terms {
	switch {
	case a == nil:
		return b
	case b == nil || a.t > b.t:
		return a
	case b.t > a.t:
		return b
	}
	m := terms{t: a.t, recv: max(a.recv, b.recv), key: a.key, pos: a.pos, eff: max(a.eff, b.eff), exp: min(a.exp, b.exp), start: max(a.start, b.start),
		explicit: a.explicit && b.explicit, kids: a.kids && b.kids, guardian: a.guardian && b.guardian,
		recipients: map[string]bool{}, notice: a.notice, proven: a.proven && b.proven && a.notice == b.notice}
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
	return &m
}
