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

// estrange makes the references below a schema with an $id of its own say nothing: they
// are within that schema (core, section 8.2.1), and not the document, where the same
// words may lead elsewhere. An $id that is but a fragment, or that of the document, is none.
func (s *jsonSchema) estrange(at any, own bool) {
	switch at := at.(type) {
	case []any:
		for _, sub := range at {
			s.estrange(sub, own)
		}
	case map[string]any:
		id := s.identifier(at)
		own = own || id != "" && id != s.identifier(s.root.(map[string]any))
		if _, ok := at["$ref"].(string); ok && own {
			at["$ref"] = ""
		}
		for _, sub := range at {
			s.estrange(sub, own)
		}
	}
}

// identifier is the $id of a schema without a fragment; until draft 4 it was called id.
func (s *jsonSchema) identifier(m map[string]any) string {
	id, ok := m["$id"].(string)
	if draft, said := s.root.(map[string]any)["$schema"].(string); !ok && (!said || strings.Contains(draft, "draft-04")) {
		id, _ = m["id"].(string)
	}
	id, _, _ = strings.Cut(id, "#")
	return id
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
