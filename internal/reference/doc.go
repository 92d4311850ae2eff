// Package reference is a second, slow implementation of what the pipeline must write
// for an input record: which purposes are permitted and why, and each output down to
// its bytes. Tests compare the product with it; nothing else may use it.
//
// It is written from the pages that specify the product, not from the product's
// code, and imports none of it: not the engine, the scanners and splicers, the
// treatments, policy.Decide, the consent fold, the audit encoder or the key ring. An
// error in both means that the specification was misread twice. It favours what can
// be seen to be right: JSON as a tree of texts, Avro through goavro's maps, keys and
// hashes by crypto/* at each use, consent events folded anew for each decision.
//
//   - events.go, fold.go, decide.go: DECISION.md's program over the raw events
//   - config.go: the two YAML files as treatments by purpose and category
//   - treat.go, scalar.go, classes.go: what a treatment makes of a value of a type
//   - json.go, avro.go, derive.go: what a purpose's value is, and its schema
//   - crypto.go, siv.go: keys, tokens, tags, nonces, commitments, leaves, partitions
//   - read.go, subjects.go, record.go: the whole record
//
// Numbers are rational, instants are package time's, addresses net/netip's, and
// AES-SIV is written out of AES. What it does not know is an error and never a
// guess: Avro maps, unions of several branches, a named type that is used twice;
// JSON in strings; paths with `[n]`, `[key=="v"]`, `.*` and `**`; constants as key
// or header. Its mask and truncate do not know characters of several code points.
//
// It must not be given hostile Avro: goavro believes lengths. Whether a record
// is malformed Avro is for the caller to know; malformed JSON it finds itself.
package reference
