package configs

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata/bad; read them before you commit them")

// canary is the secret that the corpus holds in many wrong places.
const canary = "hunter2"

// corpusEnv is the environment of the corpus: SET's value must never be shown.
func corpusEnv(name string) (string, bool) {
	v, ok := map[string]string{"SET": canary + " ?", "EMPTY": ""}[name]
	return v, ok
}

// corpusReader puts one file of the corpus in place of the policy or of the
// wiring; the other is the sound one.
func corpusReader(path string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		kind := map[string]string{"policy.yaml": ".policy.yaml", "consentstream.yaml": ".wiring.yaml"}[name]
		switch {
		case strings.HasSuffix(name, ".avsc"):
			return os.ReadFile(filepath.Join("testdata", name))
		case kind == "":
			return nil, fs.ErrNotExist
		case strings.HasSuffix(path, kind):
			return os.ReadFile(path)
		}
		return os.ReadFile(filepath.Join("testdata", name))
	}
}

// TestBadFiles loads each file of testdata/bad and compares all findings with
// the golden file beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("the corpus has %d files: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) { checkBadFile(t, path) })
	}
}

func checkBadFile(t *testing.T, path string) {
	c, findings := Load("consentstream.yaml", corpusEnv, corpusReader(path))
	if c != nil || !HasErrors(findings) {
		t.Fatalf("a bad file loads: %v", findings)
	}
	var b strings.Builder
	for _, f := range findings {
		checkFinding(t, f)
		b.WriteString(f.String() + "\n")
	}
	if strings.Contains(b.String(), canary) {
		t.Errorf("a finding shows a secret:\n%s", b.String())
	}
	golden := strings.TrimSuffix(path, ".yaml") + ".golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("findings:\n%s\nwant:\n%s", b.String(), want)
	}
}

// checkFinding holds for every finding, whatever the file.
func checkFinding(t *testing.T, f Finding) {
	t.Helper()
	if f.File == "" || f.Line < 1 || f.Col < 1 || f.Message == "" {
		t.Errorf("a finding without a place or a message: %+v", f)
	}
	if strings.ContainsAny(f.Message, "\n\r") || strings.ContainsAny(f.Excerpt, "\n\r") {
		t.Errorf("a finding with a line break: %+v", f)
	}
}

// TestCorpusBaseLoads makes sure that a bad file is bad for its own reason.
func TestCorpusBaseLoads(t *testing.T) {
	c, findings := Load("consentstream.yaml", corpusEnv, corpusReader(""))
	if c == nil || len(findings) > 0 {
		t.Fatalf("%v", findings)
	}
}
