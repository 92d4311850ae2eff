package infer

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestShapeOf(t *testing.T) {
	for _, c := range []struct {
		text string
		want Shape
	}{
		{"ada.byron@example.org", Email}, {" ada+tag@sub.example.org ", Email}, {"grüße@bücher.example", Email},
		{"ada@localhost", NoShape}, {"@example.org", NoShape}, {"a@b@c.example", NoShape},
		{"+44 20 7946 0958", Phone}, {"+4915112345678", Phone}, {"(415) 555-2671", Phone}, {"0171 1234567", Phone},
		{"0171", Digits}, {"01711234567", Digits}, {"1234567890", Digits}, {"+1", NoShape},
		{"192.0.2.1", IPAddress}, {"2001:db8::1", IPAddress}, {"::1", IPAddress}, {"999.1.1.1", NoShape},
		{"00:1B:44:11:3A:B7", MAC},
		{"3c2f4df8-c6dd-4cd2-9b91-6582b81a0349", UUID}, {"3C2F4DF8-C6DD-4CD2-9B91-6582B81A0349", UUID},
		{"https://example.org/a?b=c", URL}, {"ftp://example.org", NoShape}, {"example.org", NoShape},
		{"4111 1111 1111 1111", Card}, {"4111111111111112", Digits}, {"378282246310005", Card}, {"5555555555554444", Card},
		{"6011111111111117", Card}, {"9111111111111111", Digits}, {"30569309025904", Card},
		{"GB82 WEST 1234 5698 7654 32", IBAN}, {"DE89370400440532013000", IBAN}, {"DE88370400440532013000", NoShape},
		{"078-05-1120", SSN},
		{"1990-04-01", BirthDate}, {"01.04.1990", BirthDate}, {"2026-11-20", Date}, {"1890-01-01", Date}, {"1990-13-01", NoShape},
		{"2026-11-20T10:00:00Z", Timestamp}, {"2026-11-20 10:00:00", Timestamp}, {"2026-11-20T10:00:00.123+01:00", Timestamp},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln", JWT},
		{"Mozilla/5.0 (X11)", UserAgent},
		{"52.5200, 13.4050", Coordinates},
		{"d41d8cd98f00b204e9800998ecf8427e", Digest},
		{`{"a": 1}`, JSONText}, {`[1]`, JSONText}, {`{}`, NoShape}, {`{"a": }`, NoShape},
		{base64.StdEncoding.EncodeToString([]byte(`{"email": "a@b.example"}`)), Base64JSON},
		{base64.RawURLEncoding.EncodeToString([]byte(`{"email": "ää@b.example"}`)), Base64JSON},
		{base64.StdEncoding.EncodeToString([]byte("this is some text")), Base64Text},
		{"wrfRRvF7Q0GgwUo2CvDmEA", NoShape},
		{"She called about the invoice of her mother", FreeText},
		{"a short text of words", NoShape}, {"", NoShape}, {"  ", NoShape}, {"DE", NoShape},
		{strings.Repeat("some words and ", 100), FreeText},
	} {
		if got := ShapeOf(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestNumberShape(t *testing.T) {
	for text, want := range map[string]Shape{
		"1461095246": EpochSeconds, "1461095246123": EpochMillis, "1461095246123456": EpochMicros,
		"4111111111111111": Card, "42": NoShape, "-1461095246": NoShape, "1.5": NoShape, "1e400": NoShape,
	} {
		if got := numberShape(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestDataName(t *testing.T) {
	for name, want := range map[string]bool{
		"email": false, "first_name": false, "xdm:val": false, "address1": false, "https://ns.adobe.com/xdm/x": false, "Total Billed": false,
		"utm_source_2024": false, "ga4": false, "$set": false,
		"ada@example.org": true, "42": true, "user12345": true, "3c2f4df8-c6dd-4cd2-9b91-6582b81a0349": true, "192.0.2.1": true,
		"https://example.org/?u=1": true, "https://example.org/a/98765": true, "2026-11-20": true, "": true,
		"a\nb": true, "a\u202eb": true, "a\u200bb": true, "A1b2C3d4E5f6G7h8": true, strings.Repeat("x", 65): true,
	} {
		if _, got := dataName(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func FuzzShapeOf(f *testing.F) {
	for _, seed := range []string{"a@b.example", "4111111111111111", "GB82WEST12345698765432", "+49", `{"a":1}`, "eyJ9", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s := ShapeOf(text); s >= shapeCount {
			t.Errorf("%q: %d", text, s)
		}
		dataName(text)
		numberShape(text)
	})
}
