package eval

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

// recordLine is the shape of a --records line.
type recordLine struct {
	Key         *string           `json:"key"`
	Headers     map[string]string `json:"headers"`
	Timestamp   string            `json:"timestamp"`
	Value       json.RawMessage   `json:"value"`
	ValueBase64 *string           `json:"value_base64"`
}

func (r *runner) input(line []byte) (input, error) {
	in := input{Input: engine.Input{Timestamp: r.cfg.At}}
	if !r.cfg.Records {
		in.Value = line
		return in, nil
	}
	var rec recordLine
	if err := decodeStrict(line, &rec); err != nil {
		return in, errors.New(`is not {"key": …, "headers": {…}, "timestamp": "…", "value": …} (the value may be value_base64)`)
	}
	if err := in.fill(&rec); err != nil {
		return in, err
	}
	return in, nil
}

func (in *input) fill(rec *recordLine) error {
	if rec.Key != nil {
		in.Key = []byte(*rec.Key)
	}
	for name, v := range rec.Headers {
		in.Headers = append(in.Headers, engine.Header{Key: name, Value: []byte(v)})
	}
	slices.SortFunc(in.Headers, func(a, b engine.Header) int { return strings.Compare(a.Key, b.Key) })
	if rec.Timestamp != "" {
		t, err := time.Parse(time.RFC3339, rec.Timestamp)
		if err != nil {
			return errors.New("timestamp is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z")
		}
		in.Timestamp = t.UnixMilli()
	}
	switch {
	case rec.ValueBase64 != nil && rec.Value != nil:
		return errors.New("has both value and value_base64")
	case rec.ValueBase64 != nil:
		b, err := base64.StdEncoding.DecodeString(*rec.ValueBase64)
		if err != nil {
			return errors.New("value_base64 is not base64 (RFC 4648, with padding)")
		}
		in.Value, in.raw = append([]byte{}, b...), true
	case rec.Value == nil:
		return errors.New(`has no value (a tombstone is "value": null)`)
	case !bytes.Equal(rec.Value, []byte("null")):
		in.Value = rec.Value
	}
	return nil
}

// decodeStrict reads one JSON value with known members only. A RawMessage keeps
// its bytes as they are, null too.
func decodeStrict(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("trailing bytes")
	}
	return nil
}
