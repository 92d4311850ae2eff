package infer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// Schema lists the fields of a schema, which are the leaves of its nodes, each path
// once, in their order.
func Schema(nodes []schemas.Node) []Field {
	var out []Field
	at := map[string]int{} // of out, by path
	for _, n := range nodes {
		path, err := schemas.ParsePath(n.Path)
		if !n.Leaf || n.Path == "" || err != nil {
			continue
		}
		if i, branch := at[n.Path]; branch {
			out[i].merge(n)
			continue
		}
		f := Field{Path: path, Types: typeNames(n), Once: !n.Repeated, Time: timeOf(path, n.Type), Notes: notesOf(n)}
		f.Proposal = proposeType(path, n.Type)
		at[n.Path] = len(out)
		out = append(out, f)
	}
	return out
}

const recursiveNote = "withheld whatever its category: a type that is not looked into"

func notesOf(n schemas.Node) (notes []string) {
	for _, tag := range n.Tags {
		notes = append(notes, fmt.Sprintf("tag %q", tag))
	}
	if n.Type.Kind == schemas.Opaque {
		notes = append(notes, recursiveNote)
	}
	return notes
}

// merge adds the type of another branch of a union, or of a field of the same name in
// one.
func (f *Field) merge(n schemas.Node) {
	f.Types = union(f.Types, typeNames(n))
	if n.Type.Kind != schemas.Opaque { // then a category counts for this branch
		f.Notes = slices.DeleteFunc(f.Notes, func(note string) bool { return note == recursiveNote })
		f.Notes = union(f.Notes, notesOf(n))
	}
	f.Once = f.Once && !n.Repeated
	if f.Time = ""; f.Category == "" {
		f.Proposal = proposeType(f.Path, n.Type)
	}
}

// union adds to a what of b is not in it.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

func typeNames(n schemas.Node) []string {
	if names := n.DeclaredTypes(); names != nil {
		return names
	}
	t := n.Type
	name := t.Kind.String()
	if t.Logical != schemas.NoLogical && t.Logical != schemas.UnknownLogical {
		name = t.Logical.String()
	}
	if t.Nullable {
		return []string{name, "null"}
	}
	return []string{name}
}

// proposeType proposes by the name, and else by a logical type that says what a
// value is.
func proposeType(path schemas.Path, t schemas.Type) Proposal {
	time := strings.HasPrefix(t.Logical.String(), "timestamp-")
	may := func(category string) bool { return mayBe(category, kindsOf(t), time) }
	if p, ok := proposeName(path, may); ok {
		return p
	}
	if path[len(path)-1].Kind == schemas.StepKey {
		return Proposal{Category: "user.unique_id", Because: []string{"keys of a map are data"}}
	}
	because := []string{"type " + t.Logical.String()}
	switch {
	case t.Logical == schemas.UUID:
		return Proposal{Category: "user.unique_id", Because: because}
	case time:
		return Proposal{Category: "system.operations", Because: because}
	}
	return Proposal{}
}

// kindsOf says which JSON type a type is most like.
func kindsOf(t schemas.Type) kinds {
	switch t.Kind {
	case schemas.Bool:
		return isBool
	case schemas.Int, schemas.Long, schemas.Float, schemas.Double:
		if t.Logical == schemas.NoLogical {
			return isNumber
		}
	}
	return isString
}

// timeOf is Field.Time of a type: by its logical type, else by the name.
func timeOf(p schemas.Path, t schemas.Type) string {
	switch {
	case strings.HasPrefix(t.Logical.String(), "timestamp-"):
		return "text"
	case t.Logical != schemas.NoLogical || !timeName(p):
		return ""
	case t.Kind == schemas.String:
		return "text"
	case t.Kind == schemas.Long || t.Kind == schemas.Int:
		return "?"
	}
	return ""
}

// timeName reports whether a name ends in a word for a point in time.
func timeName(p schemas.Path) bool {
	words := split(p[len(p)-1].Name)
	return len(words) > 0 && slices.Contains([]string{"at", "time", "timestamp", "ts", "created", "updated", "modified", "occurred"}, words[len(words)-1])
}
