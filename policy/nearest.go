package policy

import "strings"

// Nearest returns the word that was most likely meant by typed, or "" when none is
// near: at most a third of its characters may differ, ignoring case. Of equally near
// words the first wins.
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

// distance is the Levenshtein distance in bytes, where two neighbours that have
// changed places count as one (optimal string alignment): "kafak" is one slip.
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
