package reference

import (
	"regexp"
	"strings"
)

// view is what one purpose sees of one stream.
type view struct {
	keys    *Keys
	stream  *Stream
	purpose *Purpose
	policy  *Policy
}

// at is what the purpose does at a path.
func (v *view) at(path string) Treatment { return v.purpose.treatment(v.stream.category(path)) }

// gated says that what stands at a path is not there whenever the output is.
func (v *view) gated(path string, t Treatment) bool {
	about := v.stream.about(path)
	return t.Explicit || len(about) > 1 || len(about) == 1 && about[0] != v.stream.main()
}

// text treats a text at a path; ok is false where the treatment has no result for
// it.
func (v *view) text(path, s string, t Treatment) (out string, ok bool) {
	where := text{domain: v.stream.category(path)}
	if ns := v.stream.namespace(path); ns != "" {
		where.domain, where.namespace = ns, true
	}
	return v.treat(&where, s, t)
}

func (v *view) treat(where *text, s string, t Treatment) (out string, ok bool) {
	switch t.Name {
	case "keep":
		return s, true
	case "mask":
		return mask(s, number64(t.Params["keep_first"]), number64(t.Params["keep_last"]), t.Params["char"]), true
	case "truncate":
		r := []rune(s)
		return string(r[:min(len(r), number64(t.Params["value"]))]), true
	case "pseudonymize":
		return v.pseudonym(where, s)
	}
	return "", false
}

func number64(v any) int {
	n, _ := v.(int)
	return n
}

// filler is how much of a mask stands for what is hidden, whatever its length.
const filler = 4

// mask knows texts without combining characters only; those of the tests.
func mask(s string, first, last int, char any) string {
	fill := "*"
	if c, ok := char.(string); ok {
		fill = c
	}
	r := []rune(s)
	if len(r) < first+last+filler {
		return strings.Repeat(fill, first+last+filler)
	}
	return string(r[:first]) + strings.Repeat(fill, filler) + string(r[len(r)-last:])
}

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)

// pseudonym is DESIGN section 4's token: its domain is the namespace of an
// identifier, else the category.
func (v *view) pseudonym(where *text, s string) (string, bool) {
	if where.namespace {
		var ok bool
		if s, ok = v.policy.normalize(where.domain, s); !ok {
			return "", false
		}
	}
	return v.keys.Token(v.purpose.ID, where.domain, s), true
}
