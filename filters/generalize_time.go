package filters

import (
	"errors"
	"time"

	"github.com/consentstream/consentstream/schemas"
)

// grain is what instants are cut to.
type grain string

// dateGrains and timeGrains are the words of the forms date and time.
var (
	dateGrains = []grain{"year", "quarter", "month", "week", "day"}
	timeGrains = []grain{"hour", "minute", "second"}
)

// timeForm cuts instants, dates and times of day to the beginning of the grain that
// they lie in: in UTC where the value has a zone, else in the value's own local time.
type timeForm struct {
	name  string // "date" or "time"
	grain grain
	unit  unit // of plain numbers
}

func newDateForm(v any, p *parameters) (form, error) {
	return newGrainForm("date", dateGrains, "date must be year, quarter, month, week or day", v, p)
}

func newTimeForm(v any, p *parameters) (form, error) {
	return newGrainForm("time", timeGrains, "time must be hour, minute or second", v, p)
}

func newGrainForm(name string, grains []grain, wrong string, v any, p *parameters) (form, error) {
	unit, ok := p.takeUnit()
	switch {
	case !ok:
		return nil, errUnit
	case unit == unitDays && name == "time":
		return nil, errors.New("unit: days have no hours")
	}
	word, _ := v.(string)
	for _, g := range grains {
		if word == string(g) {
			return timeForm{name, g, unit}, nil
		}
	}
	return nil, errors.New(wrong)
}

func (f timeForm) word() string { return f.name }

// takes: see dateTakes and timeTakes; plain numbers only with a unit.
func (f timeForm) takes(t schemas.Type) bool {
	if plainNumber(t) {
		return f.unit != 0
	}
	if f.name == "date" {
		return dateTakes(t)
	}
	return timeTakes(t)
}

// dateTakes reports whether values of t have a date.
func dateTakes(t schemas.Type) bool {
	return plainString(t) || t.Logical == schemas.Date || instant(t.Logical)
}

// timeTakes reports whether values of t have a time of day.
func timeTakes(t schemas.Type) bool { return plainString(t) || perSecond(t.Logical) != 0 }

// Weight: see pseudonymize.Weight.
func (timeForm) Weight() int { return 4 }

func (f timeForm) ofJSON() schemas.Kind { return instantOfJSON(f.unit) }

// instantOfJSON is the kind of an instant in JSON: text, and with a unit also a number.
func instantOfJSON(u unit) schemas.Kind {
	if u != 0 {
		return schemas.Any
	}
	return schemas.String
}

func (f timeForm) at(schemas.Type) (schemas.Transform, error) { return f, nil }

func (f timeForm) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	switch v.Kind {
	case schemas.String:
		return f.text(buf, v)
	case schemas.Int, schemas.Long:
		n, err := f.integer(v)
		if err != nil {
			return schemas.Value{}, buf, err
		}
		v.Int = n
		return v, buf, nil
	case schemas.Number:
		return f.number(buf, v)
	}
	return schemas.Value{}, buf, ErrValueType
}

func (f timeForm) integer(v schemas.Value) (int64, error) {
	switch l := v.Logical; {
	case l == schemas.Date && f.name == "date":
		n, ok := f.cut(v.Int, 0)
		if !ok || int64(int32(n)) != n {
			return 0, ErrValue
		}
		return n, nil
	case timeOfDay(l) && f.name == "time":
		return f.clock(v.Int, perSecond(l))
	case instant(l):
		return f.units(v, perSecond(l))
	case l == schemas.NoLogical && f.unit != 0:
		return f.units(v, int64(f.unit))
	}
	return 0, ErrValueType
}

func (f timeForm) units(v schemas.Value, per int64) (int64, error) {
	n, ok := f.cut(v.Int, per)
	if !ok || v.Kind == schemas.Int && int64(int32(n)) != n {
		return 0, ErrValue
	}
	return n, nil
}

// clock cuts a time of day.
func (f timeForm) clock(v, per int64) (int64, error) {
	if v < 0 || v >= secondsPerDay*per {
		return 0, ErrValue
	}
	n, _ := f.cut(v, per)
	return n, nil
}

// number cuts a JSON number; what it holds below its unit is cut off.
func (f timeForm) number(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if f.unit == 0 {
		return schemas.Value{}, buf, ErrValueType
	}
	m, ok := readMagnitude(v.Text, 0)
	n, fits := m.floor()
	if !ok || !fits {
		return schemas.Value{}, buf, ErrValue
	}
	if n, ok = f.cut(n, int64(f.unit)); !ok {
		return schemas.Value{}, buf, ErrValue
	}
	at := len(buf)
	buf = appendUnits(buf, n, 0)
	v.Text = buf[at:len(buf):len(buf)]
	return v, buf, nil
}

func (f timeForm) text(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if v.Logical != schemas.NoLogical {
		return schemas.Value{}, buf, ErrValueType
	}
	c, ok := readCivil(v.Text)
	if !ok || f.name == "date" && !c.date || f.name == "time" && !c.clock {
		return schemas.Value{}, buf, ErrValue
	}
	n, ok := f.cut(c.seconds(), 1)
	if !ok {
		return schemas.Value{}, buf, ErrValue
	}
	at := len(buf)
	if buf, ok = c.append(buf, n); !ok {
		return failed(buf, at, ErrValue)
	}
	return textBehind(buf, at), buf, nil
}

// maxSeconds bounds the instants that are looked into, so that the calendar
// does not overflow: some 36 million years, more than a long of milliseconds
// needs for what people mean.
const maxSeconds = 1 << 50

// cut gives the beginning of the grain that v lies in: units since 1970 of
// which per make a second, or days where per is not above 0.
func (f timeForm) cut(v, per int64) (n int64, ok bool) {
	seconds, ok := times(v, secondsPerDay)
	if per > 0 {
		seconds, ok = floorDiv(v, per), true
	}
	if !ok || seconds > maxSeconds || seconds < -maxSeconds {
		return 0, false
	}
	seconds = f.grain.begin(seconds)
	if per <= 0 {
		return floorDiv(seconds, secondsPerDay), true
	}
	return times(seconds, per)
}

// begin is the beginning of the grain that an instant, in seconds, lies in.
func (g grain) begin(seconds int64) int64 {
	day := floorDiv(seconds, secondsPerDay)
	switch g {
	case "second":
		return seconds
	case "minute":
		return floorDiv(seconds, 60) * 60
	case "hour":
		return floorDiv(seconds, 3600) * 3600
	case "day":
		return day * secondsPerDay
	case "week": // Monday, ISO 8601; day 0 was a Thursday
		return (floorDiv(day+3, 7)*7 - 3) * secondsPerDay
	}
	year, month, _ := time.Unix(seconds, 0).UTC().Date()
	switch g {
	case "year":
		month = time.January
	case "quarter":
		month -= (month - 1) % 3
	}
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Unix()
}
