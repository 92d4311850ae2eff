package load

import (
	"strconv"
	"time"
)

// Marketing appends the i-th marketing event to dst: one JSON object without
// blanks. key is the Kafka key, the subject's identifier.
func (g *Generator) Marketing(dst []byte, i int) (key, value []byte) {
	s := g.event(2, i)
	p, r := g.person(s), &g.rng
	start := len(dst)
	dst = AppendSubject(dst, s)
	split := len(dst)
	key = dst[start:split:split]

	dst = append(dst, `{"event_id":"`...)
	dst = r.appendUUID(dst)
	dst = append(dst, `","event":"`...)
	dst = append(dst, events[r.below(len(events))]...)
	dst = append(dst, `","occurred_at":"`...)
	dst = time.UnixMilli(g.cfg.Now-int64(r.below(3_600_000))).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","contact_id":"`...)
	dst = append(dst, key...)
	dst = append(dst, `","email":"`...)
	dst = p.appendEmail(dst, s)
	dst = append(dst, `","campaign":"`...)
	campaign := campaigns[r.below(len(campaigns))]
	dst = append(dst, campaign...)
	dst = append(dst, `","url":"https://shop.example.com/`...)
	dst = append(dst, paths[r.below(len(paths))]...)
	dst = append(dst, `?utm_source=newsletter&utm_medium=email&utm_campaign=`...)
	dst = append(dst, campaign...)
	dst = append(dst, `&mc_cid=`...)
	dst = strconv.AppendUint(dst, r.next(), 16)
	dst = append(dst, `","referrer":"https://mail.example.net/inbox","ip":"`...)
	dst = r.appendIP(dst)
	dst = append(dst, `","user_agent":"`...)
	dst = append(dst, agents[r.below(len(agents))]...)
	dst = append(dst, `","locale":"`...)
	dst = append(dst, p.language...)
	dst = append(dst, `","properties":{"product":"`...)
	dst = append(dst, products[r.below(len(products))]...)
	dst = append(dst, `","price":`...)
	dst = strconv.AppendFloat(dst, float64(r.below(50_000))/100, 'f', 2, 64)
	dst = append(dst, `,"coupon":`...)
	if r.below(2) == 0 {
		dst = append(dst, `"WELCOME10"`...)
	} else {
		dst = append(dst, `null`...)
	}
	dst = append(dst, `,"search":"`...)
	dst = append(dst, searches[r.below(len(searches))]...)
	dst = append(dst, `"},"session":{"id":"`...)
	dst = r.appendUUID(dst)
	dst = append(dst, `","page_views":`...)
	dst = strconv.AppendInt(dst, int64(r.below(30)), 10)
	dst = append(dst, `,"first_visit":false,"experiments":["checkout-b","hero-2026"]}}`...)
	return key, dst[split:]
}
