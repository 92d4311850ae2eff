package reference_test

import "strings"

// sort is fields of one meaning: their types, the treatments that are for them and
// texts as people write them.
type sort struct {
	types  []string // of Avro; $ stands for a name
	treats []string
	texts  []string
}

var anyType = []string{"keep", "keep", "drop", "redact", "encrypt"}

var sorts = []sort{
	{types: []string{`"int"`, `"long"`}, texts: wholes,
		treats: []string{"pseudonymize", "{generalize: {bucket: 10}}", "{generalize: {bucket: 7}}", "{generalize: {bucket: [-5, 0, 18, 25]}}", "{generalize: {bucket: 0.5}}",
			"{generalize: {date: week, unit: s}}", "{generalize: {date: month, unit: d}}", "{date_shift: {days: 9, unit: d}}", "{generalize: {date: quarter, unit: ms}}", "{generalize: {time: hour, unit: us}}", "{date_shift: {days: 30, unit: ms}}",
			"{date_shift: {days: 400, unit: s}}", "{date_shift: {days: 3}}", "{constant: 7}", "{constant: -2147483649}", "{generalize: {geo: 0}}"}},
	{types: []string{`"float"`, `"double"`}, texts: append([]string{"52.520008", "-0.04", "0.3", "180", "-180.05", "179.95", "1e-7", "0.25", "-12.5"}, wholes...),
		treats: []string{"{generalize: {bucket: 0.1}}", "{generalize: {bucket: 10}}", "{generalize: {bucket: 0.25}}", "{generalize: {bucket: [0, 0.5, 2.25, 100]}}", "{generalize: {geo: 0}}",
			"{generalize: {geo: 1}}", "{generalize: {geo: 6}}", "{constant: 1.5}", "{constant: 3}", "{constant: 16777217}", "pseudonymize"}},
	{types: []string{`{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, `{"type":"fixed","name":"$","size":6,"logicalType":"decimal","precision":12,"scale":3}`,
		`{"type":"bytes","logicalType":"decimal","precision":40,"scale":10}`, `{"type":"bytes","logicalType":"decimal","precision":80,"scale":2}`, `{"type":"fixed","name":"$","size":2,"logicalType":"decimal","precision":4,"scale":0}`},
		texts:  []string{"19.99", "-0.01", "0", "99999.99"},
		treats: []string{"{generalize: {bucket: 10}}", "{generalize: {bucket: 0.05}}", "{generalize: {bucket: [0, 0.125, 100]}}", "{generalize: {geo: 1}}", "{generalize: {geo: 4}}", "{constant: 7}"}},
	{types: []string{`{"type":"int","logicalType":"date"}`, `{"type":"long","logicalType":"timestamp-millis"}`, `{"type":"long","logicalType":"timestamp-micros"}`, `{"type":"long","logicalType":"timestamp-nanos"}`,
		`{"type":"long","logicalType":"local-timestamp-millis"}`, `{"type":"long","logicalType":"local-timestamp-micros"}`, `{"type":"long","logicalType":"local-timestamp-nanos"}`, `"string"`, `"string"`}, texts: instants,
		treats: []string{"{generalize: {date: year}}", "{generalize: {date: quarter}}", "{generalize: {date: month}}", "{generalize: {date: week}}", "{generalize: {date: day}}", "{generalize: {time: hour}}",
			"{generalize: {time: minute}}", "{generalize: {time: second}}", "{date_shift: {days: 30}}", "{date_shift: {days: 36525}}", "{date_shift: {days: 1}}", "{constant: 12}"}},
	{types: []string{`{"type":"int","logicalType":"time-millis"}`, `{"type":"long","logicalType":"time-micros"}`, `"string"`}, texts: []string{"23:59:59", "00:00:00.5", "24:00:00", "12:30"},
		treats: []string{"{generalize: {time: hour}}", "{generalize: {time: minute}}", "{generalize: {date: day}}", "{constant: 86400000}", "{constant: 1}"}},
	{types: []string{`"string"`}, texts: addresses, treats: []string{"{generalize: {ip_prefix: [24, 48]}}", "{generalize: {ip_prefix: [1, 64]}}", "{generalize: {ip_prefix: [31, 17]}}", "{generalize: {ip_prefix: [9, 33]}}"}},
	{types: []string{`"string"`}, texts: mails, treats: []string{"{generalize: {email: domain}}", "{mask: {keep_first: 1, keep_last: 2}}"}},
	{types: []string{`"string"`}, texts: urls, treats: []string{"{generalize: {url: {query: drop}}}", "{generalize: {query: [utm_source, email]}}", `{generalize: {url: {query: [utm_source, "a[]"]}}}`}},
	{types: []string{`{"type":"string","logicalType":"uuid"}`, `{"type":"fixed","name":"$","size":16,"logicalType":"uuid"}`, `"string"`},
		texts:  []string{"c9f2a3de-5b0e-4f3c-9d1a-0123456789ab", "C9F2A3DE-5B0E-4F3C-9D1A-0123456789AB", "c9f2a3de5b0e4f3c9d1a0123456789ab"},
		treats: []string{"pseudonymize", "pseudonymize", "{mask: {keep_last: 3}}", `{constant: "c9f2a3de-5b0e-4f3c-9d1a-0123456789ab"}`, "{truncate: 3}"}},
	{types: []string{`"string"`, `"bytes"`, `{"type":"enum","name":"$","symbols":["gold","iron"]}`, `{"type":"fixed","name":"$","size":3}`, `{"type":"fixed","name":"$","size":12,"logicalType":"duration"}`},
		texts:  []string{"", "x", "Zoë Müller", "0123456789abcdef", "012345678901234567890123456789012", "a\"b\\c\n\u2028", "gold"},
		treats: []string{"pseudonymize", "{mask: {keep_first: 2}}", `{mask: {keep_last: 4, char: "•"}}`, "{truncate: 2}", "{truncate: 100}", `{constant: "gold"}`, `{constant: "ü"}`}},
	{types: []string{`"boolean"`}, texts: []string{"true", "false"}, treats: []string{"{constant: true}", "{constant: 1}", "pseudonymize"}},
	{types: []string{`{"type":"string","logicalType":"geohash"}`, `{"type":"long","logicalType":"epoch"}`}, texts: []string{"u4pru"}, treats: []string{"{truncate: 2}", "{constant: 1}", "{mask: {keep_first: 1}}"}},
}

var (
	wholes = []string{"0", "-0", "1", "-1", "17", "18", "64", "-6", "2147483647", "-2147483648", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
		"1767225601001", "1e3", "12.5", "-0.5", "1E400", "1e-400", "123456789012345678901234567890", "4.20e1", "1125899906842624", "-9223372036854775808.5"}
	instants = []string{"1990-04-01", "1990-01-01T00:30:00+02:00", "2026-02-27T10:00:00+01:00", "2026-03-04T05:06:07.89Z", "2026-03-04 05:06:07", "2024-02-29", "2025-02-29", "0000-01-01", "9999-12-31",
		"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+00:01", "2026-03-04t05:06:07z", "2026-03-04T05:06:07+0530", "2026-03-04T05:06", "20260304", "2026-03-04T05:06:60Z", "2026-13-01", "2026-03-04T05:06:07.Z",
		"2026-03-04Z", "05:06:07Z", "2026-03-04T", "1767225601001", "2026-03-04T05:06:07+24:00", " 2026-03-04"}
	addresses = []string{"192.0.2.77", "255.255.255.255", "192.0.2.077", "192.0.2.77:80", "1.2.3", "2001:db8:1:2:3:4:5:6", "::ffff:192.0.2.77", "::ffff:c000:024d", "2002:c000:24d::1", "2002::", "::", "::1", "fe80::1%eth0", "fe80::1%",
		"1.2.3.4%eth0", "2001:DB8::A:0:0:1", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:8::", "::1.2.3.4", "64:ff9b::192.0.2.33", "1::2::3", "12345::", "localhost", "10.0.0.1, 10.0.0.2", "::ffff:1.2.3.4%x", "1:2:3:4:5:6:1.2.3.4", ":1:2:3:4:5:6:7:8"}
	mails = []string{"Somebody@Example.org", " a@b.c ", "a@localhost", "@b.c", "a@b@c.d", "\"x y\"@Example.ORG", "a@-b.c", "a@b-.c", "a@b..c", "a@b.c.", "a@BÜCHER.example", "a@İ.example", "a@[192.0.2.1]", "A <a@b.c>", "a@b_c.d", "ann",
		"a@xn--bcher-kva.example", "a@" + strings.Repeat("x.", 127)}
	urls = []string{"https://u:p@shop.example/cart;s=1?email=a@b.c#top", "mailto:a@b.c", "/offers?email=a@b.c&utm_source=mail", "//h/p", "?utm_source=x", "utm_source=1&email=a?b&q=1;utm_source=#x", "", "#x", "http://h", "http://h:8080/", "http://h:x/", "http://:80/", "http:///p", "http://[::1]:80/a;b/c;d",
		"http://h?utm_source=a?email=b", "https://h/?a[]=1&a[]=2;utm_source=3&&x", "/a//b", "/;x//b", "/;x/b", "h/p", "C:\\x", "http://a b/", "http://u:p/w@h/x", "ftp://h/;type=a", "http://h/p?utm_source", "http://h?#", "1+x.y-z://h", "http://h@", "http://[::1", "http://h:123456/"}
)
