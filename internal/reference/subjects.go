package reference

import "strings"

// above says that a listed path is path, or stands above it.
func above(listed, path string) bool {
	return listed == path || strings.HasPrefix(path, listed+".") || strings.HasPrefix(path, listed+"[")
}

// field is the longest listed path that is path or above it.
func (s *Stream) field(path string) Field {
	best := Field{}
	for _, f := range s.Fields {
		if f.Path == path || above(f.Path, path) && len(f.Path) > len(best.Path) {
			best = f
		}
	}
	return best
}

func (s *Stream) category(path string) string { return s.field(path).Category }

// namespace is that of the identifiers at a path; "" where there are none.
func (s *Stream) namespace(path string) string {
	if f := s.field(path); f.Namespace != "" {
		return f.Namespace
	}
	for _, x := range s.Subjects {
		if contains(x.Paths, path) {
			return x.Namespace
		}
	}
	return ""
}

// keyed is the subject whose identifier the record key is; -1 for none.
func (s *Stream) keyed() int {
	if s.Key != nil && s.Key.Subject != "" {
		return s.index(s.Key.Subject)
	}
	for i, x := range s.Subjects {
		if x.Key {
			return i
		}
	}
	return -1
}

func (s *Stream) index(subject string) int {
	for i, x := range s.Subjects {
		if x.Name == subject {
			return i
		}
	}
	return -1
}

// main is the subject that decides whether there is an output (D25).
func (s *Stream) main() int { return max(0, s.keyed()) }

// about lists whom a path is about (D25): the subject that it is bound to, or those whose
// identifier stands there, else all of them if it is personal.
func (s *Stream) about(path string) []int {
	bound := Field{}
	for _, f := range s.Fields {
		if f.Subject != "" && (f.Path == path || above(f.Path, path) && len(f.Path) > len(bound.Path)) {
			bound = f
		}
	}
	if bound.Path != path {
		var of []int
		for i, x := range s.Subjects {
			if contains(x.Paths, path) {
				of = append(of, i)
			}
		}
		if of != nil {
			return of
		}
	}
	return s.whom(bound.Subject, s.category(path))
}

// whom lists whom something is about that is bound to a subject, or to none ("").
func (s *Stream) whom(subject, category string) []int {
	if subject != "" {
		return []int{s.index(subject)}
	}
	if within("system", category) {
		return nil
	}
	var all []int
	for i := range s.Subjects {
		all = append(all, i)
	}
	return all
}

// text is what is to be known of a place besides what stands there: of a field, the
// key or a header.
type text struct {
	category, domain string
	path             string // that encrypt binds a token to
	namespace        bool   // domain is one
	about            []int
}

func (s *Stream) text(category, subject, namespace string) text {
	t := text{category: category, domain: category, about: s.whom(subject, category)}
	if namespace != "" {
		t.domain, t.namespace = namespace, true
	}
	return t
}

// keyText is the record key; nil where outputs have none.
func (s *Stream) keyText() *text {
	if s.Key == nil {
		return nil
	}
	i := s.keyed()
	if i < 0 {
		t := s.text(s.Key.Category, "", s.Key.Namespace)
		t.path = "@key"
		return &t
	}
	x, category := s.Subjects[i], s.Key.Category
	if category == "" && len(x.Paths) > 0 { // all of them have one
		category = s.category(x.Paths[0])
	}
	t := s.text(category, x.Name, x.Namespace)
	t.path, t.about = "@key", nil
	for j, y := range s.Subjects { // those whose identifier is the same text
		same := i == j || x.Header != "" && x.Header == y.Header
		for _, path := range x.Paths {
			same = same || contains(y.Paths, path)
		}
		if same {
			t.about = append(t.about, j)
		}
	}
	return &t
}

// headerText is a header; nil where it is dropped.
func (s *Stream) headerText(name string) *text {
	h, ok := s.Headers[name]
	if !ok {
		return nil
	}
	var of []int
	for i, x := range s.Subjects {
		if x.Header == name && name != "" {
			of = append(of, i)
		}
	}
	if of != nil && h.Namespace == "" {
		h.Namespace = s.Subjects[of[0]].Namespace
	}
	t := s.text(h.Category, h.Subject, h.Namespace)
	if of != nil && h.Subject == "" {
		t.about = of
	}
	t.path = "@header." + name
	return &t
}

// identify finds a subject: every place that the wiring names and the record has
// must name the same one, and of its places in the value one must be there.
func (w *World) identify(s *Stream, i int, in *Input, c *content) (id string, ok, conflict bool) {
	x := s.Subjects[i]
	var places []found
	if len(x.Paths) > 0 && c != nil {
		if places = append(places, c.subjects[i]...); len(places) == 0 {
			return "", false, false
		}
	}
	if in.Key != nil && (x.Key || s.Split == "" && s.Key != nil && s.Key.Subject == x.Name) {
		places = append(places, found{string(in.Key), true})
	}
	for _, h := range in.Headers {
		if x.Header == h.Key && h.Key != "" && h.Value != nil {
			places = append(places, found{string(h.Value), true})
		}
	}
	names := map[string]bool{}
	for _, p := range places {
		name, fine := w.Policy.normalize(x.Namespace, p.text)
		if !fine || !p.ok {
			return "", false, false
		}
		names[name], id = true, name
	}
	return id, len(names) == 1, len(names) > 1
}

// found is an identifier as it stands; ok says that it is a text or an integer.
type found struct {
	text string
	ok   bool
}

// voices are the subjects that permit a purpose, those who consent explicitly, those
// for whom its ground stands, and the tags of those who are known.
type voices struct {
	permit, explicit, ground map[int]bool
	tags                     map[int][]byte
}

// open says that what is about some subjects may be seen behind a treatment's gate,
// once the main subject permits.
func (v voices) open(about []int, main int, t Treatment) bool {
	heard := v.permit
	if t.Ground != "" {
		heard = v.ground
	}
	if t.Explicit {
		heard = v.explicit
	}
	gated := t.gate() != ""
	if gated && len(about) == 0 {
		about = []int{main}
	}
	for _, i := range about {
		if !heard[i] && (gated || i != main) {
			return false
		}
	}
	return true
}
