// Package load makes the events that the benchmarks run on: CRM contacts in
// Avro (about 480 bytes) and marketing events in JSON (about 800 bytes), with the
// fields of configs/demo, XDM experience events in JSON (about 5,000 bytes), and
// the consents of their subjects.
//
// Everything is a function of (seed, index): two runs, and the floor and the
// product in one run, see the same bytes. People, addresses and texts come from
// small tables, as in real exports, so that the codecs find about what they find
// there; ids, scores and addresses are random, so that they cannot find more.
//
// The Avro schema (contacts.avsc) is kept here and not taken from configs/demo,
// so that a change of the demo does not change what was measured.
package load

import _ "embed"

// ContactSchema is the writer schema of Contact.
//
//go:embed contacts.avsc
var ContactSchema string
