package configs

import (
	"path/filepath"

	"github.com/consentstream/consentstream/policy"
)

// LoadPolicy reads a policy file by itself, as Load reads the one that a wiring
// names. The Policy is nil exactly when a finding is an Error.
func LoadPolicy(path string, env func(string) (string, bool), read func(string) ([]byte, error)) (*policy.Policy, []Finding) {
	l := &loader{env: env, read: read, places: map[string]place{}}
	pol := l.policyByItself(path)
	findings := l.finish()
	if HasErrors(findings) {
		return nil, findings
	}
	return pol.policy, findings
}

func (l *loader) policyByItself(path string) policyFile {
	root, ok := l.open(path, filepath.Dir(path), nil)
	if !ok {
		return policyFile{}
	}
	root.name = "the policy"
	l.places[""] = root.place()
	o, ok := l.object(root, policySection)
	if !ok {
		return policyFile{}
	}
	pol := l.policyFile(o)
	l.compile(pol, nil)
	return pol
}
