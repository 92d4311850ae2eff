package schemas

import "encoding/binary"

// The Confluent wire format ("Wire format" in the Schema Registry
// documentation): one magic byte 0, the schema id as 4 bytes big-endian, then
// the Avro binary of the value.
const (
	frameMagic = 0
	frameBytes = 5
)

// ParseFrame splits a framed record value into its schema id and its payload,
// which aliases value. An id above 2^31-1 is one that no registry hands out:
// it is refused as an unknown schema.
func ParseFrame(value []byte) (id int, payload []byte, f *Fault) {
	switch {
	case len(value) == 0:
		return 0, nil, &Fault{Code: CodeEmptyValue}
	case value[0] != frameMagic:
		return 0, nil, &Fault{Code: CodeBadMagic}
	case len(value) < frameBytes:
		return 0, nil, &Fault{Code: CodeTruncated}
	}
	n := int32(binary.BigEndian.Uint32(value[1:]))
	if n < 0 {
		return 0, nil, &Fault{Code: CodeUnknownSchema}
	}
	return int(n), value[frameBytes:], nil
}

// AppendFrame appends the frame of schema id to dst; the payload goes after it.
func AppendFrame(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, frameMagic), uint32(id))
}
