package keys

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// golden is a file of known roots (bytes 0..31, 32..63) and seed (64..95). All
// expected values below were computed by an independent implementation (HKDF
// by hand over Python's hmac; Ed25519 of OpenSSL through pyca/cryptography).
const golden = `{"version":1,
 "epochs":[{"epoch":1,"state":"verify","root":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
           {"epoch":7,"state":"active","root":"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="}],
 "sign":{"id":"enforcer-1","seed":"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="}}`

func mustParse(t testing.TB, text string) *Ring {
	t.Helper()
	r, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoldenKeys(t *testing.T) {
	r := mustParse(t, golden)
	if got := fmt.Sprintf("%d %v %s", r.Active(), r.Epochs(), r.SignID()); got != "7 [1 7] enforcer-1" {
		t.Errorf("active, epochs, sign id: %s", got)
	}
	for _, c := range []struct {
		epoch int
		use   Use
		name  string
		want  string
	}{
		{1, UsePseudonym, "analytics", "9105412b0b6b04754da26319568594ca3a7cf03559ba528c3f147ce8d8153c99"},
		{1, UseEncrypt, "analytics", "780c4756ff72a44897254b04b6900c6581d21d17661337f4d9577dcb827a35ded331b8f779fb507fb33dc909dd49ad9362ad012e8f70836792f17b4df1c5b55f"},
		{1, UseDateShift, "analytics", "3cfb547074d74af246496c9a4ff21d617e6033c565ea996fc76ad32723603399"},
		{1, UseNonce, "analytics", "8a59277f534432f486879e3fdd75161809b974dd45cd911b2efb4eef944fc9ef"},
		{1, UseTag, "crm", "ee0a800f11a9f8049730c1b57cdac001166f3ccb4630bf520dadf165354aa4d2"},
		{1, UseTag, "!audit", "4feee56c839c1ccf2457b69226129d9a0bb8361edc3bd4cf374c9cf631fa4d73"},
		{1, UseRow, "", "a27fccfb284304cc17bbc2fde6026e4df28fd55704be72a23016c8c7e6d15ffc"},
		{1, UseOffset, "", "d1fd384a3f16658f31273394840e62528b7d38a2ee27a8e722ffecb17b0bc941"},
		{1, UseQuarantine, "", "b717d3931f81c27d63ac4524c5ad589dbde12d5a5bf409c99dc741e4986d563e"},
		{7, UsePseudonym, "analytics", "18eb5c690e391a35a32063af6f1ab461481e02022f724f66640dadb22e92b69c"},
		{7, UseOffset, "", "7cd4984dd92ebec455b7002995a977930fdbcf045a6dce21d718fa71d8500711"},
	} {
		k, err := r.Derive(c.use, c.name, c.epoch)
		if err != nil || hex.EncodeToString(k) != c.want {
			t.Errorf("Derive(%s, %s, %d) = %x, %v; want %s", c.use, c.name, c.epoch, []byte(k), err, c.want)
		}
	}
	for epoch, want := range map[int]string{1: "80850e23d343b834", 7: "5c9a8455abc2f571"} {
		if v, err := r.Check(epoch); err != nil || hex.EncodeToString(v[:]) != want {
			t.Errorf("Check(%d) = %x, %v; want %s", epoch, v, err, want)
		}
	}
	if got := hex.EncodeToString(r.Public()); got != "2543b92ff1095511476adc8369db6ddc933665a11978dda1404ee1066ca9559d" {
		t.Errorf("public key %s", got)
	}
	sig := r.Sign([]byte("message"))
	if got := hex.EncodeToString(sig[:]); got != "8e82850b360ceec4505943b3611a63fad83f4d8b860a05e81ca2c7d8c22de946e7ce157999a0a3fef4cb56b0523520eb364b6dafa027d4a9c385a79516e00a00" {
		t.Errorf("signature %s", got)
	}
	if !ed25519.Verify(r.Public(), []byte("message"), sig[:]) {
		t.Error("own signature does not verify")
	}
}

func TestDeriveRefuses(t *testing.T) {
	r := mustParse(t, golden)
	for _, c := range []struct {
		ring  *Ring
		use   Use
		epoch int
	}{{r, UseRow, 2}, {r, UseRow, 0}, {r, UseRow, -1}, {r, "", 1}, {r, useCheck, 1}, {r, "Row", 1}, {&Ring{}, UseRow, 0}} {
		if k, err := c.ring.Derive(c.use, "", c.epoch); err == nil || k != nil {
			t.Errorf("Derive(%q, %d) gave a key", c.use, c.epoch)
		}
	}
	if _, err := r.Derive(UseRow, "", 2); !errors.Is(err, ErrUnknownEpoch) {
		t.Errorf("unknown epoch: %v", err)
	}
	if _, err := r.Check(2); !errors.Is(err, ErrUnknownEpoch) {
		t.Errorf("check of an unknown epoch: %v", err)
	}
}

// Two derivations are equal only if use, name and epoch are.
func TestDerivationsAreDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := func(label string) (Use, string, int) {
			return Use(rapid.StringMatching(`[a-c]{0,3}`).Draw(t, label+" use")),
				rapid.StringMatching(`[a-c]{0,3}`).Draw(t, label+" name"), rapid.IntRange(1, 3).Draw(t, label+" epoch")
		}
		u1, n1, e1 := one("first")
		u2, n2, e2 := one("second")
		same := u1 == u2 && n1 == n2 && e1 == e2
		if (string(info(u1, n1, e1)) == string(info(u2, n2, e2))) != same {
			t.Fatal("one info for two derivations")
		}
	})
}

func TestParseRefuses(t *testing.T) {
	const root = `"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="`
	const epochs = `"epochs":[{"epoch":1,"state":"active","root":` + root + `}]`
	const sign = `"sign":{"id":"a","seed":` + root + `}`
	mustParse(t, `{"version":1,`+epochs+`,`+sign+`}`)
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {``, "1:1: wrong JSON"},
		"behind the end":    {`{"version":1,` + epochs + `,` + sign + `} {}`, "wrong JSON"},
		"unknown member":    {`{"version":1,"extra":1,` + epochs + `,` + sign + `}`, "unknown member"},
		"other case":        {`{"Version":1,` + epochs + `,` + sign + `}`, "unknown member"},
		"twice":             {`{"version":1,"version":1,` + epochs + `,` + sign + `}`, "stands twice"},
		"no version":        {`{` + epochs + `,` + sign + `}`, "version must be 1"},
		"version 2":         {`{"version":2,` + epochs + `,` + sign + `}`, "version must be 1"},
		"wrong type":        {`{"version":"1",` + epochs + `,` + sign + `}`, "wrong type"},
		"no epochs":         {`{"version":1,"epochs":[],` + sign + `}`, "none has"},
		"none active":       {`{"version":1,"epochs":[{"epoch":1,"state":"verify","root":` + root + `}],` + sign + `}`, "none has"},
		"two active":        {strings.Replace(golden, "verify", "active", 1), "epoch 1 is"},
		"unknown state":     {strings.Replace(golden, "verify", "retired", 1), "state must be"},
		"no state":          {strings.Replace(golden, `"state":"verify",`, "", 1), "state must be"},
		"epoch 0":           {strings.Replace(golden, `"epoch":1,`, `"epoch":0,`, 1), "epoch must be"},
		"no epoch":          {strings.Replace(golden, `"epoch":1,`, ``, 1), "epoch must be"},
		"epoch 2^31":        {strings.Replace(golden, `"epoch":1,`, `"epoch":2147483648,`, 1), "epoch must be"},
		"epoch twice":       {strings.Replace(golden, `"epoch":1,`, `"epoch":7,`, 1), "stands twice"},
		"one root twice":    {strings.Replace(golden, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=", root[1:45], 1), "a new epoch needs a new root"},
		"no root":           {strings.Replace(golden, `,"root":`+root, ``, 1), "root is missing"},
		"short root":        {strings.Replace(golden, root, `"AAEC"`, 1), "32 bytes"},
		"no padding":        {strings.Replace(golden, "Hh8=", "Hh8", 1), "32 bytes"},
		"line break":        {strings.Replace(golden, "Hh8=", `Hh8=\n`, 1), "32 bytes"},
		"loose bits":        {strings.Replace(golden, "Hh8=", `Hh9=`, 1), "32 bytes"},
		"zero root":         {strings.Replace(golden, root, `"`+strings.Repeat("A", 43)+`="`, 1), "all zero"},
		"no sign":           {`{"version":1,` + epochs + `}`, "id and seed"},
		"null sign":         {`{"version":1,` + epochs + `,"sign":null}`, "id and seed"},
		"empty sign id":     {strings.Replace(golden, "enforcer-1", "", 1), "id must be"},
		"sign id with bell": {strings.Replace(golden, "enforcer-1", `a\u0007`, 1), "id must be"},
		"short seed":        {strings.Replace(golden, "QEFC", "", 1), "seed: must be 32 bytes"},
	} {
		r, err := Parse([]byte(c.text))
		if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error with %q and no ring", name, err, c.want)
		}
	}
}

// No error of Parse quotes the file: canary bytes of it must not come back.
func TestErrorsHoldNoSecret(t *testing.T) {
	for i := range len(golden) {
		for _, bad := range []string{golden[:i], golden[:i] + "x" + golden[i:], golden[:i] + `"` + golden[i:]} {
			_, err := Parse([]byte(bad))
			if err == nil {
				continue
			}
			for _, canary := range []string{"AAEC", "ICEi", "QEFC", "DxAR", "9Pj8", "XVl8"} {
				if strings.Contains(err.Error(), canary) {
					t.Fatalf("error quotes the file: %v", err)
				}
			}
		}
	}
}

func TestSecretsCannotBePrinted(t *testing.T) {
	r := mustParse(t, golden)
	k, err := r.Derive(UseRow, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMAC(k)
	m.String("personal")
	for _, v := range []any{r, *r, k, &k, []Key{k}, struct{ K Key }{k}, m} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			text := fmt.Sprintf(verb, v)
			if !strings.Contains(text, placeholder) || strings.Contains(text, "a27f") || strings.Contains(text, "162") || strings.Contains(text, "0xa2") {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
	for _, v := range []any{r, *r, k, struct{ K Key }{k}} {
		text, err := json.Marshal(v)
		if err != nil || !strings.Contains(string(text), placeholder) {
			t.Errorf("JSON of %T: %s, %v", v, text, err)
		}
	}
}

func TestWriteAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	r := mustParse(t, golden)
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	back, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := r.text()
	second, _ := back.text()
	if string(first) != string(second) {
		t.Error("what was read is not what was written")
	}
	if err := r.Write(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second Write: %v; want fs.ErrExist", err)
	}
	dangling := filepath.Join(t.TempDir(), "link")
	target := dangling + "-target"
	if err := os.Symlink(target, dangling); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(dangling); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Write through a symbolic link: %v; want fs.ErrExist", err)
	}
}

func TestLoadChecksPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my keys.json")
	if err := mustParse(t, golden).Write(path); err != nil {
		t.Fatal(err)
	}
	for mode := fs.FileMode(0o400); mode <= 0o677; mode++ {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		// Group write, and anything for others. The group may read: see forbidden.
		if open := mode&0o020 != 0 || mode&0o007 != 0; open != (err != nil) {
			t.Errorf("mode %04o: %v", mode, err)
		} else if open && !strings.Contains(err.Error(), "chmod 600 '"+path+"'") {
			t.Errorf("mode %04o: no command that mends it in %v", mode, err)
		}
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory was loaded")
	}
	if _, err := Load(path + "-not-there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A Kubernetes secret mount is keys.json -> ..data/keys.json, ..data -> a
// time-stamped directory, the links have mode 0777, and with an fsGroup the
// file has mode 0440.
func TestLoadFollowsSecretMounts(t *testing.T) {
	dir := t.TempDir()
	stamped := filepath.Join(dir, "..2026_11_22")
	if err := os.Mkdir(stamped, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mustParse(t, golden).Write(filepath.Join(stamped, "keys.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(stamped, "keys.json"), 0o440); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"..data": "..2026_11_22", "keys.json": "..data/keys.json"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
}

func TestGenerate(t *testing.T) {
	random := strings.NewReader(strings.Repeat("0123456789abcdef", 8))
	a, err := Generate(random, "enforcer-1")
	if err != nil {
		t.Fatal(err)
	}
	if a.Active() != 1 || a.SignID() != "enforcer-1" {
		t.Errorf("active %d, sign id %s", a.Active(), a.SignID())
	}
	text, err := a.text()
	if err != nil {
		t.Fatal(err)
	}
	mustParse(t, string(text))
	for name, bad := range map[string]struct{ random, id string }{
		"short":  {strings.Repeat("x", 63), "a"},
		"zero":   {strings.Repeat("\x00", 64), "a"},
		"no id":  {strings.Repeat("x", 64), ""},
		"bad id": {strings.Repeat("x", 64), "a b"},
	} {
		if r, err := Generate(strings.NewReader(bad.random), bad.id); err == nil || r != nil {
			t.Errorf("%s: a ring was generated", name)
		}
	}
}

func TestMACGolden(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	m := NewMAC(key)
	for range 2 { // the second time from the kept state
		m.Start()
		m.String("email")
		m.Bytes([]byte("a@b.c"))
		m.Raw([]byte{1, 2})
		m.Int64(-1)
		m.Int32(7)
		if got := hex.EncodeToString(m.Sum()); got != "8ccb9b9c744920070b6d8ec8c534714eb17eb436e2c223e917c92698692a3c87" {
			t.Errorf("MAC %s", got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an empty key was taken")
		}
	}()
	NewMAC(nil)
}

func TestMACAllocatesNothing(t *testing.T) {
	m, value := NewMAC(make([]byte, 32)), []byte("value")
	if n := testing.AllocsPerRun(100, func() { m.Start(); m.String("name"); m.Bytes(value); m.Sum() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"version":1,"epochs":[],"sign":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			if r != nil {
				t.Fatal("an error and a ring")
			}
			return
		}
		first, err := r.text()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("own text refused: %v", err)
		}
		second, _ := again.text()
		if string(first) != string(second) {
			t.Fatal("text is not stable")
		}
		if _, err := r.Check(r.Active()); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkMAC(b *testing.B) {
	m, value := NewMAC(make([]byte, 32)), []byte("somebody@example.org")
	b.ReportAllocs()
	for b.Loop() {
		m.Start()
		m.String("email")
		m.Bytes(value)
		m.Sum()
	}
}
