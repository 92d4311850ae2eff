package e2e

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/reference"
)

// leaf is an audit record as goavro reads it.
type leaf struct {
	at       string // where it stands, for people
	hash     [32]byte
	sig      []byte
	lane     map[string]any
	index    int64
	prev     []byte
	kind     string
	from     int64
	offset   int64
	context  map[string]any // nil: inherited
	cut      []int64        // nil: at the fence
	reason   string
	detail   string
	path     string
	subjects []any
	decided  []decided
}

type decided struct {
	element, subject int64
	purpose, basis   string
	permit           bool
	reason           string
	secondary        []string
	cited            *reference.Position
	plan             []byte
	gates, withheld  int64
	topic            string // of the output; "" for none
	partition        int32
	commitment       []byte
}

// decodeLeaf reads an audit record and writes it again: there must be one form
// of it only.
func decodeLeaf(codec *goavro.Codec, r *kgo.Record) (l leaf, err error) {
	if len(r.Value) < 5 || r.Value[0] != 0 {
		return l, errors.New("no frame")
	}
	payload := r.Value[5:]
	native, rest, err := codec.NativeFromBinary(payload)
	if err != nil {
		return l, fmt.Errorf("goavro: %w", err)
	}
	if len(rest) > 0 {
		return l, fmt.Errorf("%d bytes behind the record", len(rest))
	}
	again, err := codec.BinaryFromNative(nil, native)
	if err != nil || !bytes.Equal(again, payload) {
		return l, errors.New("not the one form of the record")
	}
	m := native.(map[string]any)
	l = leaf{
		at: fmt.Sprintf("audit %d/%d", r.Partition, r.Offset), hash: reference.Leaf(payload),
		lane: m["lane"].(map[string]any), index: m["index"].(int64), prev: m["prev"].([]byte), kind: m["kind"].(string),
		from: m["from"].(int64), offset: m["offset"].(int64), reason: m["reason"].(string), detail: m["detail"].(string),
		path: m["path"].(string), subjects: m["subjects"].([]any),
	}
	l.context, _ = branch(m["context"]).(map[string]any)
	if cut, ok := branch(m["cut"]).([]any); ok {
		l.cut = longs(cut)
	}
	if m["cites"] != nil || m["note"] != "" {
		return l, errors.New("it cites an operator's reset")
	}
	for _, h := range r.Headers {
		if h.Key != "sig" || l.sig != nil {
			return l, errors.New("it has a header that is not its signature")
		}
		l.sig = h.Value
	}
	for _, d := range m["decisions"].([]any) {
		l.decided = append(l.decided, decodeDecision(d.(map[string]any)))
	}
	return l, nil
}

func decodeDecision(m map[string]any) decided {
	d := decided{
		element: int64(m["element"].(int32)), subject: int64(m["subject"].(int32)), purpose: m["purpose"].(string), basis: m["basis"].(string),
		permit: m["permit"].(bool), reason: m["reason"].(string), plan: m["plan"].([]byte),
		gates: int64(m["gates"].(int32)), withheld: int64(m["withheld"].(int32)),
	}
	for _, s := range m["secondary"].([]any) {
		d.secondary = append(d.secondary, s.(string))
	}
	if p, ok := branch(m["cited"]).(map[string]any); ok {
		d.cited = &reference.Position{Partition: p["partition"].(int32), Offset: p["offset"].(int64)}
	}
	if o, ok := branch(m["output"]).(map[string]any); ok {
		d.topic, d.partition, d.commitment = o["topic"].(string), o["partition"].(int32), o["commitment"].([]byte)
	}
	return d
}

// branch is the value in goavro's union.
func branch(v any) any {
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		for _, x := range m {
			return x
		}
	}
	return v
}

func longs(list []any) []int64 {
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = v.(int64)
	}
	return out
}
