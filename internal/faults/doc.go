// Package faults holds the tests of the whole daemon under faults: one test per
// thing that breaks, each with the wiring of `run` (internal/app) and the
// commands' own configuration files. It has no code of its own.
//
// Every test ends with the same three questions (ledger_test.go):
//
//   - Was anything emitted that was not decidable? No record of a person who
//     had withdrawn, objected or was never heard of before it was produced may
//     be on the topic of a purpose that needs consent, and no record of a person
//     under restriction on any topic (promises P1, P3, P5).
//   - Was anything lost or decided twice? Every input record is audited exactly
//     once in a chain that verifies, and has exactly the outputs that its audit
//     record speaks of (P2, P10, P11).
//   - Did it go on by itself? If not, log and health must name the reason and
//     the command that helps, and that command must help.
//
// # Where they run
//
// Tests whose fault can be made through a client run twice: on the embedded
// stack, and on real servers where CONSENTSTREAM_KAFKA, _REGISTRY and
// _REDIS_SCRATCH name them (internal/servers). Killing a server is for real ones
// only. Redis is the scratch one, since it is flushed and killed; tests on real
// servers take turns, those on embedded stacks run side by side.
package faults
