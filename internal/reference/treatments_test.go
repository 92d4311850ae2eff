package reference_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/reference"
	"github.com/consentstream/consentstream/schemas"
)

// TestTreatments holds the engine against the reference on drawn treatments of
// fields of all types that docs/treatments.md lists, of the key and of a header,
// with and without gates: schemas, plans and every byte of every output.
func TestTreatments(t *testing.T) {
	key := keyFile(t)
	for _, format := range []string{"json", "avro"} {
		t.Run(format, func(t *testing.T) {
			var met tally
			used := map[string]int{}
			for range 4 {
				rapid.Check(t, func(rt *rapid.T) { treatOnce(rt, key, format, &met, used) })
			}
			t.Logf("%+v, %d treatments", met, len(used))
			if met.outputs < 500 || met.grounds < 200 || met.gates < 200 || met.malformed+met.withheld < 100 || len(used) < 50 {
				t.Errorf("too tame: %+v, treatments %v", met, used)
			}
		})
	}
}

func treatOnce(t *rapid.T, key keyText, format string, met *tally, used map[string]int) {
	d := treating{drawn: drawn{T: t, format: format}, used: used}
	s := d.setup()
	b := openBench(t, key, s)
	if b == nil {
		met.refused++
		return
	}
	b.consents()
	var codec *goavro.Codec
	if s.schema != "" {
		var err error
		if codec, err = reference.Codec(s.schema); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		b.compare(d.record(codec), met)
	}
}

// treating draws treatments of fields that are all of other sorts.
type treating struct {
	drawn
	used   map[string]int
	fields []treated
}

type treated struct {
	path, typ string
	sort      sort
	nulls     int // 0: none, 1: null first, 2: null last
}

// categories are those of the fields, each of another: two of them need a gate.
var categories = []string{"user.health_and_medical", "user.criminal_history", "x.c", "x.d", "x.e"}

func (d *treating) setup() setup {
	n := rapid.IntRange(2, len(categories)).Draw(d.T, "fields")
	for i := range n {
		s := rapid.SampledFrom(sorts).Draw(d.T, "sort")
		typ := strings.ReplaceAll(d.pick("type", s.types...), "$", fmt.Sprintf("T%d", i))
		path := []string{"a", "g.b", "g.c", "l[*]", "d"}[i]
		d.fields = append(d.fields, treated{path, typ, s, rapid.IntRange(0, 2).Draw(d.T, "nulls")})
	}
	s := setup{policy: d.policy(), wiring: d.wiring()}
	if d.format == "avro" {
		s.schema = d.schema()
	}
	return s
}

func (d *treating) policy() string {
	var b strings.Builder
	b.WriteString("version: 1\nrevision: 1\nnamespaces:\n  crm: {normalize: trim}\n  email: {normalize: email}\npurposes:\n")
	for i := range 2 {
		fmt.Fprintf(&b, "  p%d:\n    data_use: analytics.reporting\n    legal_basis: %s\n    treat:\n      system: keep\n", i, d.pick("basis", "consent", "contract"))
		for j, f := range d.fields {
			fmt.Fprintf(&b, "      %s: %s\n", categories[j], d.treatment(j, f))
		}
		fmt.Fprintf(&b, "      x.key: %s\n      x.header: %s\n", d.treatment(outside, treated{sort: sort{treats: outsideTreats}}), d.treatment(outside, treated{sort: sort{treats: outsideTreats}}))
	}
	return b.String()
}

// The key and headers are text: what has no result for it is refused.
const outside = 9

var outsideTreats = []string{"pseudonymize", "{mask: {keep_first: 2}}", "{truncate: 4}", "{generalize: {date: month}}", "{date_shift: {days: 30}}", "{generalize: {ip_prefix: [24, 48]}}"}

// treatment draws one that is for the field, mostly, and a gate.
func (d *treating) treatment(i int, f treated) string {
	of := f.sort
	if i != outside && d.one("odd", 8) {
		of = rapid.SampledFrom(sorts).Draw(d.T, "other sort")
	}
	from := anyType
	if !d.one("of any type", 3) {
		from = of.treats
	}
	t := d.pick("treatment", from...)
	d.used[t]++
	gate := ""
	switch {
	case i < 2 && d.one("grounded", 2):
		gate = []string{"ground: art9_2_h", "ground: art10"}[i]
	case d.one("gated", 4), i < 2 && d.one("explicit", 2):
		gate = "requires: explicit_consent"
	}
	switch word := strings.Trim(t, "{}"); {
	case gate == "" || t == "drop" || t == "redact" || strings.Contains(t, "truncate") || strings.Contains(t, "constant"):
		return t
	case t == word:
		return fmt.Sprintf("{%s: {%s}}", t, gate)
	}
	return strings.TrimSuffix(t, "}}") + ", " + gate + "}}"
}

func (d *treating) wiring() string {
	var b strings.Builder
	b.WriteString("version: 1\npolicy: policy.yaml\nkafka: {seed_brokers: [localhost:9092], consumer_group: g}\nschema_registry: {url: http://localhost:8081}\n" +
		"redis: {addrs: [localhost:6379]}\nkeys: {file: k}\nstreams:\n  - topic: in\n    format: " + d.format + "\n    purposes: [p0, p1]\n" +
		"    subjects:\n      s0: {namespace: crm, path: id}\n")
	if d.one("two subjects", 3) {
		b.WriteString("      s1: {namespace: email, path: to}\n")
	}
	b.WriteString("    key: {category: x.key}\n    headers: {h: x.header}\n    fields:\n      n: system.operations\n")
	for i, f := range d.fields {
		namespace := ""
		if d.one("identifier", 8) {
			namespace = ", namespace: crm"
		}
		fmt.Fprintf(&b, "      %q: {category: %s%s}\n", f.path, categories[i], namespace)
	}
	return b.String()
}

// typeOf is the Avro type of a field, with its null.
func (f *treated) typeOf() string {
	return []string{f.typ, `["null",` + f.typ + `]`, `[` + f.typ + `,"null"]`}[f.nulls]
}

func (d *treating) schema() string {
	members := map[string][]string{"": {`{"name":"id","type":"string"}`, `{"name":"to","type":"string"}`, `{"name":"n","type":"int"}`}}
	for _, f := range d.fields {
		switch parent, name, nested := strings.Cut(f.path, "."); {
		case nested:
			members[parent] = append(members[parent], fmt.Sprintf(`{"name":%q,"type":%s}`, name, f.typeOf()))
		case f.path == "l[*]":
			members[""] = append(members[""], fmt.Sprintf(`{"name":"l","type":{"type":"array","items":%s}}`, f.typeOf()))
		default:
			members[""] = append(members[""], fmt.Sprintf(`{"name":%q,"type":%s}`, f.path, f.typeOf()))
		}
	}
	if g := members["g"]; g != nil {
		members[""] = append(members[""], `{"name":"g","type":["null",{"type":"record","name":"G","fields":[`+strings.Join(g, ",")+`]}]}`)
	}
	return `{"type":"record","name":"R","namespace":"x","fields":[` + strings.Join(members[""], ",") + `]}`
}

// record draws one; codec is nil for JSON.
func (d *treating) record(codec *goavro.Codec) engine.Input {
	in := engine.Input{Timestamp: now - 2*long, Key: []byte(d.pick("key", instants...))}
	if d.one("header", 2) {
		in.Headers = []engine.Header{{Key: "h", Value: []byte(d.pick("h", addresses...))}}
	}
	if d.one("tombstone", 20) {
		return in
	}
	id, to := d.pick("id", "42", "42", "43", " 42", "null"), d.pick("to", "ann@x.example", "42")
	if codec == nil {
		in.Value = []byte(d.object(id, to))
		return in
	}
	var err error
	if in.Value, err = codec.BinaryFromNative(schemas.AppendFrame(nil, 1), d.native(id, to)); err != nil {
		d.Fatal(err)
	}
	return in
}

func (d *treating) object(id, to string) string {
	members := []string{fmt.Sprintf(`"id":%q,"to":%q,"n":7`, id, to)}
	var group []string
	for _, f := range d.fields {
		if d.one("missing", 6) {
			continue
		}
		switch _, name, nested := strings.Cut(f.path, "."); {
		case nested:
			group = append(group, fmt.Sprintf("%q:%s", name, d.json(f)))
		case f.path == "l[*]":
			members = append(members, fmt.Sprintf(`"l":[%s,%s,%s]`, d.json(f), d.json(f), d.json(f)))
		default:
			members = append(members, fmt.Sprintf("%q:%s", f.path, d.json(f)))
		}
	}
	members = append(members, `"g":{`+strings.Join(group, ",")+`}`)
	return "{" + strings.Join(members, ",") + "}"
}

// json draws a JSON value: a text of the field's sort, or the number that it is.
func (d *treating) json(f treated) string {
	if d.one("odd value", 12) {
		return d.pick("value", "null", "true", "[1]", `{"x":1}`, `"\u0061\ud83d\ude00"`, "7")
	}
	text := d.text(f.sort)
	if d.one("quoted", 4) || !number(text) {
		return quote(text)
	}
	return text
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func number(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return (err == nil || strings.HasSuffix(err.Error(), "range")) && !strings.HasPrefix(text, "0"+text) && text[0] != '+' && !strings.ContainsAny(text, " xXpPnN_") &&
		!(len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9')
}

// text draws one of the sort's, or one that is put together from two of them.
func (d *treating) text(s sort) string {
	a := d.pick("text", s.texts...)
	if len(s.texts) > 12 && d.one("spliced", 3) && a != "" {
		b := d.pick("with", s.texts...)
		r, q := []rune(a), []rune(b)
		return string(r[:rapid.IntRange(0, len(r)).Draw(d.T, "from")]) + string(q[rapid.IntRange(0, len(q)).Draw(d.T, "to"):])
	}
	return a
}

func (d *treating) native(id, to string) map[string]any {
	m := map[string]any{"id": id, "to": to, "n": 7, "g": nil}
	group := map[string]any{}
	for _, f := range d.fields {
		switch _, name, nested := strings.Cut(f.path, "."); {
		case nested:
			group[name] = d.avro(f)
		case f.path == "l[*]":
			m["l"] = []any{d.avro(f), d.avro(f)}[:rapid.IntRange(0, 2).Draw(d.T, "length")]
		default:
			m[f.path] = d.avro(f)
		}
	}
	if len(group) > 0 && !d.one("no group", 8) {
		m["g"] = goavro.Union("x.G", group)
	}
	return m
}

// avro draws a value for goavro.
func (d *treating) avro(f treated) any {
	if f.nulls > 0 && d.one("null", 6) {
		return nil
	}
	v, branch := d.scalar(f)
	if f.nulls > 0 {
		return goavro.Union(branch, v)
	}
	return v
}

func (d *treating) scalar(f treated) (v any, branch string) {
	word := func(name string) string { return between(f.typ, `"`+name+`":"`, `"`) }
	size, _ := strconv.Atoi(strings.Trim(between(f.typ, `"size":`, ","), "}"))
	base := strings.Trim(f.typ, `"`)
	if f.typ[0] == '{' {
		base = word("type")
	}
	switch logical := word("logicalType"); {
	case base == "boolean":
		return d.one("true", 2), base
	case base == "int":
		return int32(d.integer(logical, math.MaxInt32)), base
	case base == "long":
		return d.integer(logical, math.MaxInt64), base
	case base == "float":
		return float32(d.float()), base
	case base == "double":
		return d.float(), base
	case logical == "decimal":
		raw := d.unscaled(size)
		if base == "fixed" {
			base = "x." + word("name")
		}
		return raw, base
	case base == "fixed":
		return rapid.SliceOfN(rapid.Byte(), size, size).Draw(d.T, "bytes"), "x." + word("name")
	case base == "bytes":
		return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(d.T, "bytes"), base
	case base == "enum":
		return d.pick("symbol", "gold", "iron"), "x." + word("name")
	}
	return d.text(f.sort), base
}

func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, to)
	return s
}

// integer draws small, usual and extreme ones.
func (d *treating) integer(logical string, most int64) int64 {
	usual := []int64{0, 1, -1, 17, 64, -7, most, -most - 1, most - 1}
	if most == math.MaxInt64 {
		usual = append(usual, 1<<53, 1<<53+1)
	}
	if logical == "" || d.one("extreme", 6) {
		return rapid.SampledFrom(usual).Draw(d.T, "integer")
	}
	per := map[string]int64{"millis": 1e3, "micros": 1e6, "nanos": 1e9}[logical[strings.LastIndexByte(logical, '-')+1:]]
	second := rapid.Int64Range(-5e9, 5e9).Draw(d.T, "second")
	switch {
	case logical == "date":
		return second / 50_000
	case strings.HasPrefix(logical, "time-"):
		return max(second, -second) % 86_410 * per
	}
	return second*per + rapid.Int64Range(0, max(0, per-1)).Draw(d.T, "fraction")
}

func (d *treating) float() float64 {
	if d.one("any float", 3) {
		return rapid.Float64().Draw(d.T, "float")
	}
	return rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 0.3, 0.25, -0.04, 52.520008, 180, -180, 180.04, 179.96, 2.25, 100, 1e15, 1 << 53, 1e17, 1e300, 5e-324, math.NaN(), math.Inf(1), -0.05, 16777216}).Draw(d.T, "float")
}

// unscaled draws the bytes of a decimal, of so many bytes if size is not 0.
func (d *treating) unscaled(size int) []byte {
	n := big.NewInt(rapid.SampledFrom([]int64{0, 1, -1, 1999, -1, 5, -5, 99_999_999, 999_999_999, 1_000_000_000, -999_999_999, 32767, -32768, math.MaxInt64, math.MinInt64}).Draw(d.T, "unscaled"))
	if d.one("large", 4) {
		n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(rapid.Int64Range(0, 30).Draw(d.T, "zeros")), nil))
	}
	length := size
	if length == 0 {
		length = n.BitLen()/8 + 1 + rapid.IntRange(0, 1).Draw(d.T, "longer")
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*max(length, n.BitLen()/8+1))))
	}
	raw := n.FillBytes(make([]byte, max(length, (n.BitLen()+7)/8)))
	if size == 0 && d.one("no bytes", 20) {
		return nil
	}
	return slices.Clone(raw[len(raw)-length:])
}
