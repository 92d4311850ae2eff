package devstack

// Topic is a topic to create. Partitions 0 means 1. Configs are Kafka's topic
// settings by name, nil for the defaults.
type Topic struct {
	Name       string
	Partitions int32
	Configs    map[string]string
}

// Names of the topics that every pipeline has (DESIGN section 5).
const (
	ConsentTopic     = "consent.events"
	AuditTopic       = "consent.audit"
	QuarantineTopic  = "consent.quarantine"
	PoliciesTopic    = "consent.policies"
	CheckpointsTopic = "consent.checkpoints"
)

// Infrastructure are the topics that `run` wants besides inputs and outputs,
// with the settings that it insists on. They are the same as the ones of the
// init job in docker-compose.yml; a test compares the two.
//
// The consent topic is the authority: whatever deletes from it forgets
// decisions of people. Its timestamps are the broker's, because a producer's
// clock must not order consents.
func Infrastructure(partitions int32) []Topic {
	forever := func(timestamps string) map[string]string {
		return map[string]string{
			"cleanup.policy":         "delete",
			"retention.ms":           "-1",
			"retention.bytes":        "-1",
			"message.timestamp.type": timestamps,
		}
	}
	return []Topic{
		{ConsentTopic, partitions, forever("LogAppendTime")},
		{AuditTopic, partitions, forever("LogAppendTime")},
		{QuarantineTopic, partitions, forever("CreateTime")},
		{PoliciesTopic, 1, map[string]string{"cleanup.policy": "compact"}},
		{CheckpointsTopic, 1, forever("LogAppendTime")},
	}
}
