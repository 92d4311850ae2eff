package infer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Sample is what sample events look like: positions, and no value of any.
type Sample struct {
	Events int
	// Listed: the input was one array, whose elements are the events.
	Listed bool
	// Cut counts values that were not noted because there are too many
	// positions, or because they lie too deep in an encoding.
	Cut int

	root      *node
	positions int
}

// InputError says where an input is not what is read. It quotes nothing of it.
type InputError struct {
	Line    int // from 1
	Column  int // from 1, in bytes; 0 where it is not known
	Message string
}

func (e *InputError) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// Bounds of one event.
const (
	maxEvent   = 16 << 20
	maxDepth   = 64
	maxEntries = 100_000
)

// Read reads events: JSON objects or arrays one after the other (NDJSON, or over
// several lines each), or one array whose elements are the events. The error is
// an *InputError, or that of r.
func Read(r io.Reader) (*Sample, error) {
	buffered := bufio.NewReader(r)
	if mark, _ := buffered.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = buffered.Discard(3)
	}
	in := &source{r: buffered, lines: []int64{0}}
	s := &Sample{root: new(node), positions: 1}
	w := &walker{sample: s, dec: jsontext.NewDecoder(in), in: in}
	documents := 0
	for ; ; documents++ {
		err := w.document()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, w.place(err)
		}
	}
	s.Events = w.event
	s.finish(documents)
	return s, nil
}

// finish settles what only the end of the input tells.
func (s *Sample) finish(documents int) {
	if s.root.kinds&isArray != 0 && documents == 1 {
		s.Listed = true
		if s.root = s.root.elements; s.root == nil {
			s.root = new(node)
		}
	}
	s.settle(s.root)
}

// walker reads tokens into a sample.
type walker struct {
	sample *Sample
	dec    *jsontext.Decoder
	in     *source // nil inside a string
	inside int     // in so many strings
	event  int     // number of the event, from 1
	start  int64   // where it starts
	last   string  // the string that was read last, if it is short
}

var (
	errDepth    = errors.New("more than 64 levels: run refuses such a record")
	errEntries  = errors.New("more than 100,000 members in one object")
	errTooLong  = errors.New("an event of more than 16 MiB")
	errTopLevel = errors.New("an event is an object or an array")
)

// next begins an event.
func (w *walker) next() {
	w.event++
	w.start = w.dec.InputOffset()
}

// document reads one value of the top level. The elements of an array are events
// each as to their bounds and counts, since the array may be the whole input.
func (w *walker) document() error {
	switch w.dec.PeekKind() {
	case '{':
		w.next()
		return w.value(w.sample.root, 0)
	case '[':
		w.start = w.dec.InputOffset()
		return w.array(w.sample.root, 0)
	case 0:
		_, err := w.token()
		return err
	}
	return errTopLevel
}

func (w *walker) token() (jsontext.Token, error) {
	t, err := w.dec.ReadToken()
	if w.in == nil {
		return t, err
	}
	w.in.consumed = w.dec.InputOffset()
	if err == nil && w.in.consumed-w.start > maxEvent {
		err = errTooLong
	}
	return t, err
}

// value reads a value into n; n nil drops it.
func (w *walker) value(n *node, depth int) error {
	switch w.dec.PeekKind() {
	case '{':
		return w.object(n, depth, nil)
	case '[':
		return w.array(n, depth)
	}
	t, err := w.token()
	if err != nil || n == nil {
		return err
	}
	w.scalar(n, t)
	return nil
}

func (w *walker) scalar(n *node, t jsontext.Token) {
	switch t.Kind() {
	case 'n':
		n.count(isNull, w.event)
	case 't', 'f':
		n.count(isBool, w.event)
	case '0':
		n.count(isNumber, w.event)
		n.shapes[numberShape(t.String())]++
	case '"':
		n.count(isString, w.event)
		w.text(n, t.String())
	}
}

// text notes a string, and looks into it where it is an encoding.
func (w *walker) text(n *node, text string) {
	if len(text) <= maxPlainName {
		w.last = text
	}
	shape := ShapeOf(text)
	if strings.TrimSpace(text) != "" {
		n.shapes[shape]++
	}
	if shape != Email && len(text) <= maxDecoded && emailIn.MatchString(text) {
		n.holds++
	}
	switch {
	case w.inside == maxInside:
	case shape == JSONText:
		w.encoded(&n.inside, text)
	case shape == Base64JSON:
		plain, _ := fromBase64(text)
		n.url = n.url || isBase64URL(text)
		w.encoded(&n.decoded, plain)
	}
}

// encoded looks into text that is JSON; where that lies too deep it is left.
func (w *walker) encoded(at **node, text string) {
	n := w.sample.child(at)
	if n == nil {
		return
	}
	in := &walker{sample: w.sample, dec: jsontext.NewDecoder(strings.NewReader(text)), inside: w.inside + 1, event: w.event}
	if err := in.value(n, 0); err != nil {
		w.sample.Cut++
	}
}

// object reads an object into n. Where it is an element, entry learns what its
// key is.
func (w *walker) object(n *node, depth int, entry *variant) error {
	if depth == maxDepth {
		return errDepth
	}
	if _, err := w.token(); err != nil {
		return err
	}
	if n != nil {
		n.count(isObject, w.event)
		n.objects++
	}
	for i := 0; w.dec.PeekKind() != '}'; i++ {
		if i == maxEntries {
			return errEntries
		}
		name, err := w.token()
		if err != nil {
			return err
		}
		if err := w.member(n, name.String(), depth, entry); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

func (w *walker) member(n *node, name string, depth int, entry *variant) error {
	if n == nil {
		return w.value(nil, depth+1)
	}
	w.last = ""
	err := w.value(w.sample.member(n, name), depth+1)
	if entry != nil {
		entry.learn(name, w.last)
	}
	return err
}

func (w *walker) array(n *node, depth int) error {
	if depth == maxDepth {
		return errDepth
	}
	if _, err := w.token(); err != nil {
		return err
	}
	if n != nil {
		n.count(isArray, w.event)
	}
	for w.dec.PeekKind() != ']' {
		if depth == 0 && w.inside == 0 {
			w.next()
		}
		if err := w.element(n, depth); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// element reads an element. An object is read by itself first: what it has in
// key says whether it is an entry of its own. An event is none.
func (w *walker) element(n *node, depth int) error {
	if n == nil {
		return w.value(nil, depth+1)
	}
	event := depth == 0 && w.inside == 0
	if event || w.dec.PeekKind() != '{' || w.sample.positions >= maxPositions {
		return w.value(w.sample.child(&n.elements), depth+1)
	}
	w.sample.positions++
	entry := variant{node: new(node)}
	if err := w.object(entry.node, depth+1, &entry); err != nil {
		return err
	}
	w.sample.element(n, entry)
	return nil
}

// place says where err is, in words that quote nothing.
func (w *walker) place(err error) error {
	unread := w.dec.UnreadBuffer()
	at := w.dec.InputOffset() + int64(len(unread)-len(bytes.TrimLeft(unread, " \t\r\n:,")))
	message := err.Error()
	var syntax *jsontext.SyntacticError
	switch {
	case w.in.err != nil && !errors.Is(w.in.err, errTooLong):
		return w.in.err
	case w.in.err != nil:
		message = errTooLong.Error()
	case errors.As(err, &syntax):
		at, message = syntax.ByteOffset, syntaxMessage(syntax)
	}
	line, column := w.in.position(at)
	return &InputError{Line: line, Column: column, Message: message}
}

func syntaxMessage(err *jsontext.SyntacticError) string {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a member name twice in one object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the input ends in the middle of a value"
	}
	return "not valid JSON (RFC 8259)"
}

// source is a reader that knows lines, and that ends where a decoder would
// remember more than an event.
type source struct {
	r        io.Reader
	read     int64
	consumed int64
	err      error   // what ended it, other than io.EOF
	first    int     // line number of lines[0], from 0
	lines    []int64 // where the last lines begin
}

// maxLines is how many beginnings of lines are remembered: more than a decoder
// reads ahead.
const maxLines = 1 << 17

func (s *source) Read(p []byte) (int, error) {
	if s.read-s.consumed > maxEvent {
		s.err = errTooLong
		return 0, s.err
	}
	n, err := s.r.Read(p[:min(len(p), 64<<10)])
	for i, c := range p[:n] {
		if c == '\n' {
			s.lines = append(s.lines, s.read+int64(i)+1)
		}
	}
	if len(s.lines) > 2*maxLines {
		over := len(s.lines) - maxLines
		s.first += over
		s.lines = slices.Delete(s.lines, 0, over)
	}
	s.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// position is the line and column of an offset.
func (s *source) position(at int64) (line, column int) {
	i, found := slices.BinarySearch(s.lines, at)
	if !found {
		i--
	}
	if i < 0 {
		return s.first + 1, 0
	}
	return s.first + i + 1, int(at-s.lines[i]) + 1
}
