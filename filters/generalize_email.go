package filters

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// emailForm leaves the domain of an e-mail address, in lower case.
type emailForm struct{}

func newEmailForm(v any, _ *parameters) (form, error) {
	if v != "domain" {
		return nil, errors.New("email must be domain")
	}
	return emailForm{}, nil
}

func (emailForm) word() string                               { return "email" }
func (emailForm) takes(t schemas.Type) bool                  { return plainString(t) }
func (emailForm) ofJSON() schemas.Kind                       { return schemas.String }
func (emailForm) at(schemas.Type) (schemas.Transform, error) { return stringForm(emailDomain), nil }

// emailDomain appends what stands after the last "@" (a quoted local part may
// hold one). It takes an addr-spec of RFC 5322 with white space around it; no
// display name, no address of a host in brackets.
func emailDomain(dst, text []byte) (out []byte, ok bool) {
	text = bytes.TrimSpace(text)
	i := bytes.LastIndexByte(text, '@')
	if i < 1 {
		return dst, false
	}
	domain := bytes.TrimSuffix(text[i+1:], []byte{'.'})
	if !isDomain(domain) {
		return dst, false
	}
	for len(domain) > 0 {
		r, n := utf8.DecodeRune(domain)
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		domain = domain[n:]
	}
	return dst, true
}

// maxDomain is RFC 1035's bound on a name.
const maxDomain = 253

// isDomain reports whether domain is at least two labels of letters, digits and
// hyphens, of any script, separated by dots.
func isDomain(domain []byte) bool {
	if len(domain) > maxDomain || !utf8.Valid(domain) {
		return false
	}
	labels := 0
	for label := range bytes.SplitSeq(domain, []byte{'.'}) {
		labels++
		if !isLabel(label) {
			return false
		}
	}
	return labels >= 2
}

func isLabel(label []byte) bool {
	if len(label) == 0 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for len(label) > 0 {
		r, n := utf8.DecodeRune(label)
		if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && (n == 1 || !unicode.Is(unicode.M, r)) {
			return false
		}
		label = label[n:]
	}
	return true
}
