package configs

import (
	"errors"
	"io/fs"
	"testing"
)

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// readDemo reads the embedded demo files.
func readDemo(path string) ([]byte, error) { return Demo.ReadFile(path) }

func TestDemoLoads(t *testing.T) {
	c, findings := Load("demo/consentstream.yaml", noEnv, readDemo)
	for _, f := range findings {
		if f.Severity == Error {
			t.Errorf("%s", f)
		} else {
			t.Logf("%s", f)
		}
	}
	if c == nil {
		t.Fatal("the demo has no Config")
	}
	if len(c.Streams) != 2 || len(c.Policy.Purposes) != 3 || c.Streams[0].Wiring.Schema == "" {
		t.Errorf("the demo gives %d streams and %d purposes", len(c.Streams), len(c.Policy.Purposes))
	}
}

func TestNoFileIsAFinding(t *testing.T) {
	for _, err := range []error{fs.ErrNotExist, fs.ErrPermission, errors.New("disk: /personal/path")} {
		c, findings := Load("x.yaml", noEnv, func(string) ([]byte, error) { return nil, err })
		if c != nil || len(findings) != 1 || findings[0].Line != 1 || findings[0].File != "x.yaml" {
			t.Errorf("%v: %v %v", err, c, findings)
		}
	}
}
