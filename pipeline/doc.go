// Package pipeline runs the Kafka loops: enforce (this specification) and
// project (project.go). It is the only package that talks to Kafka.
//
// # Enforce
//
// An Enforcer runs workers. A worker is one transactional session: one Kafka
// client, one transactional id, which is also its static group instance id,
//
//	{group}.{instance}.{worker}
//
// and one engine.Engine of its own; workers share nothing on the hot path. A
// worker owns lanes (input topic id, partition) as the group assigns them.
//
// One transaction (enforce.go) gathers records, takes a fence, reads consent
// states that cover the fence, decides, produces outputs, audit and quarantine,
// awaits every promise, and commits together with the input offsets of ALL
// lanes of the worker. What the next owner of a lane needs stands in the offset
// metadata (audit.Head): the chain's head, the fence, the decision time, the
// policy revision and the key epoch, under a MAC. So a crash at any point
// leaves either the whole transaction or nothing, and the successor goes on
// exactly where the last committed transaction ended (promises P2, P11).
//
// What can go wrong falls into five classes, and each has one reaction:
//
//   - a record is bad: it is quarantined and audited, the others go on (P9);
//   - something that we depend on is missing or behind: the batch is held, with
//     a code that log, metric and health show, and tried again with a fresh
//     fence, fresh states and a fresh time (Hold; P10). A writer schema that only
//     some lanes need holds those alone: they are set aside (aside.go). A lane without
//     a commit is held alone while the audit is looked through for earlier records of
//     it (audit_scan.go);
//   - a lane is not what its metadata says, or its log lost records: the lane is
//     parked until somebody decides (`consentstream lane reset`), others go on;
//   - the result of a commit is unknown, or the session is unusable: the client is
//     discarded and rebuilt, and the lanes resume from what was committed, when
//     nothing of an earlier transaction is left open in any partition (hanging.go).
//     So it is where Kafka left the last one open somewhere, which is looked at
//     before each (markers.go);
//   - another process has our ids, or the keys are not what they claim to be: the
//     process stops.
//
// An instance whose policy or keys are older than what a lane was last
// committed under is outdated: it leaves the group and waits to be replaced.
//
// # Offsets
//
// A lane has three offsets that must not be confused. The committed offset also
// moves over control records and is where Kafka resumes. next_source is the last
// audited offset + 1: the next audit leaf begins there (AUDIT A3). The position is a
// lower bound of the offset of the next polled record.
//
// # Telemetry
//
// Log lines, metrics and health hold codes from closed sets, topic names,
// partitions, offsets and counts: nothing of a record (promise P8). Error texts
// of the schema registry are never shown, since they quote schemas.
package pipeline
