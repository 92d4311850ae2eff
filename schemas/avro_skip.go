package schemas

// recursive steps over what a recursive type holds of itself. Its depth is the
// input's, so it is bounded here, and so is what an element without bytes of its
// own costs.
func (s *avroScan) recursive(p *avroPos, i int) int {
	if s.deep == maxAvroDepth {
		return s.fail(CodeTooDeep, p.node)
	}
	if s.budget < p.elem.weight {
		return s.fail(CodeTooManyItems, p.node)
	}
	s.budget -= p.elem.weight
	s.deep++
	i = s.skip(p.elem, i)
	s.deep--
	return i
}

// skip steps over p, which has no node, without noting anything.
func (s *avroScan) skip(p *avroPos, i int) int {
	if p.typ.Nullable && p.typ.Kind != Union {
		null, next := s.nullBranch(p, i)
		if next < 0 || null {
			return next
		}
		i = next
	}
	switch p.typ.Kind {
	case Record:
		for k := range p.fields {
			if i = s.skip(&p.fields[k], i); i < 0 {
				return -1
			}
		}
		return i
	case Array, Map:
		i, _ = s.blocks(p, i)
		return i
	case Union:
		b, next := s.branch(p, i)
		if next < 0 {
			return -1
		}
		return s.skip(&p.branches[b], next)
	case Opaque:
		return s.recursive(p, i)
	}
	return s.scalar(p, p.typ.Kind, i)
}
