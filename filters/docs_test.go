package filters

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs/treatments.md")

const treatmentsDoc = "../docs/treatments.md"

// TestTreatmentsDoc: the tables and examples of docs/treatments.md are what the
// code does. With -update it writes them.
func TestTreatmentsDoc(t *testing.T) {
	old, err := os.ReadFile(treatmentsDoc)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(old)
	parts := map[string]string{
		"types": typesTable(t, "keep", "drop", "redact", "constant", "mask", "truncate", "pseudonymize", "encrypt", "date_shift"),
		"forms": typesTable(t, "bucket", "geo", "date", "time", "ip_prefix", "email", "url", "query"),
	}
	for name, lines := range examples(t) {
		parts["example "+name] = lines
	}
	for name, text := range parts {
		begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(doc, begin)
		_, after, ended := strings.Cut(rest, end)
		if !ok || !ended {
			t.Errorf("%s has no part %q", treatmentsDoc, name)
			continue
		}
		doc = before + begin + text + end + after
	}
	if strings.Count(doc, "<!-- generated: ") != len(parts) {
		t.Errorf("%s has %d generated parts, the code %d", treatmentsDoc, strings.Count(doc, "<!-- generated: "), len(parts))
	}
	if doc == string(old) {
		return
	}
	if !*update {
		t.Errorf("%s is not what the code does; run: go test ./filters -run TestTreatmentsDoc -update", treatmentsDoc)
		return
	}
	if err := os.WriteFile(treatmentsDoc, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
}

// typeWords names a kind of the tables.
func typeWords(words string) string {
	kind, logical, _ := strings.Cut(words, " ")
	switch {
	case kind == "any":
		return "JSON value"
	case kind == "number":
		return "JSON number"
	case kind == "opaque":
		return "what a recursive type holds of itself"
	case logical == "":
		return "`" + kind + "`"
	}
	return "`" + kind + "` " + logical
}

// typesTable writes what the treatments of columns do with each kind. Unknown
// logical types are one line: they have one outcome.
func typesTable(t *testing.T, columns ...string) string {
	t.Helper()
	all := map[string]Treatment{}
	for _, s := range samples(t) {
		all[s.column] = s.treatment
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| Type | `%s` |\n|%s\n", strings.Join(columns, "` | `"), strings.Repeat("---|", len(columns)+1))
	for _, words := range everyKind {
		if words == "invalid" || strings.HasSuffix(words, " unknown") && words != "string unknown" {
			continue
		}
		typ := parseType(t, words)
		name := strings.Replace(typeWords(words), "`string` unknown", "any type with an unknown logical type", 1)
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", cell(t, c, all[c], typ))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell is an outcome, marked where it takes a unit.
func cell(t *testing.T, column string, f Treatment, typ schemas.Type) string {
	t.Helper()
	if column == "constant" {
		return constantOutcome(t, typ)
	}
	got := outcome(t, column, f, typ)
	if got != "same" || column != "date_shift" && column != "date" && column != "time" {
		return got
	}
	switch { // the samples have a unit
	case plainNumber(typ):
		return "same, with `unit`"
	case typ.Kind == schemas.Any:
		return "string, with `unit` also number"
	}
	return got
}

// examples are the worked examples of each treatment.
func examples(t *testing.T) map[string]string {
	someone := &Subject{}
	someone.Set([]byte(strings.Repeat("\x02", 16)))
	shift := Env{Key: countingKey(32), Subject: someone}
	str, num := text, number
	money := decimalType(12, 2, 0)
	out := map[string]string{}
	add := func(name, yaml string, f Treatment, values ...schemas.Value) {
		if out[name] == "" {
			out[name] = "| Written | Value | Becomes |\n|---|---|---|\n"
		}
		for _, v := range values {
			out[name] += fmt.Sprintf("| `%s` | %s | %s |\n", yaml, literal(v), applied(t, f, v))
		}
	}
	gen := func(params ...Param) Treatment { return mustNew(t, "generalize", Env{}, params...) }
	add("constant", `{constant: "unknown"}`, mustNew(t, "constant", Env{}, Param{"value", "unknown"}), str("Berlin"))
	add("mask", `{mask: {keep_last: 4}}`, mustNew(t, "mask", Env{}, Param{"keep_last", int64(4)}), str("DE89370400440532013000"), str("3000"))
	add("mask", `{mask: {keep_first: 1}}`, mustNew(t, "mask", Env{}, Param{"keep_first", int64(1)}), str("Zoë Müller"))
	add("truncate", `{truncate: 2}`, mustNew(t, "truncate", Env{}, Param{"n", int64(2)}), str("10115"))
	add("pseudonymize", `pseudonymize`, mustNew(t, "pseudonymize", goldenEnv("crm", 1)), str("42"), num("42"), str(someUUID))
	for _, path := range []string{"email", "emails[0]", "emails[*]"} { // the token depends on the path
		add("encrypt", "encrypt` at `"+path, mustNew(t, "encrypt", sealEnv("analytics", path, 1)), str("somebody@example.org"))
	}
	add("date_shift", `{date_shift: {days: 30}}`, mustNew(t, "date_shift", shift, Param{"days", int64(30)}), str("2026-02-20"), str("2026-02-27T10:00:00+01:00"))
	add("bucket", `{generalize: {bucket: 10}}`, gen(Param{"bucket", "10"}), num("37"), num("-1"), decimalOf(money, 1999))
	add("bucket", `{generalize: {bucket: [0, 18, 25, 35, 50, 65]}}`, gen(Param{"bucket", "0,18,25,35,50,65"}), num("17"), num("64"), num("101"))
	add("geo", `{generalize: {geo: 1}}`, gen(Param{"geo", int64(1)}), num("52.520008"), num("-0.04"))
	add("date", `{generalize: {date: year}}`, gen(Param{"date", "year"}), str("1990-04-01"), str("1990-01-01T00:30:00+02:00"))
	add("date", `{generalize: {date: year, unit: d}}`, gen(Param{"date", "year"}, Param{"unit", "d"}), num("5822"))
	add("date", `{generalize: {date: week, unit: ms}}`, gen(Param{"date", "week"}, Param{"unit", "ms"}), num("1767225601001"))
	add("time", `{generalize: {time: hour}}`, gen(Param{"time", "hour"}), str("2026-03-04T05:06:07.89Z"), str("23:59:59"))
	add("ip_prefix", `{generalize: {ip_prefix: [24, 48]}}`, gen(Param{"ip_prefix", "24,48"}), str("192.0.2.77"), str("2001:db8:1:2:3:4:5:6"), str("::ffff:192.0.2.77"), str("192.0.2.77:8080"))
	add("email", `{generalize: {email: domain}}`, gen(Param{"email", "domain"}), str("Somebody@Example.org"))
	add("url", `{generalize: {url: {query: drop}}}`, gen(Param{"url_query", ""}), str("https://u:p@shop.example/cart;s=1?email=a@b.c#top"), str("mailto:a@b.c"))
	add("url", `{generalize: {url: {query: [utm_source]}}}`, gen(Param{"url_query", "utm_source"}), str("/offers?email=a@b.c&utm_source=mail"))
	add("query", `{generalize: {query: [utm_source]}}`, gen(Param{"query", "utm_source"}), str("email=a@b.c&utm_source=mail"), str("?utm_source=mail&q=x"), str("a@b.c"))
	return out
}

// literal writes a value as JSON has it, a decimal as its number.
func literal(v schemas.Value) string {
	if v.Logical == schemas.Decimal {
		d, _ := newDecimal(decimalType(12, 2, 0))
		if d.read(v) != nil {
			return "?"
		}
		return "`" + string(d.appendText(nil)) + "` (decimal)"
	}
	if v.Kind == schemas.String {
		return fmt.Sprintf("`%q`", v.Text)
	}
	return "`" + string(v.Text) + "`"
}

func applied(t *testing.T, f Treatment, v schemas.Value) string {
	t.Helper()
	typ := schemas.Type{Kind: schemas.Any}
	if v.Logical == schemas.Decimal {
		typ = decimalType(12, 2, 0)
	}
	via, _, err := f.At(typ)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := via.Apply(nil, v)
	if err != nil {
		return "withheld: " + err.Error()
	}
	return literal(out)
}
