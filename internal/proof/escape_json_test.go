package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

const fixtures = "../../../shared/fixtures"

// realEvents are the JSON objects of the fixtures: whole files, lines, elements
// of lists, and what stands in the CloudEvents scenarios.
func realEvents(t *testing.T) map[string]any {
	t.Helper()
	events := map[string]any{}
	for _, folder := range []string{"adobe-xdm", "cloudevents", "debezium", "segment", "sendgrid", "unomi"} {
		err := filepath.WalkDir(filepath.Join(fixtures, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			addEvents(t, events, strings.TrimPrefix(path, fixtures+"/"), text)
			return err
		})
		if err != nil {
			t.Skip("the fixtures are not here: ", err)
		}
	}
	return events
}

var docString = regexp.MustCompile(`(?s)"""(.*?)"""`)

func addEvents(t *testing.T, events map[string]any, name string, text []byte) {
	t.Helper()
	texts := [][]byte{text}
	if strings.HasSuffix(name, ".feature") {
		texts = nil
		for _, m := range docString.FindAllSubmatch(text, -1) {
			texts = append(texts, m[1])
		}
	}
	for _, text := range texts {
		for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			for _, v := range list {
				if _, ok := v.(map[string]any); ok {
					events[fmt.Sprintf("%s %d", name, len(events))] = v
				}
			}
		}
	}
}

// forms are what a canary is planted as, and what to look for then.
var forms = []func(n int) (text string, canaries []string){
	func(n int) (string, []string) {
		return fmt.Sprintf(`"canary-%04d-"`, n), []string{fmt.Sprintf("canary-%04d-", n)}
	},
	func(n int) (string, []string) {
		return fmt.Sprintf(`"\u0063anary-%04d-"`, n), []string{fmt.Sprintf("anary-%04d-", n)}
	},
	func(n int) (string, []string) {
		return fmt.Sprintf("-91827%04d5.50", n), []string{fmt.Sprintf("91827%04d", n)}
	},
	func(n int) (string, []string) {
		return fmt.Sprintf(`{"key-%04d-":"canary-%04d-","b":[{}]}`, n, n), []string{fmt.Sprintf("key-%04d-", n), fmt.Sprintf("canary-%04d-", n)}
	},
	func(n int) (string, []string) {
		return fmt.Sprintf(`[ "canary-%04d-",null]`, n), []string{fmt.Sprintf("canary-%04d-", n)}
	},
}

// planter writes an event with its canaries.
type planter struct {
	planted
	turn int            // of the forms: each canary has the next one
	ids  map[string]int // one canary a path: the elements of an array share theirs
	b    strings.Builder
}

func (p *planter) value(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		p.b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			p.b.WriteString(strconv.Quote(name) + ":")
			p.value(strings.TrimPrefix(path+"."+strconv.Quote(name), "."), v[name])
			p.b.WriteByte(',')
		}
		p.unlisted()
		p.b.WriteByte('}')
	case []any:
		p.b.WriteByte('[')
		for i, item := range append(v[:len(v):len(v)], v...) {
			if i > 0 {
				p.b.WriteByte(',')
			}
			p.value(path+"[*]", item)
		}
		p.b.WriteByte(']')
	default:
		p.leaf(path)
	}
}

func (p *planter) leaf(path string) {
	n, known := p.ids[path]
	if !known {
		n = len(p.ids) + 1
		p.ids[path] = n
	}
	text, canaries := p.form(n)
	p.b.WriteString(text)
	if !known {
		for _, c := range canaries {
			p.plant(path, []byte(c))
		}
	}
}

func (p *planter) form(n int) (text string, canaries []string) {
	return forms[(n+p.turn)%len(forms)](n)
}

// unlisted adds a member that no wiring names, in its name and in its value.
func (p *planter) unlisted() {
	text, _ := p.form(9999)
	fmt.Fprintf(&p.b, `"new-canary-9998-":%s`, text)
}

// P1: whatever stands in a real event, and whatever is added to it, does not
// come out where no rule classifies it, for any purpose.
func TestNothingEscapesRealEvents(t *testing.T) {
	t.Parallel()
	events, turns, checks := realEvents(t), 1, 0
	if thorough() {
		turns = len(forms)
	}
	for i, name := range slices.Sorted(maps.Keys(events)) {
		for turn := range turns {
			p := &planter{turn: i + turn, ids: map[string]int{}, planted: planted{name: name, format: schemas.JSON, canaries: map[string][][]byte{}}}
			p.value("", events[name])
			p.planted.value = []byte(p.b.String())
			_, canaries := p.form(9999)
			for _, c := range append(canaries, "new-canary-9998-") {
				p.plant("", []byte(c))
			}
			checks += p.check(t)
		}
	}
	t.Logf("%d events, %d canaries looked for", len(events), checks)
	if checks < 15_000 {
		t.Errorf("only %d canaries were looked for", checks)
	}
}
