package policy

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

type oFault struct {
	row  float64
	code string
}

type oSaid struct {
	n oTuple
	k string
}

// oDecide gives the faults, sorted, or the permit's code; and whether the
// explicit gate is open.
func oDecide(p *Purpose, rows []*oRow, f Facts, now int64) (deny []oFault, permit string, gate bool) {
	add := func(row float64, code string) { deny = append(deny, oFault{row, code}) }
	if f.Unresolved {
		add(3, "SUBJECT_UNRESOLVED")
	}
	event := min(f.EventTime, now)
	if p.Retention > 0 && now-event >= p.Retention {
		add(3.5, "RETENTION_EXCEEDED")
	}
	if !f.Unresolved {
		permit, gate = oRows(p, rows, event, now, add)
	}
	sort.Slice(deny, func(i, j int) bool {
		return deny[i].row < deny[j].row || deny[i].row == deny[j].row && deny[i].code < deny[j].code
	})
	return deny, permit, gate && len(deny) == 0
}

func oPath(id string) []string {
	var keys []string
	for names := strings.Split(id, "."); len(names) > 0; names = names[:len(names)-1] {
		keys = append(keys, strings.Join(names, "."))
	}
	return append(keys, "*")
}

func oBelow(key, k string) bool { return k == "*" || key == k || strings.HasPrefix(key, k+".") }

func oRows(p *Purpose, rows []*oRow, event, now int64, add func(float64, string)) (string, bool) {
	b := p.Basis.String()
	keys := oPath(p.ID)
	said := func(family string) (all []oSaid) {
		for _, r := range rows {
			for _, k := range keys {
				if s := r.slots[k]; s != nil {
					if n, ok := s.no[family]; ok {
						all = append(all, oSaid{n, k})
					}
				}
			}
		}
		return all
	}
	var g *oTerms
	seen, mal, lseen, last, pending := int64(-oInf), int64(-oInf), int64(-oInf), int64(-oInf), false
	for _, r := range rows {
		mal, lseen, last = max(mal, r.mal), max(lseen, r.lseen), max(last, r.lastInteraction)
		for _, k := range keys {
			s := r.slots[k]
			if s == nil {
				continue
			}
			if s.y != nil && (k == p.ID || s.y.kids) {
				g = oNewest(g, s.y)
			}
			seen, pending = max(seen, s.seen), pending || s.q
		}
	}
	lastNo := int64(-oInf)
	for _, family := range []string{"W", "O", "I"} {
		for _, x := range said(family) {
			lastNo = max(lastNo, x.n.at)
		}
	}
	why := []oFault{{23, "CONSENT_UNKNOWN"}}
	if g != nil {
		why = oFaults(p, g, max(g.t, last), event, now, lastNo)
	}
	beats := func(x oSaid) bool { return g != nil && g.t > x.n.at && oBelow(g.key, x.k) }
	filter := func(all []oSaid, keep func(oSaid) bool) (out []oSaid) {
		for _, x := range all {
			if keep(x) {
				out = append(out, x)
			}
		}
		return out
	}
	newer := func(family string) []oSaid { return filter(said(family), func(x oSaid) bool { return !beats(x) }) }
	live := func(family string) []oSaid {
		return filter(said(family), func(x oSaid) bool { return !(beats(x) && len(why) == 0) })
	}
	named := func(all []oSaid) bool { return len(filter(all, func(x oSaid) bool { return x.k != "*" })) > 0 }

	erased := len(said("E")) > 0
	if erased && b != "legal_obligation" {
		add(5, "SUBJECT_ERASED")
	}
	lift := int64(-oInf)
	for _, x := range said("L") {
		lift = max(lift, x.n.at)
	}
	restricted := len(filter(said("R"), func(x oSaid) bool { return x.n.at >= lift })) > 0
	if restricted && !p.SurvivesRestriction {
		add(6, "PROCESSING_RESTRICTED")
	}
	malformed := mal > -oInf && lseen <= mal && !(g != nil && len(why) == 0 && seen > mal)
	if malformed && b != "legal_obligation" {
		add(6, "STATE_MALFORMED")
	}
	if p.DirectMarketing && (len(live("O")) > 0 || b != "consent" && len(live("W")) > 0) {
		add(7, "OBJECTION_MARKETING")
	}
	soft := b == "consent" || b == "legitimate_interests" || b == "public_task"
	if soft && len(live("O")) > 0 || soft && b != "consent" && named(live("W")) {
		add(8, "OBJECTION")
	}
	// D23, D11: what was said since, of whatever kind, closes the gate.
	gate := g != nil && len(why) == 0 && g.explicit && !erased && !restricted && !malformed &&
		len(live("W"))+len(live("O"))+len(live("I"))+len(live("S")) == 0
	if b != "consent" {
		return "BASIS_" + strings.ToUpper(b), gate
	}
	withdrawn, invalid := newer("W"), newer("I")
	switch {
	case len(withdrawn)+len(invalid) > 0:
		all := append(withdrawn, invalid...)
		sort.Slice(all, func(i, j int) bool { return all[i].n.after(all[j].n) })
		switch all[0].n.action {
		case "invalidate":
			add(27, "CONSENT_INVALIDATED")
		case "refuse":
			add(25, "CONSENT_REFUSED")
		default:
			add(26, "CONSENT_WITHDRAWN")
		}
	case g == nil && pending:
		add(24, "CONSENT_PENDING")
	default:
		for _, w := range why {
			add(w.row, w.code)
		}
	}
	return "CONSENT_GIVEN", gate
}

var oNumber = regexp.MustCompile(`^[0-9]{1,18}$`)

func oFaults(p *Purpose, g *oTerms, last, event, now, lastNo int64) (f []oFault) {
	limit := func(from, length int64) int64 {
		if length == 0 {
			return oInf
		}
		return from + length
	}
	if now >= min(g.exp, limit(g.t, p.MaxAge), limit(last, p.MaxInactivity)) {
		f = append(f, oFault{28, "CONSENT_EXPIRED"})
	}
	if p.NoticeID != "" {
		ok := g.notice[0] == p.NoticeID
		switch have, least := g.notice[1], p.NoticeMinVersion; {
		case least == "":
		case oNumber.MatchString(have) && oNumber.MatchString(least):
			a, _ := strconv.ParseInt(have, 10, 64)
			b, _ := strconv.ParseInt(least, 10, 64)
			ok = ok && a >= b
		default:
			ok = ok && have == least
		}
		if !ok {
			f = append(f, oFault{29, "NOTICE_OUTDATED"})
		}
	}
	if !g.proven {
		f = append(f, oFault{30, "CONSENT_UNPROVEN"})
	}
	if g.eff > now {
		f = append(f, oFault{31, "CONSENT_NOT_YET_EFFECTIVE"})
	}
	if !p.ProcessingOnly && (g.start > event || lastNo >= event) {
		f = append(f, oFault{32, "CONSENT_AFTER_EVENT"})
	}
	for _, x := range p.Recipients {
		if !g.recipients[x] {
			f = append(f, oFault{33, "RECIPIENT_NOT_COVERED"})
			break
		}
	}
	return f
}

// oString writes a verdict of the oracle as text of a Decision does.
func oString(deny []oFault, permit string, gate, suspect bool) string {
	codes, verb := []string{permit}, "permit"
	if len(deny) > 0 {
		codes, verb = nil, "deny"
		for _, f := range deny {
			codes = append(codes, f.code)
		}
	}
	if suspect {
		codes = append(codes, "EVENT_TIME_SUSPECT")
	}
	return fmt.Sprint(verb, codes, gate)
}

func text(d *Decision) string {
	codes, verb := []string{string(d.Reason)}, "deny"
	if d.Permit {
		verb = "permit"
	}
	for _, r := range d.Secondary {
		codes = append(codes, string(r))
	}
	return fmt.Sprint(verb, codes, d.Gates&GateExplicit != 0)
}
