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

// naming counts what a search for people has found, since there are bounds.
type naming struct {
	*Policy
	named []string
	tried int
}

// named is whom a malformed value names: whoever has both namespace and value as
// members of one object, wherever that begins, read token by token with no regard to
// whether it is JSON. If there is nobody, whoever has in the texts of its strings.
func (p *Policy) named(value []byte) []string {
	text := string(value[:min(len(value), 1<<20)])
	n := naming{Policy: p}
	n.search(text)
	if len(n.named) == 0 {
		n.search(regexp.MustCompile(`\\(u0022|["\\/nrt])`).ReplaceAllStringFunc(text, func(escape string) string {
			return map[string]string{`\n`: "\n", `\r`: "\r", `\t`: "\t", `\u0022`: `"`, `\"`: `"`, `\\`: `\`, `\/`: `/`}[escape]
		}))
	}
	return n.named
}

func (n *naming) search(text string) {
	for i := range len(text) {
		if text[i] == '{' {
			n.object(ownMembers(text[i+1:]))
		}
	}
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

// object names each namespace with each value. Of 4,000 that are tried at most 1,000
// are named, in the order in which the later one of the two stands.
func (n *naming) object(members [][2]string) {
	for i, m := range members {
		for _, o := range members[:i] {
			n.try(o, m)
			n.try(m, o)
		}
	}
}

func (n *naming) try(namespace, value [2]string) {
	space, ok := jsonString(namespace[1])
	if word, _ := jsonString(namespace[0]); word != "namespace" || !ok || n.Namespaces[space] == "" {
		return
	}
	id, ok := jsonString(value[1])
	if word, _ := jsonString(value[0]); word != "value" || !ok && !wholeNumber.MatchString(value[1]) {
		return
	}
	if !ok {
		id = value[1]
	}
	if n.tried++; n.tried > 4000 || len(n.named) == 1000 {
		return
	}
	if who := n.identify(space, id); who != "" && !slices.Contains(n.named, who) {
		n.named = append(n.named, who)
	}
}

var wholeNumber = regexp.MustCompile(`^-?[1-9][0-9]*$`)

// jsonString is the text of a JSON string in well-formed UTF-8.
func jsonString(token string) (text string, ok bool) {
	if !strings.HasPrefix(token, `"`) || !utf8.ValidString(token) || json.Unmarshal([]byte(token), &text) != nil {
		return "", false
	}
	return text, !lone(token, text)
}
