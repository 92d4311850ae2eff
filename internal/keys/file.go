package keys

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxFile bounds the key file: room for thousands of epochs.
const maxFile = 1 << 20

// document is the file as it is written. Pointers tell a missing member from
// a zero one, which the strict reading needs.
type document struct {
	Version *int        `json:"version"`
	Epochs  []epochLine `json:"epochs"`
	Sign    *signLine   `json:"sign"`
}

type epochLine struct {
	Epoch *int    `json:"epoch"`
	State *string `json:"state"`
	Root  *string `json:"root"`
}

type signLine struct {
	ID   *string `json:"id"`
	Seed *string `json:"seed"`
}

// Parse reads the text of a key file. Errors name members, never content.
func Parse(text []byte) (*Ring, error) {
	var doc document
	if err := json.Unmarshal(text, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, syntaxError(text, err)
	}
	if doc.Version == nil || *doc.Version != 1 {
		return nil, errors.New("version must be 1")
	}
	r := &Ring{}
	for i, line := range doc.Epochs {
		if err := r.addEpoch(line); err != nil {
			return nil, fmt.Errorf("epochs[%d]: %w", i, err)
		}
	}
	if r.active == 0 {
		return nil, errors.New(`epochs: exactly one must have state "active", none has`)
	}
	if err := r.setSign(doc.Sign); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return r, nil
}

// syntaxError keeps the position and the kind of a JSON error and drops its
// text, which may quote the file.
func syntaxError(text []byte, err error) error {
	offset, what := int64(0), "wrong JSON"
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntactic):
		offset = syntactic.ByteOffset
		if errors.Is(err, jsontext.ErrDuplicateName) {
			what = "a member stands twice"
		}
	case errors.As(err, &semantic):
		offset, what = semantic.ByteOffset, "a value of a wrong type"
		if errors.Is(err, json.ErrUnknownName) {
			what = "unknown member"
		}
	}
	before := string(text[:min(max(offset, 0), int64(len(text)))])
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Errorf("%d:%d: %s", line, column, what)
}

func (r *Ring) addEpoch(line epochLine) error {
	if line.Epoch == nil || *line.Epoch < 1 || *line.Epoch > maxEpoch {
		return errors.New("epoch must be a number from 1 to 2147483647")
	}
	if line.Root == nil {
		return errors.New("root is missing")
	}
	root, err := secret(*line.Root)
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	for _, e := range r.epochs {
		if e.number == *line.Epoch {
			return fmt.Errorf("epoch %d stands twice", e.number)
		}
		if string(e.root) == string(root) {
			return fmt.Errorf("the root is that of epoch %d: a new epoch needs a new root", e.number)
		}
	}
	switch {
	case line.State == nil || *line.State != "active" && *line.State != "verify":
		return errors.New(`state must be "active" or "verify"`)
	case *line.State == "active" && r.active != 0:
		return fmt.Errorf("exactly one must be active, and epoch %d is", r.active)
	case *line.State == "active":
		r.active = *line.Epoch
	}
	r.epochs = append(r.epochs, epoch{*line.Epoch, root})
	return nil
}

func (r *Ring) setSign(line *signLine) error {
	if line == nil || line.ID == nil || line.Seed == nil {
		return errors.New("id and seed are needed")
	}
	if !validSignID(*line.ID) {
		return errors.New("id must be 1 to 64 characters of [A-Za-z0-9._-]")
	}
	seed, err := secret(*line.Seed)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	r.signID, r.seed = *line.ID, seed
	return nil
}

// secret reads 32 bytes. Only the one canonical text of each value is taken:
// Go's decoder alone would skip line breaks.
func secret(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != rootSize || base64.StdEncoding.EncodeToString(b) != text {
		return nil, errors.New("must be 32 bytes in padded standard base64")
	}
	if allZero(b) {
		return nil, errors.New("is all zero")
	}
	return b, nil
}

// text is the file of r, with a line break at the end.
func (r *Ring) text() ([]byte, error) {
	version, seed := 1, base64.StdEncoding.EncodeToString(r.seed)
	doc := document{Version: &version, Sign: &signLine{ID: &r.signID, Seed: &seed}}
	for _, e := range r.epochs {
		state := "verify"
		if e.number == r.active {
			state = "active"
		}
		root := base64.StdEncoding.EncodeToString(e.root)
		doc.Epochs = append(doc.Epochs, epochLine{&e.number, &state, &root})
	}
	b, err := json.Marshal(&doc, jsontext.WithIndent("  "))
	return append(b, '\n'), err
}

// Write creates the file at path with mode 0600 and returns when it is on
// disk. A file or symbolic link that is there already is an error that wraps
// fs.ErrExist: a key file is never overwritten, since what was pseudonymised
// under it could never be matched again.
func (r *Ring) Write(path string) error {
	text, err := r.text()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w, and a key file is never overwritten: what was pseudonymized under it could not be matched again", path, fs.ErrExist)
	case err != nil:
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a key file is worse than none
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the file's name durable, not only its content.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load opens the key file at path. Symbolic links are followed, because that
// is what a Kubernetes secret mount consists of; the mode that counts is that
// of the file itself. Errors name the path and the command that mends it.
func Load(path string) (*Ring, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	r, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return r, nil
}

// forbidden are the permission bits that a key file must not have. That its
// group may read it is let through, because Kubernetes gives every file of a
// secret mount to the pod's fsGroup and adds that bit (mode 0440), and there the
// group is the pod's own.
const forbidden fs.FileMode = 0o027

func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO without a writer would block
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("key file %s: %w; make one with: consentstream keys new -o %s", path, fs.ErrNotExist, shellQuote(path))
	case err != nil:
		return nil, err
	}
	defer func() { _ = f.Close() }()
	// Asked of the open file, so that it cannot be exchanged in between.
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("key file %s is not a regular file", path)
	case st.Mode().Perm()&forbidden != 0:
		return nil, fmt.Errorf("key file %s has mode %04o: others can read it, or its group can change it; run: chmod 600 %s (Kubernetes: defaultMode 0400)",
			path, st.Mode().Perm(), shellQuote(path))
	case st.Size() > maxFile:
		return nil, fmt.Errorf("key file %s is larger than %d bytes", path, maxFile)
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// shellQuote makes path one word of a POSIX shell.
func shellQuote(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool { return !strings.ContainsRune(shellSafe, r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

const shellSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+@%:,="

var _ = [1]struct{}{}[ed25519.SeedSize-rootSize] // secret reads roots and seeds alike
