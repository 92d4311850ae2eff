package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// people is how many data subjects there are; of every seventh nothing is ever
// said.
const people = 500

// draw makes one run's input from its seed.
type draw struct{ *rand.Rand }

func newDraw(seed, stream uint64) draw { return draw{rand.New(rand.NewPCG(seed, stream))} }

func (r draw) one(in int) bool { return r.IntN(in) == 0 }

func pick[T any](r draw, of ...T) T { return of[r.IntN(len(of))] }

// person is the identifier of a data subject, as systems write it. Every tenth
// is a uuid, whose pseudonym is one too.
func person(n int) string {
	if n%10 == 0 {
		return fmt.Sprintf("5E0FC0DE-%04d-4A4a-8bCd-00000000%04d", n, n)
	}
	return fmt.Sprintf("ZZsubjectZZ%04d", n)
}

// consent is a record of the consent topic before it is written.
type consent struct{ key, value []byte }

// grant is what makes each purpose permit.
func (r draw) grant(n, i int) consent {
	return r.event(n, i, map[string]string{
		"action": `"grant"`, "purposes": `["analytics","marketing.email"]`, "consent_type": pick(r, `"explicit"`, `"expressed"`),
		"recipients": `["acme-mailer"]`, "asserted_at": instant(-time.Duration(1+r.IntN(300)) * 24 * time.Hour), "covers_past": "true",
		"notice": `{"id":"signup","version":"3","language":"en"}`, "evidence": `{"method":"web_form","source":"shop","reference":"ZZevidenceZZ` + fmt.Sprint(i) + `"}`,
	})
}

func instant(from time.Duration) string {
	return `"` + time.Now().Add(from).UTC().Format("2006-01-02T15:04:05.000Z") + `"`
}

// event is a consent event of person n with the members given.
func (r draw) event(n, i int, members map[string]string) consent {
	if members["id"] == "" {
		members["id"] = fmt.Sprintf(`"ZZconsentZZ%d"`, i)
	}
	if members["subject"] == "" {
		members["subject"] = `{"namespace":"crm","value":"` + pick(r, "", "", "", " ") + person(n) + `"}`
	}
	var parts []string
	for name, v := range members {
		if v != "-" {
			parts = append(parts, `"`+name+`":`+v)
		}
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return consent{[]byte("crm:" + person(n)), []byte("{" + strings.Join(parts, ",") + "}")}
}

// consent draws the i-th consent event: of any kind, one in twelve malformed.
func (r draw) consent(i int) consent {
	n := r.IntN(people)
	if n%7 == 6 {
		n--
	}
	if r.one(12) {
		return r.malformed(n, i)
	}
	m := map[string]string{}
	if r.one(2) {
		m["asserted_at"] = instant(-pick(r, 0, time.Second, time.Minute, 10*time.Minute, 48*time.Hour, 400*24*time.Hour))
	}
	if r.one(6) {
		m["jurisdiction"] = pick(r, `"DE"`, `"US-CA"`, `null`)
	}
	named := pick(r, `["analytics"]`, `["marketing.email"]`, `["marketing"]`, `["analytics","marketing.email"]`, `["service"]`)
	switch action := pick(r, "grant", "grant", "grant", "grant", "renew", "opt_in", "withdraw", "withdraw", "refuse", "object", "opt_out", "restrict",
		"lift_restriction", "limit_sensitive", "invalidate", "request", "attributes", "erase"); action {
	case "grant", "renew", "opt_in":
		m["action"], m["purposes"] = `"`+action+`"`, named
		r.terms(m)
	case "restrict", "lift_restriction", "attributes":
		m["action"] = `"` + action + `"`
		if action == "lift_restriction" {
			m["asserted_at"] = instant(0)
		}
		if action != "attributes" && r.one(3) { // it is the whole subject's all the same, and voids a lift
			m["purposes"] = named
		}
		if action == "attributes" {
			m["attributes"] = `{"birth_date":"1990-04-01","last_interaction":` + instant(-time.Hour) + `,"jurisdiction":"DE"}`
		}
	case "erase":
		if !r.one(3) { // it is for good, so it is rare
			return r.grant(n, i)
		}
		m["action"] = `"erase"`
	default:
		m["action"], m["purposes"] = `"`+action+`"`, pick(r, named, named, `["*"]`)
		if action == "request" {
			m["purposes"] = named
		} else if r.one(6) {
			m["purposes"] = "-"
		}
	}
	return r.event(n, i, m)
}

// terms fills in a grant, mostly such that it permits.
func (r draw) terms(m map[string]string) {
	m["consent_type"] = pick(r, `"explicit"`, `"explicit"`, `"expressed"`, `"implied"`)
	m["recipients"] = pick(r, `["acme-mailer"]`, `["acme-mailer","other"]`, `["acme-mailer"]`, `["other"]`)
	m["notice"] = pick(r, `{"id":"signup","version":"3"}`, `{"id":"signup","version":"10"}`, `{"id":"signup","version":"2"}`, `{"id":"signup","version":"1"}`, `{"id":"other","version":"3"}`)
	m["evidence"] = `{"method":"web_form","source":"shop"}`
	if r.one(8) {
		m["evidence"] = "-"
	}
	if !r.one(5) {
		m["covers_past"] = "true"
	}
	if r.one(3) {
		m["covers_children"] = "true"
	}
	if !r.one(6) {
		m["asserted_at"] = instant(-pick(r, 0, time.Second, time.Minute, 48*time.Hour))
	}
	if r.one(6) {
		m["expires_at"] = instant(pick(r, -time.Hour, 2*time.Second, 5*time.Second, 48*time.Hour))
	}
	if r.one(8) {
		m["effective_at"] = instant(pick(r, -time.Hour, 2*time.Second, 24*time.Hour))
	}
}

// several is an event that names more people than one, as broken producers write it.
func (r draw) several(n, i int, c consent) consent {
	also := r.event((n+1+r.IntN(9))%people, i, map[string]string{"action": `"withdraw"`})
	switch r.IntN(5) {
	case 0:
		c.value = fmt.Appendf(nil, "[%s,%s]", c.value, also.value)
	case 1:
		c.value = fmt.Appendf(nil, "%s\n%s", c.value, also.value[:len(also.value)-r.IntN(40)])
	case 2:
		c.value = fmt.Appendf(nil, "\ufeff%s", c.value)
	case 3:
		c.value = fmt.Appendf(nil, "%q", c.value)
	default:
		c.value = fmt.Appendf(c.value[:len(c.value)-1], `,"subject":{"value":"%s","namespace":"crm"`, person((n+1)%people))
	}
	if r.one(3) {
		c.key = also.key
	}
	return c
}

// malformed draws an event that denies (DECISION D14), or one whose subject
// cannot be read.
func (r draw) malformed(n, i int) consent {
	good := map[string]string{"action": `"withdraw"`, "purposes": `["analytics"]`}
	with := func(name, v string) consent {
		good[name] = v
		return r.event(n, i, good)
	}
	switch r.IntN(18) {
	case 0:
		return with("unknown_member", `"ZZmalformedZZ"`)
	case 1:
		return with("asserted_at", `"2026-11-01"`)
	case 2:
		return with("asserted_at", `1761955200`)
	case 3:
		return with("action", `"link"`)
	case 4:
		return with("link", `{"namespace":"crm","value":"ZZmalformedZZ","kind":"same_person"}`)
	case 5:
		return consent{key: []byte("crm:" + person(n))} // null
	case 6:
		c := r.event(n, i, good)
		c.key = []byte("crm:" + person((n+1)%people))
		return c
	case 7:
		c := r.event(n, i, good)
		c.value = c.value[:len(c.value)-1-r.IntN(8)]
		return c
	case 8:
		c := r.event(n, i, good)
		c.value = append(c.value[:len(c.value)-1], `,"id":"twice"}`...)
		return c
	case 9:
		return with("action", pick(r, `"forget"`, `"GRANT"`, `7`))
	case 10:
		return r.event(n, i, map[string]string{"action": `"grant"`, "purposes": `["*"]`})
	case 11:
		return r.event(n, i, map[string]string{"action": `"grant"`})
	case 12:
		return with("covers_past", `"yes"`)
	case 13, 14, 15, 16:
		return r.several(n, i, r.event(n, i, good))
	}
	c := with("subject", `{"namespace":"crm","value":"`+pick(r, "null", "", "0")+`"}`)
	if r.one(3) {
		c.key = []byte("ZZmalformedZZ") // nobody can tell whom it is about
	}
	return c
}
