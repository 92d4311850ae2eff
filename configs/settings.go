package configs

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// settings reads the connections and topics of the wiring.
func (l *loader) settings(o object, c *Config) {
	if k, ok := o.section("kafka", kafkaSection); ok {
		c.Kafka = l.kafka(k)
	}
	if r, ok := o.section("schema_registry", registrySection); ok {
		c.SchemaRegistry = l.registry(r)
	}
	if r, ok := o.section("redis", redisSection); ok {
		c.Redis = l.redis(r)
	}
	if k, ok := o.section("keys", keysSection); ok {
		if file := k.text("file"); file != "" {
			c.KeysFile = inDir(k.it.dir, file)
		}
	}
	c.Topics = Topics{
		Consent:    l.topicOf(o, "consent", consentSection),
		Audit:      l.topicOf(o, "audit", auditSection),
		Quarantine: l.topicOf(o, "quarantine", quarantineSection),
		Policies:   l.topicOf(o, "policies", policiesSection),
	}
	c.Health = l.health(o)
}

// section opens a word whose value is a mapping with fixed words.
func (o object) section(name string, s section) (object, bool) {
	it, ok := o.items[name]
	if !ok {
		return object{}, false
	}
	return o.l.object(it, s)
}

func (l *loader) kafka(o object) Kafka {
	k := Kafka{
		ConsumerGroup: o.matching("consumer_group", "", groupName, "letters, digits, ., _ and -, at most 200"),
		Compression:   o.choice("compression", "snappy", []string{"none", "lz4", "snappy", "zstd"}, []string{"gzip"}),
		Workers:       int(o.integer("workers", 0, 0, 256)),
		Insecure:      o.boolean("insecure"),
	}
	k.SeedBrokers = l.hosts(o, "seed_brokers", k.Insecure)
	return k
}

func (l *loader) redis(o object) Redis {
	r := Redis{
		Username: o.text("username"),
		Password: l.secret(o, "password"),
		DB:       int(o.integer("db", 0, 0, 1023)),
		Buckets:  int(o.integer("buckets", 64, 1, 4096)),
		Insecure: o.boolean("insecure"),
	}
	r.Addrs = l.hosts(o, "addrs", r.Insecure)
	if len(r.Addrs) > 1 {
		l.report(o.items["addrs"].place(), "", "\"addrs\" must be one address: a cluster is not supported yet")
	}
	l.needsPassword(o)
	return r
}

func (l *loader) registry(o object) SchemaRegistry {
	r := SchemaRegistry{
		Username: o.text("username"),
		Password: l.secret(o, "password"),
		Insecure: o.boolean("insecure"),
	}
	r.URL = l.url(o, r.Insecure)
	l.needsPassword(o)
	return r
}

// needsPassword refuses a user name without a password: the client would connect
// without authenticating.
func (l *loader) needsPassword(o object) {
	_, user := o.items["username"]
	_, password := o.items["password"]
	if user && !password {
		l.report(o.items["username"].keyPlace(), "", "%s has a username and no password", o.it.name)
	}
}

// secret reads a password, which must come from a variable or a file.
func (l *loader) secret(o object, name string) Secret {
	it, ok := o.items[name]
	if !ok {
		return Secret{}
	}
	s, ok := l.scalar(it)
	switch {
	case !ok:
	case s.literal:
		l.report(it.place(), "", "%s must not be in the file: write ${file:/path} or ${NAME} without a default", it.name)
	case s.text == "":
		l.report(it.place(), "", "%s is empty", it.name)
	default:
		return NewSecret(s.text)
	}
	return Secret{}
}

// hosts reads a list of host:port, plaintext all of them.
func (l *loader) hosts(o object, name string, insecure bool) []string {
	var out []string
	for _, s := range o.texts(name) {
		host, ok := hostOf(s.text)
		switch {
		case strings.Contains(s.text, "@") || strings.Contains(s.text, "://"):
			l.report(s.place(), "", "%s must be host:port, without a scheme, a user or a password", s.name)
		case !ok:
			l.report(s.place(), "", "%s must be host:port with a port from 1 to 65535, not %s", s.name, s.shown())
		case !insecure && !loopback(host):
			l.report(s.place(), "", "a plaintext connection beyond this machine needs \"insecure: true\" in %s (TLS is not supported yet)", o.it.name)
		}
		out = append(out, s.text)
	}
	return out
}

// hostOf splits host:port and checks both.
func hostOf(text string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(port, 10, 16)
	ok = err == nil && portErr == nil && n > 0 && host != "" && !strings.ContainsAny(host, " \t/?#@\"'[]")
	return host, ok
}

// loopback reports whether a host is this machine. Names other than localhost are
// not looked up: Load connects to nothing.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// url reads the registry's URL.
func (l *loader) url(o object, insecure bool) string {
	it, s, ok := o.textAt("url")
	if !ok {
		return ""
	}
	u, err := url.Parse(s.text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		l.report(it.place(), "", "%s must be a URL such as http://localhost:8081", it.name)
	case u.User != nil:
		l.report(it.place(), "", "%s must not hold a user or password; use username and password", it.name)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		l.report(it.place(), "", "%s must end with the path", it.name)
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		l.report(it.place(), "", "a plaintext connection beyond this machine needs https or \"insecure: true\" in %s", o.it.name)
	default:
		return strings.TrimRight(s.text, "/")
	}
	return ""
}

// topicOf reads the one topic of a section, or its default.
func (l *loader) topicOf(o object, name string, s section) string {
	fallback, _ := s.find("topic")
	t, ok := o.section(name, s)
	if !ok {
		return fallback.fallback
	}
	return t.topic("topic", fallback.fallback)
}

// topic reads a Kafka topic name.
func (o object) topic(name, fallback string) string {
	it, s, ok := o.textAt(name)
	if !ok {
		return fallback
	}
	if !validTopic(s.text) {
		o.l.report(it.place(), "", "%s is not a Kafka topic name: letters, digits, ., _ and -, at most 249", s.shown())
		return fallback
	}
	return s.text
}

// validTopic is Kafka's rule (org.apache.kafka.common.internals.Topic).
func validTopic(name string) bool { return topicName.MatchString(name) && name != "." && name != ".." }

func (l *loader) health(o object) Health {
	fallback, _ := healthSection.find("listen")
	h := Health{Listen: fallback.fallback}
	s, ok := o.section("health", healthSection)
	if !ok {
		return h
	}
	h.Insecure = s.boolean("insecure")
	it, ok := s.items["listen"]
	if !ok {
		return h
	}
	t, ok := l.text(it)
	if !ok {
		return h
	}
	host, ok := hostOf(t.text)
	switch {
	case !ok:
		l.report(it.place(), "", "%s must be host:port with a port from 1 to 65535, not %s", it.name, t.shown())
	case !h.Insecure && !loopback(host):
		l.report(it.place(), "", "health and metrics beyond this machine need \"insecure: true\" in health")
	}
	h.Listen = t.text
	return h
}

// limits bound what is processed.
type limits struct{ recordBytes, splitElements int64 }

// limits reads limits; what is not said is as in fallback. A batch of more than
// 64 MiB is never unpacked, so no record of that size could be processed.
func (l *loader) limits(o object, fallback limits) limits {
	s, ok := o.section("limits", limitsSection)
	if !ok {
		return fallback
	}
	return limits{
		recordBytes:   s.integer("record_bytes", fallback.recordBytes, 1024, 64<<20),
		splitElements: s.integer("split_elements", fallback.splitElements, 1, 100_000),
	}
}
