package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/consentstream/consentstream/internal/devstack"
)

// TestMain runs more scripts at once than there may be processors: they wait most of the time.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"consentstream": main})
}

// TestScripts runs testdata/script: each command as a user types it.
func TestScripts(t *testing.T) {
	testscript.Run(t, scriptParams("testdata/script"))
}

func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs("../..")
			env.Setenv("REPO", root)
			env.Setenv("NO_COLOR", "1")
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"stack": startStack,
			"await": awaitReady,
		},
	}
}

// startStack starts the embedded servers with the demo's topics and points the
// demo configuration's variables at them: stack [topic to leave out].
func startStack(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	stack, err := devstack.Start(ctx, devstack.Config{Topics: demoTopics(args)})
	ts.Check(err)
	ts.Defer(func() { stack.Close(); cancel() })
	schema, err := os.ReadFile("../../configs/demo/crm.contacts.avsc")
	ts.Check(err)
	_, err = stack.RegisterSchema(ctx, "crm.contacts-value", string(schema))
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv("CONSENTSTREAM_KAFKA", stack.KafkaAddr())
	ts.Setenv("CONSENTSTREAM_REGISTRY", stack.RegistryURL())
	ts.Setenv("CONSENTSTREAM_REDIS", stack.RedisAddr())
	ts.Setenv("CONSENTSTREAM_HEALTH", l.Addr().String())
}

func demoTopics(without []string) []devstack.Topic {
	topics := devstack.Infrastructure(2)
	for _, in := range []string{"crm.contacts", "marketing.events"} {
		for _, suffix := range []string{"", ".analytics", ".marketing.email", ".service"} {
			t := devstack.Topic{Name: in + suffix, Partitions: 2}
			if suffix != "" {
				t.Configs = map[string]string{"retention.ms": "7776000000"}
			}
			if len(without) == 0 || without[0] != t.Name {
				topics = append(topics, t)
			}
		}
	}
	return topics
}

// awaitReady waits until the daemon's health endpoint says ready.
func awaitReady(ts *testscript.TestScript, _ bool, _ []string) {
	url := "http://" + ts.Getenv("CONSENTSTREAM_HEALTH") + "/readyz"
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("the daemon is not ready after 30 s")
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// readmeCommands are the lines of all sh blocks of the README.
func readmeCommands(t *testing.T) []string {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 8 {
		t.Fatalf("only %d commands found in the README", len(lines))
	}
	return lines
}

// TestReadme types every command of the README, in its order, in one directory.
func TestReadme(t *testing.T) {
	var script strings.Builder
	script.WriteString("stack\nmkdir configs\nexec cp -r $REPO/configs/demo configs/demo\nexec cp -r $REPO/configs/examples configs/examples\n")
	for _, line := range readmeCommands(t) {
		script.WriteString(scriptLine(t, line))
	}
	script.WriteString("kill -INT daemon\nwait daemon\n")
	for _, file := range []string{"consents.ndjson", "events.ndjson"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "-- %s --\n%s", file, text)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "readme.txtar"), []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, scriptParams(dir))
}

// scriptLine turns a shell line of the README into testscript.
func scriptLine(t *testing.T, line string) string {
	command, input, redirected := strings.Cut(line, " < ")
	prefix := ""
	if redirected {
		prefix = "stdin " + input + "\n"
	}
	switch {
	case line == "go test ./...", line == "go install ./cmd/consentstream":
		return "# this is it\n"
	case strings.HasPrefix(command, "consentstream run "):
		return "exec " + command + " &daemon&\nawait\n"
	case strings.HasPrefix(command, "consentstream "), strings.HasPrefix(command, "cp "):
		return prefix + "exec " + command + "\n"
	}
	t.Fatalf("the README has a command that no test can run: %s", line)
	return ""
}
