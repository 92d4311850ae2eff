// Package engine measures the filter engine on records as they come, beside
// what the same work costs by the usual means (`make bench-engine`). It has no
// code of its own.
//
// A case is a kind of record and what each purpose does with its fields: the
// others are dropped. The work is the same for all: read a record, write one
// for each purpose, where there are three with a pseudonym under that purpose's key
// in it. A test holds
// the results against each other, so that nobody is measured at less. Records
// change from one to the next, so that no pseudonym is remembered.
//
// Not in it: what the engine does besides for each record (states, decision,
// audit, commitments); engine.BenchmarkRecord measures that.
package engine
