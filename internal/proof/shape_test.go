package proof

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// shape is a drawn type: of an Avro writer schema whole, of JSON what its
// records are usually like.
type shape struct {
	kind  string // record, array, map, union, text, or a scalar's key in scalars
	null  int    // 0: never; 1: the first branch of a union, 2: the second
	names []string
	kids  []*shape
	id    int // of a named type; two records with one id are one type
	// tags are a record's `confluent:tags`, by the name of the field.
	tags map[string][]string
	// within says that it is a type that it lies in itself.
	within bool
	called string // its name instead of R{id}
	// Of a text that holds JSON, its only kid.
	encoding schemas.Encoding
	bytes    bool
}

// scalar is a type of single values. Its values are written as JSON literals.
type scalar struct {
	family string // which treatments suit it: text, number, time, other
	base   string // of the Avro encoding
	avsc   string // %d is the number of a named type
	values []string
}

var (
	texts = []string{`"abc"`, `"abd"`, `"Ada"`, `""`, `"ada@example.org"`, `"bob@example.org"`, `"adam went to the sea"`, `"adam went home"`,
		`"192.0.2.7"`, `"192.0.2.9"`, `"https://u@shop.example/a?b=1#c"`, `"https://shop.example/a?d=2"`, `"utm=m&b=1#c"`, `"2026-02-20"`, `"2026-11-02"`,
		`"\u00e9e\u0301\n"`, `"c9f2a3de-5b0e-4f3c-9d1a-0123456789ab"`, `" 42 "`, `"v"`, `"w"`}
	numbers = []string{"37", "31", "-5", "0", "7395", "7400", "1767225601001", "1767225602002"}

	scalars = map[string]scalar{
		"string":  {"text", "string", `"string"`, texts},
		"uuid":    {"text", "string", `{"type":"string","logicalType":"uuid"}`, texts},
		"bytes":   {"text", "string", `"bytes"`, texts},
		"int":     {"number", "int", `"int"`, numbers[:6]},
		"long":    {"number", "int", `"long"`, numbers},
		"float":   {"number", "float", `"float"`, numbers},
		"double":  {"number", "double", `"double"`, numbers},
		"boolean": {"other", "boolean", `"boolean"`, []string{"true", "false"}},
		"fixed":   {"other", "fixed", `{"type":"fixed","name":"F%d","size":4}`, []string{`"abcd"`, `"efgh"`, `"    "`}},
		"enum":    {"other", "enum", `{"type":"enum","name":"E%d","symbols":["A","B","C"]}`, []string{"0", "1", "2"}},
		"decimal": {"number", "string", `{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}`, []string{`"\u0001"`, `"\u0001\u0002"`, `"zz"`}},
		"date":    {"time", "int", `{"type":"int","logicalType":"date"}`, numbers[2:6]},
		"time":    {"time", "int", `{"type":"int","logicalType":"time-millis"}`, numbers[3:6]},
		"millis":  {"time", "int", `{"type":"long","logicalType":"timestamp-millis"}`, numbers},
		"micros":  {"time", "int", `{"type":"long","logicalType":"timestamp-micros"}`, numbers},
		"nanos":   {"time", "int", `{"type":"long","logicalType":"timestamp-nanos"}`, numbers},
		"local":   {"time", "int", `{"type":"long","logicalType":"local-timestamp-micros"}`, numbers},
		"money":   {"number", "fixed", `{"type":"fixed","name":"M%d","size":4,"logicalType":"decimal","precision":8,"scale":2}`, []string{`"\u0000\u0000\u0001\u0002"`, `"\u0000\u0000\u0000z"`}},
		"span":    {"other", "fixed", `{"type":"fixed","name":"D%d","size":12,"logicalType":"duration"}`, []string{`"abcdefghijkl"`, `"            "`}},
		"word":    {"text", "string", `"string"`, []string{`"v"`, `"w"`, `"v"`, `"x"`}}, // for predicates
		"uid":     {"text", "fixed", `{"type":"fixed","name":"U%d","size":16,"logicalType":"uuid"}`, []string{`"abcdefghijklmnop"`, `"                "`}},
		"odd":     {"text", "string", `{"type":"string","logicalType":"who-knows"}`, texts[:4]},
		"null":    {"other", "null", `"null"`, []string{"null"}},
	}
	// scalarKinds in a fixed order, the usual ones more often.
	scalarKinds = []string{"string", "string", "string", "string", "long", "int", "uuid", "bytes", "float", "double", "boolean", "fixed", "enum",
		"decimal", "date", "time", "millis", "micros", "nanos", "local", "money", "span", "uid", "odd", "null"}

	names = []string{"a", "b", "c", "d", "k"}
)

// drawer draws shapes with as many named types as it wants.
type drawer struct {
	*rapid.T
	format schemas.Format
	types  int
	drawn  []*shape // the records that are complete
	tagged bool     // fields have tags
}

func (d *drawer) n(lo, hi int) int { return rapid.IntRange(lo, hi).Draw(d.T, "n") }

// one in n
func (d *drawer) rarely(n int) bool { return d.n(1, n) == n }

func pick[E any](t *rapid.T, from []E) E { return rapid.SampledFrom(from).Draw(t, "pick") }

func (d *drawer) shape(depth int) *shape {
	kind := pick(d.T, []string{"scalar", "scalar", "scalar", "record", "record", "array", "array", "map", "union", "text"})
	if depth == 0 || kind == "scalar" {
		kind = pick(d.T, scalarKinds)
	}
	if kind == "union" && d.format == schemas.JSON {
		kind = "string" // a JSON position takes anything as it is
	}
	return d.fill(&shape{kind: kind}, depth)
}

// fill draws what is in a shape.
func (d *drawer) fill(s *shape, depth int) *shape {
	d.types++
	s.id = d.types
	switch kind := s.kind; kind {
	case "record":
		if len(d.drawn) > 0 && d.rarely(2) {
			*s = *pick(d.T, d.drawn)
			s.null = 0
			break
		}
		d.record(s, depth)
	case "array", "map":
		s.kids = []*shape{d.shape(depth - 1)}
		if depth > 1 && d.rarely(2) { // what paths can choose from
			d.types++
			s.kids[0] = &shape{kind: "record", id: d.types}
			d.record(s.kids[0], depth-1)
		}
	case "text":
		s.encoding = pick(d.T, []schemas.Encoding{schemas.PlainText, schemas.PlainText, schemas.Base64, schemas.Base64URL})
		s.bytes, s.kids = d.rarely(3), []*shape{{kind: "record"}}
		if d.rarely(4) {
			s.kids[0].kind = pick(d.T, scalarKinds[:11])
			break
		}
		(&drawer{T: d.T, format: schemas.JSON}).fields(s.kids[0], depth)
	case "union":
		s.kids = []*shape{{kind: "null"}, {kind: "string"}, {kind: "long"}}
		if d.rarely(2) {
			s.kids[1] = &shape{kind: "record", id: s.id}
			d.record(s.kids[1], depth)
		}
	}
	if s.kind != "null" && s.kind != "union" && d.rarely(3) {
		s.null = d.n(1, 2)
	}
	return s
}

func (d *drawer) fields(s *shape, depth int) {
	for _, name := range rapid.Permutation(names).Draw(d.T, "names")[:d.n(1, 4)] {
		kid := d.shape(depth - 1)
		if name == "k" && (kid.kind == "enum" || kid.kind == "text" || d.rarely(2)) { // of an enum without "v" no predicate holds, which is one of docs/noninterference.md's
			kid = &shape{kind: "word"}
		}
		s.names, s.kids = append(s.names, name), append(s.kids, kid)
		d.tag(s, name)
	}
}

// record is fields of a type that may be used elsewhere too, and may lie in itself.
func (d *drawer) record(s *shape, depth int) {
	d.fields(s, depth)
	if d.format != schemas.Avro {
		return
	}
	if s.weight() < 8 {
		c := *s
		d.drawn = append(d.drawn, &c)
	}
	d.recur(s)
}

func (d *drawer) recur(s *shape) {
	if !d.rarely(10) {
		return
	}
	self := &shape{kind: "record", null: 1, id: s.id, within: true}
	kid := self
	if d.rarely(3) {
		kid = &shape{kind: "array", kids: []*shape{self}}
	}
	s.names, s.kids = append(s.names, "r"), append(s.kids, kid)
	self.names, self.kids = s.names, s.kids
	d.drawn = slices.DeleteFunc(d.drawn, func(o *shape) bool { return o.id == s.id })
}

// copy is a copy of a shape in which each type of records is what revise makes of it.
func (s *shape) copy(revise func(r *shape)) *shape {
	c := copier{revise: revise, types: map[int]*shape{}}
	return c.finish(c.copy(s))
}

type copier struct {
	revise func(r *shape)
	types  map[int]*shape
	selves []*shape
}

func (c *copier) copy(s *shape) *shape {
	n := *s
	switch done := c.types[s.id]; {
	case s.kind == "text":
		return &n
	case s.within:
		c.selves = append(c.selves, &n)
		return &n
	case s.kind == "record" && done != nil:
		n = *done
		n.null = s.null
		return &n
	}
	n.names, n.kids = slices.Clone(s.names), nil
	for _, kid := range s.kids {
		n.kids = append(n.kids, c.copy(kid))
	}
	if s.kind == "record" {
		c.revise(&n)
		c.types[s.id] = &n
	}
	return &n
}

// finish makes types that lie in themselves what they are now.
func (c *copier) finish(s *shape) *shape {
	for _, self := range c.selves {
		now := *c.types[self.id]
		now.null, now.within = self.null, true
		*self = now
	}
	return s
}

// weight is how many types a shape has.
func (s *shape) weight() (n int) {
	if s.within {
		return 100
	}
	for _, kid := range s.kids {
		n += kid.weight()
	}
	return n + 1
}

// tag gives a field tags.
func (d *drawer) tag(s *shape, name string) {
	if !d.tagged || !d.rarely(3) {
		return
	}
	if s.tags == nil {
		s.tags = map[string][]string{}
	}
	s.tags[name] = pick(d.T, [][]string{{"PII"}, {"PII"}, {"PUBLIC"}, {"PUBLIC"}, {"MAIL", "PII"}, {"PII", "PUBLIC"}, {"PUBLIC", "other"}, {"other"}})
}

// root has, besides, an event time and whom it is about.
func (d *drawer) root(people []engine.SubjectRule) *shape {
	s := &shape{kind: "record", names: []string{"at"}, kids: []*shape{{kind: "millis"}}}
	s.names, s.kids = append(s.names, "id", "by", "to"), append(s.kids, &shape{kind: "string"}, &shape{kind: "string"}, &shape{kind: "string"})
	for _, p := range people {
		if len(p.Paths) == 2 && !slices.Contains(s.names, p.Paths[1]) {
			s.kids[slices.Index(s.names, p.Paths[0])].null = 1 // either may be missing
			s.names, s.kids = append(s.names, p.Paths[1]), append(s.kids, &shape{kind: "string", null: 1})
		}
	}
	d.fields(s, 3)
	if d.rarely(3) {
		s.names, s.kids = append(s.names, "t"), append(s.kids, d.fill(&shape{kind: "text"}, 3))
	}
	if d.format == schemas.Avro {
		d.recur(s)
	}
	return s
}

// avsc is the shape as an Avro schema. A type is written where it comes first.
func (s *shape) avsc() string { return (&printer{}).avsc(s) }

// printer knows the types that it has written.
type printer struct{ ids []int }

func (p *printer) avsc(s *shape) string {
	t := p.bare(s)
	switch s.null {
	case 1:
		return `["null",` + t + `]`
	case 2:
		return `[` + t + `,"null"]`
	}
	return t
}

func (p *printer) bare(s *shape) string {
	switch s.kind {
	case "record":
		return p.record(s)
	case "array":
		return `{"type":"array","items":` + p.avsc(s.kids[0]) + `}`
	case "map":
		return `{"type":"map","values":` + p.avsc(s.kids[0]) + `}`
	case "union":
		var branches []string
		for _, kid := range s.kids {
			branches = append(branches, p.avsc(kid))
		}
		return `[` + strings.Join(branches, ",") + `]`
	case "text":
		if s.bytes {
			return `"bytes"`
		}
		return `"string"`
	}
	t := scalars[s.kind]
	if !strings.Contains(t.avsc, "%d") {
		return t.avsc
	}
	if slices.Contains(p.ids, s.id) {
		return fmt.Sprintf(`"%c%d"`, t.avsc[strings.Index(t.avsc, "%d")-1], s.id)
	}
	p.ids = append(p.ids, s.id)
	return fmt.Sprintf(t.avsc, s.id)
}

func (p *printer) record(s *shape) string {
	name := s.typeName()
	if slices.Contains(p.ids, s.id) {
		return fmt.Sprintf(`"crm.%s"`, name)
	}
	p.ids = append(p.ids, s.id)
	var fields []string
	for i, name := range s.names {
		tags := ""
		if list := s.tags[name]; list != nil {
			tags = fmt.Sprintf(`,"confluent:tags":["%s"]`, strings.Join(list, `","`))
		}
		fields = append(fields, fmt.Sprintf(`{"name":%q,"type":%s%s}`, name, p.avsc(s.kids[i]), tags))
	}
	return fmt.Sprintf(`{"type":"record","name":%q,"namespace":"crm","fields":[%s]}`, name, strings.Join(fields, ","))
}

func (s *shape) typeName() string { return cmp.Or(s.called, fmt.Sprintf("R%d", s.id)) }

// paths lists what the wiring can say of a shape: its positions and what they are,
// and the keys of its maps, which are nil there.
func (s *shape) paths(at string, into map[string]*shape) []string {
	var list []string
	below := func(step string, kid *shape) {
		path := strings.TrimPrefix(at+step, ".")
		into[path] = kid
		list = append(list, path)
		if !kid.within {
			list = append(list, kid.paths(path, into)...)
		}
	}
	switch s.kind {
	case "record":
		for i, name := range s.names {
			below("."+name, s.kids[i])
		}
	case "array":
		below("[*]", s.kids[0])
	case "map":
		below(".*", s.kids[0])
		list = append(list, at+".*~key")
		into[at+".*~key"] = nil
	case "union":
		if s.kids[1].kind == "record" {
			list = append(list, s.kids[1].paths(at, into)...)
		}
	}
	return list
}

// family says which treatments suit what a path names.
func (s *shape) family() string {
	if s == nil {
		return "text" // keys
	}
	return scalars[s.kind].family
}

// hasText reports whether a record, or one of a union, has a member that a
// predicate can look at.
func (s *shape) hasText(name string) bool {
	if s.kind == "union" {
		return slices.ContainsFunc(s.kids, func(kid *shape) bool { return kid.hasText(name) })
	}
	i := slices.Index(s.names, name)
	return i >= 0 && slices.Contains([]string{"string", "word", "uuid", "odd"}, s.kids[i].kind)
}

// is reports whether a shape, or a branch of it, is of a kind.
func (s *shape) is(kind string) bool {
	return s.kind == kind || s.kind == "union" && slices.ContainsFunc(s.kids, func(kid *shape) bool { return kid.is(kind) })
}
