package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is one package of this module as `go list` sees it; test files are not
// bound by the rules.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // direct
	Deps       []string // all
}

func TestImportDirection(t *testing.T) {
	packages := list(t)
	for _, v := range check(packages, rules) {
		t.Error(v)
	}
}

func TestCoreReadsNoClock(t *testing.T) {
	for _, p := range list(t) {
		if !matchAny(core, local(p.ImportPath)) {
			continue
		}
		for _, name := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			calls, err := clockCalls(name, src)
			if err != nil {
				continue // the compiler reports it better
			}
			for _, at := range calls {
				t.Errorf("%s/%s\n\t%s", local(p.ImportPath), at, clockReason)
			}
		}
	}
}

// list asks the go command, which knows build constraints. A package that does
// not compile still has its imports.
func list(t *testing.T) []pkg {
	t.Helper()
	watch(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages: nothing would be checked", len(packages))
	}
	return packages
}

// check returns one line per forbidden edge, with its reason.
func check(packages []pkg, rules []rule) []string {
	var found []string
	for _, p := range packages {
		from := local(p.ImportPath)
		for _, r := range rules {
			if !matchAny(r.from, from) || matchAny(r.except, from) {
				continue
			}
			verb, targets := "imports", p.Imports
			if r.linked {
				verb, targets = "links", p.Deps
			}
			for _, target := range targets {
				to := local(target)
				if to != from && matchAny(r.to, to) {
					found = append(found, fmt.Sprintf("%s %s %s\n\t%s", from, verb, to, r.reason))
				}
			}
		}
	}
	return found
}

func local(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "..." || p == path {
			return true
		}
		prefix, ok := strings.CutSuffix(p, "/...")
		return ok && (path == prefix || strings.HasPrefix(path, prefix+"/"))
	})
}

// clockCalls returns "file:line: time.X" for each use of the clock in a file,
// under whatever name it imports package time.
func clockCalls(name string, src []byte) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	alias := ""
	for _, imp := range file.Imports {
		if imp.Path.Value == `"time"` {
			alias = "time"
			if imp.Name != nil {
				alias = imp.Name.Name
			}
		}
	}
	if alias == "" {
		return nil, nil
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == alias && clock[sel.Sel.Name] {
			found = append(found, fmt.Sprintf("%s: time.%s", fset.Position(sel.Pos()), sel.Sel.Name))
		}
		return true
	})
	return found, nil
}

// The checker itself: every rule must report the edge that it forbids, allow
// its exceptions, and say why.
func TestEveryRuleCanFail(t *testing.T) {
	for i, r := range rules {
		if len(r.reason) < 20 {
			t.Errorf("rule %d has no reason", i)
		}
		for _, to := range r.to {
			edge := importPath(strings.TrimSuffix(to, "/..."))
			from := importPath(example(r.from[0]))
			p := pkg{ImportPath: from, Imports: []string{"fmt", edge}}
			if r.linked {
				p = pkg{ImportPath: from, Deps: []string{"fmt", edge}}
			}
			got := check([]pkg{p}, rules[i:i+1])
			if len(got) != 1 || !strings.Contains(got[0], r.reason) {
				t.Errorf("rule %d does not report %s importing %s: %q", i, local(from), local(edge), got)
			}
			for _, e := range r.except {
				p.ImportPath = importPath(strings.TrimSuffix(e, "/..."))
				if got := check([]pkg{p}, rules[i:i+1]); len(got) != 0 {
					t.Errorf("rule %d reports its exception: %q", i, got)
				}
			}
		}
	}
}

// A rule about a package that is not there guards nothing: a renamed package
// would slip out of it.
func TestRulesNameExistingPackages(t *testing.T) {
	planned := []string{"cmd/consentstream-verify", "internal/bench"}
	exists := make(map[string]bool)
	for _, p := range list(t) {
		exists[local(p.ImportPath)] = true
	}
	for i, r := range rules {
		for _, name := range append(slices.Clone(r.from), r.except...) {
			if strings.HasSuffix(name, "...") || slices.Contains(planned, name) || exists[name] {
				continue
			}
			t.Errorf("rule %d names %s, which does not exist", i, name)
		}
	}
}

func TestClockCalls(t *testing.T) {
	tests := []struct {
		src  string
		want int
	}{
		{"package p\nimport \"time\"\nvar t = time.Now()", 1},
		{"package p\nimport \"time\"\nvar f = time.Now", 1},
		{"package p\nimport x \"time\"\nfunc f() { x.Sleep(x.Second); <-x.After(1) }", 2},
		{"package p\nimport \"time\"\nvar t = time.UnixMilli(1)", 0},
		{"package p\ntype c struct{}\nfunc (c) Now() {}\nvar time c\nfunc f() { time.Now() }", 0},
	}
	for _, tt := range tests {
		got, err := clockCalls("x.go", []byte(tt.src))
		if err != nil || len(got) != tt.want {
			t.Errorf("%s: %q, %v; want %d", tt.src, got, err, tt.want)
		}
	}
}

func importPath(name string) string {
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains([]string{"consent", "policy", "filters", "schemas", "audit", "engine", "pipeline", "configs", "cmd", "internal"}, first) {
		return module + "/" + name
	}
	return name
}

func example(pattern string) string {
	if pattern == "..." {
		return "internal/example"
	}
	return strings.TrimSuffix(pattern, "/...")
}

// watch makes the test's cached result depend on every Go file of the module:
// the go command notes what a test opens or stats, not what its children read.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // a file of somebody's editor that went away
		case d.IsDir() && path != "../.." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, _ = os.Stat(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
