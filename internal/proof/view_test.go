package proof

import (
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// view is what one purpose may see of a part: of a record or, where it is split, of
// one of its elements, with the people whom that is about.
type view struct {
	w       *world
	purpose int
	who     []int // by subject
	heard   []standing
	rules   []rule // of the part, or of what stands in a text of it
	// outside says whom what lies in a text is about where nothing within says so;
	// nil for what lies in no text.
	outside binding
}

func (w *world) view(purpose int, who []int) *view {
	v := &view{w: w, purpose: purpose, who: who, rules: w.rules}
	for i, p := range who {
		v.heard = append(v.heard, w.standing(purpose, i, p))
	}
	return v
}

// gets reports whether the purpose gets anything of the part at all.
func (v *view) gets() bool { return v.heard[v.w.main()].permit }

// shown is the treatment by which a purpose sees something of a category that is
// about some people; false where it sees nothing. What is about nobody in particular
// goes by the main one.
func (v *view) shown(category string, of about) (policy.Treatment, bool) {
	r, ok := v.w.policy.Purposes[v.purpose].Rule(category)
	if category == "" || !ok || slices.Contains([]string{"", "drop", "redact", "constant"}, r.Treatment.Name) ||
		policy.Special(category) && !r.RequiresExplicit && r.Ground == "" {
		return policy.Treatment{}, false
	}
	if len(of) == 0 {
		of = about{v.w.main()}
	}
	for _, i := range of {
		if s := v.heard[i]; !s.permit || r.RequiresExplicit && !s.explicit || !r.RequiresExplicit && r.Ground != "" && !s.ground {
			return policy.Treatment{}, false
		}
	}
	return r.Treatment, true
}

// about says whom the value at a position is about, or its key.
func (v *view) about(pos position, category string, key bool) about {
	if len(v.heard) == 1 {
		return about{0}
	}
	bind := slices.DeleteFunc(slices.Clone(v.rules), func(r rule) bool { return r.subject == "" })
	r, n, tied := most(bind, pos, key, func(a, b *rule) bool { return a.subject == b.subject })
	switch own := v.identifies(pos); {
	case tied:
		return v.w.everybody()
	case len(own) > 0 && !key && (r == nil || n < len(pos)):
		return own
	case r != nil:
		return v.w.bound(r.subject, category)
	case v.outside != nil:
		return v.outside(category)
	}
	return v.w.bound("", category)
}

// identifies are the subjects whose identifier stands at a position.
func (v *view) identifies(pos position) (of about) {
	for i, s := range v.w.stream.Subjects {
		if v.outside == nil && len(pos) == 1 && pos[0].kind == member && slices.Contains(s.Paths, pos[0].name) {
			of = append(of, i)
		}
	}
	return of
}

// inText is the treatment of a text of which something of what is in it is seen.
const inText = "a text of JSON"

// sees is the treatment by which a purpose sees the value at a position.
func (v *view) sees(pos position) (policy.Treatment, bool) {
	if n := v.nested(pos); n != nil {
		return policy.Treatment{Name: inText}, v.inside(pos, n).peeks(nil)
	}
	return v.seesOf(pos, false)
}

// category is that of the value at a position, or of its key: "" for none.
func (v *view) category(pos position, key bool) string {
	if v.outside == nil && !key && len(v.w.stream.Tags) > 0 && len(pos) > 0 {
		if r, _, _ := most(v.rules, pos, false, func(a, b *rule) bool { return true }); r == nil {
			return v.w.taggedAs(pos)
		}
	}
	return category(v.rules, pos, key)
}

// categoryOf is that of a position of a record, whoever looks.
func (w *world) categoryOf(pos position) string {
	return (&view{w: w, rules: w.rules}).category(pos, false)
}

// taggedAs is what the tags of the innermost field that has some, on the way to a
// position, say together: "" where that is nothing, or one of them is not listed.
func (w *world) taggedAs(pos position) (category string) {
	at := w.shape.branches()
	for _, p := range pos {
		var next []*shape
		for _, s := range at {
			switch i := slices.Index(s.names, p.name); {
			case p.kind == member && s.kind == "record" && i >= 0:
				next = append(next, s.kids[i].branches()...)
				if tags := s.tags[p.name]; tags != nil {
					category = w.means(tags)
				}
			case p.kind != member && (s.kind == "array" || s.kind == "map"):
				next = append(next, s.kids[0].branches()...)
			}
		}
		at = next
	}
	return category
}

// branches are what a value of the shape can be.
func (s *shape) branches() []*shape {
	if s.kind == "union" {
		return s.kids
	}
	return []*shape{s}
}

// means is the narrowest of the categories of tags.
func (w *world) means(tags []string) (category string) {
	for _, tag := range tags {
		i := slices.IndexFunc(w.stream.Tags, func(r engine.TagRule) bool { return r.Tag == tag })
		if i < 0 {
			return ""
		}
		switch c := w.stream.Tags[i].Category; {
		case strings.HasPrefix(c+".", category+".") || category == "":
			category = c
		case !strings.HasPrefix(category+".", c+"."):
			return ""
		}
	}
	return category
}

// seesKey is sees for the key of an entry.
func (v *view) seesKey(pos position) (policy.Treatment, bool) { return v.seesOf(pos, true) }

func (v *view) seesOf(pos position, key bool) (policy.Treatment, bool) {
	if claimed(v.rules, pos) {
		return policy.Treatment{}, false
	}
	c := v.category(pos, key)
	return v.shown(c, v.about(pos, c, key))
}

// nested is what stands in the text at a position; nil for none. What lies below
// such a position is not a text.
func (v *view) nested(pos position) *nest {
	if r, n := says(v.rules, pos, false); r != nil && n == len(pos) && !claimed(v.rules, pos) {
		return r.nested
	}
	return nil
}

// inside is the view of what stands in a text.
func (v *view) inside(pos position, n *nest) *view {
	in := *v
	in.rules, in.outside = n.rules, func(category string) about { return v.about(pos, category, false) }
	return &in
}

// passes reports whether entries go out under the key of the one at a position, or
// what stands for it: that of a constant is there for each entry.
func (v *view) passes(pos position) bool {
	if _, ok := v.seesKey(pos); ok {
		return true
	}
	r, ok := v.w.policy.Purposes[v.purpose].Rule(v.category(pos, true))
	return ok && r.Treatment.Name == "constant"
}

// peeks reports whether a purpose may see something at a position, or could see
// something below it if there were.
func (v *view) peeks(pos position) bool {
	if _, ok := v.sees(pos); ok {
		return true
	}
	if claimed(v.rules, pos) {
		return false
	}
	for i := range v.rules {
		if continues(v.rules[i].path, pos) && v.couldShow(pos, &v.rules[i]) {
			return true
		}
	}
	return false
}

// couldShow reports whether a purpose may see something by a rule below a position,
// whomever that is about.
func (v *view) couldShow(pos position, r *rule) bool {
	return slices.ContainsFunc(v.bindings(pos, r), func(whom binding) bool {
		if r.nested == nil {
			_, ok := v.shown(r.category, whom(r.category))
			return ok
		}
		in := *v
		in.rules, in.outside = r.nested.rules, whom
		return slices.ContainsFunc(in.rules, func(r rule) bool { return in.couldShow(nil, &r) })
	})
}

// binding says whom what has a category is about.
type binding func(category string) about

// bindings are those that positions of a rule below a position can have.
func (v *view) bindings(pos position, r *rule) (list []binding) {
	to := func(subject int) binding { return func(string) about { return about{subject} } }
	for _, o := range v.rules {
		if o.subject != "" {
			list = append(list, to(v.w.subject(o.subject)))
		}
	}
	switch {
	case r.subject != "":
	case v.outside != nil:
		list = append(list, v.outside)
	default:
		list = append(list, func(category string) about { return v.w.bound("", category) })
	}
	if len(pos) == 0 && v.outside == nil {
		for i := range v.w.stream.Subjects { // their identifiers
			list = append(list, to(i))
		}
	}
	return list
}
