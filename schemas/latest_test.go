package schemas

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

type latestFunc func(subject string, version int) (sr.SubjectSchema, error)

func (f latestFunc) SchemaByVersion(_ context.Context, subject string, version int) (sr.SubjectSchema, error) {
	return f(subject, version)
}

func TestLatest(t *testing.T) {
	answer := func(s sr.Schema) latestFunc {
		return func(subject string, version int) (sr.SubjectSchema, error) {
			if subject != "a-value" || version != -1 {
				t.Errorf("asked for %s, version %d", subject, version)
			}
			return sr.SubjectSchema{Subject: subject, Version: 3, Schema: s}, nil
		}
	}
	fail := func(err error) latestFunc {
		return func(string, int) (sr.SubjectSchema, error) { return sr.SubjectSchema{}, err }
	}
	text, version, err := Latest(t.Context(), answer(sr.Schema{Schema: `"x"`}), "a-value")
	if text != `"x"` || version != 3 || err != nil {
		t.Errorf("got %q, %d, %v", text, version, err)
	}
	for _, c := range []struct {
		name   string
		client latestFunc
		want   error
	}{
		{"no subject", fail(&sr.ResponseError{StatusCode: http.StatusNotFound, ErrorCode: 40401, Message: "canary"}), ErrUnknownSchema},
		{"a proxy's 404", fail(&sr.ResponseError{StatusCode: http.StatusNotFound, Message: "canary"}), ErrUnavailable},
		{"down", fail(errors.New("canary")), ErrUnavailable},
		{"JSON schema", answer(sr.Schema{Schema: `{}`, Type: sr.TypeJSON}), ErrUnknownSchema},
		{"references", answer(sr.Schema{Schema: `"x"`, References: []sr.SchemaReference{{}}}), ErrUnsupportedSchema},
	} {
		text, _, err := Latest(t.Context(), c.client, "a-value")
		if text != "" || !errors.Is(err, c.want) {
			t.Errorf("%s: got %q, %v; want %v", c.name, text, err, c.want)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes the registry: %v", c.name, err)
		}
	}
}
