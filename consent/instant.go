package consent

import "time"

// Instants are within 1970-9999 (D2).
const maxInstant = 253402300799999 // 9999-12-31T23:59:59.999Z

// parseInstant reads an RFC 3339 date-time (section 5.6) with its zone and
// truncates it to ms. A leap second is refused (D2), and so is what package time
// would take beyond the RFC: a comma, one-digit hours, zones out of range.
func parseInstant(s string) (int64, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) || !hasShape(s[:len(shape)], shape) {
		return 0, false
	}
	day, ok := parseDate(s[:10])
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	if !ok || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	milli, zone, ok := fraction(s[len(shape):])
	if !ok {
		return 0, false
	}
	offset, ok := zoneMinutes(zone)
	ms := day + ((hour*60+minute-offset)*60+second)*1000 + milli
	return ms, ok && 0 <= ms && ms <= maxInstant
}

// parseDate reads an RFC 3339 full-date that exists, as ms of its midnight UTC.
func parseDate(s string) (int64, bool) {
	if !hasShape(s, "0000-00-00") {
		return 0, false
	}
	year, month, day := number(s[:4]), number(s[5:7]), number(s[8:])
	t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	exists := int64(t.Year()) == year && int64(t.Month()) == month && int64(t.Day()) == day
	return t.UnixMilli(), exists
}

// hasShape compares a text with a pattern, in which 0 is any digit and T also
// its lower case.
func hasShape(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case shape[i] == '0' && '0' <= c && c <= '9':
		case shape[i] == 'T' && c == 't':
		case shape[i] != '0' && c == shape[i]:
		default:
			return false
		}
	}
	return true
}

// number is the value of digits that hasShape has seen.
func number(digits string) int64 {
	var n int64
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	return n
}

// fraction reads the digits after the seconds, if any, as whole ms.
func fraction(s string) (milli int64, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return number((s[1:n] + "000")[:3]), s[n:], n > 1
}

// zoneMinutes reads Z or ±hh:mm.
func zoneMinutes(s string) (int64, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || !hasShape(s[1:], "00:00") {
		return 0, false
	}
	hour, minute := number(s[1:3]), number(s[4:])
	offset := hour*60 + minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, (s[0] == '+' || s[0] == '-') && hour <= 23 && minute <= 59
}
