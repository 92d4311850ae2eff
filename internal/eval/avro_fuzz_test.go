package eval

import (
	"bytes"
	"testing"
)

// FuzzEncode gives arbitrary text to the encoder: it says unfit, it never
// panics, and what it accepts it accepts again.
func FuzzEncode(f *testing.F) {
	a, err := newAvroText(`{"type":"record","name":"R","fields":[{"name":"d","type":["null",{"type":"int","logicalType":"date"}]},{"name":"f","type":"double"},
	 {"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
	 {"name":"l","type":{"type":"array","items":"string"}},{"name":"m","type":{"type":"map","values":"int"}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},
	 {"name":"x","type":{"type":"fixed","name":"X","size":2}},{"name":"o","type":"boolean"}]}`, nil)
	if err != nil {
		f.Fatal(err)
	}
	whole := []byte(`{"d":{"int":5},"f":1e2,"t":5,"dec":"\u0001","l":["a"],"m":{"k":1},"e":"A","x":"ab","o":true}`)
	if _, unfit := a.encode(whole); unfit {
		f.Fatal("the seed does not encode")
	}
	f.Add(whole)
	f.Add([]byte(`{"d":null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		value, unfit := a.encode(text)
		again, unfitAgain := a.encode(text)
		if unfit != unfitAgain || unfit && len(value) > 0 || !bytes.Equal(value, again) {
			t.Errorf("%d bytes, unfit %v, and then %d bytes, unfit %v", len(value), unfit, len(again), unfitAgain)
		}
	})
}
