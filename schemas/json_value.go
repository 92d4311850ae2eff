package schemas

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Value returns Null, Bool, Number (its literal as Text) and String (unescaped
// as Text, in src itself where it holds no escape, else after scratch).
func (l *jsonLayout) Value(src []byte, e Entry, scratch []byte) (v Value, rest []byte, ok bool) {
	return jsonValue(src, &e, scratch)
}

func jsonValue(src []byte, e *Entry, scratch []byte) (v Value, rest []byte, ok bool) {
	v.Kind = e.Kind
	text := src[e.Start:e.End]
	switch e.Kind {
	case Null:
	case Bool:
		if text[0] == 't' {
			v.Int = 1
		}
	case Number:
		v.Text = text
	case String:
		v.Text = text[1 : len(text)-1]
		if bytes.IndexByte(v.Text, '\\') >= 0 {
			before := len(scratch)
			scratch = appendUnescaped(scratch, v.Text)
			v.Text = scratch[before:]
		}
	default:
		return Value{}, scratch, false
	}
	return v, scratch, true
}

// appendUnescaped appends the text that a validated JSON string stands for.
func appendUnescaped(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		run := bytes.IndexByte(text[i:], '\\')
		if run < 0 {
			return append(dst, text[i:]...)
		}
		dst = append(dst, text[i:i+run]...)
		r, next := jsonRune(text, i+run)
		dst = utf8.AppendRune(dst, r)
		i = next
	}
	return dst
}

// appendJSONValue appends what a treatment yielded. ok is false for what has no
// plain JSON form (bytes, infinities, text that is not UTF-8, a Number whose
// text is none): the caller withholds it.
func appendJSONValue(dst []byte, v Value) (out []byte, ok bool) {
	switch v.Kind {
	case Null:
		return append(dst, "null"...), true
	case Bool:
		return strconv.AppendBool(dst, v.Int != 0), true
	case Int, Long:
		return strconv.AppendInt(dst, v.Int, 10), true
	case Float, Double:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return dst, false
		}
		return strconv.AppendFloat(dst, v.Float, 'g', -1, 64), true
	case Number:
		return append(dst, v.Text...), isNumber(v.Text)
	case String:
		return appendJSONString(dst, v.Text), validText(v.Text)
	}
	return dst, false
}

func isNumber(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	end, code := numberEnd(text, 0)
	return code == "" && end == len(text)
}

// appendJSONString appends UTF-8 text as a JSON string with the escapes that RFC
// 8259 section 7 demands and no others.
func appendJSONString[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		dst = appendEscape(dst, c)
		from = i + 1
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}
