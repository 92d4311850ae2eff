package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/consentstream/consentstream/configs"
)

// silent is a terminal at which nobody types: a read of it never ends.
type silent struct {
	once  sync.Once
	asked chan struct{} // closed at the first read
}

func (s *silent) Read([]byte) (int, error) {
	s.once.Do(func() { close(s.asked) })
	select {}
}

// TestSignalEndsReading: a command that waits for its standard input ends at a
// signal.
func TestSignalEndsReading(t *testing.T) {
	t.Parallel()
	dir := demoDir(t)
	config, key := filepath.Join(dir, "consentstream.yaml"), filepath.Join(dir, "keys.json")
	for _, command := range []string{
		"eval --topic marketing.events -c " + config,
		"consent record --file - -c " + config,
		"schema events --topic marketing.events -c " + config,
		"keys reveal --purpose analytics --path email --reason x --log " + filepath.Join(dir, "log") + " --keys " + key,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		in := &silent{asked: make(chan struct{})}
		var out, failed bytes.Buffer
		ended := make(chan int)
		go func() { ended <- run(ctx, strings.Fields(command), stdio{in, &out, &failed}) }()
		select {
		case <-in.asked:
		case code := <-ended:
			t.Fatalf("%s: exit code %d before it has read: %s", command, code, failed.String())
		}
		cancel()
		if code := <-ended; code != exitFailure || !strings.Contains(failed.String(), context.Canceled.Error()) {
			t.Errorf("%s: exit code %d: %s", command, code, failed.String())
		}
	}
}

// demoDir has the shipped demo configuration and a key file.
func demoDir(t *testing.T) string {
	t.Helper()
	files, err := fs.Sub(configs.Demo, "demo")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	var failed bytes.Buffer
	if code := run(t.Context(), []string{"keys", "new", "-o", filepath.Join(dir, "keys.json")}, stdio{strings.NewReader(""), &failed, &failed}); code != exitOK {
		t.Fatal(failed.String())
	}
	return dir
}
