package load

import (
	"strconv"
	"time"
)

// Permitted reports whether subject s has granted the n-th purpose: 70 % have,
// independently per purpose.
func (g *Generator) Permitted(s, n int) bool {
	r := splitmix(g.cfg.Seed ^ uint64(s)*0xA24BAED4963EE407 ^ uint64(n+1)<<48)
	return r.next()%10 < 7
}

// Grant appends the consent event of subject s (the JSON of DESIGN section 5)
// for the purposes that it has granted, and its key, namespace:value; value is nil where it granted none. A
// grant covers recipient and was given on version 3 of the notice "signup".
func (g *Generator) Grant(dst []byte, s int, purposes []string, recipient string) (key, value []byte) {
	start := len(dst)
	dst = AppendSubject(append(dst, "crm:"...), s)
	split := len(dst)
	key = dst[start:split:split]
	dst = append(dst, `{"id":"load-`...)
	dst = strconv.AppendInt(dst, int64(s), 10)
	dst = append(dst, `","subject":{"namespace":"crm","value":"`...)
	dst = append(dst, key[len("crm:"):]...)
	dst = append(dst, `"},"action":"grant","purposes":[`...)
	granted := 0
	for n, p := range purposes {
		if !g.Permitted(s, n) {
			continue
		}
		if granted++; granted > 1 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendQuote(dst, p)
	}
	if granted == 0 {
		return key, nil
	}
	// Well before the events, which lie in the hour before Now.
	at := time.UnixMilli(g.cfg.Now).Add(-30 * 24 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	dst = append(dst, `],"consent_type":"explicit","recipients":[`...)
	dst = strconv.AppendQuote(dst, recipient)
	dst = append(dst, `],"asserted_at":"`+at+`","covers_past":true,"notice":{"id":"signup","version":"3","language":"en"},"evidence":{"method":"web_form","source":"shop","reference":"form-17"}}`...)
	return key, dst[split:]
}
