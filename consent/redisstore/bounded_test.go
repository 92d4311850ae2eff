package redisstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// walk passes replies through a fresh filter in pieces of the lengths that next
// gives.
func walk(b []byte, asked int, next func() int) (Code, int) {
	var f filter
	f.request(asked, true)
	for len(b) > 0 {
		n := min(next(), len(b))
		if err := f.take(b[:n]); err != nil {
			var re *replyError
			errors.As(err, &re)
			return re.code, re.element
		}
		b = b[n:]
	}
	return "", -1
}

func TestFilter(t *testing.T) {
	value := func(n int) string { return fmt.Sprintf("$%d\r\n%s\r\n", n, strings.Repeat("x", n)) }
	queued := "+OK\r\n" + strings.Repeat("+QUEUED\r\n", 5)
	for _, c := range []struct {
		name    string
		b       string
		code    Code
		element int
	}{
		{"nothing", "", "", -1},
		{"lines", "+OK\r\n-ERR no\r\n:-12\r\n", "", -1},
		{"a value that looks like replies", "$12\r\n$99999999\r\n*\r\n+OK\r\n", "", -1},
		{"nothing there", "$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n", "", -1},
		{"a transaction", queued + "*5\r\n*2\r\n$1\r\nw\r\n$-1\r\n:2\r\n*1\r\n$-1\r\n:0\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n", "", -1},
		{"the longest value", value(maxValue), "", -1},
		{"a longer one", fmt.Sprintf("$%d\r\n", maxValue+1), ReplyTooLarge, -1},
		{"512 MB", "$536870912\r\n", ReplyTooLarge, -1},
		{"beyond 64 bits", "$99999999999999999999\r\n", Malformed, -1},
		{"beyond 31 bits", "$9999999999\r\n", ReplyTooLarge, -1},
		{"in the first bucket", queued + "*5\r\n*2\r\n$1\r\nw\r\n$536870912\r\n", ReplyTooLarge, 0},
		{"in the second bucket", queued + "*5\r\n*1\r\n$1\r\nw\r\n:2\r\n*2\r\n$536870912\r\n", ReplyTooLarge, 2},
		{"after a bucket that failed", queued + "*5\r\n-WRONGTYPE\r\n-WRONGTYPE\r\n*2\r\n$536870912\r\n", ReplyTooLarge, 2},
		{"in the next exchange's status", "*1\r\n*1\r\n$1\r\nw\r\n$536870912\r\n", ReplyTooLarge, -1},
		{"as many items as bytes were asked", "*2000\r\n" + strings.Repeat(":1\r\n", 2000), "", -1},
		{"more items than that", "*2001\r\n", ReplyTooLarge, -1},
		{"more items inside", "*1\r\n*2001\r\n", ReplyTooLarge, 0},
		{"the deepest", "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "", -1},
		{"deeper", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", Malformed, 0},
		{"a long line", "-" + strings.Repeat("x", maxLine+1), ReplyTooLarge, -1},
		{"a long header", "$" + strings.Repeat("0", maxHeader+1), Malformed, -1},
		{"a negative length", "$-2\r\n", Malformed, -1},
		{"a signed length", "$+2\r\n", Malformed, -1},
		{"no length", "$\r\n", Malformed, -1},
		{"no carriage return", "$1\nx\r\n", Malformed, -1},
		{"RESP3", "%1\r\n+a\r\n+b\r\n", Malformed, -1},
		{"a type of zero", "\x00\r\n+OK\r\n", Malformed, -1},
		{"no RESP", "HTTP/1.1 400 Bad Request\r\n", Malformed, -1},
		{"more than was asked for", strings.Repeat(value(maxValue), 120), ReplyTooLarge, -1},
		{"as much as was asked for", strings.Repeat(value(maxValue), 2000/tagCost), "", -1},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		for name, next := range map[string]func() int{
			"at once": func() int { return len(c.b) }, "byte by byte": func() int { return 1 }, "in pieces": func() int { return 1 + r.IntN(40) },
		} {
			if len(c.b) > 1<<20 && name == "byte by byte" {
				continue
			}
			if code, element := walk([]byte(c.b), 2000, next); code != c.code || element != c.element {
				t.Errorf("%s, %s: %q in %d, want %q in %d", c.name, name, code, element, c.code, c.element)
			}
		}
	}
}

// FuzzFilter: however the bytes come in, the filter finds what a slow reader of
// all of them finds, and lets nothing through that announces more than the bounds.
func FuzzFilter(f *testing.F) {
	f.Add([]byte("+OK\r\n*2\r\n*2\r\n$1\r\nw\r\n$-1\r\n:2\r\n"), uint64(1))
	f.Add([]byte("*1\r\n$70000\r\n"), uint64(2))
	f.Add([]byte("$3\r\n$99\r\n+\r\n"), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		const asked = 40
		r := rand.New(rand.NewPCG(seed, 0))
		code, element := walk(b, asked, func() int { return 1 + r.IntN(9) })
		whole, at := walk(b, asked, func() int { return len(b) })
		if code != whole || element != at {
			t.Errorf("in pieces %q in %d, at once %q in %d", code, element, whole, at)
		}
		slow := slowReader{b: b, asked: asked}
		for len(slow.b) > 0 && slow.reply(0) {
		}
		if code != slow.code {
			t.Errorf("%q, want %q", code, slow.code)
		}
	})
}

// slowReader reads whole replies by recursion, and says what is wrong first.
type slowReader struct {
	b     []byte
	asked int
	code  Code
}

func (r *slowReader) refuse(c Code) bool {
	r.code = c
	return false
}

// reply is false at the end of the bytes and where code says that they are bad.
func (r *slowReader) reply(depth int) bool {
	if len(r.b) == 0 {
		return false
	}
	kind := r.b[0]
	line, rest, whole := bytes.Cut(r.b[1:], []byte("\n"))
	r.b = rest
	if strings.IndexByte("+-:$*", kind) < 0 {
		return r.refuse(Malformed)
	}
	if kind != '$' && kind != '*' {
		return (len(line) <= maxLine || r.refuse(ReplyTooLarge)) && whole
	}
	if len(line) > maxHeader {
		return r.refuse(Malformed)
	}
	if !whole {
		return false
	}
	text := string(line)
	n, _ := strconv.ParseInt(strings.TrimSuffix(text, "\r"), 10, 64)
	switch {
	case text == "-1\r":
		return true
	case regexp.MustCompile(`^\d{10,}\r$`).MatchString(text):
		return r.refuse(ReplyTooLarge)
	case !regexp.MustCompile(`^\d+\r$`).MatchString(text):
		return r.refuse(Malformed)
	}
	if kind == '$' {
		if n > maxValue {
			return r.refuse(ReplyTooLarge)
		}
		if int64(len(r.b)) < n+2 {
			r.b = nil
			return false
		}
		r.b = r.b[n+2:]
		return true
	}
	switch {
	case n > int64(max(r.asked, smallArray)):
		return r.refuse(ReplyTooLarge)
	case n > 0 && depth == maxDepth:
		return r.refuse(Malformed)
	}
	for range n {
		if !r.reply(depth + 1) {
			return false
		}
	}
	return true
}
