package filters

import (
	"errors"

	"github.com/consentstream/consentstream/schemas"
)

// generalize puts the class of a value in its place: values of one class give
// the same bytes. Each form is in a file of its own.
type generalize struct{ form form }

// form is one way to generalise.
type form interface {
	// word names the form in a policy.
	word() string
	takes(t schemas.Type) bool
	// at compiles the form for a type that it takes. What it yields has that
	// type.
	at(t schemas.Type) (schemas.Transform, error)
	// ofJSON is the kind of what it yields for a JSON value; Any: text or a number.
	ofJSON() schemas.Kind
}

// forms are all forms by the name of their parameter.
var forms = []struct {
	param string
	make  func(v any, p *parameters) (form, error)
}{
	{"bucket", newBucket}, {"date", newDateForm}, {"time", newTimeForm}, {"ip_prefix", newIPPrefix},
	{"geo", newGeo}, {"email", newEmailForm}, {"url_query", newURLForm}, {"query", newQueryForm},
}

func newGeneralize(p *parameters) (Treatment, error) {
	var g generalize
	for _, f := range forms {
		v, ok := p.take(f.param)
		if !ok {
			continue
		}
		if g.form != nil {
			return nil, errors.New("one form at a time: bucket, date, time, ip_prefix, geo, email, url or query")
		}
		made, err := f.make(v, p)
		if err != nil {
			return nil, err
		}
		g.form = made
	}
	if g.form == nil {
		return nil, errors.New("it needs a form: bucket, date, time, ip_prefix, geo, email, url or query")
	}
	return g, nil
}

func (generalize) Name() string   { return "generalize" }
func (generalize) Op() schemas.Op { return schemas.OpReplace }

func (g generalize) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if t.Kind != schemas.Null && t.Kind != schemas.Any && !g.form.takes(t) {
		return nil, schemas.Type{}, refuse("generalize "+g.form.word()+withoutUnit(g.form, t), t)
	}
	via, err := g.form.at(t)
	if err != nil {
		return nil, schemas.Type{}, err
	}
	if t.Kind == schemas.Any {
		t.Kind = g.form.ofJSON()
	}
	return via, t, nil
}

// withoutUnit says what would let a form of instants take plain numbers.
func withoutUnit(f form, t schemas.Type) string {
	if _, ok := f.(timeForm); ok && plainNumber(t) {
		return missingUnit
	}
	return ""
}

// generalizeTakes reports whether some form takes t.
func generalizeTakes(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Null, schemas.Any:
		return true
	case schemas.String:
		return plain(t)
	}
	return numericTakes(t) || dateTakes(t) || timeTakes(t)
}

// textBehind is the text that a transform appended behind buf[:at].
func textBehind(buf []byte, at int) schemas.Value {
	return schemas.Value{Kind: schemas.String, Text: buf[at:len(buf):len(buf)]}
}

// failed is a transform's outcome without a value: what it appended is cut off.
func failed(buf []byte, at int, err error) (schemas.Value, []byte, error) {
	return schemas.Value{}, buf[:at], err
}

// stringForm is a form of text: what it writes for a text, false for a text
// that it does not take.
type stringForm func(dst, text []byte) (out []byte, ok bool)

// Weight: see pseudonymize.Weight.
func (stringForm) Weight() int { return 2 }

func (f stringForm) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if v.Kind != schemas.String || v.Logical != schemas.NoLogical {
		return schemas.Value{}, buf, ErrValueType
	}
	at := len(buf)
	buf, ok := f(buf, v.Text)
	if !ok {
		return failed(buf, at, ErrValue)
	}
	return textBehind(buf, at), buf, nil
}

func plainString(t schemas.Type) bool { return t.Kind == schemas.String && plain(t) }
