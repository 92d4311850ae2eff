package reference_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
)

// TestSingleValues holds the engine against the reference where a JSON record, or each
// element of one, is a single value and the key or a header names the person.
func TestSingleValues(t *testing.T) {
	key := keyFile(t)
	var met tally
	used := map[string]int{}
	for range 2 {
		rapid.Check(t, func(rt *rapid.T) {
			d := treating{drawn: drawn{T: rt, format: "json"}, used: used}
			d.fields = []treated{{path: "", sort: rapid.SampledFrom(sorts).Draw(rt, "sort")}}
			d.split = d.pick("split", "", "", "[*]")
			b := openBench(rt, key, setup{policy: d.policy(), wiring: d.single()})
			if b == nil {
				met.refused++
				return
			}
			b.consents()
			for range 6 {
				b.compare(d.value(), &met)
			}
		})
	}
	t.Logf("%+v, %d treatments", met, len(used))
	if met.outputs < 200 || met.gates < 50 || met.withheld < 30 || met.faults < 30 {
		t.Errorf("too tame: %+v, treatments %v", met, used)
	}
}

func (d *treating) single() string {
	var b strings.Builder
	b.WriteString("version: 1\npolicy: policy.yaml\nkafka: {seed_brokers: [localhost:9092], consumer_group: g}\nschema_registry: {url: http://localhost:8081}\n" +
		"redis: {addrs: [localhost:6379]}\nkeys: {file: k}\nstreams:\n  - topic: in\n    format: json\n    purposes: [p0, p1]\n")
	if d.split != "" {
		fmt.Fprintf(&b, "    split: {path: %q}\n", d.split)
	}
	fmt.Fprintf(&b, "    subjects:\n      s0: {namespace: crm, %s}\n", d.pick("named by", "key: true", "header: h"))
	if d.one("two subjects", 3) {
		b.WriteString("      s1: {namespace: email, header: to}\n")
	}
	b.WriteString("    headers: {h: x.header}\n    fields:\n")
	fmt.Fprintf(&b, "      \"\": {category: %s%s}\n", categories[0], d.pick("identifier", "", "", ", namespace: crm"))
	return b.String()
}

func (d *treating) value() engine.Input {
	in := engine.Input{Timestamp: now - 2*long, Key: []byte(d.pick("key", "42", "42", "43")),
		Headers: []engine.Header{{Key: "h", Value: []byte(d.pick("h", "42", "43"))}, {Key: "to", Value: []byte("ann@x.example")}}}
	if d.split != "" {
		in.Value = []byte("[" + d.json(d.fields[0]) + ", " + d.json(d.fields[0]) + "]")
	} else {
		in.Value = []byte(" " + d.json(d.fields[0]))
	}
	return in
}
