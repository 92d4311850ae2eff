// Package e2e proves the whole job on real servers. Its tests run the built
// binary as separate processes against the Kafka, registry and Redis that
// CONSENTSTREAM_KAFKA, CONSENTSTREAM_REGISTRY and CONSENTSTREAM_REDIS name, on
// topics of their own, and are skipped without them (with
// CONSENTSTREAM_REQUIRE_SERVERS set they fail instead).
//
// Records of both demo streams flow in, good and bad, through transactions of
// which some are aborted, while consent events of all kinds are written beside
// them. When the audit covers all input, a checker that shares no code with the
// product (package reference) reads everything that is there read_committed and
// proves, record by record:
//
//   - each input record was decided exactly once: each lane's leaves are
//     contiguous, touch, chain and are signed, and their context never falls;
//   - each decision is that of DECISION.md at the leaf's time and consent
//     position: permit, reasons, cited event, gates;
//   - outputs are there, once, with exactly the right bytes: key, partition,
//     timestamp, headers, value; none is missing, there are no others, and those
//     of one lane keep their order in each output partition;
//   - exactly the bad records are in quarantine, with their codes;
//   - no value that a purpose may not see shows on its topic, and none at all in
//     audit, quarantine, policies, logs, metrics and health.
//
// CONSENTSTREAM_SEED repeats a run's input; each run prints its seed.
package e2e
