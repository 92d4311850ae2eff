package schemas

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
)

// fixture reads data that nobody on this project wrote.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../shared/fixtures", name))
	if err != nil {
		t.Skip("no fixtures here: ", name)
	}
	return b
}

// Schemas that people try first (kafka-connect-datagen), and a message of
// apache/avro in single-object encoding, after its header of 10 bytes.
func TestAvroFixtures(t *testing.T) {
	for _, name := range []string{"clickstream_users_schema", "pageviews_schema", "ratings_schema", "users_array_map_schema", "users_schema"} {
		l := mustAvro(t, string(fixture(t, "confluent-datagen/"+name+".avro")))
		p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, nil), "x.y")
		if err != nil || p.Empty() || strings.Contains(p.Schema(), "arg.properties") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := mustAvro(t, string(fixture(t, "avro/messageV1/test_schema.avsc")))
	src := fixture(t, "avro/messageV1/test_message.bin")[10:]
	var tape Tape
	if err := l.Scan(src, &tape); err != nil || len(tape.Entries) != 6 {
		t.Errorf("%v, %d entries", err, len(tape.Entries))
	}
}

// The records of apache/avro's weather file, as goavro encodes them.
func TestAvroWeather(t *testing.T) {
	ocf, err := goavro.NewOCFReader(bytes.NewReader(fixture(t, "avro/weather.avro")))
	if err != nil {
		t.Fatal(err)
	}
	l := mustAvro(t, ocf.Codec().Schema())
	n := 0
	for ; ocf.Scan(); n++ {
		native, err := ocf.Read()
		if err != nil {
			t.Fatal(err)
		}
		src, err := ocf.Codec().BinaryFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		var tape Tape
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		e, _ := tape.Find(1)
		if v, _, _ := l.Value(src, e, nil); string(v.Text) != native.(map[string]any)["station"] {
			t.Errorf("station %q", v.Text)
		}
	}
	if n != 5 {
		t.Errorf("%d records", n)
	}
}

// Of apache/avro's schema cases we take, put in a record, those that twmb takes,
// except for what goavro does not take.
func TestAvroSchemaCases(t *testing.T) {
	cases := regexp.MustCompile(`(?s)<<INPUT\s(.*?)\n(?:INPUT|<<canonical|//|\n)`).FindAllSubmatch(fixture(t, "avro/schema-tests.txt"), -1)
	taken := 0
	for _, c := range cases {
		schema := rec(string(c[1]))
		_, theirs := avro.Parse(schema)
		_, ours := NewAvro(schema, nil)
		if ours == nil {
			taken++
		}
		why := ""
		if ours != nil {
			why = ours.Error()
		}
		known := strings.Contains(why, "goavro") || strings.Contains(why, "union of 0")
		if (ours == nil) != (theirs == nil) && !known {
			t.Errorf("%s: ours %v, theirs %v", schema, ours, theirs)
		}
	}
	if len(cases) < 30 || taken < 20 {
		t.Errorf("%d cases, %d taken", len(cases), taken)
	}
}
