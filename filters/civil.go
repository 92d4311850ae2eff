package filters

import (
	"errors"
	"time"

	"github.com/consentstream/consentstream/schemas"
)

// secondsPerDay is without leap seconds, as in POSIX and Avro.
const secondsPerDay = 86_400

// perSecond is how many of an integer's units make a second: of a timestamp
// with or without zone, and of the times of day.
func perSecond(l schemas.Logical) int64 {
	switch l {
	case schemas.TimestampMillis, schemas.LocalTimestampMillis, schemas.TimeMillis:
		return 1e3
	case schemas.TimestampMicros, schemas.LocalTimestampMicros, schemas.TimeMicros:
		return 1e6
	case schemas.TimestampNanos, schemas.LocalTimestampNanos:
		return 1e9
	}
	return 0
}

// instant reports whether l is a timestamp, with or without zone.
func instant(l schemas.Logical) bool { return perSecond(l) != 0 && !timeOfDay(l) }

func timeOfDay(l schemas.Logical) bool { return l == schemas.TimeMillis || l == schemas.TimeMicros }

// plainNumber reports whether t is a whole number without logical type: only a
// declared unit makes it an instant.
func plainNumber(t schemas.Type) bool {
	return plain(t) && (t.Kind == schemas.Int || t.Kind == schemas.Long || t.Kind == schemas.Number)
}

// missingUnit is how refusals call a treatment that was given none.
const missingUnit = " without unit (d, s, ms, us or ns)"

var errUnit = errors.New("unit must be d, s, ms, us or ns")

// unitWords are the units that a plain number can be declared to have.
var unitWords = map[string]unit{"d": unitDays, "s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}

// unit is what a plain number that is an instant counts: so many of them make a second,
// or they are days since 1970, as Debezium and Kafka Connect write dates. The zero unit
// takes no plain numbers.
type unit int64

const unitDays unit = -1

// perDay is how many make a day.
func (u unit) perDay() int64 {
	if u == unitDays {
		return 1
	}
	return secondsPerDay * int64(u)
}

// takeUnit takes the parameter `unit` of a plain number; 0 for none.
func (p *parameters) takeUnit() (u unit, ok bool) {
	v, there := p.take("unit")
	word, _ := v.(string)
	return unitWords[word], !there || unitWords[word] != 0
}

// civil is a date, a time of day or both, as text has them.
type civil struct {
	date, clock          bool
	year, month, day     int
	hour, minute, second int
	zone                 bool // Z or an offset
	offset               int  // seconds east of UTC
}

// readCivil reads a date (RFC 3339 full-date), a time of day (partial-time) or
// a date-time with "T" or a space between them, with or without a zone. Of
// offsets it also takes those without a colon, which Salesforce writes. Leap
// seconds and the hour 24 are not taken.
func readCivil(text []byte) (c civil, ok bool) {
	if len(text) > 2 && text[2] == ':' {
		text, ok = c.readClock(text)
		return c, ok && len(text) == 0
	}
	if text, ok = c.readDate(text); !ok || len(text) == 0 {
		return c, ok
	}
	if text[0] != 'T' && text[0] != 't' && text[0] != ' ' {
		return c, false
	}
	if text, ok = c.readClock(text[1:]); !ok || len(text) == 0 {
		return c, ok
	}
	return c, c.readZone(text)
}

func (c *civil) readDate(text []byte) (rest []byte, ok bool) {
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return nil, false
	}
	var y, m, d bool
	c.year, y = natural(text[:4])
	c.month, m = natural(text[5:7])
	c.day, d = natural(text[8:10])
	c.date = true
	t := time.Date(c.year, time.Month(c.month), c.day, 0, 0, 0, 0, time.UTC)
	return text[10:], y && m && d && c.month >= 1 && c.month <= 12 && t.Day() == c.day
}

func (c *civil) readClock(text []byte) (rest []byte, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return nil, false
	}
	var h, m, s bool
	c.hour, h = natural(text[:2])
	c.minute, m = natural(text[3:5])
	c.second, s = natural(text[6:8])
	c.clock = true
	text = text[8:]
	if len(text) > 0 && text[0] == '.' {
		var fraction []byte
		if fraction, text = digits(text[1:]); len(fraction) == 0 {
			return nil, false
		}
	}
	return text, h && m && s && c.hour < 24 && c.minute < 60 && c.second < 60
}

func (c *civil) readZone(text []byte) bool {
	c.zone = true
	if len(text) == 1 {
		return text[0] == 'Z' || text[0] == 'z'
	}
	if len(text) != 5 && (len(text) != 6 || text[3] != ':') || text[0] != '+' && text[0] != '-' {
		return false
	}
	h, hours := natural(text[1:3])
	m, minutes := natural(text[len(text)-2:])
	c.offset = h*3600 + m*60
	if text[0] == '-' {
		c.offset = -c.offset
	}
	return hours && minutes && h < 24 && m < 60
}

// natural reads decimal digits, all of text; few enough for an int.
func natural(text []byte) (n int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(text) > 0
}

// seconds since 1970, in UTC where there is a zone. A time of day is of day 0.
func (c *civil) seconds() int64 {
	if !c.date {
		return int64(c.hour*3600 + c.minute*60 + c.second)
	}
	t := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.second, 0, time.UTC)
	return t.Unix() - int64(c.offset)
}

// The forms in which instants are written; in a zone always in UTC.
const (
	dateForm     = "2006-01-02"
	clockForm    = "15:04:05"
	dateTimeForm = "2006-01-02T15:04:05"
)

// append writes seconds since 1970 in the form that c was read in; ok is false
// outside the years 0000 to 9999.
func (c *civil) append(dst []byte, seconds int64) (out []byte, ok bool) {
	form := dateTimeForm
	switch {
	case !c.date:
		form = clockForm
	case !c.clock:
		form = dateForm
	}
	t := time.Unix(seconds, 0).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return dst, false
	}
	dst = t.AppendFormat(dst, form)
	if c.zone {
		dst = append(dst, 'Z')
	}
	return dst, true
}
