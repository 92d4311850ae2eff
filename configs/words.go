package configs

import (
	"strings"

	"github.com/consentstream/consentstream/policy"
)

// word is one word of a mapping. docs/configuration.md says the same for
// people; a test compares the two.
type word struct {
	name     string
	shape    string // what its value is, as the documentation names it
	fallback string // the default as the documentation names it; "" for none
	required bool
	later    bool // a word of the design that is refused as not supported yet
	secret   bool // its literal text is never shown
}

// section is one kind of mapping with a fixed list of words.
type section struct {
	name  string // as in "in a purpose"
	words []word
}

// The sections of the policy file.
var (
	policySection = section{"the policy", []word{
		{name: "version", shape: "1", required: true},
		{name: "revision", shape: "integer ≥ 1", required: true},
		{name: "namespaces", shape: "map of namespace", required: true},
		{name: "purposes", shape: "map of purpose", required: true},
		{name: "defaults", later: true}, {name: "regimes", later: true}, {name: "tags", later: true},
	}}
	namespaceSection = section{"a namespace", []word{
		{name: "normalize", shape: "none, trim, nfc, lower, email or phone", fallback: "none"},
		{name: "scope", shape: "person", fallback: "person"},
	}}
	purposeSection = section{"a purpose", []word{
		{name: "data_use", shape: "fideslang data use", required: true},
		{name: "legal_basis", shape: "consent, contract, legal_obligation, vital_interests, public_task or legitimate_interests", required: true},
		{name: "treat", shape: "map of category to treatment", required: true},
		{name: "retention", shape: "duration"},
		{name: "direct_marketing", shape: "boolean", fallback: "false"},
		{name: "recipients", shape: "list of text"},
		{name: "notice", shape: "notice"},
		{name: "survives_restriction", shape: "boolean", fallback: "false"},
		{name: "max_age", shape: "duration"},
		{name: "max_inactivity", shape: "duration"},
		{name: "time", shape: "both or processing_only", fallback: "both"},
		{name: "after_erase", later: true}, {name: "automated_decision", later: true}, {name: "ground", later: true},
		{name: "gpc_as_objection", later: true}, {name: "kinds", later: true}, {name: "online_service", later: true},
		{name: "opt_out", later: true}, {name: "requires_notice", later: true},
	}}
	noticeSection = section{"a notice", []word{
		{name: "id", shape: "text", required: true},
		{name: "min_version", shape: "text"},
	}}
	keepSection = section{"keep", []word{
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
	}}
	pseudonymizeSection = section{"pseudonymize", []word{
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
		{name: "namespace", later: true}, {name: "category", later: true},
	}}
	maskSection = section{"mask", []word{
		{name: "keep_first", shape: "integer 0 to 1000", fallback: "0"},
		{name: "keep_last", shape: "integer 0 to 1000", fallback: "0"},
		{name: "char", shape: "one printable character", fallback: "*"},
		{name: "requires", shape: "explicit_consent"},
		{name: "ground", shape: groundShape},
	}}
)

// The sections of the wiring file.
var (
	wiringSection = section{"the wiring", []word{
		{name: "version", shape: "1", required: true},
		{name: "policy", shape: "path", required: true},
		{name: "instance", shape: "letters, digits, _ and -", fallback: "0"},
		{name: "kafka", shape: "kafka", required: true},
		{name: "schema_registry", shape: "schema_registry", required: true},
		{name: "redis", shape: "redis", required: true},
		{name: "keys", shape: "keys", required: true},
		{name: "consent", shape: "topic of consent events"},
		{name: "audit", shape: "topic of the audit"},
		{name: "quarantine", shape: "topic of the quarantine"},
		{name: "policies", shape: "topic of the policies"},
		{name: "health", shape: "health"},
		{name: "limits", shape: "limits"},
		{name: "streams", shape: "list of stream", required: true},
		{name: "checkpoints", later: true}, {name: "tags", later: true},
	}}
	kafkaSection = section{"kafka", []word{
		{name: "seed_brokers", shape: "list of host:port", required: true},
		{name: "consumer_group", shape: "letters, digits, ., _ and -", required: true},
		{name: "compression", shape: "none, lz4, snappy or zstd", fallback: "snappy"},
		{name: "workers", shape: "integer 0 to 256", fallback: "0"},
		{name: "insecure", shape: "boolean", fallback: "false"},
		{name: "tls", later: true}, {name: "sasl", later: true},
	}}
	registrySection = section{"schema_registry", []word{
		{name: "url", shape: "http or https URL", required: true},
		{name: "username", shape: "text"},
		{name: "password", shape: "secret", secret: true},
		{name: "insecure", shape: "boolean", fallback: "false"},
		{name: "tls", later: true},
	}}
	redisSection = section{"redis", []word{
		{name: "addrs", shape: "list of host:port", required: true},
		{name: "username", shape: "text"},
		{name: "password", shape: "secret", secret: true},
		{name: "db", shape: "integer 0 to 1023", fallback: "0"},
		{name: "buckets", shape: "integer 1 to 4096", fallback: "64"},
		{name: "insecure", shape: "boolean", fallback: "false"},
		{name: "tls", later: true},
	}}
	keysSection    = section{"keys", []word{{name: "file", shape: "path", required: true}}}
	consentSection = section{"consent", []word{{name: "topic", shape: "topic", fallback: "consent.events"}, {name: "format", later: true}}}
	auditSection   = section{"audit", []word{
		{name: "topic", shape: "topic", fallback: "consent.audit"}, {name: "checkpoints", later: true}}}
	quarantineSection = section{"quarantine", []word{{name: "topic", shape: "topic", fallback: "consent.quarantine"}}}
	policiesSection   = section{"policies", []word{{name: "topic", shape: "topic", fallback: "consent.policies"}}}
	healthSection     = section{"health", []word{
		{name: "listen", shape: "host:port", fallback: "127.0.0.1:9464"},
		{name: "insecure", shape: "boolean", fallback: "false"},
	}}
	limitsSection = section{"limits", []word{
		{name: "record_bytes", shape: "integer 1024 to 67108864", fallback: "1000000"},
		{name: "split_elements", shape: "integer 1 to 100000", fallback: "1000"},
		{name: "identifiers", later: true},
	}}
	streamSection = section{"a stream", []word{
		{name: "topic", shape: "topic", required: true},
		{name: "format", shape: "avro, json or json_schema", required: true},
		{name: "schema", shape: "path"},
		{name: "purposes", shape: "list of purpose names", required: true},
		{name: "subjects", shape: "map of name to subject", required: true},
		{name: "split", shape: "split"},
		{name: "event_time", shape: "record path or event_time"},
		{name: "key", shape: "none or key", fallback: "none"},
		{name: "headers", shape: "map of header name to category or field"},
		{name: "fields", shape: "map of record path to category or field", required: true},
		{name: "tags", shape: "map of schema tag to category"},
		{name: "start", shape: "earliest or latest", fallback: "earliest"},
		{name: "limits", shape: "limits"},
		{name: "jurisdiction", later: true}, {name: "signals", later: true},
	}}
	subjectSection = section{"a subject", []word{
		{name: "namespace", shape: "namespace name", required: true},
		{name: "path", shape: "record path, or list of them"},
		{name: "header", shape: "header name"},
		{name: "key", shape: "boolean", fallback: "false"},
	}}
	splitSection     = section{"split", []word{{name: "path", shape: "record path", required: true}}}
	eventTimeSection = section{"event_time", []word{
		{name: "path", shape: "record path"},
		{name: "header", shape: "header name"},
		{name: "unit", shape: "s, ms or us"},
	}}
	keySection = section{"key", []word{
		{name: "subject", shape: "subject name"},
		{name: "category", shape: "category"},
		{name: "namespace", shape: "namespace name"},
	}}
	fieldSection = section{"a field", []word{
		{name: "category", shape: "category"},
		{name: "json", shape: "map of record path to category or field"},
		{name: "base64", shape: "base64"},
		{name: "base64url", shape: "base64"},
		{name: "namespace", shape: "namespace name"},
		{name: "subject", shape: "subject name"},
	}}
	base64Section = section{"base64", []word{{name: "json", shape: "map of record path to category or field", required: true}}}
)

// find returns the word called name.
func (s section) find(name string) (word, bool) {
	for _, w := range s.words {
		if w.name == name {
			return w, true
		}
	}
	return word{}, false
}

// nearestWord is the word that ends in what was typed ("brokers" means
// seed_brokers), else the one that is spelled most like it.
func nearestWord(typed string, words []string) string {
	for _, w := range words {
		if strings.HasSuffix(w, "_"+strings.ToLower(typed)) {
			return w
		}
	}
	return policy.Nearest(typed, words)
}

// names lists the words that are supported.
func (s section) names() []string {
	var out []string
	for _, w := range s.words {
		if !w.later {
			out = append(out, w.name)
		}
	}
	return out
}

// secrets reports whether the section holds a secret: then the text of its
// unknown words is hidden too, since one may be a mistyped password.
func (s section) secrets() bool {
	for _, w := range s.words {
		if w.secret {
			return true
		}
	}
	return false
}
