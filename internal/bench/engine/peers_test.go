package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"

	"github.com/consentstream/consentstream/schemas"
)

// edit is what a purpose does at a position and below it, as somebody would
// write it who has the record in maps.
type edit struct {
	name string // of the treatment of a leaf
	via  schemas.Transform
	kids map[string]*edit
	elem *edit
	rest *[]byte // the transform's memory
}

func newEdit(tb testing.TB, w *work, purpose int) *edit {
	tb.Helper()
	root, memory := &edit{}, new([]byte)
	for path := range w.fields {
		name := w.treatment(path, purpose)
		if name == "" {
			continue
		}
		at := root
		for step := range strings.SplitSeq(strings.ReplaceAll(path, "[*]", ".[*]"), ".") {
			at = at.kid(step)
		}
		*at = edit{name: name, rest: memory}
		if a := tool(tb, name, purpose, schemas.Type{Kind: schemas.String}); name != "keep" {
			at.via = a.Via
		}
	}
	return root
}

func (e *edit) kid(step string) *edit {
	if step == "[*]" {
		if e.elem == nil {
			e.elem = &edit{}
		}
		return e.elem
	}
	if e.kids == nil {
		e.kids = map[string]*edit{}
	}
	if e.kids[step] == nil {
		e.kids[step] = &edit{}
	}
	return e.kids[step]
}

func (e *edit) text(s string) (string, error) {
	v, rest, err := e.via.Apply((*e.rest)[:0], schemas.Value{Kind: schemas.String, Text: []byte(s)})
	*e.rest = rest
	return string(v.Text), err
}

// apply gives what is left of a decoded value.
func (e *edit) apply(v any) any {
	switch {
	case e.name == "keep":
		return v
	case e.name == "redact":
		return nil
	case e.name != "":
		text, err := e.text(v.(string))
		if err != nil {
			panic(err)
		}
		return text
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(e.kids))
		for name, kid := range e.kids {
			if member, ok := v[name]; ok {
				out[name] = kid.apply(member)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = e.elem.apply(v[i])
		}
		return out
	}
	return v
}

// branches is apply for goavro, which has a union's value in a map under the
// name of its branch.
func (e *edit) branches(v any, purpose int) any {
	m := v.(map[string]any)
	out := make(map[string]any, len(e.kids))
	for name, kid := range e.kids {
		branch, union := m[name].(map[string]any)
		if !union || kid.name == "keep" || kid.name == "redact" {
			out[name] = kid.apply(m[name])
			continue
		}
		for of, inner := range branch {
			out[name] = map[string]any{strings.Replace(of, "crm.", fmt.Sprintf("crm.p%d.", purpose), 1): kid.apply(inner)}
		}
	}
	return out
}

// doer does a case's work on one record and hands over what each purpose gets.
type doer interface {
	do(src []byte, each func([]byte)) error
}

// peers are the usual means for a case.
func peers(tb testing.TB, w *work) map[string]doer {
	tb.Helper()
	var edits []*edit
	for n := range w.purposes {
		edits = append(edits, newEdit(tb, w, n))
	}
	if w.schema == "" {
		return map[string]doer{"encoding-json": &viaMaps{edits: edits}, "jsontext": newViaTokens(edits)}
	}
	views := newOurs(tb, w).views
	g, t := &viaGoavro{edits: edits}, &viaTwmb{edits: edits, in: avro.MustParse(w.schema)}
	var err error
	if g.in, err = goavro.NewCodec(w.schema); err != nil {
		tb.Fatal(err)
	}
	for _, v := range views {
		c, err := goavro.NewCodec(v.Schema())
		if err != nil {
			tb.Fatal(err)
		}
		g.out, t.out = append(g.out, c), append(t.out, avro.MustParse(v.Schema()))
	}
	return map[string]doer{"goavro": g, "twmb-avro": t}
}

type viaMaps struct{ edits []*edit }

func (p *viaMaps) do(src []byte, each func([]byte)) error {
	var v any
	if err := json.Unmarshal(src, &v); err != nil {
		return err
	}
	for _, e := range p.edits {
		out, err := json.Marshal(e.apply(v))
		if err != nil {
			return err
		}
		each(out)
	}
	return nil
}

type viaGoavro struct {
	edits []*edit
	in    *goavro.Codec
	out   []*goavro.Codec
	b     []byte
}

func (p *viaGoavro) do(src []byte, each func([]byte)) error {
	v, _, err := p.in.NativeFromBinary(src)
	if err != nil {
		return err
	}
	for n, e := range p.edits {
		if p.b, err = p.out[n].BinaryFromNative(p.b[:0], e.branches(v, n)); err != nil {
			return err
		}
		each(p.b)
	}
	return nil
}

type viaTwmb struct {
	edits []*edit
	in    *avro.Schema
	out   []*avro.Schema
	b     []byte
}

func (p *viaTwmb) do(src []byte, each func([]byte)) error {
	var v any
	if _, err := p.in.Decode(src, &v); err != nil {
		return err
	}
	for n, e := range p.edits {
		var err error
		if p.b, err = p.out[n].AppendEncode(p.b[:0], e.apply(v)); err != nil {
			return err
		}
		each(p.b)
	}
	return nil
}

// viaTokens copies token by token, as the fastest of the usual means does.
type viaTokens struct {
	edits []*edit
	r     *bytes.Reader
	w     bytes.Buffer
	d     *jsontext.Decoder
	e     *jsontext.Encoder
}

func newViaTokens(edits []*edit) *viaTokens {
	p := &viaTokens{edits: edits, r: bytes.NewReader(nil)}
	p.d, p.e = jsontext.NewDecoder(p.r), jsontext.NewEncoder(&p.w)
	return p
}

func (p *viaTokens) do(src []byte, each func([]byte)) error {
	for _, e := range p.edits {
		p.r.Reset(src)
		p.w.Reset()
		p.d.Reset(p.r)
		p.e.Reset(&p.w)
		if err := p.copy(e); err != nil {
			return err
		}
		each(p.w.Bytes())
	}
	return nil
}

func (p *viaTokens) copy(e *edit) error {
	switch {
	case e.name == "keep":
		v, err := p.d.ReadValue()
		return errors.Join(err, p.e.WriteValue(v))
	case e.name == "redact":
		return errors.Join(p.d.SkipValue(), p.e.WriteToken(jsontext.Null))
	case e.name != "":
		t, err := p.d.ReadToken()
		if err != nil {
			return err
		}
		text, err := e.text(t.String())
		return errors.Join(err, p.e.WriteToken(jsontext.String(text)))
	}
	return p.container(e)
}

func (p *viaTokens) container(e *edit) error {
	open, err := p.d.ReadToken()
	if err != nil {
		return err
	}
	if err := p.e.WriteToken(open); err != nil {
		return err
	}
	for p.d.PeekKind() != '}' && p.d.PeekKind() != ']' {
		if err := p.item(e, open.Kind() == '{'); err != nil {
			return err
		}
	}
	end, err := p.d.ReadToken()
	return errors.Join(err, p.e.WriteToken(end))
}

func (p *viaTokens) item(e *edit, object bool) error {
	if !object {
		return p.copy(e.elem)
	}
	name, err := p.d.ReadToken()
	if err != nil {
		return err
	}
	kid := e.kids[name.String()]
	if kid == nil {
		return p.d.SkipValue()
	}
	if err := p.e.WriteToken(name); err != nil {
		return err
	}
	return p.copy(kid)
}
