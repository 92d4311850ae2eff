package schemas

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"pgregory.net/rapid"
)

func TestCompatible(t *testing.T) {
	record := func(fields string) string {
		return `{"type":"record","name":"R","namespace":"crm.analytics","fields":[` + fields + `]}`
	}
	email := func(ty string) string { return record(`{"name":"email","type":` + ty + `}`) }
	address := func(fields string) string {
		return record(`{"name":"address","type":["null",{"type":"record","name":"A","fields":[` + fields + `]}]}`)
	}
	const street, city = `{"name":"street","type":"string"}`, `{"name":"city","type":["null","string"],"default":null}`
	const stamp = `{"type":"long","logicalType":"timestamp-millis"}`
	for _, tt := range []struct{ name, old, now, want string }{
		{"same", email(`"string"`), email(`"string"`), ""},
		{"a field gone", address(street + "," + city), address(street), ""},
		{"a field more", address(street), address(street + "," + city), "would newly see address.city (nullable string)"},
		{"null may come", email(`"string"`), email(`["null","string"]`), ""},
		{"only null is left", email(`["null","string"]`), email(`"null"`), "would get email as null, so far nullable string"},
		{"null may not go", email(`["null","string"]`), email(`"string"`), "would get email as string, so far nullable string"},
		{"null in another place", email(`["null","string"]`), email(`["string","null"]`), ""},
		{"another type", email(`"string"`), email(`"long"`), "would get email as long, so far string"},
		{"promoted", email(`"int"`), email(`["null","double"]`), ""},
		{"not promoted back", email(`"double"`), email(`"int"`), "would get email as int, so far double"},
		{"another meaning", email(`"long"`), email(stamp), "would get email as long (timestamp-millis), so far long"},
		{"a branch more", email(`["null","string"]`), email(`["null","string","long"]`), "would get email as one of null, string, long, so far nullable string"},
		{"a branch less", email(`["null","string","long"]`), email(`["null","string"]`), "would get email as nullable string, so far one of null, string, long"},
		{"something where nothing was", email(`"null"`), email(`["null","string"]`), "would get email as nullable string, so far null"},
		{"a record where a scalar was", email(`"string"`), address(street), "would newly see address (nullable record A)"},
		{"in an element", record(`{"name":"l","type":{"type":"array","items":"int"}}`), record(`{"name":"l","type":{"type":"array","items":"string"}}`), "would get l[*] as string, so far int"},
		{"in a map", record(`{"name":"m","type":{"type":"map","values":"int"}}`), record(`{"name":"m","type":{"type":"map","values":"string"}}`), "would get m.* as string, so far int"},
		{"a map for an array", record(`{"name":"m","type":{"type":"map","values":"int"}}`), record(`{"name":"m","type":{"type":"array","items":"int"}}`), "would get m as array of int, so far map of int"},
		{"a symbol more", email(`{"type":"enum","name":"E","symbols":["A"]}`), email(`{"type":"enum","name":"E","symbols":["A","B"]}`), ""},
		{"a symbol less", email(`{"type":"enum","name":"E","symbols":["A","B"]}`), email(`{"type":"enum","name":"E","symbols":["B"]}`), "would get email without the symbol A"},
		{"another name", email(`{"type":"fixed","name":"E","size":4}`), email(`{"type":"fixed","name":"E_email","size":4}`), "would get email as fixed E_email, so far fixed E"},
		{"another size", email(`{"type":"fixed","name":"E","size":4}`), email(`{"type":"fixed","name":"E","size":5}`), "would get email as fixed E, so far fixed E"},
		{"a branch of a record widens", email(`["long",{"type":"record","name":"A","fields":[` + street + `]}]`), email(`["long",{"type":"record","name":"A","fields":[` + street + "," + city + `]}]`), "would newly see email.city (nullable string)"},
		{"several", address(street), record(`{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"},{"name":"d","type":"int"},{"name":"e","type":"int"},{"name":"f","type":"int"}`),
			"would newly see a (int); would newly see b (int); would newly see c (int); would newly see d (int); would newly see e (int); and 1 more"},
		{"no schema", `"string`, email(`"string"`), "the registered schema cannot be read"},
	} {
		err := Compatible(tt.old, tt.now)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Two views of one schema are compatible only where another library, too, says
// that the second reads what the first has written, and where the second has no
// position that the first has not. A view is compatible with itself, and one of
// which a part is taken away with the whole.
func TestCompatibleAgainstTwmb(t *testing.T) {
	agreed, refused := 0, 0
	checkMore(t, func(t *rapid.T) {
		c := drawCase(t, true)
		a := c.project(t)
		first := a
		c.acts = nil
		c.drawActions(t, true)
		b := c.project(t)
		if a == nil || b == nil || a.Empty() || b.Empty() {
			return
		}
		if err := Compatible(first.Schema(), first.Schema()); err != nil {
			t.Fatalf("with itself: %v\n%s", err, first.Schema())
		}
		err := Compatible(a.Schema(), b.Schema())
		var what *IncompatibleError
		if err != nil && !errors.As(err, &what) {
			t.Fatal(err)
		}
		if err != nil {
			refused++
			return
		}
		agreed++
		if err := avro.CheckCompatibility(avro.MustParse(a.Schema()), avro.MustParse(b.Schema())); err != nil {
			t.Fatalf("twmb: %v\n%s\n%s", err, a.Schema(), b.Schema())
		}
		if more := newPaths(t, a.Schema(), b.Schema()); more != "" {
			t.Fatalf("would newly see %s\n%s\n%s", more, a.Schema(), b.Schema())
		}
	})
	if agreed < 20 || refused < 20 {
		t.Errorf("%d pairs are compatible, %d are not", agreed, refused)
	}
}

// newPaths are the positions of now that old has not.
func newPaths(t *rapid.T, old, now string) string {
	paths := func(schema string) map[string]bool {
		l, err := NewAvro(schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, n := range l.Nodes() {
			out[n.Path] = true
		}
		return out
	}
	var more []string
	before := paths(old)
	for p := range paths(now) {
		if !before[p] {
			more = append(more, p)
		}
	}
	return strings.Join(more, " ")
}
