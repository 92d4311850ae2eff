package eval

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consentstream/consentstream/engine"
)

// maxLine bounds a line: what is longer is not a record of any broker.
const maxLine = 64 << 20

// lineReader reads lines of any length up to maxLine. Lines stay valid.
type lineReader struct {
	r *bufio.Reader
	n int64 // number of the line read last, from 1
}

// next returns a line without its end, and io.EOF after the last one. An empty
// last line is the end of the file, an empty line before it is a record.
func (l *lineReader) next() ([]byte, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", l.n+1, maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (err != io.EOF || len(line) == 0) {
			return nil, err
		}
		l.n++
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if line == nil {
			line = []byte{}
		}
		return line, nil
	}
}

// input is a record as read. raw says that the value is bytes as on the wire.
type input struct {
	engine.Input
	raw bool
}

// recordLine is what a --records line says.
type recordLine struct {
	key         *string
	headers     map[string]string
	timestamp   string
	value       jsontext.Value // nil: there is none
	valueBase64 *string
}

func (rec *recordLine) members() map[string]any {
	return map[string]any{"key": &rec.key, "headers": &rec.headers, "timestamp": &rec.timestamp, "value": &rec.value, "value_base64": &rec.valueBase64}
}

func (r *runner) input(line []byte) (input, error) {
	in := input{Input: engine.Input{Timestamp: r.cfg.At}}
	if !r.cfg.Records {
		in.Value = line
		return in, nil
	}
	var rec recordLine
	if err := decodeMembers(line, rec.members()); err != nil {
		return in, errors.New(`is not {"key": …, "headers": {…}, "timestamp": "…", "value": …} (the value may be value_base64)`)
	}
	if err := in.fill(&rec); err != nil {
		return in, err
	}
	return in, nil
}

func (in *input) fill(rec *recordLine) error {
	if rec.key != nil {
		in.Key = []byte(*rec.key)
	}
	for name, v := range rec.headers {
		in.Headers = append(in.Headers, engine.Header{Key: name, Value: []byte(v)})
	}
	slices.SortFunc(in.Headers, func(a, b engine.Header) int { return strings.Compare(a.Key, b.Key) })
	if rec.timestamp != "" {
		t, err := time.Parse(time.RFC3339, rec.timestamp)
		if err != nil {
			return errors.New("timestamp is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z")
		}
		in.Timestamp = t.UnixMilli()
	}
	switch {
	case rec.valueBase64 != nil && rec.value != nil:
		return errors.New("has both value and value_base64")
	case rec.valueBase64 != nil:
		b, err := base64.StdEncoding.DecodeString(*rec.valueBase64)
		if err != nil {
			return errors.New("value_base64 is not base64 (RFC 4648, with padding)")
		}
		in.Value, in.raw = append([]byte{}, b...), true
	case rec.value == nil:
		return errors.New(`has no value (a tombstone is "value": null)`)
	case !bytes.Equal(rec.value, []byte("null")):
		in.Value = rec.value
	}
	return nil
}

// errNoObject stands for all that is wrong with a line; whoever knows what the
// line should be says so.
var errNoObject = errors.New("not one JSON object with these members, each at most once")

// decodeMembers reads one JSON object whose members are those of into, each at
// most once and spelled as there. A *jsontext.Value keeps its bytes as they are,
// those of a record that is at fault too; all else is strict.
func decodeMembers(line []byte, into map[string]any) error {
	d := jsontext.NewDecoder(bytes.NewReader(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errNoObject
	}
	seen := map[string]bool{}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return errNoObject
		}
		name := t.String()
		to, known := into[name]
		raw, err := d.ReadValue()
		if err != nil || !known || seen[name] {
			return errNoObject
		}
		seen[name] = true
		if v, ok := to.(*jsontext.Value); ok {
			*v = raw.Clone()
		} else if json.Unmarshal(raw, to) != nil {
			return errNoObject
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return errNoObject
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errNoObject
	}
	return nil
}
