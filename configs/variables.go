package configs

import (
	"path/filepath"
	"regexp"
	"strings"
)

// variableName is what may stand between the braces of ${NAME}.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces the references of one scalar. literal reports whether all of it
// stands in the file, since there were none or only their defaults were used.
// The problem names the reference, never a value.
func (l *loader) expand(text, dir string) (out string, literal bool, problem string) {
	var b strings.Builder
	literal = true
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), literal, ""
		}
		if i > 0 && text[i-1] == '$' { // "$${" is an escaped "${"
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return "", false, `"${" without "}"; write "$${" for the two characters themselves`
		}
		value, inFile, problem := l.resolve(text[i+2:i+end], dir)
		if problem != "" {
			return "", false, problem
		}
		literal = literal && inFile
		b.WriteString(value)
		text = text[i+end+1:]
	}
}

// resolve gives the value of one reference (the text between the braces).
// inFile reports whether the value is the reference's own default.
func (l *loader) resolve(ref, dir string) (value string, inFile bool, problem string) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return l.resolveFile(path, dir)
	}
	name, def, hasDefault := strings.Cut(ref, ":-")
	if !variableName.MatchString(name) {
		return "", false, "a reference must be ${NAME}, ${NAME:-default} or ${file:PATH}"
	}
	value, ok := l.env(name)
	switch {
	case hasDefault && value == "":
		return def, true, ""
	case !ok:
		return "", false, "the environment variable " + name + " is not set and has no default"
	}
	return value, false, ""
}

// resolveFile reads a value from a file, without its last line break.
func (l *loader) resolveFile(path, dir string) (value string, inFile bool, problem string) {
	if path == "" {
		return "", false, "${file:} names no file"
	}
	text, err := l.read(inDir(dir, path))
	if err != nil {
		return "", false, "the file of ${file:" + path + "} cannot be read: " + readProblem(err)
	}
	if len(text) > maxFile {
		return "", false, "the file of ${file:" + path + "} is larger than 1 MiB"
	}
	value, _ = strings.CutSuffix(string(text), "\n")
	value, _ = strings.CutSuffix(value, "\r")
	return value, false, ""
}

// inDir makes path relative to dir, unless it is absolute.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
