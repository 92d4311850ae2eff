package redisstore

import "bytes"

// reply walks one raw RESP2 reply (redis.io/docs/reference/protocol-spec)
// without copying: at 10,000 rows a read, strings made by the client library
// would be most of our allocations. Each method tells with ok whether the next
// item has the asked form; after a false the reply must not be used further.
type reply struct{ b []byte }

// line takes the text between the type byte want and CRLF.
func (r *reply) line(want byte) (text []byte, ok bool) {
	if len(r.b) == 0 || r.b[0] != want {
		return nil, false
	}
	end := bytes.IndexByte(r.b, '\n')
	if end < 2 || r.b[end-1] != '\r' {
		return nil, false
	}
	text, r.b = r.b[1:end-1], r.b[end+1:]
	return text, true
}

// length reads a non-negative decimal, or -1.
func length(text []byte) (n int, ok bool) {
	if string(text) == "-1" {
		return -1, true
	}
	if len(text) == 0 || len(text) > 9 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// array reads the header of an array and returns its length.
func (r *reply) array() (n int, ok bool) {
	text, ok := r.line('*')
	if !ok {
		return 0, false
	}
	n, ok = length(text)
	return n, ok && n >= 0
}

// bulk reads a bulk string; nil is Redis's null. The bytes alias the reply.
func (r *reply) bulk() (b []byte, ok bool) {
	text, ok := r.line('$')
	if !ok {
		return nil, false
	}
	n, ok := length(text)
	if !ok || n < 0 {
		return nil, ok
	}
	if len(r.b) < n+2 || r.b[n] != '\r' || r.b[n+1] != '\n' {
		return nil, false
	}
	b, r.b = r.b[:n:n], r.b[n+2:]
	return b, true
}
