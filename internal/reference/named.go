package reference

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A token of what may be JSON: a string, a string that never ends, one of
// {}[]:, or a word. White space is none.
var token = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|".*|[{}\[\]:,]|[^ \t\r\n{}\[\]:,"]+`)

// named is whom a malformed value names: whoever has both namespace and value as
// members of one object, wherever that begins, read token by token with no regard to
// whether it is JSON. If there is nobody, whoever has in the texts of its strings. The
// product looks only so far, and says where it has not looked further.
func (p *Policy) named(value []byte) []string {
	all := p.search(string(value))
	if len(all) > 0 {
		return all
	}
	return p.search(regexp.MustCompile(`\\(u0022|["\\/nrt])`).ReplaceAllStringFunc(string(value), func(escape string) string {
		return map[string]string{`\n`: "\n", `\r`: "\r", `\t`: "\t", `\u0022`: `"`, `\"`: `"`, `\\`: `\`, `\/`: `/`}[escape]
	}))
}

// object begins with a `{`, and has a name for what is behind it.
var object = regexp.MustCompile(`^\{[ \t\r\n]*"`)

func (p *Policy) search(text string) (all []string) {
	for i := range len(text) {
		if object.MatchString(text[i:]) {
			all = append(all, p.inObject(ownMembers(text[i+1:]))...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ownMembers are the names and values of an object's members, as far as it can be
// read, in their order. Values that are containers are left out.
func ownMembers(rest string) (members [][2]string) {
	depth, before := 1, []string{"", ""}
	for depth > 0 && depth <= 8 {
		at := token.FindStringIndex(rest)
		if at == nil {
			break
		}
		t := rest[at[0]:at[1]]
		rest = rest[at[1]:]
		if t[0] == '"' && (len(t) == 1 || !ended.MatchString(t)) {
			break
		}
		switch t {
		case "{", "[":
			depth++
		case "}", "]":
			depth--
		default:
			if depth == 1 && before[1] == ":" {
				members = append(members, [2]string{before[0], t})
			}
		}
		before = []string{before[1], t}
	}
	return members
}

var ended = regexp.MustCompile(`(?s)^"(?:[^"\\]|\\.)*"$`)

// inObject is each namespace with each value.
func (p *Policy) inObject(members [][2]string) (all []string) {
	for _, namespace := range members {
		for _, value := range members {
			if who := p.pair(namespace, value); who != "" {
				all = append(all, who)
			}
		}
	}
	return all
}

func (p *Policy) pair(namespace, value [2]string) string {
	space, ok := jsonString(namespace[1])
	if word, _ := jsonString(namespace[0]); word != "namespace" || !ok {
		return ""
	}
	id, ok := jsonString(value[1])
	if word, _ := jsonString(value[0]); word != "value" || !ok && !wholeNumber.MatchString(value[1]) {
		return ""
	}
	if !ok {
		id = value[1]
	}
	return p.identify(space, id)
}

var wholeNumber = regexp.MustCompile(`^-?[1-9][0-9]*$`)

// jsonString is the text of a JSON string in well-formed UTF-8.
func jsonString(token string) (text string, ok bool) {
	if !strings.HasPrefix(token, `"`) || !utf8.ValidString(token) || json.Unmarshal([]byte(token), &text) != nil {
		return "", false
	}
	return text, !lone(token, text)
}
