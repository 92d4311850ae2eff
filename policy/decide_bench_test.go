package policy

import (
	"testing"

	"github.com/consentstream/consentstream/consent"
)

const (
	benchNow = int64(1793527200000)
	day      = int64(24 * 60 * 60 * 1000)
)

func at(ms int64) consent.Instant { return consent.Instant{Set: true, Ms: ms} }

// benchRows is a typical subject: three purposes granted, one withdrawn.
func benchRows() []*consent.Row {
	r := consent.NewRow()
	r.Fold(&consent.Event{
		At: consent.Position{Partition: 3, Offset: 17}, Received: benchNow - 100*day, Asserted: at(benchNow - 100*day), Expires: at(benchNow + 265*day),
		Action: consent.Grant, Purposes: []string{"analytics", "marketing.email", "personalization"}, ConsentType: consent.ConsentExplicit,
		Recipients: []string{"acme-mailer"}, Notice: consent.Notice{ID: "signup", Version: "3"},
		Evidence: consent.Evidence{Method: "web_form", Source: "shop"},
	})
	r.Fold(&consent.Event{At: consent.Position{Partition: 3, Offset: 99}, Received: benchNow - 10*day, Action: consent.Withdraw, Purposes: []string{"personalization"}})
	return []*consent.Row{r}
}

func benchPurpose() *Purpose {
	return &Purpose{ID: "marketing.email", Basis: Consent, DirectMarketing: true, Recipients: []string{"acme-mailer"},
		Retention: 90 * day, NoticeID: "signup", NoticeMinVersion: "2", MaxAge: 400 * day}
}

func BenchmarkDecide(b *testing.B) {
	p, rows, f := benchPurpose(), benchRows(), &Facts{EventTime: benchNow - 1000}
	var d Decision
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, rows, f, benchNow, &d)
	}
	if !d.Permit {
		b.Fatal(d.Reason)
	}
}

func BenchmarkDecideDenied(b *testing.B) {
	p, rows, f := benchPurpose(), benchRows(), &Facts{EventTime: benchNow - 1000, Suspect: true}
	p.ID, p.NoticeMinVersion = "personalization", "4"
	var d Decision
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, rows, f, benchNow, &d)
	}
	if d.Reason != ConsentWithdrawn {
		b.Fatal(d.Reason)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	p, rows, f := benchPurpose(), benchRows(), &Facts{EventTime: benchNow - 1000, Suspect: true}
	p.Recipients, p.NoticeMinVersion = []string{"other"}, "9"
	var d Decision
	if n := testing.AllocsPerRun(100, func() { Decide(p, rows, f, benchNow, &d) }); n > 0 || len(d.Secondary) != 2 {
		t.Errorf("%v allocations, secondary %v", n, d.Secondary)
	}
}
