package schemas

import "math"

// logicalBases says which types may carry a logical type (Avro 1.12, "Logical
// Types"). On any other type it is ignored, as the specification demands.
var logicalBases = map[string]struct {
	logical Logical
	bases   []Kind
	size    int // of a Fixed base; 0: any
}{
	"decimal":                {Decimal, []Kind{Bytes, Fixed}, 0},
	"uuid":                   {UUID, []Kind{String, Fixed}, 16},
	"date":                   {Date, []Kind{Int}, 0},
	"time-millis":            {TimeMillis, []Kind{Int}, 0},
	"time-micros":            {TimeMicros, []Kind{Long}, 0},
	"timestamp-millis":       {TimestampMillis, []Kind{Long}, 0},
	"timestamp-micros":       {TimestampMicros, []Kind{Long}, 0},
	"timestamp-nanos":        {TimestampNanos, []Kind{Long}, 0},
	"local-timestamp-millis": {LocalTimestampMillis, []Kind{Long}, 0},
	"local-timestamp-micros": {LocalTimestampMicros, []Kind{Long}, 0},
	"local-timestamp-nanos":  {LocalTimestampNanos, []Kind{Long}, 0},
	"duration":               {Duration, []Kind{Fixed}, 12},
}

// avroLogical adds the logical type that the attributes d name to t.
func avroLogical(t Type, d map[string]any) Type {
	word, ok := d["logicalType"].(string)
	if !ok {
		return t
	}
	l, ok := logicalBases[word]
	if !ok {
		t.Logical = UnknownLogical
		return t
	}
	for _, base := range l.bases {
		if t.Kind != base || base == Fixed && l.size != 0 && t.Size != l.size {
			continue
		}
		if l.logical == Decimal {
			return decimal(t, d)
		}
		t.Logical = l.logical
	}
	return t
}

// decimal adds precision and scale to t where they are valid.
func decimal(t Type, d map[string]any) Type {
	precision, ok := d["precision"].(float64)
	scale, has := d["scale"].(float64)
	if !ok || precision < 1 || precision > math.MaxInt32 || precision != math.Trunc(precision) ||
		!has && d["scale"] != nil || scale < 0 || scale > precision || scale != math.Trunc(scale) {
		return t
	}
	// A fixed of n bytes holds floor(log10(2^(8n-1) - 1)) digits.
	if t.Kind == Fixed && precision > math.Floor(math.Log10(2)*float64(8*t.Size-1)) {
		return t
	}
	t.Logical, t.Precision, t.Scale = Decimal, int(precision), int(scale)
	return t
}
