package proof

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// planted is a record with a canary at every position, each another one.
type planted struct {
	name   string
	format schemas.Format
	schema string
	value  []byte
	// canaries are what to look for, by the path that the wiring would give the
	// position; under "" are those that no wiring can name.
	canaries map[string][][]byte
	order    []string // of the paths
	spots    int
}

func (p *planted) plant(path string, canary []byte) {
	if path != "" && !slices.Contains(p.order, path) {
		p.order = append(p.order, path)
	}
	if canary != nil {
		p.canaries[path] = append(p.canaries[path], canary)
		p.spots++
	}
}

// escapes are the purposes: each does with all that is classified one thing.
var escapes = []policy.Treatment{treatment("keep"), treatment("mask", "keep_first", int64(900)), treatment("truncate", "n", int64(1000)), treatment("pseudonymize"),
	treatment("encrypt"), treatment("redact"), treatment("constant", "value", "same"), treatment("generalize", "bucket", int64(1))}

// escapePolicy has one purpose for each.
func escapePolicy() (pol *policy.Policy, ids []string) {
	pol = &policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}}}
	for i, t := range escapes {
		p := policy.Purpose{ID: fmt.Sprintf("p%d", i), DataUse: "essential.service", Basis: policy.Contract,
			Treat: []policy.Rule{{Category: "user.behavior", Treatment: t}, {Category: "system", Treatment: treatment("keep")}}}
		pol.Purposes, ids = append(pol.Purposes, p), append(ids, p.ID)
	}
	return pol, ids
}

// opened is the engine for a wiring that names some paths.
func (p *planted) opened(paths []string) (r *rig, ids []string, err error) {
	pol, ids := escapePolicy()
	s := engine.Stream{Topic: "in", Format: p.format, Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}},
		Purposes: ids, Headers: []engine.HeaderRule{{Name: "listed", Category: "system"}}}
	if p.format == schemas.JSON {
		s.Fields = append(s.Fields, engine.FieldRule{Path: "always", Category: "system"}) // lint wants something left
	}
	for _, path := range paths {
		f := engine.FieldRule{Path: path, Category: "user.behavior"}
		if strings.HasSuffix(path, "~key") {
			f.Category = "system" // keys cannot all be one constant
		}
		s.Fields = append(s.Fields, f)
	}
	if r, err = open(pol, s); err == nil && p.format == schemas.Avro {
		err = r.install(1, p.schema)
	}
	return r, ids, err
}

// out is what each purpose gets, and at the end what the audit says.
func (p *planted) out(t *testing.T, paths []string) (purposes []string, all string) {
	t.Helper()
	r, ids, err := p.opened(paths)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	in := engine.Input{Offset: offset, Timestamp: nowMs, Key: []byte("42"), Value: p.value,
		Headers: []engine.Header{{Key: "unlisted", Value: []byte("canary-header")}, {Key: "listed", Value: []byte("shown")}, {Key: "LISTED", Value: []byte("canary-header")}}}
	purposes = make([]string, len(ids))
	err = r.decide(in, func(it *engine.Item) {
		if it.Fault != nil {
			t.Fatalf("%s: %v", p.name, it.Fault)
		}
		for i := range it.Outputs {
			o := &it.Outputs[i]
			text := fmt.Sprintf("%s\x00%s\x00%d\x00%s", o.Key, o.Headers, o.Partition, o.Value)
			purposes[slices.Index(ids, o.Purpose)] = text
			all += text
		}
		all += fmt.Sprintf("%+v", it.Audit)
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(all, "canary-header") {
		t.Errorf("%s: a header that nobody listed comes out", p.name)
	}
	return purposes, all
}

// hidden reports whether a position cannot be seen while some are unclassified:
// it is one of them, or an entry of a map whose keys are.
func hidden(path string, unclassified func(string) bool) bool {
	if unclassified(path) {
		return true
	}
	for i := range path {
		if strings.HasPrefix(path[i:], ".*") && unclassified(path[:i]+".*~key") {
			return true
		}
	}
	return false
}

// check leaves one position, or all below one, without a rule, and looks for
// their canaries.
func (p *planted) check(t *testing.T) (checks int) {
	for _, prefix := range p.prefixes() {
		unclassified := func(path string) bool {
			rest, below := strings.CutPrefix(path, prefix)
			return path == "" || below && (rest == "" || strings.IndexByte(".[~", rest[0]) >= 0)
		}
		outs, all := p.out(t, slices.DeleteFunc(slices.Clone(p.order), unclassified))
		for path, canaries := range p.canaries {
			for _, canary := range canaries {
				checks++
				shown := bytes.Contains([]byte(all), canary)
				if hidden(path, unclassified) && shown {
					t.Errorf("%s: %s is unclassified, and %q comes out", p.name, path, canary)
				} else if !hidden(path, unclassified) && !strings.HasSuffix(path, "~key") && !bytes.Contains([]byte(outs[0]), canary) {
					t.Errorf("%s: %s is kept, and %q does not come out: the test sees nothing", p.name, path, canary)
				}
			}
		}
	}
	return checks
}

// prefixes are all paths and what they lie in.
func (p *planted) prefixes() (list []string) {
	seen := map[string]bool{}
	for _, path := range p.order {
		for i := range path {
			if cut := path[:i]; strings.IndexByte(".[~", path[i]) >= 0 && cut != "" && !strings.HasSuffix(cut, ".") && strings.Count(cut, `"`)%2 == 0 && !seen[cut] {
				seen[cut] = true
				list = append(list, cut)
			}
		}
		if !seen[path] {
			seen[path] = true
			list = append(list, path)
		}
	}
	return list
}
