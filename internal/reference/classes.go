package reference

import (
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// generalize puts the class of a value in its place (docs/treatments.md).
func generalize(s scalar, t Treatment) (scalar, bool) {
	form := t.form()
	switch form {
	case "bucket", "geo":
		return t.number(s)
	case "date", "time":
		return t.instant(s)
	}
	out, ok := s, false
	switch form {
	case "ip_prefix":
		bits := t.Params[form].([]any)
		out.text, ok = prefix(s.text, bits[0].(int), bits[1].(int))
	case "email":
		out.text, ok = domain(s.text)
	case "url":
		query := t.Params[form].(map[string]any)["query"]
		names, _ := query.([]any)
		out.text, ok = stripURL(s.text, names)
	case "query":
		out.text, ok = stripQuery(s.text, t.Params[form].([]any))
	}
	return out, ok
}

// form is the form of a generalize.
func (t Treatment) form() string {
	for _, f := range []string{"bucket", "geo", "date", "time", "ip_prefix", "email", "url", "query"} {
		if _, ok := t.Params[f]; ok {
			return f
		}
	}
	return ""
}

// ends are the numbers of a bucket, and the most decimal places of one.
func (t Treatment) ends() (ends []*big.Rat, places int) {
	list, ok := t.Params["bucket"].([]any)
	if !ok {
		list = []any{t.Params["bucket"]}
	}
	for _, v := range list {
		text := fmt.Sprint(v)
		x, _ := new(big.Rat).SetString(text)
		ends = append(ends, x)
		if _, fraction, ok := strings.Cut(text, "."); ok {
			places = max(places, len(strings.TrimRight(fraction, "0")))
		}
	}
	return ends, places
}

// number is bucket and geo: exact, and then as the type holds it.
func (t Treatment) number(s scalar) (scalar, bool) {
	x, ok := s.exact()
	if !ok {
		return s, false
	}
	c, places, ok := t.class(x)
	if !ok {
		return s, false
	}
	switch {
	case s.logical == "decimal":
		n := new(big.Rat).Mul(c, new(big.Rat).SetInt(ten(s.scale)))
		if !n.IsInt() {
			return s, false
		}
		return s.decimal(n.Num())
	case s.base == "int" || s.base == "long":
		s.n = c.Num().Int64()
		return s, c.Num().IsInt64() && (s.base == "long" || s.n == int64(int32(s.n)))
	case s.base == "number":
		if s.text = c.FloatString(places); places > 0 {
			s.text = strings.TrimRight(strings.TrimRight(s.text, "0"), ".")
		}
		return s, true
	}
	return t.float(s, c, places)
}

// float: the nearest one, which must be in the class; up to 2^53 of the class's
// smallest place.
func (t Treatment) float(s scalar, c *big.Rat, places int) (scalar, bool) {
	if s.f, _ = c.Float64(); s.base == "float" {
		f, _ := c.Float32()
		s.f = float64(f)
	}
	x, ok := s.exact()
	if !ok {
		return s, false
	}
	again, _, ok := t.class(x)
	units := new(big.Rat).Mul(c, new(big.Rat).SetInt(ten(places)))
	return s, ok && again.Cmp(c) == 0 && units.Num().CmpAbs(big.NewInt(1<<53)) <= 0
}

// class is the class of a number, and the decimal places of classes.
func (t Treatment) class(x *big.Rat) (c *big.Rat, places int, ok bool) {
	if n, ok := t.Params["geo"].(int); ok {
		if new(big.Rat).Abs(x).Cmp(big.NewRat(180, 1)) > 0 {
			return nil, 0, false
		}
		unit := new(big.Rat).SetFrac(big.NewInt(1), ten(n))
		away := new(big.Rat).Add(new(big.Rat).Quo(new(big.Rat).Abs(x), unit), big.NewRat(1, 2))
		c = new(big.Rat).Mul(floor(away), unit)
		if x.Sign() < 0 {
			c.Neg(c)
		}
		return c, n, true
	}
	ends, places := t.ends()
	if len(ends) == 1 {
		c = new(big.Rat).Mul(floor(new(big.Rat).Quo(x, ends[0])), ends[0])
		return c, places, small(x, places) && small(c, places)
	}
	c = ends[0]
	for _, e := range ends {
		if e.Cmp(x) <= 0 {
			c = e
		}
	}
	return c, places, small(x, places)
}

// small says that a number is an int64 in units of its last place that counts.
func small(x *big.Rat, places int) bool {
	return floor(new(big.Rat).Mul(x, new(big.Rat).SetInt(ten(places)))).Num().IsInt64()
}

func floor(x *big.Rat) *big.Rat {
	q, _ := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	return new(big.Rat).SetInt(q)
}

// units are how many of a unit make a second; days are not among them.
var units = map[any]int64{"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}

// instant is date and time: the beginning of the grain that an instant lies in.
func (t Treatment) instant(s scalar) (scalar, bool) {
	grain := fmt.Sprint(t.Params[t.form()])
	switch {
	case s.base == "string":
		text, ok := cutText(s.text, grain, t.form())
		s.text = text
		return s, ok
	case s.logical == "date":
		s.n = begin(time.Unix(0, 0).UTC().AddDate(0, 0, int(s.n)), grain).Unix() / 86_400
		return s, s.n == int64(int32(s.n))
	}
	per := s.perSecond()
	n, ok := s.whole()
	if s.bare() {
		if t.Params["unit"] == "d" {
			return s.cutDays(n, grain, ok)
		}
		per = units[t.Params["unit"]]
	}
	seconds, _ := floorOf(n, per)
	if !ok || s.ofDay() && (seconds < 0 || seconds >= 86_400) || seconds > 1<<50 || seconds < -1<<50 {
		return s, false
	}
	at := begin(time.Unix(seconds, 0).UTC(), grain).Unix()
	return s.set(new(big.Int).Mul(big.NewInt(at), big.NewInt(per)))
}

// cutDays is instant for a number of days since 1970.
func (s scalar) cutDays(n int64, grain string, ok bool) (scalar, bool) {
	if !ok || n > 1<<50/86_400 || n < -(1<<50/86_400) {
		return s, false
	}
	at := begin(time.Unix(n*86_400, 0).UTC(), grain)
	return s.set(new(big.Int).Div(big.NewInt(at.Unix()), big.NewInt(86_400)))
}

// whole is a number without what lies below its unit.
func (s scalar) whole() (int64, bool) {
	if s.base != "number" {
		return s.n, true
	}
	x, ok := s.exact()
	if !ok {
		return 0, false
	}
	n := floor(x).Num()
	return n.Int64(), n.IsInt64()
}

// set makes n the value, where it fits.
func (s scalar) set(n *big.Int) (scalar, bool) {
	s.n, s.text = n.Int64(), ""
	if s.base == "number" {
		s.text = n.String()
	}
	return s, n.IsInt64() && (s.base != "int" || s.n == int64(int32(s.n)))
}

func begin(at time.Time, grain string) time.Time {
	y, m, d := at.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch grain {
	case "year":
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
	case "quarter":
		for m != 1 && m != 4 && m != 7 && m != 10 {
			m--
		}
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case "month":
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case "week":
		for midnight.Weekday() != time.Monday {
			midnight = midnight.AddDate(0, 0, -1)
		}
		return midnight
	case "day":
		return midnight
	case "hour":
		return midnight.Add(time.Duration(at.Hour()) * time.Hour)
	case "minute":
		return midnight.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
	}
	return at
}

// written takes text in the form of RFC 3339 apart: date, what stands before the
// time of day, that, its fraction, and the zone.
var written = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)?(?:(^|[Tt ])(\d\d:\d\d:\d\d)(\.\d+)?)?([Zz]|[+-]([01]\d|2[0-3]):?[0-5]\d)?$`)

// readInstant gives the instant, in UTC where there is a zone, and the parts.
func readInstant(text string) (at time.Time, m []string, ok bool) {
	m = written.FindStringSubmatch(text)
	if m == nil || m[1] == "" && m[3] == "" || m[5] != "" && (m[1] == "" || m[3] == "") || m[3] != "" && (m[1] == "") != (m[2] == "") {
		return at, nil, false
	}
	date, clock := m[1], m[3]
	if date == "" {
		date = "1970-01-01"
	}
	if clock == "" {
		clock = "00:00:00"
	}
	at, err := time.Parse("2006-01-02 15:04:05", date+" "+clock)
	if zone := m[5]; err == nil && len(zone) > 1 {
		hours, minutes := zone[1:3], zone[len(zone)-2:]
		offset, _ := time.ParseDuration(zone[:1] + hours + "h" + minutes + "m")
		at = at.Add(-offset)
	}
	return at, m, err == nil
}

func cutText(text, grain, form string) (string, bool) {
	at, m, ok := readInstant(text)
	if !ok || form == "date" && m[1] == "" || form == "time" && m[3] == "" {
		return "", false
	}
	at = begin(at, grain)
	var layout string
	switch {
	case m[1] == "":
		layout = "15:04:05"
	case m[3] == "":
		layout = "2006-01-02"
	default:
		layout = "2006-01-02T15:04:05"
	}
	out := at.Format(layout)
	if m[5] != "" {
		out += "Z"
	}
	return out, at.Year() >= 0 && at.Year() <= 9999
}

// shift moves a date by days; time of day and zone stay.
func shift(s scalar, t Treatment, days int64) (scalar, bool) {
	step := 86_400 * s.perSecond()
	switch {
	case s.base == "string":
		_, m, ok := readInstant(s.text)
		if !ok || m[1] == "" {
			return s, false
		}
		date, _ := time.Parse("2006-01-02", m[1])
		at := date.AddDate(0, 0, int(days))
		s.text = at.Format("2006-01-02") + s.text[10:]
		return s, at.Year() >= 0 && at.Year() <= 9999
	case s.logical == "date":
		step = 1
	case s.bare() && t.Params["unit"] == "d":
		step = 1
	case s.bare():
		step = 86_400 * units[t.Params["unit"]]
	}
	n, ok := s.whole()
	if !ok {
		return s, false
	}
	return s.set(new(big.Int).Add(big.NewInt(n), new(big.Int).Mul(big.NewInt(days), big.NewInt(step))))
}

// prefix keeps the first bits of an address.
func prefix(text string, v4, v6 int) (string, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "", false
	}
	bits := v6
	if a = a.WithZone("").Unmap(); a.Is4() {
		bits = v4
	} else if netip.MustParsePrefix("2002::/16").Contains(a) {
		bits = min(v6, 16+v4)
	}
	p, err := a.Prefix(bits)
	return p.Addr().String(), err == nil
}

var label = regexp.MustCompile(`^[\p{L}\p{Nd}\p{M}]([\p{L}\p{Nd}\p{M}-]*[\p{L}\p{Nd}\p{M}])?$`)

// domain is what stands after the last @, in lower case.
func domain(text string) (string, bool) {
	text = strings.TrimSpace(text)
	at := strings.LastIndex(text, "@")
	if at < 1 {
		return "", false
	}
	d := strings.TrimSuffix(text[at+1:], ".")
	labels := strings.Split(d, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return "", false
		}
	}
	return strings.Map(unicode.ToLower, d), len(labels) > 1 && len(d) <= 253
}

var (
	urlParts = regexp.MustCompile(`^((?:[A-Za-z0-9+.-]+:)?//)?([^?#]*)(?:\?([^#]*))?(?:#.*)?$`)
	urlPort  = regexp.MustCompile(`:[0-9]{0,5}$`)
	urlName  = regexp.MustCompile(`^[\pL\pM\p{Nd}._-]+$`)
)

// isURLHost tells a host name, or an IPv6 address in brackets, with or without a port.
func isURLHost(host string) bool {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	if port := urlPort.FindString(host); port != "" {
		host = strings.TrimSuffix(host, port)
		return !urlPort.MatchString(host) && isURLHost(host)
	}
	return urlName.MatchString(host)
}

// stripURL takes out of a URL who used it.
func stripURL(text string, names []any) (string, bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return "", false
	}
	m := urlParts.FindStringSubmatch(text)
	start, host, path := m[1], "", m[2]
	if start != "" {
		host = strings.SplitN(path, "/", 2)[0]
		path = path[len(host):]
		if host = host[strings.LastIndex(host, "@")+1:]; !isURLHost(host) {
			return "", false
		}
	} else if path != "" && path[0] != '/' {
		return "", false
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	path = strings.Join(segments, "/")
	if start == "" && strings.HasPrefix(path, "//") {
		return "", false
	}
	out := start + host + path
	if kept := parametersOf(m[3], names); kept != "" {
		out += "?" + kept
	}
	return out, true
}

// stripQuery leaves the named parameters of a query string.
func stripQuery(text string, names []any) (string, bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return "", false
	}
	text, _, _ = strings.Cut(text, "#")
	query := strings.TrimPrefix(text, "?")
	kept := parametersOf(query, names)
	if kept != "" && query != text {
		kept = "?" + kept
	}
	return kept, true
}

func parametersOf(query string, names []any) string {
	var kept []string
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if slices.Contains(names, any(name)) && !strings.Contains(value, "?") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
