// Package configs reads the two files that people write, the privacy team's
// policy and the data engineer's wiring, and says everything that is wrong with
// them at once.
//
// # What is accepted
//
// Each file is one YAML document, at most 1 MiB, without anchors, aliases, merge
// keys, explicit tags or characters that deceive the eye: what a reviewer reads
// on a line is what holds there.
// Every mapping has a fixed list of words (words.go, docs/configuration.md). A
// word that is not on it, a word given twice, a value of another type, a missing
// required word are findings; nothing is ignored and nothing is coerced. A word
// of the design that this version does not act on is refused as "not supported
// yet", since a rule that is read and not enforced would permit.
//
// A scalar value (never a key) may hold ${NAME}, ${NAME:-default} and
// ${file:PATH}; "$${" stands for "${". They are replaced after parsing, so that
// no content of a variable can add structure. A variable that is not set and has
// no default is a finding; a default also stands in for an empty variable.
// PATH, like every path in these files, is relative to the file that names it.
// Findings show the reference, never what it stands for.
//
// Durations are a whole number and one of ms, s, m, h, d (86,400 s). Booleans
// are true and false. Numbers are decimal digits.
//
// # What is checked
//
// Names (purposes, namespaces, subjects, topics), that what is named is defined,
// that categories and data uses stand in the taxonomy of package policy, and
// that no two (topic, purpose) pairs give one output topic and none loops onto a
// topic that is read or that holds consents, audit, quarantine or policies.
// Plaintext connections that leave the machine need `insecure: true`. What needs
// compiled schemas (paths, ties, treatments against types, empty outputs) is
// engine.Check; Load runs it over those streams and purposes that are sound so
// far and gives its findings their place in the files.
//
// # What is promised
//
// Load returns a Config only when there is no finding of severity Error: half a
// configuration is none (promise P1). It reads files through the function that
// it is given and does nothing else: it connects to nothing. It never panics,
// and each Finding has a file, a line and a column. Secrets have a type that
// does not print (Secret), must not stand in the files, and where one does all
// the same, excerpts hide it (promise P8): below a word such as password, and
// where a server has a user (user:password@host).
package configs
