package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"go.yaml.in/yaml/v4"
)

// loader collects findings while the files are read.
type loader struct {
	env      func(string) (string, bool)
	read     func(string) ([]byte, error)
	findings []located
	count    int // errors so far, those beyond maxFindings too
	files    []string
	places   map[string]place // by address: see engine.Finding.At
}

// located is a finding whose excerpt is not cut yet: what must be hidden is
// known only when everything was read.
type located struct {
	Finding
	src *source
}

// item is a value in a file: of a mapping's word, of a list, or a root.
type item struct {
	at   string // "streams[0].fields[contact_id]"
	name string // how messages call it
	src  *source
	dir  string     // directory of the file, for paths
	key  *yaml.Node // nil in lists and at a root
	node *yaml.Node
}

func (it item) place() place { return place{it.src, it.node.Line, it.node.Column} }

func (it item) keyPlace() place {
	if it.key == nil {
		return it.place()
	}
	return place{it.src, it.key.Line, it.key.Column}
}

// maxFindings bounds what is collected: nobody reads more, and a file of noise
// must not take long.
const maxFindings = 1000

// report adds an error at p.
func (l *loader) report(p place, near, format string, args ...any) {
	l.count++
	l.add(p, Error, near, fmt.Sprintf(format, args...))
}

// warn adds a warning at p.
func (l *loader) warn(p place, format string, args ...any) {
	l.add(p, Warning, "", fmt.Sprintf(format, args...))
}

// add keeps the first maxFindings.
func (l *loader) add(p place, s Severity, near, message string) {
	if len(l.findings) >= maxFindings && (s == Warning || l.count > 1) { // the first error always has a place
		return
	}
	l.findings = append(l.findings, located{Finding{
		File: p.src.name, Line: max(p.line, 1), Col: max(p.col, 1), Severity: s, Message: message, Nearest: near,
	}, p.src})
}

// errors counts the errors so far; comparing two counts says whether what was
// read between them is sound.
func (l *loader) errors() int { return l.count }

// open reads and parses a file; p is where it is named. The caller gets its
// root mapping, or false.
func (l *loader) open(path, dir string, named *place) (item, bool) {
	src := newSource(path, nil)
	text, err := l.read(path)
	l.files = append(l.files, path)
	if err != nil {
		if named == nil {
			named = &place{src, 1, 1}
		}
		problem := readProblem(err)
		if path == DefaultFile && errors.Is(err, fs.ErrNotExist) {
			problem += "; name another one with -c FILE"
		}
		l.report(*named, "", "the file cannot be read: %s", problem)
		return item{}, false
	}
	src = newSource(path, text)
	if f := src.parse(text); f != nil {
		src.root, src.unfinished = nil, f.from
		src.hint(f)
		l.report(place{src, f.line, f.col}, "", "%s", f.message)
		return item{}, false
	}
	root := item{name: "the file", src: src, dir: dir, node: src.root}
	l.vet(src)
	return root, true
}

// readProblem says why a file cannot be read, without its path: that may have
// come from a variable.
func readProblem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "no permission"
	case errors.Is(err, syscall.EISDIR):
		return "it is a directory"
	}
	return "reading failed"
}

// vet refuses what YAML can do and these files must not.
func (l *loader) vet(src *source) {
	for _, n := range src.order {
		p := place{src, n.Line, n.Column}
		switch {
		case n.Kind == yaml.AliasNode:
			l.report(p, "", "aliases are refused: write the value out")
		case n.Anchor != "":
			l.report(p, "", "anchors are refused: write the value out where it is needed")
		case n.Tag == "!!merge":
			l.report(p, "", "merge keys are refused: write the words out")
		case n.Style&yaml.TaggedStyle != 0:
			l.report(p, "", "explicit tags are refused")
		}
	}
}

// object is an opened mapping with a fixed list of words.
type object struct {
	l     *loader
	it    item
	items map[string]item
}

// object opens a mapping: each word once, known, and none missing.
func (l *loader) object(it item, s section) (object, bool) {
	entries, ok := l.entries(it, s.secrets())
	if !ok {
		return object{}, false
	}
	o := object{l: l, it: it, items: make(map[string]item, len(entries))}
	for _, e := range entries {
		w, known := s.find(e.key.Value)
		e.name, e.at = quote(e.key.Value), join(it.at, e.key.Value)
		switch {
		case known && w.later:
			l.report(e.keyPlace(), "", "%q in %s is not supported yet", w.name, s.name)
		case !known:
			l.report(e.keyPlace(), nearestWord(e.key.Value, s.names()), "unknown word %s in %s", quote(e.key.Value), s.name)
		default:
			l.places[e.at] = e.keyPlace()
			if e.node.Kind == yaml.ScalarNode {
				l.places[e.at] = e.place()
			}
			o.items[w.name] = e
		}
		if w.secret || !known && (s.secrets() || e.node.Kind != yaml.ScalarNode) {
			e.src.hideAll(e.node) // an unknown map may be a section with a password
		}
	}
	l.requireWords(o, s)
	return o, true
}

// requireWords reports the required words that are missing.
func (l *loader) requireWords(o object, s section) {
	for _, w := range s.words {
		if _, ok := o.items[w.name]; w.required && !ok {
			l.report(o.it.keyPlace(), "", "%s needs the word %q", s.name, w.name)
		}
	}
}

// entries lists a mapping in the file's order; a key that comes twice is
// reported and left out. The addresses are those of free keys: "at[key]".
func (l *loader) entries(it item, secrets bool) ([]item, bool) {
	if it.node.Kind == yaml.AliasNode { // reported by vet
		return nil, false
	}
	if it.node.Kind != yaml.MappingNode {
		l.report(it.place(), "", "%s must be a map, not %s", it.name, shapeOf(it.node))
		return nil, false
	}
	var out []item
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(it.node.Content); i += 2 {
		key, value := it.node.Content[i], it.node.Content[i+1]
		e := item{at: it.at + "[" + key.Value + "]", name: quote(key.Value), src: it.src, dir: it.dir, key: key, node: value}
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || key.Tag == "!!null" {
			l.badKey(e)
			continue
		}
		if f, twice := first[key.Value]; twice {
			l.report(e.keyPlace(), "", "%s is here twice; the first is on line %d", quote(key.Value), f.Line)
			if secrets {
				e.src.hideAll(e.node)
			}
			continue
		}
		first[key.Value] = key
		out = append(out, e)
	}
	return out, true
}

// badKey adds an error for a key that is not text; vet reports merge keys and aliases.
func (l *loader) badKey(e item) {
	if e.key.Kind != yaml.AliasNode && e.key.Tag != "!!merge" {
		l.report(e.keyPlace(), "", "a key must be text, not %s", shapeOf(e.key))
	}
}

// list lists a sequence.
func (l *loader) list(it item) ([]item, bool) {
	if it.node.Kind == yaml.AliasNode {
		return nil, false
	}
	if it.node.Kind != yaml.SequenceNode {
		mend := ""
		if it.node.Kind == yaml.ScalarNode {
			mend = ": put [] around it"
		}
		l.report(it.place(), "", "%s must be a list, not %s%s", it.name, shapeOf(it.node), mend)
		return nil, false
	}
	out := make([]item, len(it.node.Content))
	for i, n := range it.node.Content {
		at := fmt.Sprintf("%s[%d]", it.at, i)
		out[i] = item{at: at, name: "an element of " + it.name, src: it.src, dir: it.dir, node: n}
		l.places[at] = out[i].place()
	}
	return out, true
}

// join makes the address of a word.
func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// shapeOf says what a node is, for people.
func shapeOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return "a single value"
	}
	return "an alias"
}

// quote shows a text of the files in a message, in bounded length.
func quote(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
