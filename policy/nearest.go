package policy

import "strings"

// Nearest is the one of words that is most likely meant by typed, or "" when
// none is near: at most a third of its characters differ, capitals count for
// nothing. Of equals the first wins.
func Nearest(typed string, words []string) string {
	typed = strings.ToLower(typed)
	if len(typed) > 100 { // nobody mistypes that much
		return ""
	}
	best, least := "", 1+max(1, len(typed)/3)
	for _, w := range words {
		if d := distance(typed, strings.ToLower(w)); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
