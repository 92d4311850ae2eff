package servers

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/devstack"
)

// deployment is what the two files say.
type deployment struct {
	compose    compose
	dockerfile string
	goMod      string
}

type compose struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       string
	Entrypoint  []string
	Command     []string
	Restart     string
	Profiles    []string
	ReadOnly    bool `yaml:"read_only"`
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck *struct {
		Test    []string
		Retries int
	}
}

// oneShot services end by themselves.
func (s service) oneShot() bool { return s.Restart == "no" }

func load(t *testing.T, change func(file, text string) string) deployment {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return change(name, string(text))
	}
	d := deployment{dockerfile: read("Dockerfile"), goMod: read("go.mod")}
	if err := yaml.Unmarshal([]byte(read("docker-compose.yml")), &d.compose); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeployment(t *testing.T) {
	d := load(t, func(_, text string) string { return text })
	for _, f := range d.findings(t) {
		t.Error(f)
	}
}

// Every check must find the mistake that it is there for.
func TestDeploymentMistakesAreFound(t *testing.T) {
	tests := []struct{ old, new, want string }{
		{"apache/kafka:4.3.1", "apache/kafka:latest", "not pinned"},
		{"redis:7.4.1-alpine", "redis", "not pinned"},
		{"test: [CMD, redis-cli, ping]", "test: [NONE]", "redis: no health check"},
		{"127.0.0.1:16379:6379", "16379:6379", "loopback"},
		{"redis: {condition: service_healthy}", "rediss: {condition: service_healthy}", "depends on rediss"},
		{"topics: {condition: service_completed_successfully}", "topics: {condition: service_healthy}", "topics"},
		{"create marketing.events.service 4 cleanup.policy=delete\n", "\n", "marketing.events.service is not created"},
		{"create consent.events 4 cleanup.policy=delete retention.ms=-1", "create consent.events 4 cleanup.policy=delete retention.ms=1", "consent.events"},
		{"crm.contacts.analytics 4 cleanup.policy=delete retention.ms=7776000000", "crm.contacts.analytics 4 cleanup.policy=delete", "crm.contacts.analytics"},
		{"CONSENTSTREAM_REDIS: redis:6379", "CONSENTSTREAM_REDIS: redis:6380", "redis:6380"},
		{"CONSENTSTREAM_REDIS: redis:6379", "CONSENTSTREAM_REDIS_ADDR: redis:6379", "CONSENTSTREAM_REDIS_ADDR"},
		{"CONSENTSTREAM_INSECURE: \"true\"", "CONSENTSTREAM_INSECURE: \"false\"", "insecure"},
		{"CONSENTSTREAM_HEALTH: 0.0.0.0:9464", "CONSENTSTREAM_HEALTH: 0.0.0.0:9465", "9465"},
		{"http://consentstream:9464/readyz", "http://consentstream:9464/ready", "readyz"},
		{"--maxmemory-policy, noeviction", "--maxmemory-policy, allkeys-lru", "noeviction"},
		{"keys:/run/consentstream:ro", "keyz:/run/consentstream:ro", "volume keyz"},
		{"./configs/demo:/etc/consentstream:ro", "./configs/demo:/etc/conf:ro", "/etc/consentstream/consentstream.yaml"},
		{"KAFKA_AUTO_CREATE_TOPICS_ENABLE: \"false\"", "KAFKA_AUTO_CREATE_TOPICS_ENABLE: \"true\"", "AUTO_CREATE"},
		{"USER 65532:65532", "USER 0", "root"},
		{"CGO_ENABLED=0", "CGO_ENABLED=1", "static"},
		{"ENTRYPOINT [\"/usr/local/bin/consentstream\"]", "ENTRYPOINT [\"/consentstream\"]", "/consentstream"},
		{"EXPOSE 9464", "EXPOSE 9465", "EXPOSE"},
		{"FROM golang:1.26", "FROM golang:1.25", "go.mod"},
		{"FROM scratch", "FROM alpine:3.22", "shell"},
	}
	for _, tt := range tests {
		changed := false
		d := load(t, func(_, text string) string {
			changed = changed || strings.Contains(text, tt.old)
			return strings.ReplaceAll(text, tt.old, tt.new)
		})
		if !changed {
			t.Errorf("nothing says %q any more", tt.old)
			continue
		}
		if found := strings.Join(d.findings(t), "\n"); !strings.Contains(found, tt.want) {
			t.Errorf("%q for %q is not found; findings: %q", tt.new, tt.old, found)
		}
	}
}

func (d deployment) findings(t *testing.T) []string {
	var all []string
	for _, check := range []func() []string{d.images, d.health, d.edges, d.kafka, d.redis, d.image, d.mounts} {
		all = append(all, check()...)
	}
	return append(all, d.config(t)...)
}

func (d deployment) images() (found []string) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z0-9.]+)?$`)
	for name, s := range d.compose.Services {
		if s.Build == "" && !pinned.MatchString(s.Image) {
			found = append(found, fmt.Sprintf("%s: image %s is not pinned to a version", name, s.Image))
		}
	}
	return found
}

// health wants a check for whatever stays up; consentstream's image has no tool
// to probe with, so a second container asks its readiness.
func (d deployment) health() (found []string) {
	for name, s := range d.compose.Services {
		if s.oneShot() || name == "consentstream" {
			continue
		}
		if s.Healthcheck == nil || len(s.Healthcheck.Test) < 2 || s.Healthcheck.Retries < 1 {
			found = append(found, name+": no health check")
		}
	}
	if probe := d.compose.Services["readiness"].Healthcheck; probe == nil || !slices.Contains(probe.Test, "http://consentstream:9464/readyz") {
		found = append(found, "readiness: does not ask consentstream's /readyz")
	}
	return found
}

// edges are dependencies and published ports.
func (d deployment) edges() (found []string) {
	for name, s := range d.compose.Services {
		for on, how := range s.DependsOn {
			target, ok := d.compose.Services[on]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s depends on %s, which does not exist", name, on))
			case how.Condition == "service_healthy" && target.Healthcheck == nil:
				found = append(found, fmt.Sprintf("%s waits for the health of %s, which has no check", name, on))
			case how.Condition == "service_completed_successfully" && !target.oneShot():
				found = append(found, fmt.Sprintf("%s waits for the end of %s, which stays up", name, on))
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				found = append(found, fmt.Sprintf("%s: port %s is published beyond loopback, without TLS", name, p))
			}
		}
	}
	return found
}

func (d deployment) kafka() (found []string) {
	env := d.compose.Services["kafka"].Environment
	if env["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
		found = append(found, "kafka: AUTO_CREATE_TOPICS hides a missing topic")
	}
	created := d.topics()
	for _, want := range devstack.Infrastructure(4) {
		got, ok := created[want.Name]
		if !ok {
			found = append(found, fmt.Sprintf("topic %s is not created", want.Name))
		} else if got.Partitions != want.Partitions || !maps.Equal(got.Configs, want.Configs) {
			found = append(found, fmt.Sprintf("topic %s is created with %d partitions and %v, want %d and %v", want.Name, got.Partitions, got.Configs, want.Partitions, want.Configs))
		}
	}
	return found
}

// topics reads the "create NAME PARTITIONS SETTING…" lines of the init job.
func (d deployment) topics() map[string]devstack.Topic {
	topics := make(map[string]devstack.Topic)
	for line := range strings.Lines(strings.Join(d.compose.Services["topics"].Command, "\n")) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "create" {
			continue
		}
		n, err := strconv.Atoi(words[2])
		if err != nil {
			continue
		}
		topic := devstack.Topic{Name: words[1], Partitions: int32(n), Configs: map[string]string{}}
		for _, setting := range words[3:] {
			name, value, _ := strings.Cut(setting, "=")
			topic.Configs[name] = value
		}
		topics[topic.Name] = topic
	}
	return topics
}

func (d deployment) redis() []string {
	if c := strings.Join(d.compose.Services["redis"].Command, " "); !strings.Contains(c, "--maxmemory-policy noeviction") {
		return []string{"redis: runs without noeviction: the pipeline would hold"}
	}
	return nil
}

// image checks the Dockerfile.
func (d deployment) image() (found []string) {
	binary := regexp.MustCompile(`(?m)^COPY --from=build /out/consentstream (\S+)$`).FindStringSubmatch(d.dockerfile)
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["(\S+)"\]$`).FindStringSubmatch(d.dockerfile)
	if binary == nil || entry == nil || binary[1] != entry[1] {
		found = append(found, fmt.Sprintf("Dockerfile: the binary is copied to %q and started as %q", binary, entry))
	}
	if user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(d.dockerfile); user == nil || user[1] == "0" {
		found = append(found, "Dockerfile: runs as root, or as a user without a number")
	}
	if !strings.Contains(d.dockerfile, "CGO_ENABLED=0 go build") {
		found = append(found, "Dockerfile: the binary is not static")
	}
	if !strings.Contains(d.dockerfile, "\nFROM scratch\n") {
		found = append(found, "Dockerfile: the image has a shell or a package manager")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(d.goMod)
	if version == nil || !strings.Contains(d.dockerfile, "FROM golang:"+version[1]+".") {
		found = append(found, fmt.Sprintf("Dockerfile: does not build with go.mod's Go %v", version))
	}
	return found
}

// mounts checks that what is mounted exists, and that the command's file is in it.
func (d deployment) mounts() (found []string) {
	for name, s := range d.compose.Services {
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(source, ".") {
				if _, err := os.Stat("../../" + source); err != nil {
					found = append(found, fmt.Sprintf("%s mounts %s: %v", name, source, err))
				}
			} else if _, ok := d.compose.Volumes[source]; !ok {
				found = append(found, fmt.Sprintf("%s mounts volume %s, which does not exist", name, source))
			}
		}
	}
	c := d.compose.Services["consentstream"]
	if !c.ReadOnly {
		found = append(found, "consentstream: its file system can be written")
	}
	for _, file := range []string{c.Command[len(c.Command)-1], c.Environment["CONSENTSTREAM_KEYS"]} {
		if d.host(c, file) == "" {
			found = append(found, fmt.Sprintf("consentstream: nothing is mounted where %s should be", file))
		}
	}
	return found
}

// host is where a container's file comes from; "" when it is not mounted.
func (d deployment) host(s service, file string) string {
	for _, v := range s.Volumes {
		parts := strings.Split(v, ":")
		if rest, ok := strings.CutPrefix(file, parts[1]+"/"); ok {
			return path.Join(parts[0], rest)
		}
	}
	return ""
}

// config loads what the container would load, in its environment, and compares.
func (d deployment) config(t *testing.T) (found []string) {
	c := d.compose.Services["consentstream"]
	file := d.host(c, c.Command[len(c.Command)-1])
	if file == "" {
		return nil // mounts says so
	}
	asked := make(map[string]bool)
	env := func(name string) (string, bool) {
		asked[name] = true
		v, ok := c.Environment[name]
		return v, ok
	}
	cfg, findings := configs.Load("../../"+file, env, os.ReadFile)
	for _, f := range findings {
		if cfg == nil {
			found = append(found, f.String())
		}
	}
	for name := range c.Environment {
		if !asked[name] {
			found = append(found, fmt.Sprintf("consentstream: no config asks for %s", name))
		}
	}
	if cfg == nil {
		return found
	}
	if cfg.KeysFile != c.Environment["CONSENTSTREAM_KEYS"] {
		found = append(found, fmt.Sprintf("the key file is %s", cfg.KeysFile))
	}
	registry, _, _ := strings.Cut(strings.TrimPrefix(cfg.SchemaRegistry.URL, "http://"), "/")
	for _, addr := range append(append(cfg.Kafka.SeedBrokers, cfg.Redis.Addrs...), registry) {
		found = append(found, d.reachable(addr)...)
	}
	found = append(found, d.healthPort(cfg)...)
	return append(found, d.streams(cfg)...)
}

// reachable wants an address to be a service that listens there.
func (d deployment) reachable(addr string) []string {
	host, port, _ := strings.Cut(addr, ":")
	s, ok := d.compose.Services[host]
	listens := strings.Contains(s.Environment["KAFKA_LISTENERS"], "://:"+port+",")
	for _, p := range s.Ports {
		listens = listens || strings.HasSuffix(p, ":"+port)
	}
	if !ok || !listens {
		return []string{fmt.Sprintf("consentstream connects to %s, where nothing listens", addr)}
	}
	return nil
}

func (d deployment) healthPort(cfg *configs.Config) (found []string) {
	_, port, _ := strings.Cut(cfg.Health.Listen, ":")
	if !strings.Contains(d.dockerfile, "\nEXPOSE "+port+"\n") {
		found = append(found, fmt.Sprintf("Dockerfile: no EXPOSE %s", port))
	}
	if c := d.compose.Services["consentstream"]; len(c.Ports) != 1 || !strings.HasSuffix(c.Ports[0], ":"+port) {
		found = append(found, fmt.Sprintf("consentstream: the health port %s is not published", port))
	}
	return found
}

// streams wants every input and output to be created, and no output to keep
// records for longer than its purpose may.
func (d deployment) streams(cfg *configs.Config) (found []string) {
	created := d.topics()
	for _, s := range cfg.Streams {
		if _, ok := created[s.Wiring.Topic]; !ok {
			found = append(found, fmt.Sprintf("topic %s is not created", s.Wiring.Topic))
		}
		for _, purpose := range s.Wiring.Purposes {
			name := s.Wiring.Topic + "." + purpose
			topic, ok := created[name]
			if !ok {
				found = append(found, fmt.Sprintf("topic %s is not created", name))
				continue
			}
			for _, p := range cfg.Policy.Purposes {
				if p.ID == purpose && p.Retention > 0 && topic.Configs["retention.ms"] != strconv.FormatInt(p.Retention, 10) {
					found = append(found, fmt.Sprintf("topic %s: retention.ms is %q, its purpose allows %d", name, topic.Configs["retention.ms"], p.Retention))
				}
			}
		}
	}
	return found
}
