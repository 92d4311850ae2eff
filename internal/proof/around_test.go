package proof

import (
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// splits are where records are split.
var splits = map[schemas.Format][]string{
	schemas.JSON: {"[*]", "items[*]", "box.items[*]"},
	schemas.Avro: {"items[*]", "box.items[*]"},
}

// drawAround is the shape of a record that is split: of what is in it only the
// elements are ever seen.
func (w *world) drawAround(d *drawer) *shape {
	element := *w.shape
	if d.rarely(3) {
		element.null = d.n(1, 2)
	}
	d.drawn = nil // what is around the elements changes without them
	array := &shape{kind: "array", kids: []*shape{&element}, null: d.n(0, 2)}
	return d.wrap(strings.Split(strings.TrimSuffix(w.stream.Split, "[*]"), "."), array)
}

// wrap puts a shape into records, other things beside it.
func (d *drawer) wrap(way []string, s *shape) *shape {
	for _, name := range slices.Backward(way) {
		d.types++
		in := &shape{kind: "record", id: 5000 + d.types, names: []string{"w", name, "x"}}
		in.kids = []*shape{d.shape(1), s, d.shape(1)}
		s = in
	}
	return s
}

// avsc is the writer schema, with another shape for what is decided at once.
func (w *world) avsc(of *shape) string {
	if w.around == nil {
		return of.avsc()
	}
	return w.around.exchange(of).avsc()
}

// exchange is a copy in which the elements that a record is split into have
// another shape.
func (s *shape) exchange(of *shape) *shape {
	c := *s
	c.kids = slices.Clone(s.kids)
	if s.kind == "array" {
		element := *of
		element.null = s.kids[0].null
		c.kids[0] = &element
		return &c
	}
	c.kids[1] = s.kids[1].exchange(of)
	return &c
}

// encodeAround is a record with these elements, of which all else is drawn.
func (w *world) encodeAround(d *drawer, elements []*value) []byte {
	list := &value{kind: array, kids: elements, blocks: d.n(0, 5), pad: pick(d.T, []string{"", "", " "})}
	if w.around != nil {
		return d.surround(w.around, list).frame(w.around)
	}
	way := strings.Split(strings.TrimSuffix(w.stream.Split, "[*]"), ".")
	for _, name := range slices.Backward(way) {
		if name == "" {
			break
		}
		in := &value{kind: object, names: []string{name}, kids: []*value{list}, escape: []bool{d.rarely(4)}}
		for range d.n(0, 2) {
			d.add(in, pick(d.T, append(unlisted, names...)), d.wild(2))
		}
		list = in
	}
	return w.frame(list)
}

// surround draws what stands around an array.
func (d *drawer) surround(s *shape, list *value) *value {
	if s.kind == "array" {
		return list
	}
	return &value{kind: object, names: s.names, kids: []*value{d.avro(s.kids[0]), d.surround(s.kids[1], list), d.avro(s.kids[2])}}
}
