package configs

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/consentstream/consentstream/policy"
)

// The sections of treatments that take a map, except for those of words.go.
var (
	encryptSection = section{"encrypt", []word{
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
	}}
	generalizeSection = section{"generalize", []word{
		{name: "bucket", shape: "number, or list of numbers"},
		{name: "geo", shape: "integer 0 to 6"},
		{name: "date", shape: "year, quarter, month, week or day"},
		{name: "time", shape: "hour, minute or second"},
		{name: "ip_prefix", shape: "list of two integers"},
		{name: "email", shape: "domain"},
		{name: "url", shape: "url"},
		{name: "query", shape: "list of names"},
		{name: "unit", shape: "d, s, ms, us or ns"},
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
	}}
	urlSection       = section{"url", []word{{name: "query", shape: "drop, or list of names", required: true}}}
	dateShiftSection = section{"date_shift", []word{
		{name: "days", shape: "integer 1 to 36525", required: true},
		{name: "unit", shape: "d, s, ms, us or ns"},
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
	}}
)

const groundShape = "art9_2_b to art9_2_j, or art10"

// units are the units of plain numbers that are instants.
var units = []string{"d", "s", "ms", "us", "ns"}

// generalize reads one form, and `unit` beside date and time. What a form makes
// of its parameters is package filters' to check.
func (l *loader) generalize(o object, r *policy.Rule) {
	add := func(name string, value any) {
		r.Treatment.Params = append(r.Treatment.Params, policy.Param{Name: name, Value: value})
	}
	forms := 0
	for _, w := range generalizeSection.words[:8] {
		it, ok := o.items[w.name]
		if !ok {
			continue
		}
		if forms++; forms > 1 {
			l.report(it.keyPlace(), "", "generalize has one form at a time")
		}
		switch w.name {
		case "bucket":
			add("bucket", l.bucket(it))
		case "geo":
			add("geo", o.integer("geo", 0, 0, 6))
		case "date":
			add("date", o.choice("date", "", []string{"year", "quarter", "month", "week", "day"}, nil))
		case "time":
			add("time", o.choice("time", "", []string{"hour", "minute", "second"}, nil))
		case "ip_prefix":
			add("ip_prefix", l.ipPrefix(it))
		case "email":
			add("email", o.choice("email", "", []string{"domain"}, nil))
		case "url":
			add("url_query", l.urlQuery(it))
		case "query":
			add("query", l.queryNames(o, "query"))
		}
	}
	if forms == 0 {
		l.report(o.it.keyPlace(), "", "generalize needs a form: bucket, geo, date, time, ip_prefix, email, url or query")
	}
	if it, ok := o.items["unit"]; ok {
		if o.items["date"].node == nil && o.items["time"].node == nil {
			l.report(it.keyPlace(), "", "unit belongs to date or time")
		}
		unit := o.choice("unit", "", units, nil)
		if unit == "d" && o.items["time"].node != nil {
			l.report(it.place(), "", "days have no hours: unit: d belongs to date")
		}
		add("unit", unit)
	}
}

var decimalNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$`)

// bucket reads a number or a list of numbers, as they are written: "0.50" is
// no floating point number.
func (l *loader) bucket(it item) string {
	if shapeOf(it.node) != "a list" {
		return l.decimalText(it)
	}
	elements, ok := l.list(it)
	if !ok {
		return ""
	}
	if len(elements) < 2 {
		l.report(it.place(), "", "%s must have at least two lower ends; a width is written without []", it.name)
	}
	parts := make([]string, len(elements))
	for i, e := range elements {
		parts[i] = l.decimalText(e)
	}
	return strings.Join(parts, ",")
}

func (l *loader) decimalText(it item) string {
	s, ok := l.scalar(it)
	if !ok {
		return ""
	}
	if s.isText() || !decimalNumber.MatchString(s.text) {
		l.report(it.place(), "", "%s must be a decimal number of at most 15 digits before the point and 9 after it, not %s", it.name, s.shown())
	}
	return s.text
}

// ipPrefix reads the bits that stay of an IPv4 and of an IPv6 address.
func (l *loader) ipPrefix(it item) string {
	elements, ok := l.list(it)
	if !ok {
		return ""
	}
	if len(elements) != 2 {
		l.report(it.place(), "", "%s must have two numbers of bits: for IPv4 and for IPv6, such as [24, 48]", it.name)
		return ""
	}
	v4, _ := l.integer(elements[0], 1, 31)
	v6, _ := l.integer(elements[1], 1, 64)
	return fmt.Sprintf("%d,%d", v4, v6)
}

var queryName = regexp.MustCompile(`^[A-Za-z0-9_.~\[\]-]+$`)

// urlQuery reads what becomes of a query: "" where all of it goes, else the
// names that stay.
func (l *loader) urlQuery(it item) string {
	o, ok := l.object(it, urlSection)
	if !ok {
		return ""
	}
	query, ok := o.items["query"]
	if !ok {
		return ""
	}
	if shapeOf(query.node) != "a list" {
		o.choice("query", "", []string{"drop"}, nil)
		return ""
	}
	return l.queryNames(o, "query")
}

// queryNames reads the names of query parameters.
func (l *loader) queryNames(o object, word string) string {
	var names []string
	for _, s := range o.texts(word) {
		if !queryName.MatchString(s.text) {
			l.report(s.place(), "", "%s must be the name of a query parameter: letters, digits, -, _, ., ~, [ and ], not %s", s.name, s.shown())
		}
		names = append(names, s.text)
	}
	return strings.Join(names, "&")
}

func (l *loader) dateShift(o object, r *policy.Rule) {
	if _, ok := o.items["days"]; ok {
		r.Treatment.Params = append(r.Treatment.Params, policy.Param{Name: "days", Value: o.integer("days", 0, 1, 36_525)})
	}
	if _, ok := o.items["unit"]; ok {
		r.Treatment.Params = append(r.Treatment.Params, policy.Param{Name: "unit", Value: o.choice("unit", "", units, nil)})
	}
}
