package configs

import (
	"strings"

	"github.com/consentstream/consentstream/policy"
)

// nearestKey is policy.Nearest for keys of the taxonomy; where no key is
// spelled alike, one that ends in what was typed: "email" means
// user.contact.email.
func nearestKey(typed string, keys []string) string {
	if near := policy.Nearest(typed, keys); near != "" {
		return near
	}
	for _, k := range keys {
		if strings.HasSuffix(k, "."+strings.ToLower(typed)) {
			return k
		}
	}
	return ""
}

// notACategory is a message's end; where no key is near it says what would be one.
func notACategory(near string) string {
	if near != "" {
		return "is not a category of the taxonomy"
	}
	return "is not a category of the taxonomy: write one, such as user.contact.email, or your own that begins with x."
}

// nearestKey is nearestKey for what stands in the file.
func (s scalar) nearestKey(keys []string) string {
	if s.refers() {
		return ""
	}
	return nearestKey(s.text, keys)
}
