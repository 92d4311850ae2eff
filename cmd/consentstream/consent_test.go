package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/consentstream/consentstream/consent"
)

// TestRecordBySlowClock: what restricts counts from its receipt (DECISION D2, D11) also
// where the clock of this machine lags by more than the skew that is allowed for. No
// grant that is newer than what it shows may overtake it. What permits states its time,
// since it is not proven without.
func TestRecordBySlowClock(t *testing.T) {
	ns := consent.NewNamespaces([]consent.NamespaceRule{{Name: "crm", Normalize: consent.NormalizeNone}})
	received := time.Now().UnixMilli() + 2*consent.Skew
	for _, word := range recordActions {
		f := recordFlags{subject: "crm:42", action: word, purposes: []string{"a"}}
		text, err := json.Marshal(f.event())
		if err != nil {
			t.Fatal(err)
		}
		e := consent.Parse([]byte("crm:42"), text, consent.Position{}, received, ns)
		if e.Malformed != consent.NoFault {
			t.Fatalf("%s: %s", word, e.Malformed)
		}
		if e.Asserted.Set == e.Action.Restrictive() {
			t.Errorf("%s: states its time %t", word, e.Asserted.Set)
		}
		family, _ := e.Action.Family()
		row := consent.NewRow()
		row.Fold(&e)
		for i := range row.Slots {
			if e.Action.Restrictive() && row.Slots[i].No[family].At != received {
				t.Errorf("%s counts from %d ms before its receipt", word, received-row.Slots[i].No[family].At)
			}
		}
		f.asserted = "2026-11-01T10:00:00Z"
		if f.event().AssertedAt != f.asserted {
			t.Errorf("%s: another time than the one given", word)
		}
	}
}
