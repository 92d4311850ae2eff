package pipeline

import (
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Commands that are printed as remedies can be typed as they stand: what this
// process knows (brokers, topics, the configuration's file) is in them.

// command is a line of one of Kafka's own tools, against the brokers that we use.
func (cfg *Config) command(tool, args string) string {
	return kafkaCommand(cfg.SeedBrokers, tool, args)
}

func kafkaCommand(seedBrokers []string, tool, args string) string {
	return tool + " --bootstrap-server " + strings.Join(seedBrokers, ",") + " " + args
}

// alter is the command that changes settings (k=v,k=v) of a topic.
func (cfg *Config) alter(topic, settings string) string {
	return alterTopic(cfg.SeedBrokers, topic, settings)
}

func alterTopic(seedBrokers []string, topic, settings string) string {
	return kafkaCommand(seedBrokers, "kafka-configs", "--alter --entity-type topics --entity-name "+topic+" --add-config "+settings)
}

// grant is the command that gives us a right. Authentication is not supported yet,
// so the brokers know nobody by another name.
func grant(seedBrokers []string, right string) string {
	return kafkaCommand(seedBrokers, "kafka-acls", "--add --allow-principal User:ANONYMOUS --operation "+right)
}

// access is what the brokers have to let a role do (KAFKA.md 10).
type access struct {
	seedBrokers   []string
	groups        string // as kafka-acls names them
	transactions  string // prefix of the transactional ids
	reads, writes []string
}

func (cfg *Config) access() access {
	return access{seedBrokers: cfg.SeedBrokers, groups: cfg.Group, transactions: cfg.Group + ".",
		reads: append(append(cfg.inputs(), cfg.Topics.Consent), cfg.written()...), writes: cfg.written()}
}

func (cfg *ProjectorConfig) access() access {
	return access{seedBrokers: cfg.SeedBrokers, groups: cfg.groups() + " --resource-pattern-type prefixed", reads: []string{cfg.Topic}}
}

// mend is h's own remedy, or the commands that grant what the brokers deny.
func (a *access) mend(h *Hold) string {
	if h.Code != HoldUnauthorized || h.Mend != "" {
		return h.Mend
	}
	switch h.Detail {
	case kerr.TopicAuthorizationFailed.Message:
		all := grant(a.seedBrokers, "Read"+topicFlags(a.reads))
		if len(a.writes) > 0 {
			all += " && " + grant(a.seedBrokers, "Write"+topicFlags(a.writes))
		}
		return all
	case kerr.GroupAuthorizationFailed.Message:
		return grant(a.seedBrokers, "Read --group "+a.groups)
	case kerr.TransactionalIDAuthorizationFailed.Message:
		return grant(a.seedBrokers, "Write --transactional-id "+a.transactions+" --resource-pattern-type prefixed")
	case kerr.ClusterAuthorizationFailed.Message:
		return grant(a.seedBrokers, "Describe --cluster")
	}
	return "give consentstream credentials that the brokers know"
}

func topicFlags(topics []string) string {
	var b strings.Builder
	for _, t := range topics {
		b.WriteString(" --topic " + t)
	}
	return b.String()
}

// lane is a command about one lane, with the configuration that this process has.
func (cfg *Config) lane(verb, rest string) string {
	line := "consentstream lane " + verb
	if cfg.ConfigFile != "" {
		line += " -c " + shellescape.Quote(cfg.ConfigFile)
	}
	return line + " " + rest
}

// registry is the command that sends a request to the schema registry.
func (cfg *Config) registry(args, path string) string {
	return "curl " + args + " " + cfg.RegistryURL + path
}

// alterCompatibility is the command that makes the registry accept a schema that it
// calls incompatible, for somebody who has made sure that the topic's readers can
// read it.
func (cfg *Config) alterCompatibility(subject string) string {
	return cfg.registry(`-X PUT -H "Content-Type: application/json" -d '{"compatibility":"NONE"}'`, "/config/"+subject)
}

// forgetSubject is the command that lets a subject begin anew: what the purpose's
// readers newly see is then its first version. Ids stay known, so records can still
// be read.
func (cfg *Config) forgetSubject(subject string) string {
	return cfg.registry("-X DELETE", "/subjects/"+subject)
}
