package proof

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

// avroPlanter writes a record of a parsed schema with its canaries. It reads
// schemas as they are, and takes no advice from the product.
type avroPlanter struct {
	planted
	named map[string]any
	open  map[string]bool // the named types that it is in
	turn  int             // of the branches of unions
}

// value appends a value of type t at a path; "" is where no path may lead.
func (p *avroPlanter) value(b []byte, path string, t any) []byte {
	switch t := t.(type) {
	case string:
		if def, ok := p.named[t]; ok {
			return p.value(b, path, def)
		}
		return p.leaf(b, path, t, 0)
	case []any:
		if len(t) == 0 {
			return b // which no record can hold
		}
		branch := p.turn % len(t)
		return p.value(binary.AppendVarint(b, int64(branch)), path, t[branch])
	}
	def := t.(map[string]any)
	switch kind := def["type"].(type) {
	case string:
		return p.complex(b, path, kind, def)
	default:
		return p.value(b, path, kind)
	}
}

func (p *avroPlanter) complex(b []byte, path, kind string, def map[string]any) []byte {
	switch kind {
	case "record", "error":
		return p.record(b, path, def)
	case "array":
		return append(p.value(append(b, 2), path+"[*]", def["items"]), 0)
	case "map":
		b = append(b, 2)
		if path != "" {
			path += ".*"
		}
		b = p.leaf(b, keyOf(path), "string", 0)
		return append(p.value(b, path, def["values"]), 0)
	case "fixed":
		p.named[fullName(def)] = def
		return p.leaf(b, path, "fixed", int(def["size"].(float64)))
	case "enum":
		p.named[fullName(def)] = def
		p.plant(path, nil)
		return append(b, 0)
	}
	return p.value(b, path, kind)
}

func keyOf(path string) string {
	if path == "" {
		return ""
	}
	return path + "~key"
}

// fullName is the name without its namespace: the fixtures have each once.
func fullName(def map[string]any) string {
	name := def["name"].(string)
	return name[strings.LastIndexByte(name, '.')+1:]
}

func (p *avroPlanter) record(b []byte, path string, def map[string]any) []byte {
	name := fullName(def)
	p.named[name] = def
	if p.open[name] { // a type within itself cannot be classified
		path = "\x00"
	}
	outer := p.open[name]
	p.open[name] = true
	for _, f := range def["fields"].([]any) {
		field := f.(map[string]any)
		at := strings.TrimPrefix(path+"."+field["name"].(string), ".")
		if strings.HasPrefix(path, "\x00") || p.recurs(field["type"]) {
			at = "\x00"
		}
		if outer && (isArray(field["type"]) || p.recurs(field["type"])) {
			b = append(b, 0) // once is enough: no elements, the branch null
			continue
		}
		b = p.value(b, at, field["type"])
	}
	p.open[name] = outer
	return b
}

// recurs reports whether a union has a branch that the value lies in already.
func (p *avroPlanter) recurs(t any) bool {
	union, ok := t.([]any)
	return ok && slices.ContainsFunc(union, func(b any) bool {
		name, ok := b.(string)
		return ok && p.open[name]
	})
}

func isArray(t any) bool {
	def, ok := t.(map[string]any)
	return ok && def["type"] == "array"
}

// leaf appends a value that stands nowhere else, as far as the type has enough.
func (p *avroPlanter) leaf(b []byte, path, kind string, size int) []byte {
	n := p.spots + 1
	text := fmt.Sprintf("canary-%04d-", n)
	at, behind := len(b), len(b)
	switch kind {
	case "string", "bytes":
		b = binary.AppendVarint(b, int64(len(text)))
		behind = len(b)
		b = append(b, text...)
	case "fixed":
		b = append(b, (text + strings.Repeat("~", size))[:size]...)
		if size < len(text) {
			at, behind = len(b), len(b)
		}
	case "int":
		b = binary.AppendVarint(b, 0x5A5A0000+int64(n))
	case "long":
		b = binary.AppendVarint(b, 0x5A5A5A5A5A0000+int64(n))
	case "float":
		b = binary.LittleEndian.AppendUint32(b, 0x4B5A0000+uint32(n))
	case "double":
		b = binary.LittleEndian.AppendUint64(b, 0x435A5A5A5A5A0000+uint64(n))
	case "boolean":
		b = append(b, 1)
		at, behind = len(b), len(b)
	}
	if strings.HasPrefix(path, "\x00") {
		path = ""
	} else if path == "" {
		return b
	}
	if canary := b[max(at, behind):]; len(canary) > 3 {
		p.plant(path, canary[:len(canary):len(canary)])
	} else {
		p.plant(path, nil)
	}
	return b
}

// realSchemas are those of the fixtures that are records.
func realSchemas(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"avro/*.avsc", "avro/*/*.avsc", "confluent-datagen/*.avro"} {
		paths, err := filepath.Glob(filepath.Join(fixtures, pattern))
		if err != nil || len(paths) == 0 {
			t.Skip("the fixtures are not here: ", pattern)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(path)] = string(text)
		}
	}
	text, err := os.ReadFile(filepath.Join(fixtures, "avro/schema-tests.txt"))
	if err != nil {
		t.Skip("the fixtures are not here: ", err)
	}
	for i, c := range regexp.MustCompile(`(?s)<<INPUT\s(.*?)\n(?:INPUT|<<canonical|//|\n)`).FindAllSubmatch(text, -1) {
		found[fmt.Sprintf("schema-tests %d", i)] = fmt.Sprintf(`{"type":"record","name":"Outer","fields":[{"name":"f","type":%s}]}`, c[1])
	}
	return found
}

// P1 for Avro: the same for every position of every type of real schemas.
func TestNothingEscapesRealSchemas(t *testing.T) {
	t.Parallel()
	used, checks := 0, 0
	for name, text := range realSchemas(t) {
		var schema map[string]any
		if err := json.Unmarshal([]byte(text), &schema); err != nil || schema["type"] != "record" {
			continue
		}
		for turn := range 4 { // of the unions' branches
			p := &avroPlanter{turn: turn, named: map[string]any{}, open: map[string]bool{},
				planted: planted{name: name, format: schemas.Avro, schema: text, canaries: map[string][][]byte{}}}
			p.planted.value = p.value(schemas.AppendFrame(nil, 1), "", schema)
			if _, _, err := p.opened(nil); err != nil {
				t.Logf("%s is refused as a whole: %v", name, err)
				break
			}
			used++
			checks += p.check(t)
		}
	}
	t.Logf("%d schemas and turns, %d canaries looked for", used, checks)
	if used < 40 || checks < 1500 {
		t.Errorf("only %d canaries in %d schemas", checks, used)
	}
}
