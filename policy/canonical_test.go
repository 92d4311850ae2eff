package policy

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func samplePolicy() *Policy {
	return &Policy{
		Revision:   7,
		Namespaces: []Namespace{{"crm", "trim"}, {"email", "email"}},
		Purposes: []Purpose{
			{ID: "analytics", DataUse: "analytics.reporting", Basis: Consent, Retention: 90 * day, Treat: []Rule{
				{Category: "user.unique_id", Treatment: Treatment{Name: "pseudonymize"}},
				{Category: "user.name", Treatment: Treatment{Name: "mask", Params: []Param{{"char", "*"}, {"keep_first", int64(1)}}}},
			}},
			{ID: mail, Basis: Contract, Recipients: []string{"acme", "mailer"}, NoticeID: "signup", NoticeMinVersion: "3",
				Treat: []Rule{{Category: "user.health_and_medical", Treatment: Treatment{Name: "keep"}, RequiresExplicit: true}}},
		},
	}
}

// TestCanonicalIsComplete changes every field that a policy has, found by
// reflection, so that a field added later and forgotten in the document fails.
func TestCanonicalIsComplete(t *testing.T) {
	want := samplePolicy().Digest()
	n := 0
	for i := range countLeaves(reflect.ValueOf(samplePolicy()).Elem()) {
		p := samplePolicy()
		at := i
		path := change(reflect.ValueOf(p).Elem(), &at, "policy")
		if p.Digest() == want {
			t.Errorf("%s is not in the document", path)
		}
		n++
	}
	if n < 40 {
		t.Errorf("only %d fields found", n)
	}
}

func countLeaves(v reflect.Value) int {
	n := 1 << 20
	at := n
	change(v, &at, "")
	return n - at
}

// change alters the at-th leaf below v and returns its path; at counts down.
func change(v reflect.Value, at *int, path string) string {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if p := change(v.Field(i), at, path+"."+v.Type().Field(i).Name); p != "" {
				return p
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if p := change(v.Index(i), at, path); p != "" {
				return p
			}
		}
		if *at--; *at == -1 {
			v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
			return path + " longer"
		}
	default:
		if *at--; *at == -1 {
			changeLeaf(v)
			return path
		}
	}
	return ""
}

func changeLeaf(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "0")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Interface:
		v.Set(reflect.ValueOf(2.5))
	default:
		panic(v.Kind().String())
	}
}

func TestCanonicalOrder(t *testing.T) {
	p := samplePolicy()
	want := p.Digest()
	slices.Reverse(p.Namespaces)
	slices.Reverse(p.Purposes[0].Treat)
	slices.Reverse(p.Purposes[1].Recipients)
	if p.Digest() != want {
		t.Error("an order that means nothing changes the digest")
	}
	slices.Reverse(p.Purposes)
	if p.Digest() == want {
		t.Error("the order of purposes is the order of outputs, but not in the digest")
	}
	if p.Purposes[1].Treat[0].Category != "user.name" {
		t.Error("the policy was changed")
	}
}

func TestCanonicalText(t *testing.T) {
	b := samplePolicy().Canonical()
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil || doc["format"] != "consentstream policy 1" || strings.ContainsAny(string(b), "\n\t") {
		t.Errorf("%v: %s", err, b)
	}
	zero, drop := samplePolicy(), samplePolicy()
	zero.Purposes[0].Treat[0].Treatment.Name, drop.Purposes[0].Treat[0].Treatment.Name = "", "drop"
	if zero.Digest() != drop.Digest() {
		t.Error("the zero Treatment is drop, but has another digest")
	}
	for _, pair := range [][2]any{{int64(1), 1.0}, {int64(1), "1"}, {nil, ""}, {true, "true"}} {
		a, b := samplePolicy(), samplePolicy()
		a.Purposes[0].Treat[1].Treatment.Params[0].Value, b.Purposes[0].Treat[1].Treatment.Params[0].Value = pair[0], pair[1]
		if a.Digest() == b.Digest() {
			t.Errorf("%T and %T %v have one digest", pair[0], pair[1], pair[1])
		}
	}
}
