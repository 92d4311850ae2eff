package load

import (
	_ "embed"
	"strconv"
	"strings"
	"time"
)

// xdmShape is an XDM ExperienceEvent of an order (Adobe's schema
// "experienceevent", the field groups that shops use), with a word between
// tildes in each place where events differ.
//
//go:embed xdm.json
var xdmShape string

// xdmParts are xdmShape between its words, and the words.
var xdmParts = strings.Split(strings.NewReplacer("\n ", "", "\n", "").Replace(xdmShape), "~")

// XDM appends the i-th ExperienceEvent to dst: one JSON object of about 5 KB
// on one line. key is the Kafka key, the subject's identifier.
func (g *Generator) XDM(dst []byte, i int) (key, value []byte) {
	s := g.event(3, i)
	p := g.person(s)
	start := len(dst)
	dst = AppendSubject(dst, s)
	split := len(dst)
	key = dst[start:split:split]
	for i, part := range xdmParts {
		if i%2 == 0 {
			dst = append(dst, part...)
			continue
		}
		dst = g.appendWord(dst, part, p, s)
	}
	return key, dst[split:]
}

func (g *Generator) appendWord(dst []byte, word string, p person, s int) []byte {
	r := &g.rng
	switch word {
	case "uuid":
		return r.appendUUID(dst)
	case "subject":
		return AppendSubject(dst, s)
	case "email":
		return p.appendEmail(dst, s)
	case "ip":
		return r.appendIP(dst)
	case "time":
		return time.UnixMilli(g.cfg.Now-int64(r.below(3_600_000))).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	case "number":
		return strconv.AppendUint(dst, uint64(r.below(1_000_000)), 10)
	case "price":
		return strconv.AppendFloat(dst, float64(r.below(50_000))/100, 'f', 2, 64)
	}
	return append(dst, map[string]string{
		"first": p.first, "last": p.last, "street": p.street, "city": p.city, "postal": p.postal, "country": p.country, "language": p.language,
		"product": products[r.below(len(products))], "path": paths[r.below(len(paths))], "campaign": campaigns[r.below(len(campaigns))],
		"agent": agents[r.below(len(agents))], "search": searches[r.below(len(searches))],
	}[word]...)
}
