package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// field is one position of a record, flattened: "address.city".
type field struct{ path, value string }

// flatten lists the scalars of a JSON record in its own order; an array is shown
// as one value. Avro's union wrappers ({"string": "x"}) are taken off.
func flatten(text []byte) ([]field, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out []field
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	err := flattenObject(d, "", &out)
	return out, err
}

// flattenObject reads members up to the end of the object.
func flattenObject(d *json.Decoder, prefix string, out *[]field) error {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		path := prefix + fmt.Sprint(name)
		if isBranch(fmt.Sprint(name)) && prefix != "" {
			path = strings.TrimSuffix(prefix, ".")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if err := flattenValue(raw, path, out); err != nil {
			return err
		}
	}
	return nil
}

func flattenValue(raw json.RawMessage, path string, out *[]field) error {
	if raw[0] != '{' {
		*out = append(*out, field{path, strings.Trim(string(raw), `"`)})
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	return flattenObject(d, path+".", out)
}

// isBranch recognises the branch names of Avro's JSON encoding.
func isBranch(name string) bool {
	switch name {
	case "string", "int", "long", "double", "bytes", "bytes.decimal", "int.date", "boolean":
		return true
	}
	return strings.HasPrefix(name, "crm.")
}

// column is one purpose's view of a record, or the input.
type column struct {
	title  string
	note   string // below the title: a decision
	fields []field
	denied bool
}

// nameWidth is that of the field names; the columns share the rest.
const nameWidth = 20

// minCell keeps a table readable where the terminal is narrower than 70.
const minCell = 9

// writeTable shows columns side by side, one field a line.
func writeTable(w io.Writer, st style, width int, cols []column) {
	cell := max(minCell, (width-nameWidth)/len(cols)-3)
	titles := make([]string, len(cols))
	notes := make([]string, len(cols))
	for i, c := range cols {
		titles[i], notes[i] = c.title, c.note
	}
	writeHead(w, cell, titles, st.bold)
	writeHead(w, cell, notes, st.dim)
	fmt.Fprintln(w, strings.Repeat("─", nameWidth+len(cols)*(cell+3)))
	for _, path := range paths(cols) {
		cells := make([]string, len(cols))
		for i, c := range cols {
			cells[i] = c.cell(path)
		}
		writeRow(w, cell, path, cells, nil)
	}
}

// writeHead writes cells that are not cut, on as many lines as they take.
func writeHead(w io.Writer, cell int, cells []string, paint func(string) string) {
	rest := slices.Clone(cells)
	for strings.Join(rest, "") != "" {
		line := make([]string, len(rest))
		for i, text := range rest {
			line[i], rest[i] = wrap(text, cell)
		}
		writeRow(w, cell, "", line, paint)
	}
}

// wrap splits text before width characters, behind the last separator of words
// and names if it has one there.
func wrap(text string, width int) (line, rest string) {
	if len(text) <= width { // ASCII: names and codes
		return text, ""
	}
	cut := strings.LastIndexAny(text[:width], " _.") + 1
	if cut == 0 {
		cut = width
	}
	return strings.TrimRight(text[:cut], " "), text[cut:]
}

// paths lists all fields that some column has, in the input's order.
func paths(cols []column) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range cols {
		for _, f := range c.fields {
			// A redacted record is null as a whole where the input has members.
			if !seen[f.path] && !hasBelow(cols[0].fields, f.path) {
				seen[f.path] = true
				out = append(out, f.path)
			}
		}
	}
	return out
}

func hasBelow(fields []field, path string) bool {
	for _, f := range fields {
		if strings.HasPrefix(f.path, path+".") {
			return true
		}
	}
	return false
}

// cell is what a column shows of a field: "·" where it does not have it.
func (c column) cell(path string) string {
	if c.denied {
		return ""
	}
	for _, f := range c.fields {
		if f.path == path || f.value == "null" && strings.HasPrefix(path, f.path+".") {
			return f.value
		}
	}
	return "·"
}

func writeRow(w io.Writer, cell int, name string, cells []string, paint func(string) string) {
	var b strings.Builder
	b.WriteString(pad(name, nameWidth))
	for _, c := range cells {
		text := pad(c, cell)
		if paint != nil {
			text = paint(text)
		}
		b.WriteString(" │ " + text)
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// pad cuts or fills text to a width in characters.
func pad(s string, width int) string {
	n := utf8.RuneCountInString(s)
	if n > width {
		r := []rune(s)
		return string(r[:width-1]) + "…"
	}
	return s + strings.Repeat(" ", width-n)
}

// page is what the story is written on. After an error nothing is written.
type page struct {
	to  io.Writer
	err error
}

func (p *page) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.to.Write(b)
	p.err = err
	return n, err
}

// style colours text on a terminal; the zero style leaves it plain.
type style struct{ colour bool }

func (s style) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.paint("1", text) }
func (s style) dim(text string) string  { return s.paint("2", text) }
