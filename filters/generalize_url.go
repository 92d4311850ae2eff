package filters

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// urlForm takes out of a URL what may say who used it: user, fragment, path
// parameters (";jsessionid=…") and the query, except for the parameters in names.
type urlForm struct{ names parameterNames }

// newURLForm reads "" (all of the query goes) or names with "&" between them.
func newURLForm(v any, _ *parameters) (form, error) {
	text, ok := v.(string)
	if !ok {
		return nil, errors.New("url_query must be names with & between them, or empty")
	}
	if text == "" {
		return urlForm{}, nil
	}
	names, err := queryNames(text)
	return urlForm{names}, err
}

func queryNames(text string) (names [][]byte, err error) {
	for name := range strings.SplitSeq(text, "&") {
		if name == "" || strings.Trim(name, urlNameChars) != "" {
			return nil, errors.New("the name of a query parameter must be letters, digits, -, _, ., ~, [ and ]")
		}
		names = append(names, []byte(name))
	}
	return names, nil
}

// urlNameChars are what a parameter's name is made of where it is not escaped.
const urlNameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~[]"

func (urlForm) word() string              { return "url" }
func (urlForm) takes(t schemas.Type) bool { return plainString(t) }
func (urlForm) ofJSON() schemas.Kind      { return schemas.String }

func (f urlForm) at(schemas.Type) (schemas.Transform, error) { return stringForm(f.apply), nil }

// apply takes "scheme://…", "//host…", "/path…" and "?query" (RFC 3986 section
// 4.2). A URL without "//" after its scheme (mailto:, tel:, data:) is all
// content, and what readers of URLs disagree on (white space, control
// characters, backslashes) hides in it; neither is taken.
func (f urlForm) apply(dst, text []byte) (out []byte, ok bool) {
	if ambiguous(text) {
		return dst, false
	}
	text, _, _ = bytes.Cut(text, []byte{'#'})
	before, query, _ := bytes.Cut(text, []byte{'?'})
	start, ok := authority(before)
	if !ok {
		return dst, false
	}
	at := len(dst)
	dst = append(dst, before[:start]...)
	path := before[start:]
	if start > 0 {
		host := path
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			host = path[:i]
		}
		path, host = path[len(host):], host[bytes.LastIndexByte(host, '@')+1:]
		if !isHost(host) {
			return dst, false
		}
		dst = append(dst, host...)
	}
	dst = appendPath(dst, path)
	if start == 0 && bytes.HasPrefix(dst[at:], []byte("//")) {
		return dst, false // what is left would name a host
	}
	return f.names.append(dst, "?", query), true
}

// ambiguous reports whether text holds what readers of URLs disagree on.
func ambiguous(text []byte) bool {
	return !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
}

// isHost reports whether host is a host name, or an address in brackets, followed by
// nothing but a port. A password with a "/" in it ends the authority early, and would
// otherwise be taken for the host.
func isHost(host []byte) bool {
	name, port, _ := bytes.Cut(host, []byte{':'})
	named := isHostName(name)
	if end := bytes.IndexByte(host, ']'); end > 0 && host[0] == '[' {
		name, port = host[1:end], host[end+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
		port = bytes.TrimPrefix(port, []byte{':'})
		_, named = parseIPv6(name)
		named = named && bytes.IndexByte(name, '%') < 0 // a zone
	}
	ds, rest := digits(port)
	return named && len(rest) == 0 && len(ds) <= 5
}

// isHostName reports whether name is letters, digits, "-", "." and "_", of any script.
// RFC 3986 section 3.2.2 lets a host hold ";", "&", "=" and escapes too: no name that
// can be looked up does, and in a URL that lacks its "/" or "?" they are what was to
// stand behind it.
func isHostName(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r)
	})
}

// authority gives where the host begins: after "//". 0 is a path without one.
func authority(text []byte) (start int, ok bool) {
	scheme := 0
	for scheme < len(text) && schemeChar(text[scheme]) {
		scheme++
	}
	if scheme > 0 {
		if scheme == len(text) || text[scheme] != ':' {
			return 0, false
		}
		scheme++
		return scheme + 2, bytes.HasPrefix(text[scheme:], []byte("//"))
	}
	if bytes.HasPrefix(text, []byte("//")) {
		return 2, true
	}
	return 0, len(text) == 0 || text[0] == '/'
}

func schemeChar(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
}

// appendPath leaves out the parameters of each segment.
func appendPath(dst, path []byte) []byte {
	skip := false
	for _, c := range path {
		switch c {
		case ';':
			skip = true
		case '/':
			skip = false
		}
		if !skip {
			dst = append(dst, c)
		}
	}
	return dst
}

// parameterNames are the parameters of a query that are kept.
type parameterNames [][]byte

// append keeps the parameters that are named, in their order, behind first. They end
// at "&" and at ";", as some readers have it; a name counts as it is written; and one
// whose value holds "?" is two queries in one and goes.
func (n parameterNames) append(dst []byte, first string, query []byte) []byte {
	sep := first
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if bytes.IndexByte(value, '?') >= 0 || !slices.ContainsFunc(n, func(have []byte) bool { return bytes.Equal(have, name) }) {
			continue
		}
		dst = append(append(dst, sep...), pair...)
		sep = "&"
	}
	return dst
}
