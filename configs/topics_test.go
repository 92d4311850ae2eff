package configs

import (
	"strings"
	"testing"
)

// TestOutputsCollide: topic shop and purpose mail.news write to the same topic as
// shop.mail and news. It takes both files, so it cannot stand in testdata/bad.
func TestOutputsCollide(t *testing.T) {
	const (
		head    = "version: 1\npolicy: policy.yaml\nkafka: {seed_brokers: [localhost:9092], consumer_group: test}\nschema_registry: {url: http://localhost:8081}\nredis: {addrs: [localhost:6379]}\nkeys: {file: keys.json}\nstreams:\n"
		rest    = "    format: json\n    subjects: {customer: {namespace: crm, path: id}}\n    fields: {id: user.unique_id}\n"
		purpose = ":\n    data_use: analytics.reporting\n    legal_basis: consent\n    treat: {user.unique_id: keep}\n"
	)
	files := map[string]string{
		"policy.yaml":        "version: 1\nrevision: 1\nnamespaces:\n  crm: {}\npurposes:\n  news" + purpose + "  mail.news" + purpose,
		"consentstream.yaml": head + "  - topic: shop\n    purposes: [mail.news]\n" + rest + "  - topic: shop.mail\n    purposes: [news]\n" + rest,
	}
	c, findings := Load("consentstream.yaml", corpusEnv, func(name string) ([]byte, error) { return []byte(files[name]), nil })
	var errs []string
	for _, f := range findings {
		if f.Severity == Error {
			errs = append(errs, f.String())
		}
	}
	want := "consentstream.yaml:14:16: error: the topic shop.mail.news is used twice: as the output of shop for mail.news and as the output of shop.mail for news\n"
	if c != nil || len(errs) != 1 || !strings.HasPrefix(errs[0], want) {
		t.Errorf("findings:\n%s\nwant one:\n%s", strings.Join(errs, "\n"), want)
	}
}
