package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// event is a marketing event of 800-odd bytes, in the shape of the Segment spec.
const event = `{"messageId":"022bb90c-bbac-11e4-8dfc-aa07a5b093db","type":"track","event":"Product Added",` +
	`"userId":"97980cfea0067","anonymousId":"507f191e810c19729de860ea","email":"jane.doe@example.com",` +
	`"timestamp":"2026-02-23T22:28:55.111Z","sentAt":"2026-02-23T22:28:55.387Z","receivedAt":"2026-02-23T22:28:55.923Z",` +
	`"context":{"ip":"203.0.113.42","locale":"de-DE","userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",` +
	`"library":{"name":"analytics.js","version":"2.11.1"},"page":{"path":"/academy/","referrer":"","url":"https://shop.example/academy/","title":"Größen"},` +
	`"campaign":{"name":"TPS Innovation Newsletter","source":"Newsletter","medium":"email"}},` +
	`"properties":{"sku":"45360-32","name":"Special Facial Soap","price":12.60,"quantity":3,"coupon":null,"gift":false,"tags":["soap","sale"]}}`

func eventPlans(tb testing.TB) (Layout, []Projection) {
	paths := []string{"messageId", "event", "userId", "anonymousId", "email", "timestamp", "context.ip", "context.userAgent",
		"context.campaign", "properties.sku", "properties.price", "properties.quantity", "properties.coupon", "properties.tags[*]"}
	l, err := NewJSON(paths)
	if err != nil {
		tb.Fatal(err)
	}
	var plans []Projection
	for _, by := range []map[string]Action{
		{"userId": replace, "email": null, "context.ip": replace, "context.userAgent": keep, "context.campaign": keep},
		{"email": keep, "userId": drop, "anonymousId": drop, "context.ip": null, "context.campaign": gated},
		{"properties.sku": drop, "properties.tags[*]": drop, "email": replace, "userId": replace, "anonymousId": replace},
	} {
		acts := make([]Action, len(l.Nodes()))
		for id, n := range l.Nodes() {
			acts[id] = keep
			if a, ok := by[n.Path]; ok {
				acts[id] = a
			}
		}
		p, err := l.Project(acts, "")
		if err != nil {
			tb.Fatal(err)
		}
		plans = append(plans, p)
	}
	return l, plans
}

func TestJSONAllocations(t *testing.T) {
	l, plans := eventPlans(t)
	var tape Tape
	dst := make([]byte, 0, 4096)
	wide := []byte(`{"rest":{`)
	for i := range 3 * pairwiseNames { // sorted, not compared pair by pair
		wide = append(wide, `"\u00e9`...)
		wide = strconv.AppendInt(wide, int64(i), 10)
		wide = append(wide, `":"a\n",`...)
	}
	wide = append(wide, `"y":1},"email":"\u0041\n"}`...)
	for _, src := range [][]byte{[]byte(event), wide} {
		run := func() {
			if err := l.Scan(src, &tape); err != nil {
				t.Fatal(err)
			}
			for _, p := range plans {
				if _, _, err := p.Splice(dst[:0], src, &tape, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v allocations per record", n)
		}
	}
}

// The same for every kind of path.
func TestJSONPathAllocations(t *testing.T) {
	l, p := project(t, []rule{{"context", keep}, {"context.campaign.*", keep}, {"context.campaign.*~key", replace}, {"**.name", replace},
		{"properties.tags[0]", keep}, {"properties.tags[*]", replace}, {"email", null}, {`params[key=="page"].value`, keep}, {"params[*].value", replace}})
	src := []byte(event[:len(event)-1] + `,"params":[{"key":"page","value":1},{"value":"x","key":"\u0070"},{"key":"p","value":"y"}]}`)
	var tape Tape
	var out []byte
	run := func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		var err error
		if out, _, err = p.Splice(out[:0], src, &tape, 0); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
	want := `"campaign":{"name":"TPS Innovation Newsletter","SOURCE":"Newsletter","MEDIUM":"email"}`
	if !bytes.Contains(out, []byte(want)) || !bytes.Contains(out, []byte(`"tags":["soap","SALE"]`)) ||
		!bytes.Contains(out, []byte(`"params":[{"value":1},{"value":"X"},{"value":"Y"}]`)) {
		t.Errorf("gives %s", out)
	}
}

func BenchmarkJSONScan(b *testing.B) {
	l, _ := eventPlans(b)
	var tape Tape
	src := []byte(event)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Scan(src, &tape); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONScanSplice3(b *testing.B) {
	l, plans := eventPlans(b)
	var tape Tape
	src, dst := []byte(event), make([]byte, 0, 4096)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Scan(src, &tape); err != nil {
			b.Fatal(err)
		}
		for _, p := range plans {
			dst, _, _ = p.Splice(dst[:0], src, &tape, 1)
		}
	}
}

// BenchmarkJSONPeers is what the same job costs by the usual means.
func BenchmarkJSONPeers(b *testing.B) {
	src := []byte(event)
	b.Run("maps3", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for range 3 {
				var m map[string]any
				if err := json.Unmarshal(src, &m); err != nil {
					b.Fatal(err)
				}
				m["email"] = nil
				delete(m, "type")
				if _, err := json.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("jsontext-tokens", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		r := bytes.NewReader(src)
		d := jsontext.NewDecoder(r)
		for b.Loop() {
			r.Reset(src)
			d.Reset(r)
			for {
				if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if !json.Valid(src) {
				b.Fatal("invalid")
			}
		}
	})
}
