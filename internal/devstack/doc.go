// Package devstack is the embedded stack: a Kafka cluster, a schema registry
// and a Redis in this process, for `consentstream demo` and for tests. It must
// not be used by `run`: it is a fake, and nothing in it is durable. In what it
// behaves like the real servers, and in what not, was measured (stack_test.go) and
// is this package's specification.
//
// # Kafka: one kfake broker, in memory
//
// Topics are made by Config.Topics, Stack.CreateTopic or a client's
// CreateTopics; there is no automatic creation. One broker, replication 1.
// Names that differ only in '.' and '_' collide, as in Kafka.
//
//   - DescribeConfigs answers cleanup.policy, compression.type,
//     delete.retention.ms, max.message.bytes, message.timestamp.type,
//     min.insync.replicas, retention.bytes, retention.ms, segment.bytes and
//     segment.ms: a value given when the topic was made has source
//     DYNAMIC_TOPIC_CONFIG, others DEFAULT_CONFIG with Kafka's defaults
//     (retention.ms 604800000, CreateTime). Any other name is answered with
//     nothing, and CreateTopics takes unknown names and wrong values in silence
//     where Kafka answers INVALID_CONFIG.
//   - message.timestamp.type=LogAppendTime: kfake by itself reports the setting
//     and ignores it on produce (it honours the batch's attribute bit, which no
//     client sets, and then spoils the checksum). The stack moves each batch in
//     time on the way in: its latest record is at the broker's clock, earlier
//     ones keep their distance to it. In Kafka all are at the broker's clock, and
//     the record says so; here Record.Attrs.TimestampType stays CreateTime. A
//     broker-wide log.message.timestamp.type is not looked at.
//   - max.message.bytes is enforced per batch with MESSAGE_TOO_LARGE, as in
//     Kafka. cleanup.policy=compact and retention.ms are applied only when asked
//     (Cluster.Compact, Cluster.ApplyRetention) or on a slow ticker; -1 keeps all.
//   - Transactions, read_committed, offset metadata, static membership, topic
//     ids, ListOffsets with leader epoch and control records are there. A
//     transaction whose owner is gone is aborted at its timeout. Not there:
//     per-record produce errors, throttling, log truncation, records lost with a
//     broker, and the offset-metadata limit of 4096 characters.
//
// # Registry: srfake
//
// The Confluent REST API; ids start at 1; compatibility BACKWARD is stored and
// reported, but not checked: an incompatible schema is accepted. 409 has to be
// made with Registry.Intercept.
//
// # Redis: miniredis
//
// No eviction, no maxmemory, no persistence, Lua 5.1 by gopher-lua. It has no
// ROLE, and an INFO of two sections; the stack answers both as a primary with
// maxmemory_policy:noeviction does, since the state store refuses anything else
// (INFO whole, whatever section is asked for, within MULTI too), also CONFIG GET
// maxmemory-policy. Within a bubble TIME and TTL follow the
// bubble's clock.
//
// # Two ways to run
//
// Start listens on loopback, so that kcat, redis-cli and another process can
// look in. StartVirtual opens no socket: it is made for testing/synctest, where
// a goroutine in a socket call keeps the bubble's clock from moving. There
// DialKafka, DialRedis and HTTPClient are the only ways in; they work with Start
// too, so that a test can be written once.
package devstack
