package schemas

import "fmt"

// avroCompiler expands a parsed schema to positions.
type avroCompiler struct {
	layout *avroLayout
	count  int
	paths  int                      // bytes of all paths
	opaque map[*avroSchema]*avroPos // recursive records, without nodes
}

// compile fills p, a node of the layout, and all below it. n has Path, Parent,
// Repeated, Contested and the field's Tags set.
func (c *avroCompiler) compile(p *avroPos, s *avroSchema, n Node, named avroPaths, depth int) error {
	if err := c.enter(p, s, depth); err != nil {
		return err
	}
	if c.paths += len(n.Path); c.paths > maxAvroPaths {
		return fmt.Errorf("paths of more than %d bytes in all", maxAvroPaths)
	}
	c.count += len(n.Tags) / avroShare
	sub := Node{Path: n.Path, Parent: c.add(p, s, n), Repeated: n.Repeated, Contested: n.Contested}
	switch s.typ.Kind {
	case Record:
		return c.record(p, s, sub, named, depth)
	case Array:
		return c.array(p, s, sub, named, depth)
	case Map:
		return c.mapping(p, s, sub, named, depth)
	case Union:
		return c.union(p, s, sub, named, depth)
	case Opaque:
		return c.recursion(p, s)
	}
	return nil
}

func (c *avroCompiler) record(p *avroPos, s *avroSchema, sub Node, named avroPaths, depth int) error {
	p.fields = make([]avroPos, len(s.fields))
	for i, f := range s.fields {
		kid := sub
		kid.Tags, kid.Path = f.tags, joinPath(sub.Path, f.name)
		p.fields[i].name = f.name
		if err := c.compile(&p.fields[i], f.schema, kid, named.next(Step{Kind: StepMember, Name: f.name}), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// array compiles the element, and once more for each [n] and [key=="v"] that a
// path of the wiring has here.
func (c *avroCompiler) array(p *avroPos, s *avroSchema, sub Node, named avroPaths, depth int) error {
	inner := named.next(Step{Kind: StepElements})
	kid := sub
	kid.Path, kid.Repeated = sub.Path+"[*]", true
	p.elem = &avroPos{}
	if err := c.compile(p.elem, s.elem, kid, inner, depth+1); err != nil {
		return err
	}
	p.elem.weight = elementWeight(p.elem)
	v := newVariants(named, p.elem)
	if v == nil {
		return nil
	}
	p.variants, v.stride = v, NodeID(len(c.layout.nodes))-p.elem.node
	for _, step := range v.steps {
		kid.Path = sub.Path + step.text()
		kid.Repeated = sub.Repeated || step.Kind == StepPredicate
		if err := c.variant(p, s, kid, inner, depth); err != nil {
			return err
		}
	}
	if v.contested > 0 {
		kid.Path, kid.Repeated, kid.Contested = sub.Path+"[*]", true, true
		return c.variant(p, s, kid, inner, depth)
	}
	return nil
}

// variant adds the nodes of an element once more, in the same order. The
// positions stay those of the first.
func (c *avroCompiler) variant(p *avroPos, s *avroSchema, n Node, inner avroPaths, depth int) error {
	at := len(c.layout.pos)
	if err := c.compile(&avroPos{}, s.elem, n, inner, depth+1); err != nil {
		return err
	}
	copy(c.layout.pos[at:], c.layout.pos[p.elem.node:p.elem.node+p.variants.stride])
	return nil
}

func (c *avroCompiler) mapping(p *avroPos, s *avroSchema, sub Node, named avroPaths, depth int) error {
	sub.Path, sub.Repeated = joinPath(sub.Path, "*"), true
	key := sub
	key.Path += "~key"
	p.key, p.elem = &avroPos{}, &avroPos{}
	if err := c.compile(p.key, &avroSchema{typ: Type{Kind: String}}, key, avroPaths{}, depth+1); err != nil {
		return err
	}
	if err := c.compile(p.elem, s.elem, sub, named.next(Step{Kind: StepAnyMember}), depth+1); err != nil {
		return err
	}
	p.elem.weight = elementWeight(p.elem)
	return nil
}

func (c *avroCompiler) union(p *avroPos, s *avroSchema, sub Node, named avroPaths, depth int) error {
	p.branches = make([]avroPos, len(s.branches))
	for i, b := range s.branches {
		if b.typ.Kind == Null {
			p.branches[i] = avroPos{node: -1, typ: b.typ}
			continue
		}
		if err := c.compile(&p.branches[i], b, sub, named, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// recursion compiles what a recursive type holds of itself: it can be stepped
// over and nothing else, whatever paths name it or lead into it.
func (c *avroCompiler) recursion(p *avroPos, s *avroSchema) (err error) {
	p.elem, err = c.skeleton(s.elem)
	return err
}

// skeleton compiles a recursive record without nodes, once.
func (c *avroCompiler) skeleton(s *avroSchema) (*avroPos, error) {
	if p := c.opaque[s]; p != nil {
		return p, nil
	}
	p := &avroPos{}
	c.opaque[s] = p
	if err := c.stepOver(p, s, 0); err != nil {
		return nil, err
	}
	p.weight = elementWeight(p)
	return p, nil
}

// stepOver compiles p and all below it without nodes.
func (c *avroCompiler) stepOver(p *avroPos, s *avroSchema, depth int) (err error) {
	if err = c.enter(p, s, depth); err != nil {
		return err
	}
	switch s.typ.Kind {
	case Record:
		p.fields = make([]avroPos, len(s.fields))
		for i, f := range s.fields {
			if err = c.stepOver(&p.fields[i], f.schema, depth+1); err != nil {
				return err
			}
		}
	case Union:
		p.branches = make([]avroPos, len(s.branches))
		for i, b := range s.branches {
			if err = c.stepOver(&p.branches[i], b, depth+1); err != nil {
				return err
			}
		}
	case Array, Map:
		p.elem = &avroPos{}
		if err = c.stepOver(p.elem, s.elem, depth+1); err != nil {
			return err
		}
		p.elem.weight = elementWeight(p.elem)
	case Opaque:
		p.elem, err = c.skeleton(s.elem)
	}
	return err
}

// add makes p a node of the layout.
func (c *avroCompiler) add(p *avroPos, s *avroSchema, n Node) NodeID {
	l := c.layout
	p.node = NodeID(len(l.nodes))
	n.Type = s.typ
	n.Leaf = p.scalar || s.typ.Kind == Opaque || s.typ.Kind == Record && len(s.fields) == 0
	n.Tags = append(append([]string(nil), n.Tags...), s.tags...)
	l.nodes = append(l.nodes, n)
	l.pos = append(l.pos, p)
	return p.node
}

// avroShare is how many symbols or tags of a position count as one more position.
const avroShare = 16

// enter counts p and fills in what does not depend on whether it is a node.
func (c *avroCompiler) enter(p *avroPos, s *avroSchema, depth int) error {
	if c.count += 1 + (len(s.typ.Symbols)+len(s.tags))/avroShare; c.count > maxAvroPositions {
		return fmt.Errorf("more than %d positions", maxAvroPositions)
	}
	if depth > maxAvroDepth {
		return fmt.Errorf("nested deeper than %d", maxAvroDepth)
	}
	p.typ, p.node = s.typ, -1
	switch s.typ.Kind {
	case Record, Array, Map, Union, Opaque:
	default:
		p.scalar = true
	}
	for _, sym := range s.typ.Symbols {
		p.symbols = append(p.symbols, []byte(sym))
	}
	return nil
}

// elementWeight bounds the work and the entries that an element of p costs
// beyond those of its bytes: positions without a byte of their own.
func elementWeight(p *avroPos) int { return max(1, byteless(p)) }

// byteless counts them. What a recursive type holds of itself is charged where
// the scanner comes to it.
func byteless(p *avroPos) int {
	n := 0
	switch p.typ.Kind {
	case Null:
		n = 1
	case Fixed:
		if p.typ.Size == 0 {
			n = 1
		}
	case Record:
		n = 1
		for i := range p.fields {
			n += byteless(&p.fields[i])
		}
	case Union:
		for i := range p.branches {
			n = max(n, byteless(&p.branches[i]))
		}
	}
	return n
}
