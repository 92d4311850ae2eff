package archtest

// rule forbids an edge. Packages of this module are named by their path in it
// ("engine", "internal/keys"), others by their import path. In from and to
// "x/..." is x and everything below, and "..." is everything.
type rule struct {
	from   []string
	except []string // of from
	to     []string
	// linked forbids also what is reached through other packages: it is a rule
	// about what ends up in the binary, not about who calls whom.
	linked bool
	reason string
}

const (
	module = "github.com/consentstream/consentstream"
	franz  = "github.com/twmb/franz-go/pkg/"
)

var (
	// core decides. It is compiled into run, eval, test and explain, which must
	// give the same bytes (promise P12).
	core = []string{"consent", "policy", "filters", "audit", "engine", "internal/personal"}

	kafka  = []string{franz + "kgo/...", franz + "kadm/...", franz + "kmsg/...", franz + "kerr/...", franz + "kversion/..."}
	redis  = []string{"github.com/redis/go-redis/...", "github.com/alicebob/miniredis/..."}
	fakes  = []string{"internal/devstack", franz + "kfake/...", franz + "sr/srfake", "github.com/alicebob/miniredis/..."}
	logger = []string{"github.com/rs/zerolog/...", "log", "log/slog", "github.com/prometheus/..."}
	yaml   = []string{"go.yaml.in/...", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml"}
)

var rules = []rule{
	// Direction, from the leaves up.
	{from: []string{"internal/personal", "internal/keys"}, to: []string{"consent/...", "policy", "filters", "schemas", "audit", "engine", "pipeline", "configs", "cmd/..."},
		reason: "personal values and keys are used by every package; they may know none of them"},
	{from: []string{"consent"}, to: []string{"policy", "filters", "schemas", "audit", "engine", "pipeline", "configs"},
		reason: "consent is a leaf: what people decided does not depend on what anybody does with it"},
	{from: []string{"policy"}, to: []string{"filters", "schemas", "audit", "engine", "pipeline", "configs", "consent/redisstore"},
		reason: "a policy treats a treatment as an opaque spec, so that the decision can be reviewed without the formats"},
	{from: []string{"filters"}, to: []string{"consent/...", "policy", "audit", "engine", "pipeline", "configs"},
		reason: "a treatment is a function of a value and a type; one that knew purposes or consents could decide by itself"},
	{from: []string{"schemas"}, to: []string{"consent/...", "policy", "filters", "audit", "engine", "pipeline", "configs"},
		reason: "formats are a leaf: scanning and splicing depend on bytes and paths only"},
	{from: []string{"audit"}, to: []string{"consent/...", "policy", "filters", "engine", "pipeline", "configs"},
		reason: "the auditor's verifier links audit and must not have to trust, or read, what it verifies"},
	{from: []string{"engine"}, to: []string{"consent/redisstore", "pipeline", "configs", "cmd/..."},
		reason: "the engine is the same in run, eval and tests; where records and states come from is its caller's business"},
	{from: []string{"consent/redisstore"}, to: []string{"policy", "filters", "schemas", "audit", "engine", "pipeline", "configs"},
		reason: "the store keeps rows and never decides; it cannot misuse a policy that it does not know"},
	{from: []string{"internal/infer"}, to: []string{"consent/...", "filters", "audit", "engine", "pipeline", "configs", "net/http", "os/...", "log/...", "github.com/rs/zerolog/..."},
		reason: "what reads sample values proposes and decides nothing, and cannot log, keep or send any"},
	{from: []string{"pipeline"}, to: []string{"configs", "cmd/..."},
		reason: "the pipeline takes plain structs: files are read, and words checked, in configs and wired in cmd"},
	{from: []string{"configs"}, to: []string{"pipeline", "consent/redisstore", "cmd/...", "net/http"},
		reason: "lint and eval work offline: reading a config connects to nothing"},
	{from: []string{"..."}, except: []string{"cmd/..."}, to: []string{"cmd/..."},
		reason: "commands are wiring; what another package needs of them belongs in a package"},

	// One door to each server.
	{from: []string{"..."}, except: []string{"pipeline", "internal/devstack", "internal/bench"}, to: kafka,
		reason: "the commit protocol stands in one package; a second producer or consumer elsewhere would be outside its transactions"},
	{from: []string{"..."}, except: []string{"schemas", "internal/app", "internal/devstack", "internal/bench"}, to: []string{franz + "sr/..."},
		reason: "registry answers are cached, bounded and scrubbed in schemas, since their error texts quote schemas; internal/app only makes the client"},
	{from: []string{"..."}, except: []string{"consent/redisstore", "internal/devstack"}, to: redis,
		reason: "the watermark protocol stands in one package; a read around it could return a stale consent (promise P5)"},
	{from: []string{"..."}, except: []string{"configs", "internal/reference"}, to: yaml,
		reason: "only the strict reader with positions reads YAML; any other decoder ignores unknown words"},

	// The reference says a second time what the product must do, for tests.
	{from: []string{"internal/reference"}, to: []string{"consent/...", "policy", "filters", "schemas", "audit", "engine", "pipeline", "configs", "internal/...", "cmd/..."},
		reason: "what the product is held against must share no mistake with it"},
	{from: []string{"..."}, to: []string{"internal/reference"},
		reason: "the reference is slow and for tests; a product that used it would be compared with itself"},

	// The core is pure.
	{from: core, to: []string{"net/...", "os/...", "syscall", "crypto/rand", "math/rand/...", "context"},
		reason: "the core does no I/O and rolls no dice: same input, same bytes (promise P12)"},
	{from: append([]string{"schemas"}, core...), to: logger,
		reason: "what handles personal values cannot log them if it has no logger (promise P8)"},
	{from: append([]string{"internal/eval", "configs"}, core...), to: append(append([]string{}, kafka...), redis...), linked: true,
		reason: "offline commands and the core link no client of a server"},
	{from: append([]string{"schemas", "internal/keys"}, core...), to: []string{"encoding/gob", "unsafe", "plugin", "C"},
		reason: "bytes of unknown origin are parsed by bounded, memory-safe code"},

	// Fakes stay out of production code, and the auditor's binary stays small.
	{from: []string{"..."}, except: []string{"cmd/consentstream", "internal/demo", "internal/devstack", "internal/bench"}, to: fakes,
		reason: "the embedded stack is for demo and tests; run must not be able to start on it"},
	{from: []string{"cmd/consentstream-verify"}, to: append(append([]string{"pipeline", "consent/redisstore", "configs"}, kafka...), redis...), linked: true,
		reason: "the auditor reads a file: the verifier links neither Kafka nor Redis nor anything that it would have to trust"},
}

// clock are the functions of package time that read or wait for the clock.
var clock = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true,
	"Tick": true, "NewTicker": true, "NewTimer": true,
}

const clockReason = "time comes in as a parameter: a decision is reproducible from the time in its audit record (promise P12)"
