package configs

import (
	"io/fs"
	"testing"
)

func TestExpand(t *testing.T) {
	l := &loader{
		env: func(name string) (string, bool) {
			v, ok := map[string]string{"A": "one", "EMPTY": "", "NESTED": "${A}", "_x9": "under"}[name]
			return v, ok
		},
		read: func(path string) ([]byte, error) {
			v, ok := map[string]string{"/abs": "two\n", "dir/rel": "three\r\n", "dir/lines": "a\n\n"}[path]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(v), nil
		},
	}
	const syntax = "a reference must be ${NAME}, ${NAME:-default} or ${file:PATH}"
	for _, c := range []struct {
		in, want string
		literal  bool
		problem  string
	}{
		{"plain", "plain", true, ""},
		{"", "", true, ""},
		{"$A {A} $", "$A {A} $", true, ""},
		{"${A}", "one", false, ""},
		{"x${A}y${_x9}z", "xoneyunderz", false, ""},
		{"${A:-other}", "one", false, ""},
		{"${EMPTY}", "", false, ""},
		{"${EMPTY:-other}", "other", true, ""},
		{"${NONE:-}", "", true, ""},
		{"${NONE:-a:-b}", "a:-b", true, ""},
		{"${NONE:-x}${A}", "xone", false, ""},
		{"${NESTED}", "${A}", false, ""}, // replaced once: a value adds no reference
		{"$${A}", "${A}", true, ""},
		{"$$${A}", "$${A}", true, ""},
		{"${file:/abs}", "two", false, ""},
		{"${file:rel}", "three", false, ""},
		{"${file:lines}", "a\n", false, ""},
		{"${NONE}", "", false, "the environment variable NONE is not set and has no default"},
		{"${file:nowhere}", "", false, "the file of ${file:nowhere} cannot be read: it does not exist"},
		{"${file:}", "", false, "${file:} names no file"},
		{"${}", "", false, syntax},
		{"${9}", "", false, syntax},
		{"${A-b}", "", false, syntax},
		{"${a b}", "", false, syntax},
		{"${A", "", false, `"${" without "}"; write "$${" for the two characters themselves`},
	} {
		got, literal, problem := l.expand(c.in, "dir")
		if got != c.want || literal != c.literal || problem != c.problem {
			t.Errorf("%q gives %q, %t, %q; want %q, %t, %q", c.in, got, literal, problem, c.want, c.literal, c.problem)
		}
	}
}

func TestParentOf(t *testing.T) {
	for at, want := range map[string]string{
		"streams[0].fields[address.city]": "streams[0].fields",
		"streams[0].fields[tags[*].x]":    "streams[0].fields",
		"streams[0].event_time":           "streams[0]",
		"streams[0]":                      "streams",
		"streams":                         "",
		"a]":                              "",
	} {
		if got := parentOf(at); got != want {
			t.Errorf("parentOf(%q) is %q, want %q", at, got, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
		"kafka": false, "128.0.0.1": false, "127.1": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("loopback(%q) is %t", host, got)
		}
	}
}
