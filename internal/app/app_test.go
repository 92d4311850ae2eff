package app_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/pipeline"
)

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// demoApp is the demo's configuration in an environment.
func demoApp(t *testing.T, env map[string]string) *app.App {
	t.Helper()
	cfg, findings := configs.Load("../../configs/demo/consentstream.yaml", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if cfg == nil {
		t.Fatal(findings)
	}
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	return app.NewWithKeys(cfg, ring, zerolog.Nop(), "test")
}

// alone runs the demo's configuration without any server, and gives the address of
// its health endpoint. stop waits for its end.
func alone(t *testing.T, roles []string) (health string, stop func()) {
	health = freeAddress(t)
	a := demoApp(t, map[string]string{"CONSENTSTREAM_KAFKA": freeAddress(t), "CONSENTSTREAM_REDIS": freeAddress(t), "CONSENTSTREAM_HEALTH": health})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, roles) }()
	return health, func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("does not end")
		}
	}
}

// TestHealthBeforeKafka: a daemon that starts before Kafka waits, and its health
// endpoint says so; a liveness probe must not kill it.
func TestHealthBeforeKafka(t *testing.T) {
	health, stop := alone(t, app.Roles())
	reason := ""
	for deadline := time.Now().Add(20 * time.Second); reason != "kafka_unreachable" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		reason = heldBecause(health)
	}
	if reason != "kafka_unreachable" {
		t.Errorf("held because %q, want kafka_unreachable", reason)
	}
	if resp, err := http.Get("http://" + health + "/healthz"); err != nil {
		t.Error(err)
	} else if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("liveness is %s", resp.Status)
	}
	stop()
}

// TestHealthOfProjectorAlone: a process that only projects answers too, and says
// what it waits for.
func TestHealthOfProjectorAlone(t *testing.T) {
	health, stop := alone(t, []string{app.Project})
	text := ""
	for deadline := time.Now().Add(20 * time.Second); text == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text = page("http://" + health + "/status")
	}
	if !strings.Contains(text, "NOT READY") || !strings.Contains(text, "waiting: kafka_unreachable") || strings.Contains(text, "enforce") {
		t.Errorf("status:\n%s", text)
	}
	stop()
}

// TestMissingTopicsAtOnce: where the consent topic is missing, the others that are
// missing are named with it, and not at the next start.
func TestMissingTopicsAtOnce(t *testing.T) {
	stack, err := devstack.Start(t.Context(), devstack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := demoApp(t, map[string]string{"CONSENTSTREAM_KAFKA": stack.KafkaAddr(), "CONSENTSTREAM_REGISTRY": stack.RegistryURL(),
		"CONSENTSTREAM_REDIS": stack.RedisAddr(), "CONSENTSTREAM_HEALTH": freeAddress(t)})
	var refusal *pipeline.Refusal
	if err := a.Run(t.Context(), app.Roles()); !errors.As(err, &refusal) {
		t.Fatalf("the start is not refused: %v", err)
	}
	for _, topic := range []string{"consent.events", "crm.contacts", "crm.contacts.service", "consent.audit"} {
		if !slices.ContainsFunc(refusal.Complaints, func(c pipeline.Complaint) bool { return strings.Contains(c.Command, "--create --topic "+topic+" ") }) {
			t.Errorf("%s is not named:\n%v", topic, refusal)
		}
	}
}

// page is the text of an address; "" where nobody answers.
func page(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

// heldBecause is the reason of the first hold on the ready page; "" for none.
func heldBecause(addr string) string {
	resp, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var status struct {
		Held []struct {
			Code string `json:"reason"`
		} `json:"holds"`
	}
	if json.NewDecoder(resp.Body).Decode(&status) != nil || resp.StatusCode != http.StatusServiceUnavailable || len(status.Held) == 0 {
		return ""
	}
	return status.Held[0].Code
}
