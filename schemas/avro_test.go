package schemas

import (
	"strings"
	"testing"
)

// upper is a transform that yields the upper-case text of a string.
type upper struct{}

func (upper) Apply(buf []byte, v Value) (Value, []byte, error) {
	for _, c := range v.Text {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf = append(buf, c)
	}
	return Value{Kind: String, Text: buf}, buf, nil
}

// fixedResult is a transform that yields one value, or errs.
type fixedResult struct {
	v   Value
	err error
}

func (f fixedResult) Apply(buf []byte, _ Value) (Value, []byte, error) { return f.v, buf, f.err }

// constant is a transform that yields a text.
func constant(text string) Transform {
	return fixedResult{v: Value{Kind: String, Text: []byte(text)}}
}

// avroActs are the actions acts by path, and def for all other positions.
func avroActs(t testing.TB, l Layout, def Action, acts map[string]Action) []Action {
	t.Helper()
	out := make([]Action, len(l.Nodes()))
	found := map[string]bool{}
	for i, n := range l.Nodes() {
		out[i] = def
		if a, ok := acts[n.Path]; ok {
			out[i], found[n.Path] = a, true
		}
	}
	if len(found) != len(acts) {
		t.Fatalf("%d of %d paths found", len(found), len(acts))
	}
	return out
}

func mustAvro(t testing.TB, schema string) Layout {
	t.Helper()
	l, err := NewAvro(schema, nil)
	if err != nil {
		t.Fatalf("NewAvro: %v\n%s", err, schema)
	}
	return l
}

const crmSchema = `{"type":"record","name":"Contact","namespace":"crm","doc":"a person","fields":[
 {"name":"id","type":"string","confluent:tags":["PII","KEY"]},
 {"name":"email","type":["null","string"],"default":null},
 {"name":"age","type":["int","null"],"default":42},
 {"name":"address","type":["null",{"type":"record","name":"Address","fields":[
   {"name":"street","type":"string"},{"name":"country","type":["null","string"]}]}]},
 {"name":"billing","type":"Address"},
 {"name":"tags","type":{"type":"array","items":"string"}},
 {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
   {"name":"sku","type":"string"},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}}},
 {"name":"props","type":{"type":"map","values":["null","string","long"]}},
 {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
 {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","OLD"],"default":"NEW"}}]}`

func TestAvroNodes(t *testing.T) {
	var got []string
	for _, n := range mustAvro(t, crmSchema).Nodes() {
		s := n.Path
		if n.Leaf {
			s += "!"
		}
		if n.Repeated {
			s += "+"
		}
		if n.Type.Nullable {
			s += "?"
		}
		got = append(got, s+strings.Join(n.Tags, ","))
	}
	want := " id!PII,KEY email!? age!? address? address.street! address.country!? billing billing.street! billing.country!? " +
		"tags tags[*]!+ items items[*]+ items[*].sku!+ items[*].price!+ props props.*~key!+ props.*+? props.*!+ props.*!+ at! state!"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %q\nwant %q", strings.Join(got, " "), want)
	}
}

func TestAvroDerivedSchema(t *testing.T) {
	l := mustAvro(t, crmSchema)
	str := Type{Kind: String}
	p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, map[string]Action{
		"id":              {Op: OpReplace, Via: upper{}, Result: str},
		"email":           {},
		"age":             {Op: OpNull},
		"billing.street":  {Op: OpNull},
		"billing.country": {},
		"tags[*]":         {Op: OpKeep, Gate: 1},
		"items[*].sku":    {Op: OpConst, Via: constant("x"), Result: str},
	}), "crm.analytics")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"record","name":"Contact","namespace":"crm.analytics","fields":[` +
		`{"name":"id","type":"string"},` +
		`{"name":"age","type":["int","null"]},` +
		`{"name":"address","type":["null",{"type":"record","name":"Address","fields":[{"name":"street","type":"string"},{"name":"country","type":["null","string"],"default":null}]}],"default":null},` +
		`{"name":"billing","type":["null",{"type":"record","name":"Address_billing","fields":[{"name":"street","type":["null","string"],"default":null}]}],"default":null},` +
		`{"name":"tags","type":["null",{"type":"array","items":["null","string"]}],"default":null},` +
		`{"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"sku","type":"string"},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}}},` +
		`{"name":"props","type":{"type":"map","values":["null","string","long"]}},` +
		`{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},` +
		`{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","OLD"]}}]}`
	if p.Schema() != want {
		t.Errorf("got  %s\nwant %s", p.Schema(), want)
	}
}
