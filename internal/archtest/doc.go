// Package archtest holds the test that keeps the import direction: leaves
// first (consent → policy; policy, filters, schemas, audit → engine → pipeline,
// configs → cmd), one package to Kafka, one to Redis, and a core without a
// clock, a network or a logger. Every rule says why; a broken rule is reported
// with that reason, so that whoever breaks it can judge whether the rule or the
// import is wrong.
package archtest
