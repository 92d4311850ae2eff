package proof

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestMain settles what is drawn: that of CONSENTSTREAM_SEED, by default always the
// same, so that a check which everybody runs fails for what a change did and not by
// luck; with "new" what was never drawn before. rapid says which seed has what it
// found: with that one, it is the first to be drawn.
func TestMain(m *testing.M) {
	flag.Parse()
	f := flag.Lookup("rapid.seed")
	if s := os.Getenv("CONSENTSTREAM_SEED"); f.Value.String() == "0" {
		switch s {
		case "":
			s = "20000"
		case "new":
			s = strconv.FormatUint(rand.Uint64N(1<<62)+1, 10)
		}
		if err := f.Value.Set(s); err != nil {
			fmt.Fprintln(os.Stderr, "CONSENTSTREAM_SEED:", err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(flag.Lookup("rapid.seed").Value.String(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// set gives one of rapid's flags a value for the rest of a test, which must not be
// a parallel one.
func set(t *testing.T, name string, value uint64) {
	f := flag.Lookup(name)
	before := f.Value.String()
	if err := f.Value.Set(strconv.FormatUint(value, 10)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

// check checks a property as often as rapid does, so many times, with other draws
// each time.
func check(t *testing.T, times int, property func(*rapid.T)) {
	for i, first := 0, seed(t); i < times; i++ {
		set(t, "rapid.seed", first+uint64(i)<<20)
		rapid.Check(t, property)
	}
}
