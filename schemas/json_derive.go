package schemas

import "strconv"

// A derived JSON Schema (draft 7) says which members a projection's records may
// have and of which types, and nothing else: no text of the input's schema but
// names of positions that are kept. No member is required. What a whole container
// holds that is kept as it is, and what ** finds, is not described. The same layout
// and actions give the same text.

const jsonSchemaDraft = `"$schema":"http://json-schema.org/draft-07/schema#"`

// DeriveJSONSchema gives the JSON Schema of what a projection of a JSON layout
// writes, with or without a schema of the input; ok is false for other formats.
func DeriveJSONSchema(p Projection) (text string, ok bool) {
	view, ok := p.(*jsonProjection)
	if !ok {
		return "", false
	}
	d := jsonDeriver{p: view}
	d.dst = append(d.dst, '{')
	d.dst = append(d.dst, jsonSchemaDraft...)
	if mark := len(d.dst); d.position(0) {
		d.dst[mark] = ',' // instead of the bracket that opens it
	} else {
		d.dst = append(d.dst, '}')
	}
	return string(d.dst), true
}

type jsonDeriver struct {
	p   *jsonProjection
	dst []byte
}

// position writes the schema of what can stand at a node, an object; false where
// nothing can.
func (d *jsonDeriver) position(id NodeID) bool {
	n := &d.p.layout.trie[id]
	types := d.types(id)
	switch types {
	case 0:
		return false
	case anyType:
		d.dst = append(d.dst, "{}"...)
		return true
	}
	d.dst = append(d.dst, '{')
	d.writeTypes(types)
	if types&typeObject != 0 && n.objects && !n.takesScalars() {
		d.members(id)
	}
	if types&typeArray != 0 && n.arrays && !n.takesScalars() {
		d.items(n)
	}
	d.dst = append(d.dst, '}')
	return true
}

func (d *jsonDeriver) writeTypes(t jsonTypes) {
	if t&typeNumber != 0 {
		t &^= typeInteger // it is one of them
	}
	d.dst = append(d.dst, `"type":`...)
	several := t&(t-1) != 0
	if several {
		d.dst = append(d.dst, '[')
	}
	comma := false
	for i, name := range jsonTypeNames {
		if t>>i&1 == 0 {
			continue
		}
		if comma {
			d.dst = append(d.dst, ',')
		}
		comma = true
		d.dst = strconv.AppendQuote(d.dst, name)
	}
	if several {
		d.dst = append(d.dst, ']')
	}
}

// types are those that can stand at a node under any gates.
func (d *jsonDeriver) types(id NodeID) (t jsonTypes) {
	for i := range d.p.plans {
		t |= d.typesUnder(d.p.plans[i], id)
	}
	for i := range d.p.fixed {
		if v := d.p.fixed[i][id]; v != nil && (d.p.layout.trie[id].name != nil || d.p.layout.single) {
			t |= typeOf(v)
		}
	}
	switch {
	case d.p.layout.single:
		t &^= typeObject | typeArray
	case id == 0:
		t &= typeObject | typeArray
	}
	return t
}

func (d *jsonDeriver) typesUnder(plan []jsonStep, id NodeID) (t jsonTypes) {
	step := &plan[id]
	if step.object {
		t |= typeObject
	}
	if step.array {
		t |= typeArray
	}
	in := d.p.layout.typesAt(id)
	switch step.do {
	case jsonCopy:
		t |= step.takes
		if d.p.layout.single {
			t |= typeNull // in place of another type
		}
	case jsonReplace:
		t |= typesOfResult(d.p.acts[id].Result.Kind, in) | typeNull
	}
	return t
}

// typesOfResult are those of a treated value that came as one of in.
func typesOfResult(k Kind, in jsonTypes) jsonTypes {
	switch k {
	case String, Bytes, Fixed, Enum:
		return typeString
	case Bool:
		return typeBoolean
	case Int, Long:
		return typeInteger
	case Float, Double, Number:
		return typeNumber | typeInteger
	}
	return in & (typeString | typeNumber | typeInteger)
}

// typeOf is the type of a value by its first character.
func typeOf(v []byte) jsonTypes {
	switch v[0] {
	case 'n':
		return typeNull
	case '"':
		return typeString
	case 't', 'f':
		return typeBoolean
	}
	return typeNumber | typeInteger
}

func (d *jsonDeriver) members(id NodeID) {
	n := &d.p.layout.trie[id]
	d.dst = append(d.dst, `,"properties":{`...)
	comma := false
	for _, m := range n.members {
		mark := len(d.dst)
		if comma {
			d.dst = append(d.dst, ',')
		}
		d.dst = append(d.dst, d.p.layout.trie[m.child].name...)
		if !d.position(m.child) {
			d.dst = d.dst[:mark]
			continue
		}
		comma = true
	}
	d.dst = append(d.dst, `},"additionalProperties":`...)
	if !d.others(id) {
		d.dst = append(d.dst, "false"...)
	}
}

// others writes the schema of the members that no path names; false for none.
func (d *jsonDeriver) others(id NodeID) bool {
	n := &d.p.layout.trie[id]
	for i := range d.p.plans {
		switch names := d.p.plans[i][id].names; {
		case names != jsonCopy && names != jsonReplace:
		case n.other == restNode:
			d.dst = append(d.dst, "true"...)
			return true
		case n.other > 0:
			return d.position(n.other)
		}
	}
	return false
}

// items writes the schema of an array's elements. Where paths tell them apart it
// is any of theirs.
func (d *jsonDeriver) items(n *jsonNode) {
	d.dst = append(d.dst, `,"items":`...)
	mark := len(d.dst)
	d.dst = append(d.dst, `{"anyOf":[`...)
	written := 0
	last := len(d.dst)
	for _, id := range n.kinds() {
		before := len(d.dst)
		if written > 0 {
			d.dst = append(d.dst, ',')
		}
		at := len(d.dst)
		if !d.position(id) {
			d.dst = d.dst[:before]
			continue
		}
		last = at
		written++
	}
	switch written {
	case 0: // an array of which nothing is left is not written
		d.dst = append(d.dst[:mark], "false"...)
	case 1:
		d.dst = append(d.dst[:mark], d.dst[last:]...)
	default:
		d.dst = append(d.dst, "]}"...)
	}
}
