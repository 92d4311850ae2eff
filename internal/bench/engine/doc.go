// Package engine measures the filter engine beside the usual ways of doing the same
// work, on realistic records (`make bench-engine`). It has only benchmarks and tests.
//
// A case is a kind of record and what each purpose does with its fields; fields that
// are not named are dropped. The work is the same for all contestants: read a record
// and write one for each purpose; in the cases with three purposes, each output has a
// pseudonym under that purpose's key. A test compares the results, so that nobody is
// measured doing less. Each record differs from the one before, so that no pseudonym
// is remembered.
//
// Not included is what the engine does besides for each record (states, decision,
// audit, commitments); engine.BenchmarkRecord measures that.
package engine
