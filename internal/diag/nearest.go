package diag

import (
	"fmt"
	"strings"
)

// Nearest gives the candidate that word is most likely a typing mistake of, or "" when none is near: at most a third of
// its letters differ, and not all of them (Damerau–Levenshtein distance, letter case ignored). Ties go to the earlier candidate.
func Nearest(word string, candidates []string) string {
	best, bestDistance := "", max(1, len([]rune(word))/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance && (d < len([]rune(word)) || d == 0) {
			best, bestDistance = c, d
		}
	}
	return best
}

// DidYouMean gives `Did you mean "x"?` for the nearest candidate, or "" when none is near.
func DidYouMean(word string, candidates []string) string {
	if n := Nearest(word, candidates); n != "" {
		return fmt.Sprintf("Did you mean %q?", n)
	}
	return ""
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string
// alignment; R. Wagner and M. Fischer 1974, F. Damerau 1964).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before, prev []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, prev = prev, row
		row = make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(t)]
}
