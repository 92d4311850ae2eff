//go:build race

// Package race tells whether the race detector is built in. Tests of what a record
// may cost ask it: with the detector everything takes ten times as long, and some
// values are allocated that would not be.
package race

// Enabled reports whether the race detector is built in.
const Enabled = true
