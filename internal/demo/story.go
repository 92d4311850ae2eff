package demo

import (
	"encoding/json"
	"fmt"
	"time"
)

// The topics of the shipped demo configuration that the story writes to.
const (
	contactsTopic = "crm.contacts"
	eventsTopic   = "marketing.events"
	consentTopic  = "consent.events"
)

// purposes in the order of the shipped policy: the columns of the tables.
var purposes = []string{"analytics", "marketing.email", "service"}

// person is somebody in the story. None of them is real.
type person struct {
	id, first, last, email, phone, birth, city, postal, street, needs string
}

var (
	ada   = person{"42", "Ada", "Byron", "ada.byron@example.org", "+44 20 7946 0018", "1985-12-10", "London", "SW1Y 4JH", "12 St James's Square", "hearing loop"}
	grace = person{"43", "Grace", "Murray", "grace.murray@example.com", "+1 202 555 0143", "1976-12-09", "Arlington", "22201", "5 Wilson Blvd", "none"}
	alan  = person{"44", "Alan", "Mathison", "alan.mathison@example.net", "+44 1632 960 877", "1992-06-23", "Wilmslow", "SK9 1AA", "3 Adlington Road", "none"}
)

// contact is a CRM record in Avro's JSON encoding of crm.contacts.avsc.
func (p person) contact(now time.Time, n int) []byte {
	str := func(s string) any { return map[string]string{"string": s} }
	birth, _ := time.Parse(time.DateOnly, p.birth)
	return mustJSON(map[string]any{
		"event_id":   fmt.Sprintf("6f1c2d30-0000-4000-8000-%012d", n),
		"event_type": "updated", "occurred_at": now.UnixMilli(), "contact_id": p.id,
		"email": str(p.email), "phone": str(p.phone), "first_name": str(p.first), "last_name": str(p.last),
		"birth_date": map[string]any{"int.date": birth.Unix() / 86400},
		"language":   "en", "company": str("Analytical Engines Ltd"), "job_title": str("Engineer"),
		"address": map[string]any{"crm.Address": map[string]string{
			"street": p.street, "city": p.city, "postal_code": p.postal, "country": "GB"}},
		"tags": []string{"vip", "newsletter"}, "marketing_score": map[string]float64{"double": 0.87},
		"newsletter_frequency": "weekly", "lifetime_value": nil, "accessibility_needs": str(p.needs),
		"last_login_ip": str("192.0.2.17"), "notes": str("called about her mother's illness"),
	})
}

// click is a marketing event as plain JSON.
func (p person) click(now time.Time, n int) []byte {
	return []byte(fmt.Sprintf(`{"event_id":"evt-%05d","event":"click","occurred_at":%q,"contact_id":%q,"email":%q,"campaign":"autumn","url":"https://shop.example/boots?utm_source=mail","ip":"192.0.2.17","user_agent":"Mozilla/5.0","properties":{"product":"boots-11","price":89.90,"search":"shoes for bad knees"}}`,
		n, now.UTC().Format(time.RFC3339Nano), p.id, p.email))
}

// grant is the consent event of somebody who ticked a box.
func (p person) grant(now time.Time, id string, purposes ...string) []byte {
	return mustJSON(map[string]any{
		"id": id, "subject": map[string]string{"namespace": "crm", "value": p.id}, "action": "grant",
		"purposes": purposes, "consent_type": "explicit", "recipients": []string{"acme-mailer"},
		"asserted_at": now.UTC().Format(time.RFC3339Nano),
		"notice":      map[string]string{"id": "signup", "version": "3"},
		"evidence":    map[string]string{"method": "web_form", "source": "shop"},
	})
}

// withdraw is the consent event of somebody who changed their mind. It needs no
// proof, no time and no notice: it acts when it is received.
func (p person) withdraw(id, purpose string) []byte {
	return mustJSON(map[string]any{
		"id": id, "subject": map[string]string{"namespace": "crm", "value": p.id},
		"action": "withdraw", "purposes": []string{purpose},
	})
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the story's own values
	}
	return b
}
