package filters

import (
	"encoding/binary"
	"errors"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// Subject says whose record is being treated. Treatments made with it (Env)
// ask it at each Apply, so whoever applies them sets it before each record, or
// each part of one that is another person's. The zero Subject is nobody, for
// whom date_shift errs. It is not safe for concurrent use.
type Subject struct {
	tag   []byte
	known bool
}

// Set makes the person with this tag the subject: the same bytes for the same
// person wherever their dates are to be shifted alike.
func (s *Subject) Set(tag []byte) { s.tag, s.known = append(s.tag[:0], tag...), len(tag) > 0 }

// Clear makes nobody the subject.
func (s *Subject) Clear() { s.known = false }

// maxShift is a hundred years.
const maxShift = 36_525

// dateShift moves dates by a whole number of days, the same for all dates of a
// subject: what lies between them stays. It holds scratch and is not safe for
// concurrent use.
type dateShift struct {
	days    int64
	unit    unit // of plain numbers
	mac     *keys.MAC
	subject *Subject
	// of is the subject that shift was computed for; empty: none.
	of    []byte
	shift int64
}

func newDateShift(p *parameters, env Env) (Treatment, error) {
	days, err := p.number("days", 1, maxShift)
	if err != nil {
		return nil, err
	}
	unit, ok := p.takeUnit()
	switch {
	case !ok:
		return nil, errUnit
	case len(env.Key) != 32:
		return nil, errors.New("a key of 32 bytes is needed")
	}
	return &dateShift{days: int64(days), unit: unit, mac: keys.NewMAC(env.Key), subject: env.Subject}, nil
}

// Weight: see pseudonymize.Weight.
func (*dateShift) Weight() int { return 3 }

func (*dateShift) Name() string   { return "date_shift" }
func (*dateShift) Op() schemas.Op { return schemas.OpReplace }

func (d *dateShift) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	switch {
	case t.Kind == schemas.Any:
		return d, scalarType(instantOfJSON(d.unit), t), nil
	case dateShiftTakes(t), plainNumber(t) && d.unit != 0:
		return d, t, nil
	case plainNumber(t):
		return nil, schemas.Type{}, refuse("date_shift"+missingUnit, t)
	}
	return nil, schemas.Type{}, refuse("date_shift", t)
}

func dateShiftTakes(t schemas.Type) bool {
	return t.Kind == schemas.Null || t.Kind == schemas.Any || dateTakes(t)
}

// current gives the subject's shift in days (package comment, "Shifts").
func (d *dateShift) current() (days int64, ok bool) {
	if d.subject == nil || !d.subject.known {
		return 0, false
	}
	if string(d.of) == string(d.subject.tag) {
		return d.shift, true
	}
	d.mac.Start()
	d.mac.Bytes(d.subject.tag)
	d.mac.Int64(d.days)
	n := binary.BigEndian.Uint64(d.mac.Sum()) % uint64(2*d.days)
	d.shift = int64(n) - d.days
	if d.shift >= 0 {
		d.shift++
	}
	d.of = append(d.of[:0], d.subject.tag...)
	return d.shift, true
}

func (d *dateShift) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	days, ok := d.current()
	if !ok {
		return schemas.Value{}, buf, ErrNoSubject
	}
	switch v.Kind {
	case schemas.String:
		return shiftText(buf, v, days)
	case schemas.Int, schemas.Long:
		return d.integer(buf, v, days)
	case schemas.Number:
		return d.number(buf, v, days)
	}
	return schemas.Value{}, buf, ErrValueType
}

func (d *dateShift) integer(buf []byte, v schemas.Value, days int64) (schemas.Value, []byte, error) {
	step := secondsPerDay * perSecond(v.Logical)
	switch {
	case v.Logical == schemas.Date:
		step = 1
	case v.Logical == schemas.NoLogical:
		step = d.unit.perDay()
	case !instant(v.Logical):
		step = 0
	}
	if step == 0 {
		return schemas.Value{}, buf, ErrValueType
	}
	n, ok := plus(v.Int, days*step)
	if !ok || v.Kind == schemas.Int && int64(int32(n)) != n {
		return schemas.Value{}, buf, ErrValue
	}
	v.Int = n
	return v, buf, nil
}

// number shifts a JSON number; what it holds below its unit is cut off.
func (d *dateShift) number(buf []byte, v schemas.Value, days int64) (schemas.Value, []byte, error) {
	if d.unit == 0 {
		return schemas.Value{}, buf, ErrValueType
	}
	m, ok := readMagnitude(v.Text, 0)
	n, fits := m.floor()
	n, sum := plus(n, days*d.unit.perDay())
	if !ok || !fits || !sum {
		return schemas.Value{}, buf, ErrValue
	}
	at := len(buf)
	buf = appendUnits(buf, n, 0)
	v.Text = buf[at:len(buf):len(buf)]
	return v, buf, nil
}

// shiftText moves the date of a text; time of day and zone stay as they are.
func shiftText(buf []byte, v schemas.Value, days int64) (schemas.Value, []byte, error) {
	if v.Logical != schemas.NoLogical {
		return schemas.Value{}, buf, ErrValueType
	}
	c, ok := readCivil(v.Text)
	if !ok || !c.date {
		return schemas.Value{}, buf, ErrValue
	}
	date := civil{date: true, year: c.year, month: c.month, day: c.day}
	at := len(buf)
	if buf, ok = date.append(buf, date.seconds()+days*secondsPerDay); !ok {
		return failed(buf, at, ErrValue)
	}
	buf = append(buf, v.Text[len(dateForm):]...)
	return textBehind(buf, at), buf, nil
}

// plus is a + b; ok is false where that is no int64.
func plus(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum < a) == (b < 0)
}
