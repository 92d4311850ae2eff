package schemas

import (
	"slices"
	"strings"
)

// refRule says what the words beside a $ref mean, in which drafts differ. The zero
// refRule is that of a schema which does not say of which draft it is.
type refRule uint8

const (
	refsUnknown refRule = iota // either
	refsAlone                  // nothing, until draft 7 (section 8.3)
	refsAmong                  // what they mean elsewhere, since 2019-09 (core, section 8.2.4.1)
)

func refRuleOf(root map[string]any) refRule {
	draft, _ := root["$schema"].(string)
	switch {
	case strings.Contains(draft, "json-schema.org/draft-0"):
		return refsAlone
	case strings.Contains(draft, "json-schema.org/draft/20"):
		return refsAmong
	}
	return refsUnknown
}

// spoken are the words that this package reads, apart from $ref.
var spoken = [...]string{"type", "properties", "patternProperties", "additionalProperties", "items", "prefixItems", "allOf", "anyOf", "oneOf"}

func speaks(m map[string]any) bool {
	return slices.ContainsFunc(spoken[:], func(word string) bool { _, ok := m[word]; return ok })
}

// find follows a reference within the document; others say nothing.
func (s *jsonSchema) find(ref string) any {
	if ref == "#" {
		return s.root
	}
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok || strings.Contains(pointer, "%") {
		return true
	}
	at := s.root
	for _, name := range strings.Split(pointer, "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return true
		}
		if at, ok = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]; !ok {
			return true
		}
	}
	return at
}
