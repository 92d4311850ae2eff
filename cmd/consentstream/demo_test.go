package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shared is what a command that goes on has written so far.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// await gives what re matches, as soon as it does.
func (s *shared) await(t *testing.T, re string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if m := regexp.MustCompile(re).FindString(s.String()); m != "" {
			return strings.TrimSpace(m)
		}
	}
	t.Fatalf("never seen: %s\n%s", re, s)
	return ""
}

// TestDemoKeep types what `demo --keep` says that one can type: the withdrawal
// that is recorded there shows in what the demo decides next, and any Kafka
// client reads the outputs.
func TestDemoKeep(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out, err shared
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"demo", "--keep"}, stdio{strings.NewReader(""), &out, &err}) }()
	out.await(t, "Ctrl-C ends.")
	for _, command := range []string{`(?m)^  consentstream consent record .*`, `(?m)^  consentstream consent show .*`} {
		typed := out.await(t, command)
		var said, failed bytes.Buffer
		if code := run(ctx, strings.Fields(typed)[1:], stdio{strings.NewReader(""), &said, &failed}); code != exitOK {
			t.Errorf("%s: exit code %d: %s", typed, code, failed.String())
		}
	}
	out.await(t, "analytics DENY CONSENT_WITHDRAWN; marketing.email DENY CONSENT_UNKNOWN; service permit")
	resp, failed := http.Get(strings.Fields(out.await(t, `(?m)^  health \S+`))[1])
	if failed != nil {
		t.Fatal(failed)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("health says %d", resp.StatusCode)
	}
	kcat := strings.Fields(out.await(t, `(?m)^  kcat -b \S+ -C -t \S+`)) // kcat -b ADDRESS -C -t TOPIC
	cl, failed := kgo.NewClient(kgo.SeedBrokers(kcat[2]), kgo.ConsumeTopics(kcat[5]), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if failed != nil {
		t.Fatal(failed)
	}
	defer cl.Close()
	read, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if rs := cl.PollFetches(read).Records(); len(rs) == 0 || !bytes.Contains(rs[0].Value, []byte(`"contact_id":"k1.`)) {
		t.Errorf("%s: %d records", kcat[5], len(rs))
	}
	cancel()
	if code := <-ended; code != exitOK || err.String() != "" {
		t.Errorf("exit code %d: %s", code, err.String())
	}
}

var (
	readmePicture = regexp.MustCompile("(?s)```console\n\\$ go run ./cmd/consentstream demo\n(.*?)```")
	pseudonym     = regexp.MustCompile(`k1\\\.[a-z2-7]+`)
	chainHash     = regexp.MustCompile(`chained to [0-9a-f]+`)
)

// TestReadmePicture: every line of the README's picture is a line that the demo
// prints, except for pseudonyms and hashes, which each run has its own of.
func TestReadmePicture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	picture := readmePicture.FindSubmatch(text)
	if picture == nil {
		t.Fatal("the README has no picture of the demo")
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, stdio{strings.NewReader(""), &out, os.Stderr}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSpace(string(picture[1])), "\n")
	for _, line := range lines {
		line = regexp.QuoteMeta(strings.TrimRight(line, " "))
		line = pseudonym.ReplaceAllString(line, `k1\.[a-z2-7]+`)
		line = chainHash.ReplaceAllString(line, `chained to [0-9a-f]+`)
		if cut, short := strings.CutSuffix(line, "; …"); short {
			line = cut + ".*"
		}
		if !regexp.MustCompile(`(?m)^ *` + strings.TrimLeft(line, " ") + ` *$`).MatchString(out.String()) {
			t.Errorf("the demo prints no line like %s", line)
		}
	}
	if len(lines) < 8 {
		t.Errorf("only %d lines", len(lines))
	}
}
