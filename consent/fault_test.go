package consent

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"strings"
	"testing"
)

// TestFaultsAreExplained: whoever wrote a bad event reads what is wrong with it,
// whichever fault it is.
func TestFaultsAreExplained(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Fault") {
			declared++
		}
		return true
	})
	if declared < 15 || declared != len(faultTexts) {
		t.Errorf("%d faults, %d explanations", declared, len(faultTexts))
	}
	for f, text := range faultTexts {
		if f == NoFault || text == "" || f.Explain() != text {
			t.Errorf("%q: %q", f, text)
		}
	}
}
