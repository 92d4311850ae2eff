package infer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Field is one position of a schema or of sample events.
type Field struct {
	Path  schemas.Path
	Types []string // of the values: JSON's, or Avro's with their logical types
	// Events is how many events have the position, Values how many values there
	// were; 0 for a schema, which has none.
	Events, Values int
	Proposal
	// Notes are what else is to be known of it.
	Notes []string
	// Encoding is "json", "base64" or "base64url" (of JSON) where each value is that in a
	// string; Inside are the positions in it.
	Encoding string
	Inside   []Field
	hollow   bool // it was always null or empty
	// Once: a record has it at most once.
	Once bool
	// Time says that values look like points in time: "" for no, "text", or the
	// unit of numbers: "s", "ms", "us", and "?" where nobody knows it.
	Time string
}

// Proposal is a category that a field may have. Category is "" for none.
type Proposal struct {
	Category string
	Because  []string
	outer    bool // by the name of the member that it lies in
}

// Fields lists the positions that events have: leaves, in the order in which they
// came first.
func (s *Sample) Fields() []Field {
	l := lister{sample: s}
	l.list(s.root, nil)
	return l.fields
}

type lister struct {
	sample *Sample
	fields []Field
}

// list lists what lies at and below n. A position that has had values besides
// objects and arrays is listed itself too.
func (l *lister) list(n *node, path schemas.Path) {
	if len(path) > schemas.MaxPathSteps-2 {
		l.sample.Cut++
		return
	}
	below := len(n.names) > 0 || n.entries != nil || n.elements != nil || len(n.variants) > 0
	if len(path) > 0 && (!below || n.kinds&(isBool|isNumber|isString) != 0) {
		l.fields = append(l.fields, l.field(n, path))
	}
	l.listMembers(n, path)
	if n.entries != nil {
		entries := with(path, schemas.Step{Kind: schemas.StepAnyMember})
		l.fields = append(l.fields, keyField(n, with(entries, schemas.Step{Kind: schemas.StepKey})))
		l.list(n.entries, entries)
	}
	l.listElements(n, path)
}

// listMembers notes names that differ only in case: a wiring can name one of them.
func (l *lister) listMembers(n *node, path schemas.Path) {
	folded := map[string]string{}
	for _, name := range n.names {
		from := len(l.fields)
		l.list(n.members[name], with(path, schemas.Step{Kind: schemas.StepMember, Name: name}))
		first, twice := folded[fold(name)]
		if !twice {
			folded[fold(name)] = name
			continue
		}
		for i := range l.fields[from:] {
			f := &l.fields[from+i]
			f.Notes = append(f.Notes, fmt.Sprintf("%s and %s differ only in case: leave one out", quoted(first), quoted(name)))
		}
	}
}

// fold is equal for names that differ only in case (Unicode simple folding).
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// quoted is a name as paths write it.
func quoted(name string) string { return schemas.Path{{Kind: schemas.StepMember, Name: name}}.String() }

func (l *lister) listElements(n *node, path schemas.Path) {
	for _, v := range n.variants {
		l.list(v.node, with(path, schemas.Step{Kind: schemas.StepPredicate, Name: v.name, Value: v.text}))
	}
	if n.elements == nil {
		return
	}
	from := len(l.fields)
	l.list(n.elements, with(path, schemas.Step{Kind: schemas.StepElements}))
	if n.unnamed > 0 && len(l.fields) > from {
		for i := range l.fields[from:] {
			if f := &l.fields[from+i]; f.outer {
				f.Proposal = Proposal{} // they can hold anything
			}
		}
		f := &l.fields[from]
		f.Notes = append(f.Notes, fmt.Sprintf("%d more entries have keys that are not shown: name those you know by [key==\"…\"]", n.unnamed))
	}
}

func with(path schemas.Path, step schemas.Step) schemas.Path {
	return append(path[:len(path):len(path)], step)
}

func (l *lister) field(n *node, path schemas.Path) Field {
	f := Field{Path: path, Types: n.kinds.names(), Events: min(n.events, l.sample.Events), Values: n.values, Once: once(path)}
	f.Proposal = propose(path, n)
	f.Notes = n.notes()
	f.Time = n.time()
	f.hollow = n.kinds&(isBool|isNumber|isString) == 0
	switch shape, _, most := n.shape(); {
	case most && shape == JSONText && n.inside != nil:
		f.Encoding, f.Inside = "json", l.inside(n.inside)
	case most && shape == Base64JSON && n.decoded != nil:
		f.Encoding, f.Inside = "base64", l.inside(n.decoded)
		if n.url {
			f.Encoding = "base64url"
		}
	}
	if n.scalarOnly() || n.values == 0 {
		return f
	}
	if n.kinds&^(isObject|isNull) == 0 || n.kinds&^(isArray|isNull) == 0 {
		f.Notes = append(f.Notes, "always empty")
	}
	return f
}

func (l *lister) inside(n *node) []Field {
	in := lister{sample: l.sample}
	in.list(n, nil)
	return in.fields
}

// once reports whether a record can have a position only once.
func once(path schemas.Path) bool {
	return !slices.ContainsFunc(path, func(s schemas.Step) bool { return s.Kind != schemas.StepMember })
}

// keyField is the field of a map's keys. Those that name a person for sure say what
// the keys are, even if they are few.
func keyField(n *node, path schemas.Path) Field {
	f := Field{Path: path, Types: []string{"string"}, Values: n.entered}
	f.Category, f.Because = "user.unique_id", []string{"names that look like data"} // whatever they are, they name entries
	k := node{shapes: n.keys}
	if shape, count, most := k.shape(); count > 0 && (most || shapeInfos[shape].sure) {
		f.Category = cmp.Or(shapeInfos[shape].category, f.Category)
		f.Because = []string{"names: " + seen(shape, count, n.entered)}
	}
	return f
}

// shape is the shape that most texts and numbers have, and how many; most is true
// for four of five.
func (n *node) shape() (s Shape, count int, most bool) {
	for i, c := range n.shapes {
		if i != int(NoShape) && int(c) > count {
			s, count = Shape(i), int(c)
		}
	}
	return s, count, count > 0 && count*5 >= n.texts()*4
}

func (n *node) time() string {
	s, _, most := n.shape()
	switch {
	case !most:
		return ""
	case s == Timestamp:
		return "text"
	}
	return map[Shape]string{EpochSeconds: "s", EpochMillis: "ms", EpochMicros: "us"}[s]
}

func seen(s Shape, count, of int) string {
	return fmt.Sprintf("%s (%d of %d)", s, count, of)
}

// propose weighs name and values. A value that names a person for sure counts more
// than a name, except for one that says what is graver.
func propose(path schemas.Path, n *node) Proposal {
	name, byName := proposeName(path, n.may)
	value, sure := n.propose()
	switch {
	case value.Category == "":
		return name
	case !byName:
		return value
	case name.Category == value.Category || covers(value.Category, name.Category):
		name.Because = append(name.Because, value.Because...)
		return name
	case !sure || graver(name.Category):
		return name
	}
	value.Because = append(value.Because, "its name alone: "+name.Category)
	return value
}

// propose proposes by the values alone; sure as in shapeInfo. Most of the texts
// must look alike, or have an e-mail address in them.
func (n *node) propose() (p Proposal, sure bool) {
	shape, count, most := n.shape()
	info := shapeInfos[shape]
	switch of := n.texts(); {
	case most && (info.sure || shape == JSONText || shape == Base64JSON):
	case n.holds > 0 && n.holds*5 >= of*4:
		return Proposal{Category: shapeInfos[Email].category, Because: []string{fmt.Sprintf("values: e-mail addresses inside (%d of %d)", n.holds, of)}}, true
	}
	if !most || info.category == "" {
		return Proposal{}, false
	}
	return Proposal{Category: info.category, Because: []string{"values: " + seen(shape, count, n.texts())}}, info.sure
}

// graver reports whether a category says more of a field than whom a value names: a
// special one does, and what people write.
func graver(category string) bool {
	return policy.Special(category) || policy.Criminal(category) || covers("user.content", category) || category == "x.user.communications_content"
}

// covers reports whether a category lies below another.
func covers(category, below string) bool { return strings.HasPrefix(below, category+".") }

// proposeName proposes by the name alone.
func proposeName(path schemas.Path, may func(category string) bool) (p Proposal, ok bool) {
	found := names.find(path, may)
	if found.category == "" {
		return Proposal{}, false
	}
	because := fmt.Sprintf("name %q", found.phrase)
	if found.outer {
		because = fmt.Sprintf("below %q", found.phrase)
	}
	return Proposal{Category: found.category, Because: []string{because}, outer: found.outer}, true
}

// Categories whose data a boolean, or a number, cannot be: is_email_verified is
// no e-mail address, and logins is no user name.
var (
	words     = []string{"user.name", "user.contact.email", "user.contact.address.street", "user.contact.address.city", "user.contact.url", "user.account.username", "user.content", "user.job_title"}
	notYesNo  = []string{"user.contact", "user.unique_id", "user.device", "user.authorization", "user.financial", "user.payment", "user.government_id", "user.location", "user.demographic.date_of_birth", "user.workplace"}
	yesNoOnly = append(slices.Clone(words), notYesNo...)
)

// may reports whether values of these types may be data of a category.
func (k kinds) may(category string) bool {
	never := []string(nil)
	switch k &^ isNull {
	case isBool:
		never = yesNoOnly
	case isNumber:
		never = words
	}
	return !slices.ContainsFunc(never, func(c string) bool { return category == c || covers(c, category) })
}

// may reports whether the values may be data of a category.
func (n *node) may(category string) bool {
	s, _, most := n.shape()
	return mayBe(category, n.kinds, most && s == Timestamp)
}

// mayBe reports whether values of these types, which are times or not, may be data of
// a category: session_start is not the id of a session.
func mayBe(category string, k kinds, time bool) bool {
	return k.may(category) && !(time && strings.HasSuffix(category, "_id"))
}

// notes warns of what hides among other values.
func (n *node) notes() []string {
	var out []string
	shape, _, most := n.shape()
	for i, c := range n.shapes {
		s := Shape(i)
		hidden := shapeInfos[i].sure && !(most && s == shape)
		if c > 0 && (hidden || s == JSONText || s == Base64JSON || s == Base64Text) {
			out = append(out, "has "+seen(s, int(c), n.texts()))
		}
	}
	if n.holds > 0 && n.holds*5 < n.texts()*4 {
		out = append(out, fmt.Sprintf("has e-mail addresses inside (%d of %d)", n.holds, n.texts()))
	}
	return out
}
