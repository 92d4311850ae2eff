package consent

import (
	"slices"
	"testing"

	"github.com/consentstream/consentstream/internal/personal"
)

// rowOf is the state of a normalised identifier, nil where nothing was said.
func rowOf(m *Memory, id Identifier) *Row {
	tag, _ := m.tagger.TagOf(id)
	return m.rows[tag]
}

func TestMemory(t *testing.T) {
	m := NewMemory(NewTagger(map[string][32]byte{"crm": {1}}))
	for i, c := range []struct {
		value string
		known bool
	}{{minimal + "}", true}, {"{", false}, {`{"id":"1","subject":{"namespace":"raw","value":"42"},"action":"erase"}`, false}} {
		e := ParseUnkeyed([]byte(c.value), Position{Offset: int64(i)}, 5, testNamespaces)
		if m.Fold(&e) != c.known {
			t.Errorf("event %d: folded %t", i, !c.known)
		}
	}
	id := Identifier{"crm", "42"}
	tag, _ := m.tagger.TagOf(id)
	var s Snapshot
	m.Read([]Tag{tag, {}}, &s)
	known, _, err := s.State(0)
	other, _, _ := s.State(1)
	if rowOf(m, id) == nil || rowOf(m, id) != m.rows[tag] || known != m.rows[tag] || other != nil || err != nil || rowOf(m, Identifier{"raw", "42"}) != nil {
		t.Errorf("rows %v %v, %v", known, other, err)
	}
	if !slices.Equal(m.Next(), Vector{3}) || !slices.Equal(s.Cut[1], Vector{3}) {
		t.Errorf("next %v, cut %v", m.Next(), s.Cut)
	}
}

// TestSubjects: a malformed event denies everybody that it may be about
// (D14), once each.
func TestSubjects(t *testing.T) {
	const broken = minimal + `,"shoe_size":44}`
	for _, c := range []struct {
		name, key, value string
		want             []Identifier
	}{
		{"faultless", "crm:42", minimal + "}", []Identifier{{"crm", "42"}}},
		{"somebody else's key", "crm:43", minimal + "}", []Identifier{{"crm", "42"}, {"crm", "43"}}},
		{"another namespace's key", "raw:42", minimal + "}", []Identifier{{"crm", "42"}, {"raw", "42"}}},
		{"a key that says nothing", "42", minimal + "}", []Identifier{{"crm", "42"}}},
		{"malformed", "crm:42", broken, []Identifier{{"crm", "42"}}},
		{"malformed, equal once normalised", "crm: 42 ", broken, []Identifier{{"crm", "42"}}},
		{"malformed under somebody else's key", "crm:43", broken, []Identifier{{"crm", "42"}, {"crm", "43"}}},
		{"no subject in the value", "crm:43", `{"id":"1"}`, []Identifier{{"crm", "43"}}},
		{"several, one of them by the key too", "crm:43", event("42") + event("43"), []Identifier{{"crm", "42"}, {"crm", "43"}}},
		{"no subject at all", "43", `{"id":"1"}`, nil},
	} {
		e := Parse([]byte(c.key), []byte(c.value), Position{}, 5, testNamespaces)
		if got := slices.Collect(e.Subjects); !slices.Equal(got, c.want) || len(c.want) > 1 && e.Malformed == NoFault {
			t.Errorf("%s: %d subjects, fault %q", c.name, len(got), e.Malformed)
		}
	}
	m := NewMemory(NewTagger(map[string][32]byte{"crm": {1}}))
	e := Parse([]byte("crm:43"), []byte(minimal+"}"), Position{}, 5, testNamespaces)
	if !m.Fold(&e) {
		t.Error("folded into no row")
	}
	for _, value := range []string{"42", "43"} {
		if r := rowOf(m, Identifier{"crm", personal.String(value)}); r == nil || r.Malformed != 5 {
			t.Errorf("%s is not denied", value)
		}
	}
}
