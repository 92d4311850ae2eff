package configs

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/policy"
)

// scalar is one value after its references were replaced.
type scalar struct {
	item
	text    string
	literal bool // all of it stands in the file
}

// refers reports whether the value holds a reference.
func (s scalar) refers() bool { return strings.Contains(s.node.Value, "${") }

// isText reports whether the value is quoted or a block scalar, and so is text
// whatever it looks like. References need quotes inside {} and [], so their type is
// that of what they expand to.
func (s scalar) isText() bool { return s.node.Style&^yaml.FlowStyle != 0 && !s.refers() }

// shown is how messages give the value: what stands in the file, never what a
// reference stands for.
func (s scalar) shown() string {
	if s.refers() {
		return "the value of " + s.name
	}
	return quote(s.node.Value)
}

// scalar reads a single value that is not null.
func (l *loader) scalar(it item) (scalar, bool) {
	switch {
	case it.node.Kind == yaml.AliasNode:
		return scalar{}, false
	case it.node.Kind != yaml.ScalarNode:
		l.report(it.place(), "", "%s must be a single value, not %s", it.name, shapeOf(it.node))
		return scalar{}, false
	case it.node.Tag == "!!null":
		l.report(it.keyPlace(), "", "%s has no value", it.name)
		return scalar{}, false
	}
	text, literal, problem := l.expand(it.node.Value, it.dir)
	if problem != "" {
		l.report(it.place(), "", "%s", problem)
		return scalar{}, false
	}
	return scalar{item: it, text: text, literal: literal}, true
}

// text reads a text that is not empty. Plain numbers are taken as they are
// written; plain booleans and dates are refused, since YAML readers differ on
// what is one.
func (l *loader) text(it item) (scalar, bool) {
	s, ok := l.scalar(it)
	switch {
	case !ok:
		return s, false
	case it.node.Tag == "!!bool" || it.node.Tag == "!!timestamp":
		l.report(it.place(), "", "%s must be text; put quotes around it", it.name)
	case s.text == "":
		l.report(it.place(), "", "%s is empty", it.name)
	case strings.ContainsFunc(s.text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		l.report(it.place(), "", "%s holds a control character", it.name)
	default:
		return s, true
	}
	return s, false
}

// textAt returns a word and its text; ok is false where it is missing or no text,
// which is reported.
func (o object) textAt(name string) (it item, s scalar, ok bool) {
	if it, ok = o.items[name]; ok {
		s, ok = o.l.text(it)
	}
	return it, s, ok
}

// text returns the text of a word, "" where it is missing.
func (o object) text(name string) string {
	if _, s, ok := o.textAt(name); ok {
		return s.text
	}
	return ""
}

// matching is text that must match a pattern; want says so for people.
func (o object) matching(name, fallback string, pattern *regexp.Regexp, want string) string {
	it, s, ok := o.textAt(name)
	if !ok {
		return fallback
	}
	if !pattern.MatchString(s.text) {
		o.l.report(it.place(), "", "%s must be %s, not %s", it.name, want, s.shown())
		return fallback
	}
	return s.text
}

// choice reads one of a few words; later lists words of the design that are
// refused as not supported yet.
func (o object) choice(name, fallback string, choices, later []string) string {
	it, ok := o.items[name]
	if !ok {
		return fallback
	}
	s, ok := o.l.scalar(it)
	switch {
	case !ok:
	case slices.Contains(choices, s.text):
		return s.text
	case slices.Contains(later, s.text):
		o.l.report(it.place(), "", "%s: %s is not supported yet", it.name, s.shown())
	default:
		o.l.report(it.place(), s.nearest(choices), "%s must be %s, not %s", it.name, either(choices), s.shown())
	}
	return fallback
}

// nearest is policy.Nearest for what stands in the file; what a reference stands for
// gets no suggestion, since that would tell about it.
func (s scalar) nearest(words []string) string {
	if s.refers() {
		return ""
	}
	return policy.Nearest(s.text, words)
}

// either joins words as "a, b or c".
func either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// integer reads decimal digits within [low, high].
func (o object) integer(name string, fallback, low, high int64) int64 {
	it, ok := o.items[name]
	if !ok {
		return fallback
	}
	n, ok := o.l.integer(it, low, high)
	if !ok {
		return fallback
	}
	return n
}

func (l *loader) integer(it item, low, high int64) (int64, bool) {
	s, ok := l.scalar(it)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(s.text, 10, 64)
	switch {
	case s.isText():
		l.report(it.place(), "", "%s must be an integer in decimal digits, without quotes", it.name)
	case !decimal.MatchString(s.text):
		l.report(it.place(), "", "%s must be an integer in decimal digits, not %s", it.name, s.shown())
	case err != nil && n > 0 && high == math.MaxInt64:
		l.report(it.place(), "", "%s must be at most %d", it.name, high)
	case err != nil || n < low || n > high:
		l.report(it.place(), "", "%s must be %s", it.name, bounds(low, high))
	default:
		return n, true
	}
	return 0, false
}

func bounds(low, high int64) string {
	if low == high {
		return strconv.FormatInt(low, 10)
	}
	if high == math.MaxInt64 {
		return "at least " + strconv.FormatInt(low, 10)
	}
	return "from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10)
}

// boolean reads true or false.
func (o object) boolean(name string) bool {
	it, ok := o.items[name]
	if !ok {
		return false
	}
	s, ok := o.l.scalar(it)
	if !ok {
		return false
	}
	switch {
	case s.isText():
		o.l.report(it.place(), "", "%s must be true or false, without quotes", it.name)
	case s.text != "true" && s.text != "false":
		o.l.report(it.place(), "", "%s must be true or false, not %s", it.name, s.shown())
	}
	return s.text == "true"
}

var (
	durationText  = regexp.MustCompile(`^([0-9]{1,15})(ms|s|m|h|d)$`)
	durationUnits = map[string]int64{"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
)

// maxDuration is a hundred years: instants plus durations stay far below
// consent.Infinite.
const maxDuration = 36_525 * 86_400_000

// duration reads a duration in ms; 0 for none.
func (o object) duration(name string) int64 {
	it, ok := o.items[name]
	if !ok {
		return 0
	}
	s, ok := o.l.scalar(it)
	if !ok {
		return 0
	}
	m := durationText.FindStringSubmatch(s.text)
	if m == nil {
		o.l.report(it.place(), "", "%s must be a duration: a whole number and ms, s, m, h or d, such as 90d; not %s", it.name, s.shown())
		return 0
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // 15 digits fit
	unit := durationUnits[m[2]]
	if n == 0 || n > maxDuration/unit {
		o.l.report(it.place(), "", "%s must be more than 0 and at most 36525d", it.name)
		return 0
	}
	return n * unit
}

// texts reads a list of different texts.
func (o object) texts(name string) []scalar {
	it, ok := o.items[name]
	if !ok {
		return nil
	}
	elements, ok := o.l.list(it)
	if !ok {
		return nil
	}
	if len(elements) == 0 {
		o.l.report(it.place(), "", "%s is empty", it.name)
	}
	var out []scalar
	seen := map[string]bool{}
	for _, e := range elements {
		s, ok := o.l.text(e)
		switch {
		case !ok:
		case seen[s.text]:
			o.l.report(e.place(), "", "%s is here twice in %s", s.shown(), it.name)
		default:
			seen[s.text] = true
			out = append(out, s)
		}
	}
	return out
}
