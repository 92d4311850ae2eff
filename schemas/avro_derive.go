package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// avroDeriver writes a derived schema. Only what a reader needs to decode and
// to interpret a value is written: text of the input's schema (docs, defaults,
// custom properties, symbols of enums that are gone) could tell what was removed.
type avroDeriver struct {
	nodes []Node
	b     strings.Builder
	// expand writes every named type in full under its input name: the
	// signature by which two uses are told to be the same.
	expand bool
	// names gives the name under which a signature was defined.
	names map[string]string
	taken map[string]bool // names that are defined
	// reserved are the short names of what is written, which a split must not take.
	// Where types are expanded it collects them, if it is there.
	reserved map[string]bool
}

// deriveAvro settles the derived types of plan and all below it, and returns
// their schema with all types in namespace ns. Its text depends on nothing else.
func deriveAvro(plan *avroPlan, nodes []Node, ns string) (string, error) {
	d := avroDeriver{nodes: nodes, names: map[string]string{}, taken: map[string]bool{}, reserved: map[string]bool{}}
	if err := d.conform([]*avroPlan{plan}); err != nil {
		return "", err
	}
	written := avroDeriver{nodes: nodes, expand: true, reserved: d.reserved}
	written.plain(plan)
	d.named(plan, ns)
	text := d.b.String()
	if _, err := parseAvro(text); err != nil {
		return "", fmt.Errorf("the derived schema is not valid: %w", err)
	}
	return text, nil
}

// position writes the type of plan, as a union where it is one.
func (d *avroDeriver) position(plan *avroPlan) {
	plain := func() { d.plain(plan) }
	null := func() { d.b.WriteString(`"null"`) }
	switch {
	case plan.typ.Kind == Union:
		var branches []func()
		for _, b := range plan.union {
			write := null
			if b != nil {
				write = func() { d.plain(b) }
			}
			branches = append(branches, write)
		}
		d.unionOf(branches)
	case !plan.typ.Nullable:
		d.plain(plan)
	case plan.typ.NullIndex == 0:
		d.unionOf([]func(){null, plain})
	default:
		d.unionOf([]func(){plain, null})
	}
}

// unionOf writes a union; one branch alone is none.
func (d *avroDeriver) unionOf(branches []func()) {
	if len(branches) == 1 {
		branches[0]()
		return
	}
	for i, write := range branches {
		d.b.WriteByte("[,"[min(i, 1)])
		write()
	}
	d.b.WriteByte(']')
}

// plain writes the type of plan without its null.
func (d *avroDeriver) plain(plan *avroPlan) {
	switch plan.typ.Kind {
	case Record, Enum, Fixed:
		d.named(plan, "")
	case Array:
		d.b.WriteString(`{"type":"array","items":`)
		d.position(&plan.kids[0])
		d.b.WriteString(`}`)
	case Map:
		d.b.WriteString(`{"type":"map","values":`)
		d.position(&plan.kids[1])
		d.b.WriteString(`}`)
	default:
		d.primitive(plan.typ)
	}
}

func (d *avroDeriver) primitive(t Type) {
	if t.Logical == NoLogical || t.Logical == UnknownLogical {
		d.b.WriteString(strconv.Quote(t.Kind.String()))
		return
	}
	d.b.WriteString(`{"type":` + strconv.Quote(t.Kind.String()))
	d.logical(t)
	d.b.WriteString(`}`)
}

func (d *avroDeriver) logical(t Type) {
	if t.Logical == NoLogical || t.Logical == UnknownLogical {
		return
	}
	d.b.WriteString(`,"logicalType":` + strconv.Quote(t.Logical.String()))
	if t.Logical == Decimal {
		fmt.Fprintf(&d.b, `,"precision":%d,"scale":%d`, t.Precision, t.Scale)
	}
}

// named writes a named type: its definition at its first use, then its name.
func (d *avroDeriver) named(plan *avroPlan, ns string) {
	if d.expand {
		d.definition(plan, plan.typ.Name, "")
		return
	}
	sig := d.signature(plan)
	name, ok := d.names[sig]
	if ok {
		d.b.WriteString(strconv.Quote(name))
		return
	}
	name = d.name(plan)
	d.names[sig], d.taken[name] = name, true
	d.definition(plan, name, ns)
}

func (d *avroDeriver) signature(plan *avroPlan) string {
	e := avroDeriver{nodes: d.nodes, expand: true}
	e.plain(plan)
	return e.b.String()
}

// name chooses the name of a type that is not defined yet: the input's, or,
// where that is taken (the type is used twice and treated differently), the
// input's with the path.
func (d *avroDeriver) name(plan *avroPlan) string {
	name := shortName(plan.typ.Name)
	if name != "" && !d.taken[name] {
		return name
	}
	path := strings.NewReplacer("[*]", "", ".*", "", ".", "_").Replace(d.nodes[plan.pos.node].Path)
	if name == "" {
		name = path
	} else {
		name += "_" + path
	}
	for d.taken[name] || d.reserved[name] {
		name += "_"
	}
	return name
}

func (d *avroDeriver) definition(plan *avroPlan, name, ns string) {
	t := plan.typ
	if d.expand && d.reserved != nil {
		d.reserved[shortName(name)] = true
	}
	fmt.Fprintf(&d.b, `{"type":"%s","name":%s`, t.Kind.String(), strconv.Quote(name))
	if ns != "" {
		d.b.WriteString(`,"namespace":` + strconv.Quote(ns))
	}
	switch t.Kind {
	case Enum:
		fmt.Fprintf(&d.b, `,"symbols":["%s"]`, strings.Join(t.Symbols, `","`))
	case Fixed:
		fmt.Fprintf(&d.b, `,"size":%d`, t.Size)
		d.logical(t)
	case Record:
		d.fields(plan)
	}
	d.b.WriteString(`}`)
}

func (d *avroDeriver) fields(plan *avroPlan) {
	d.b.WriteString(`,"fields":[`)
	sep := ""
	for i := range plan.kids {
		kid := &plan.kids[i]
		if kid.op == planDrop {
			continue
		}
		fmt.Fprintf(&d.b, `%s{"name":"%s","type":`, sep, kid.pos.name)
		d.position(kid)
		if kid.null == 0 {
			d.b.WriteString(`,"default":null`)
		}
		d.b.WriteString(`}`)
		sep = ","
	}
	d.b.WriteString(`]`)
}

// shortName is a full name without its namespace.
func shortName(full string) string { return full[strings.LastIndexByte(full, '.')+1:] }
