package configs

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// wordAt is one key of a good file.
type wordAt struct {
	line, col int
	text      string
	ours      bool // one of the validator's words, not of people's choosing
}

// wordsOf lists the keys of a file.
func wordsOf(t *testing.T, text []byte) []wordAt {
	t.Helper()
	known := map[string]bool{}
	for _, s := range sections() {
		for _, n := range s.names() {
			known[n] = true
		}
	}
	src := newSource("x", text)
	if f := src.parse(text); f != nil {
		t.Fatal(f.message)
	}
	var out []wordAt
	for _, n := range src.order {
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			k := n.Content[i]
			out = append(out, wordAt{k.Line, k.Column, k.Value, known[k.Value]})
		}
	}
	return out
}

// replaceAt replaces text at a position of a file.
func replaceAt(file []byte, w wordAt, with string) []byte {
	lines := strings.Split(string(file), "\n")
	line := []rune(lines[w.line-1])
	lines[w.line-1] = string(line[:w.col-1]) + with + string(line[w.col-1+len([]rune(w.text)):])
	return []byte(strings.Join(lines, "\n"))
}

// loadWith loads the full example with one of its files replaced.
func loadWith(name string, text []byte) (*Config, []Finding) {
	return Load("consentstream.yaml", fullEnv, func(path string) ([]byte, error) {
		if path == name {
			return text, nil
		}
		return readFull(path)
	})
}

var fullFiles = map[string]string{
	"policy.yaml": "testdata/good/full.policy.yaml", "consentstream.yaml": "testdata/good/full.wiring.yaml",
}

// TestEveryWordIsStrict misspells, and then doubles, each of the validator's
// words in the full example: each is an error at exactly that place (P1:
// unknown config words are refused).
func TestEveryWordIsStrict(t *testing.T) {
	for name, path := range fullFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wordsOf(t, text) {
			if !w.ours {
				continue
			}
			_, findings := loadWith(name, replaceAt(text, w, w.text+"zq"))
			if !errorAt(findings, name, w.line, w.col) {
				t.Errorf("%s:%d:%d: %szq is not refused there: %v", name, w.line, w.col, w.text, findings)
			}
		}
	}
}

func errorAt(findings []Finding, name string, line, col int) bool {
	for _, f := range findings {
		if f.Severity == Error && f.File == name && f.Line == line && f.Col == col {
			return true
		}
	}
	return false
}

// TestAllFindingsAtOnce breaks several words at a time: each is reported, not
// the first only.
func TestAllFindingsAtOnce(t *testing.T) {
	text, err := os.ReadFile(fullFiles["policy.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	var leaves []wordAt
	for _, w := range wordsOf(t, text) {
		if w.ours && w.text != "purposes" && w.text != "treat" && w.text != "keep" && w.text != "pseudonymize" && w.text != "mask" && w.text != "generalize" && w.text != "url" && w.text != "notice" && w.text != "namespaces" {
			leaves = append(leaves, w)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		broken := text
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(leaves)-1), 2, 6, rapid.ID[int]).Draw(t, "words")
		for _, i := range chosen {
			broken = replaceAt(broken, leaves[i], leaves[i].text[:len(leaves[i].text)-1]+"é") // as long as before
		}
		c, findings := loadWith("policy.yaml", broken)
		if c != nil {
			t.Fatal("a broken policy loads")
		}
		for _, i := range chosen {
			if !errorAt(findings, "policy.yaml", leaves[i].line, leaves[i].col) {
				t.Fatalf("%d:%d is not among %v", leaves[i].line, leaves[i].col, findings)
			}
		}
	})
}

// TestSecretsStayHidden writes a password in the clear, in every style and
// among mistakes that put its line into excerpts.
func TestSecretsStayHidden(t *testing.T) {
	text, err := os.ReadFile(fullFiles["consentstream.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := "s3cr" + rapid.StringMatching(`[a-z0-9]{6,12}`).Draw(t, "secret")
		value := rapid.SampledFrom([]string{"%s", `"%s"`, `'%s'`, "\"a\n    %s\"", "[%s]", "{x: %s}", "${NONE:-%s}", `"%s`, "'%s", "%s}", "a: %s", "!!str %s", "&x %s"}).Draw(t, "style")
		word := rapid.SampledFrom([]string{"password", "pasword", "passwd", "token", "client_secret"}).Draw(t, "word")
		broken := bytes.Replace(text, []byte(`password: "${REDIS_PASSWORD}"`), []byte(word+": "+fmt.Sprintf(value, secret)), 1)
		for range rapid.IntRange(0, 3).Draw(t, "mistakes") {
			from := rapid.SampledFrom([]string{"buckets: 128", "username: app", "addrs:", "redis:", "db: 2", "keys:"}).Draw(t, "at")
			broken = bytes.Replace(broken, []byte(from), []byte("x"+from), 1)
		}
		c, findings := loadWith("consentstream.yaml", broken)
		if c != nil {
			t.Fatal("a password in the clear loads")
		}
		for _, f := range findings {
			if strings.Contains(fmt.Sprintf("%s %+v", f, f), secret) {
				t.Fatalf("a finding shows the password: %s", f)
			}
		}
	})
}

// FuzzLoad: no input panics, a Config comes only without errors, every finding
// has a place in a file, and no value of the environment shows.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"policy.yaml", "consentstream.yaml"} {
		other, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(other, name == "policy.yaml")
		full, err := os.ReadFile(fullFiles[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(full, name == "policy.yaml")
	}
	f.Add([]byte("a: ${SET}\nb: [*x, &y {<<: 1}]\n? [z]\n: |\n  w\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, isPolicy bool) {
		name := "consentstream.yaml"
		if isPolicy {
			name = "policy.yaml"
		}
		c, findings := Load("consentstream.yaml", corpusEnv, func(path string) ([]byte, error) {
			if path == name {
				return text, nil
			}
			return corpusReader("")(path)
		})
		if (c == nil) != HasErrors(findings) {
			t.Fatalf("Config %v with %v", c, findings)
		}
		for _, f := range findings {
			checkFinding(t, f)
			if f.Line > bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r"))+100 {
				t.Errorf("beyond the file: %s", f)
			}
			if !bytes.Contains(text, []byte(canary)) && strings.Contains(f.String(), canary) {
				t.Errorf("a value of the environment shows: %s", f)
			}
		}
	})
}

// BenchmarkLoad loads the demo.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if c, findings := Load("demo/consentstream.yaml", noEnv, readDemo); c == nil {
			b.Fatal(findings)
		}
	}
}
