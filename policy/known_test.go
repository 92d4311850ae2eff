package policy_test

import (
	"testing"

	"github.com/consentstream/consentstream/policy"
)

func TestConcerns(t *testing.T) {
	p := &policy.Policy{Purposes: []policy.Purpose{{ID: "analytics"}, {ID: "marketing.email"}}}
	for id, want := range map[string]bool{
		"analytics": true, "marketing.email": true, "marketing": true, "*": true,
		"": false, "market": false, "marketing.": false, "marketing.email.x": false, "Analytics": false, "analytcs": false,
	} {
		if p.Concerns(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	if (&policy.Policy{}).Concerns("analytics") {
		t.Error("an empty policy has a purpose")
	}
}
