package filters

import (
	"bytes"
	"errors"

	"github.com/consentstream/consentstream/schemas"
)

// queryForm takes the parameters that are not named out of a query string: what stands
// behind the "?" of a URL (RFC 3986 section 3.4), alone in a field, and with or
// without the "?".
type queryForm struct{ names parameterNames }

// newQueryForm reads names with "&" between them.
func newQueryForm(v any, _ *parameters) (form, error) {
	text, ok := v.(string)
	if !ok || text == "" {
		return nil, errors.New("query must be names with & between them")
	}
	names, err := queryNames(text)
	return queryForm{names}, err
}

func (queryForm) word() string              { return "query" }
func (queryForm) takes(t schemas.Type) bool { return plainString(t) }
func (queryForm) ofJSON() schemas.Kind      { return schemas.String }

func (f queryForm) at(schemas.Type) (schemas.Transform, error) { return stringForm(f.apply), nil }

// apply gives no more than whole parameters with one of the names, whatever the text
// is: of what is no query nothing is left.
func (f queryForm) apply(dst, text []byte) (out []byte, ok bool) {
	if ambiguous(text) {
		return dst, false
	}
	text, _, _ = bytes.Cut(text, []byte{'#'})
	first := ""
	if query, asked := bytes.CutPrefix(text, []byte{'?'}); asked {
		text, first = query, "?"
	}
	return f.names.append(dst, first, text), true
}
