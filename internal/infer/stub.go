package infer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/policy"
)

// Stub is what a person is to paste into a wiring and complete. Whatever it
// proposes stands in comments.
type Stub struct {
	Source string // what the fields are from: "the schema crm.contacts.avsc"
	Topic  string // "": not named
	Format string // "avro", "json" or "json_schema"
	Schema string // the schema's file as the wiring is to name it, "" for none
	// Added: the stream is in the wiring, and Fields are those that no rule of it
	// classifies. Only their lines are written.
	Added bool
	// Behind is the file of the stream's schema where it lacks some of Fields, so that
	// lint would refuse their lines, and Fetch the command that brings it up to date.
	Behind, Fetch string
	// Split is the path of the elements that Fields are those of, "" for none.
	Split  string
	Policy *policy.Policy // nil: not known
	Fields []Field
	Events int // how many events the fields are from; 0: a schema
}

// unproposed stands where a category is missing. It is none, so that a line that
// is uncommented unread is a finding of lint.
const unproposed = "CATEGORY"

// WriteTo writes the stub as YAML, indented as an entry of streams.
func (s *Stub) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: bufio.NewWriter(w)}
	s.head(c)
	if !s.Added {
		s.stream(c)
	}
	lines := fieldLines(s.Fields, "", s.Events)
	width := commentColumn(lines)
	for _, l := range lines {
		c.printf("      # %s\n", strings.TrimRight(fmt.Sprintf("%-*s # %s", width, l.text, l.comment), " #"))
	}
	s.treatments(c)
	return c.n, cmp.Or(c.err, c.w.Flush())
}

// counter is a writer that remembers its first error.
type counter struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *counter) printf(format string, args ...any) {
	n, err := fmt.Fprintf(c.w, format, args...)
	c.n += int64(n)
	c.err = cmp.Or(c.err, err)
}

func (s *Stub) head(c *counter) {
	proposed := 0
	for _, f := range s.Fields {
		if f.Category != "" {
			proposed++
		}
	}
	c.printf("  # From %s: %s,\n  # %d with a proposed category.", s.Source, fieldCount(len(s.Fields)), proposed)
	if s.Added {
		c.printf(" These lines go below fields: of %s.", s.Topic)
	}
	c.printf("\n  # Proposals are guesses and count for nothing: a line counts once you have read\n")
	c.printf("  # it and taken its \"# \" away. What has no line is withheld.\n")
	if s.Behind != "" {
		c.printf("  # %s is older: lint refuses the lines of\n", s.Behind)
		c.printf("  # fields that it does not have. This brings it up to date:\n  #   %s\n", s.Fetch)
	}
}

func fieldCount(n int) string {
	if n == 1 {
		return "1 field"
	}
	return fmt.Sprintf("%d fields", n)
}

// stream writes what a stream needs besides fields.
func (s *Stub) stream(c *counter) {
	c.printf("  - format: %s\n", s.Format)
	if s.Topic == "" {
		c.printf("    # topic: TOPIC\n")
	} else {
		c.printf("    topic: %s\n", value(s.Topic))
	}
	if s.Schema != "" {
		c.printf("    schema: %s   # relative to the wiring\n", value(s.Schema))
	}
	c.printf("    # purposes: [%s]\n", s.purposes())
	if s.Split != "" {
		c.printf("    split: {path: %s}   # each element is a record with its own subject\n", flow(s.Split))
	}
	s.subjects(c)
	s.eventTime(c)
	c.printf("    fields:\n")
}

func (s *Stub) purposes() string {
	if s.Policy == nil {
		return "PURPOSE"
	}
	return strings.Join(s.Policy.PurposeIDs(), ", ")
}

// subjectCategories are the categories of identifiers, the likeliest first.
var subjectCategories = []string{"user.unique_id", "user.contact.email", "user.contact.phone_number", "user.unique_id.pseudonymous",
	"user.device.cookie_id", "user.device.device_id"}

// maxChoices is how many fields are offered for one thing.
const maxChoices = 4

func (s *Stub) subjects(c *counter) {
	var paths []string
	for _, category := range subjectCategories {
		for _, f := range s.Fields {
			if f.Category == category && f.Once && !f.outer {
				paths = append(paths, f.Path.String())
			}
		}
	}
	if len(paths) == 0 {
		c.printf("    # subjects: {NAME: {namespace: %s, path: PATH}}   # nothing looks like an identifier\n", s.namespaces())
	}
	for i, path := range paths[:min(len(paths), maxChoices)] {
		comment := "proposed: whose data a record is"
		if i > 0 {
			comment = "or"
		}
		c.printf("    # subjects: {customer: {namespace: %s, path: %s}}   # %s\n", s.namespaces(), flow(path), comment)
	}
}

func (s *Stub) namespaces() string {
	if s.Policy == nil || len(s.Policy.Namespaces) != 1 {
		return "NAMESPACE"
	}
	return s.Policy.Namespaces[0].Name
}

func (s *Stub) eventTime(c *counter) {
	n := 0
	for _, f := range s.Fields {
		if f.Time == "" || !f.Once || f.Category != "system.operations" || n == maxChoices {
			continue
		}
		comment := "proposed: when it happened"
		if n++; n > 1 {
			comment = "or"
		}
		switch path := f.Path.String(); f.Time {
		case "text":
			c.printf("    # event_time: %s   # %s\n", value(path), comment)
		case "?":
			c.printf("    # event_time: {path: %s, unit: UNIT}   # %s; unit is s, ms or us\n", flow(path), comment)
		default:
			c.printf("    # event_time: {path: %s, unit: %s}   # %s\n", flow(path), f.Time, comment)
		}
	}
}

// line is a line of the fields: `path: category` and what is said of it.
type line struct{ text, comment string }

func fieldLines(fields []Field, indent string, events int) []line {
	var out []line
	for _, f := range fields {
		if f.Encoding == "" {
			out = append(out, line{indent + scalar(f.Path.String()) + ": " + cmp.Or(f.Category, unproposed), f.comment(events)})
			continue
		}
		out = append(out, line{indent + scalar(f.Path.String()) + ":", f.comment(events)})
		deeper := indent + "  "
		if f.Encoding != "json" {
			out = append(out, line{deeper + f.Encoding + ":", ""})
			deeper += "  "
		}
		out = append(out, line{deeper + "json:", ""})
		out = append(out, fieldLines(f.Inside, deeper+"  ", events)...)
	}
	return out
}

// comment is what is said of a field: why the category, which types, how often.
func (f *Field) comment(events int) string {
	proposed := "nothing proposed"
	switch {
	case f.Encoding != "":
		proposed = "proposed: to be read inside"
	case f.Category != "":
		proposed = "proposed: " + strings.Join(f.Because, "; ")
	}
	parts := []string{proposed, strings.Join(f.Types, ", ")}
	if f.Events > 0 {
		parts = append(parts, fmt.Sprintf("in %d of %d events", f.Events, events))
	}
	return strings.Join(append(parts, f.Notes...), " | ")
}

// commentColumn is where comments begin: after most of the lines.
func commentColumn(lines []line) int {
	width := 0
	for _, l := range lines {
		if n := len([]rune(l.text)); n <= 56 {
			width = max(width, n)
		}
	}
	return width
}

// treatments says what each purpose would do with what is proposed.
func (s *Stub) treatments(c *counter) {
	categories := s.categories(s.Fields)
	if s.Policy == nil || len(categories) == 0 {
		return
	}
	c.printf("  # What the policy does with these categories:\n")
	for _, category := range categories {
		c.printf("  #   %s:", category)
		for i := range s.Policy.Purposes {
			p, sep := &s.Policy.Purposes[i], ";"
			if i == len(s.Policy.Purposes)-1 {
				sep = ""
			}
			c.printf(" %s %s%s", p.ID, treatmentOf(p, category), sep)
		}
		c.printf("\n")
	}
}

func (s *Stub) categories(fields []Field) []string {
	var out []string
	for _, f := range fields {
		if f.Category != "" && f.Encoding == "" {
			out = append(out, f.Category)
		}
		out = append(out, s.categories(f.Inside)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// treatmentOf is the name of what a purpose does with a category.
func treatmentOf(p *policy.Purpose, category string) string {
	r, ok := p.Rule(category)
	switch {
	case !ok:
		return "drop"
	case r.Gate() != 0:
		return r.Treatment.Name + " (gated)"
	}
	return r.Treatment.Name
}

// plainScalar is text that YAML reads as that text, in block style.
var plainScalar = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$.~\[\]*="/-]*$`)

// scalar writes text as a YAML key or value of block style.
func scalar(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainScalar.MatchString(text) {
			return text
		}
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// value writes text as a YAML value of block style, where ${ would be a variable.
func value(text string) string { return scalar(strings.ReplaceAll(text, "${", "$${")) }

// flow writes text as a YAML value between braces.
func flow(text string) string {
	text = strings.ReplaceAll(text, "${", "$${")
	if strings.ContainsAny(text, "[]{},*") {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return scalar(text)
}
