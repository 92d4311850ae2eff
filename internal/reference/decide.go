package reference

import (
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Purpose is why data is processed (DESIGN section 4). Durations are ms, 0 for
// none.
type Purpose struct {
	ID, Basis             string
	DirectMarketing       bool
	SurvivesRestriction   bool
	ProcessingOnly        bool
	Recipients            []string
	NoticeID, NoticeLeast string
	MaxAge, MaxInactivity int64
	Retention             int64
	Treat                 map[string]Treatment // by category
}

// Facts are what a record brings to its decision.
type Facts struct {
	EventTime  int64
	Suspect    bool
	Unresolved bool
	Conflict   bool // since two places of the record name different people
}

// Position is a place in the consent topic.
type Position struct {
	Partition int32
	Offset    int64
}

// Verdict is the decision on one purpose.
type Verdict struct {
	Permit    bool
	Reason    string
	Secondary []string
	Cited     *Position // the event that decided
	Explicit  bool      // the gate of explicit consent is open
	Grounded  bool      // and that of grounds, if the purpose has one
}

// fault is a reason to deny, by its row in SEMANTICS.md section 7.
type fault struct {
	row   float64
	code  string
	cited *Position
}

type said struct {
	n tuple
	k string
}

// Decide is DECISION.md's decide, without regimes, minors, links and signals. A
// subject of whom nothing is known has no rows.
func Decide(p *Purpose, rows []*Row, f Facts, now int64) Verdict {
	var deny []fault
	var permit fault
	var gates opened
	if f.Unresolved {
		deny = append(deny, fault{row: 3, code: "SUBJECT_UNRESOLVED"})
	}
	event := min(f.EventTime, now)
	if p.Retention > 0 && now-event >= p.Retention {
		deny = append(deny, fault{row: 3.5, code: "RETENTION_EXCEEDED"})
	}
	if !f.Unresolved {
		var more []fault
		more, permit, gates = judge(p, rows, event, now)
		deny = append(deny, more...)
	}
	sort.SliceStable(deny, func(i, j int) bool {
		return deny[i].row < deny[j].row || deny[i].row == deny[j].row && deny[i].code < deny[j].code
	})
	v := Verdict{Permit: len(deny) == 0, Reason: permit.code, Cited: permit.cited, Explicit: gates.explicit && len(deny) == 0, Grounded: gates.ground && len(deny) == 0}
	for i, d := range deny {
		if i == 0 {
			v.Reason, v.Cited = d.code, d.cited
		} else {
			v.Secondary = append(v.Secondary, d.code)
		}
	}
	if f.Unresolved && f.Conflict {
		v.Secondary = append(v.Secondary, "SUBJECT_CONFLICT")
	}
	if f.Suspect || f.EventTime > now {
		v.Secondary = append(v.Secondary, "EVENT_TIME_SUSPECT")
	}
	return v
}

// path is the purpose, its ancestors and all.
func path(id string) []string {
	var keys []string
	for names := strings.Split(id, "."); len(names) > 0; names = names[:len(names)-1] {
		keys = append(keys, strings.Join(names, "."))
	}
	return append(keys, "*")
}

func below(key, k string) bool { return k == "*" || key == k || strings.HasPrefix(key, k+".") }

// opened are the field gates that are open (D23).
type opened struct{ explicit, ground bool }

// grounded says that a treatment of the purpose stands on a ground.
func (p *Purpose) grounded() bool {
	for _, t := range p.Treat {
		if t.Ground != "" {
			return true
		}
	}
	return false
}

// judge gives the faults, what a permit would be, and the gates.
func judge(p *Purpose, rows []*Row, event, now int64) (deny []fault, permit fault, gates opened) {
	keys := path(p.ID)
	all := func(family string) (list []said) {
		for _, r := range rows {
			for _, k := range keys {
				if s := r.slots[k]; s != nil {
					if n, ok := s.no[family]; ok {
						list = append(list, said{n, k})
					}
				}
			}
		}
		return list
	}
	var g *terms
	mal, lseen, last, pending := int64(-inf), int64(-inf), int64(-inf), false
	for _, r := range rows {
		mal, lseen, last = max(mal, r.mal), max(lseen, r.lseen), max(last, r.lastInteraction)
		for _, k := range keys {
			if s := r.slots[k]; s != nil {
				if s.y != nil && (k == p.ID || s.y.kids) {
					g = newest(g, s.y)
				}
				pending = pending || s.q
			}
		}
	}
	lastNo := int64(-inf)
	for _, family := range []string{"W", "O", "I"} {
		for _, x := range all(family) {
			lastNo = max(lastNo, x.n.at)
		}
	}
	why := []fault{{row: 23, code: "CONSENT_UNKNOWN"}}
	if g != nil {
		why = grantFaults(p, g, max(g.t, last), event, now, lastNo)
	}
	beats := func(x said) bool { return g != nil && g.t > x.n.at && below(g.key, x.k) }
	filter := func(list []said, keep func(said) bool) (out []said) {
		for _, x := range list {
			if keep(x) {
				out = append(out, x)
			}
		}
		return out
	}
	newer := func(family string) []said { return filter(all(family), func(x said) bool { return !beats(x) }) }
	live := func(family string) []said {
		return filter(all(family), func(x said) bool { return !beats(x) || len(why) > 0 })
	}
	named := func(list []said) []said { return filter(list, func(x said) bool { return x.k != "*" }) }
	add := func(row float64, code string, by ...said) {
		deny = append(deny, fault{row, code, greatest(by)})
	}

	erased := all("E")
	if len(erased) > 0 && p.Basis != "legal_obligation" {
		add(5, "SUBJECT_ERASED", erased...)
	}
	lift := int64(-inf)
	for _, x := range all("L") {
		lift = max(lift, x.n.at)
	}
	restricted := filter(all("R"), func(x said) bool { return x.n.at >= lift })
	if len(restricted) > 0 && !p.SurvivesRestriction {
		add(6, "PROCESSING_RESTRICTED", restricted...)
	}
	malformed := mal > -inf && lseen <= mal && !(g != nil && len(why) == 0 && g.recv > mal)
	if malformed && (p.Basis != "legal_obligation" || p.DirectMarketing) {
		add(6, "STATE_MALFORMED")
	}
	consented := p.Basis == "consent"
	soft := consented || p.Basis == "legitimate_interests" || p.Basis == "public_task"
	if p.DirectMarketing {
		by := live("O")
		if !consented {
			by = append(by, live("W")...)
		}
		if len(by) > 0 {
			add(7, "OBJECTION_MARKETING", by...)
		}
	}
	if soft {
		by := live("O")
		if !consented {
			by = append(by, named(live("W"))...)
		}
		if len(by) > 0 {
			add(8, "OBJECTION", by...)
		}
	}
	// D23, D11: what was said since, of whatever kind, closes the gate.
	gates.explicit = g != nil && len(why) == 0 && g.explicit && len(erased)+len(restricted) == 0 && !malformed &&
		len(live("W"))+len(live("O"))+len(live("I"))+len(live("S")) == 0
	// Whoever limits the use of sensitive data closes the grounds, until an explicit
	// grant that is newer and has no fault.
	limited := filter(all("S"), func(x said) bool { return !beats(x) || len(why) > 0 || !g.explicit })
	gates.ground = p.grounded() && len(erased)+len(limited) == 0 && !malformed
	if !consented {
		return deny, fault{code: "BASIS_" + strings.ToUpper(p.Basis)}, gates
	}
	withdrawn, invalid := newer("W"), newer("I")
	switch {
	case len(withdrawn)+len(invalid) > 0:
		by := append(withdrawn, invalid...)
		sort.Slice(by, func(i, j int) bool { return by[i].n.after(by[j].n) })
		switch by[0].n.action {
		case "invalidate":
			add(27, "CONSENT_INVALIDATED", by[0])
		case "refuse":
			add(25, "CONSENT_REFUSED", by[0])
		default:
			add(26, "CONSENT_WITHDRAWN", by[0])
		}
	case g == nil && pending:
		add(24, "CONSENT_PENDING")
	default:
		deny = append(deny, why...)
	}
	permit = fault{code: "CONSENT_GIVEN"}
	if g != nil {
		permit.cited = g.position()
	}
	return deny, permit, gates
}

func greatest(list []said) *Position {
	if len(list) == 0 {
		return nil
	}
	best := list[0].n
	for _, x := range list {
		if x.n.after(best) {
			best = x.n
		}
	}
	return best.position()
}

func (g *terms) position() *Position { return &Position{int32(g.pos[0]), g.pos[1]} }

var number = regexp.MustCompile(`^[0-9]{1,18}$`)

// grantFaults are rows 28 to 33, each by the grant itself.
func grantFaults(p *Purpose, g *terms, last, event, now, lastNo int64) (f []fault) {
	add := func(row float64, code string) { f = append(f, fault{row, code, g.position()}) }
	limit := func(from, length int64) int64 {
		if length == 0 {
			return inf
		}
		return from + length
	}
	if now >= min(g.exp, limit(g.t, p.MaxAge), limit(last, p.MaxInactivity)) {
		add(28, "CONSENT_EXPIRED")
	}
	if p.NoticeID != "" && !(g.notice[0] == p.NoticeID && atLeast(g.notice[1], p.NoticeLeast)) {
		add(29, "NOTICE_OUTDATED")
	}
	if !g.proven {
		add(30, "CONSENT_UNPROVEN")
	}
	if g.eff > now {
		add(31, "CONSENT_NOT_YET_EFFECTIVE")
	}
	if !p.ProcessingOnly && (g.start > event || lastNo >= event) {
		add(32, "CONSENT_AFTER_EVENT")
	}
	for _, x := range p.Recipients {
		if !g.recipients[x] {
			add(33, "RECIPIENT_NOT_COVERED")
			break
		}
	}
	return f
}

// atLeast compares versions: numbers as numbers, else only equality counts.
func atLeast(have, least string) bool {
	if least == "" {
		return true
	}
	if number.MatchString(have) && number.MatchString(least) {
		a, _ := strconv.ParseInt(have, 10, 64)
		b, _ := strconv.ParseInt(least, 10, 64)
		return a >= b
	}
	return have == least
}
