package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// work is a case: records, and by path what each purpose does with them, by the
// name of the treatment and "-" for nothing.
type work struct {
	name     string
	schema   string // of Avro; "" is JSON
	purposes int
	fields   map[string]string
	record   func(g *load.Generator, i int) []byte
}

var works = []work{
	{"avro-480B/purposes=1", load.ContactSchema, 1, with(contactFields, "contact_id", "keep"), contact}, // no token: the splice alone
	{"avro-480B/purposes=3", load.ContactSchema, 3, contactFields, contact},
	{"json-780B/purposes=3", "", 3, marketingFields, func(g *load.Generator, i int) []byte { _, v := g.Marketing(nil, i); return v }},
	{"xdm-5KB/purposes=3", "", 3, xdmFields, func(g *load.Generator, i int) []byte { _, v := g.XDM(nil, i); return v }},
}

func with(fields map[string]string, path, treatment string) map[string]string {
	fields = maps.Clone(fields)
	fields[path] = treatment
	return fields
}

func contact(g *load.Generator, i int) []byte { _, v := g.Contact(nil, i); return v[5:] }

var contactFields = map[string]string{
	"event_id": "- - keep", "event_type": "keep keep keep", "occurred_at": "keep keep keep", "contact_id": "pseudonymize pseudonymize pseudonymize",
	"email": "redact keep keep", "phone": "redact - keep", "first_name": "- keep keep", "last_name": "- mask keep", "language": "keep keep -",
	"company": "- - keep", "job_title": "- - keep", "address.street": "redact - keep", "address.city": "redact - keep",
	"address.postal_code": "keep - keep", "address.country": "keep - keep", "tags[*]": "keep - -", "marketing_score": "keep - -",
	"newsletter_frequency": "keep - -", "lifetime_value": "- - keep", "accessibility_needs": "- redact -", "last_login_ip": "- - keep",
}

var marketingFields = map[string]string{
	"event_id": "- - keep", "event": "keep - -", "occurred_at": "keep keep keep", "contact_id": "pseudonymize pseudonymize pseudonymize",
	"email": "redact keep keep", "campaign": "keep - -", "url": "keep - -", "ip": "- - keep", "user_agent": "- - keep",
	"properties.product": "keep - -", "properties.price": "keep - -", "properties.coupon": "keep - -",
}

var xdmFields = map[string]string{
	"_id": "- - keep", "timestamp": "keep keep keep", "eventType": "keep keep keep",
	"identityMap.CRMID[*].id": "pseudonymize pseudonymize pseudonymize", "identityMap.Email[*].id": "- keep keep", "identityMap.ECID[*].id": "- - keep",
	"web.webPageDetails.URL": "keep - -", "web.webPageDetails.name": "keep keep -", "web.webReferrer.URL": "keep - -",
	"environment.ipV4": "- - keep", "environment.browserDetails.userAgent": "- - keep", "environment.browserDetails.name": "keep - keep", "device": "keep - -",
	"placeContext.geo.city": "redact - keep", "placeContext.geo.countryCode": "keep keep keep", "placeContext.geo._schema": "- - keep",
	"commerce.order.purchaseID": "- - keep", "commerce.order.priceTotal": "keep - keep", "commerce.order.currencyCode": "keep - keep",
	"commerce.order.payments[*].transactionID": "- - keep", "commerce.shipping.address": "- - keep",
	"productListItems[*].SKU": "keep keep keep", "productListItems[*].name": "keep keep keep", "productListItems[*].quantity": "keep - keep",
	"productListItems[*].priceTotal": "keep - keep", "marketing": "keep keep -", "siteSearch.numberOfResults": "keep - -",
	"_acme.person.firstName": "- keep keep", "_acme.person.lastName": "- mask keep", "_acme.person.phone": "redact - keep",
	"_acme.person.loyaltyTier": "keep keep keep", "_acme.experiments": "keep - -",
}

// treatment is what purpose n does with a path; "" for nothing.
func (w *work) treatment(path string, n int) string {
	words := strings.Fields(w.fields[path])
	if len(words) == 0 || words[n] == "-" {
		return ""
	}
	return words[n]
}

// records are enough of them that the pseudonym of one is forgotten at the next.
func (w *work) records() (list [][]byte) {
	g := load.New(load.Config{Subjects: 10_000, Now: 1_795_262_400_000})
	for i := range 128 {
		list = append(list, w.record(g, i))
	}
	return list
}

// tool is a treatment at work for one purpose.
func tool(tb testing.TB, name string, purpose int, typ schemas.Type) schemas.Action {
	tb.Helper()
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "bench")
	if err != nil {
		tb.Fatal(err)
	}
	env := filters.Env{Domain: "crm", Epoch: 1, Normalize: func(dst, text []byte) ([]byte, error) { return append(dst, text...), nil }}
	if use := filters.KeyUse(name); use != "" {
		if env.Key, err = ring.Derive(use, fmt.Sprint("p", purpose), 1); err != nil {
			tb.Fatal(err)
		}
	}
	var params []filters.Param
	if name == "mask" {
		params = []filters.Param{{Name: "keep_first", Value: int64(1)}}
	}
	t, err := filters.New(name, params, env)
	if err != nil {
		tb.Fatal(err)
	}
	a := schemas.Action{Op: t.Op()}
	if a.Op == schemas.OpReplace {
		if a.Via, a.Result, err = t.At(typ); err != nil {
			tb.Fatal(err)
		}
	}
	return a
}

// ours is the product: scan once, splice for each purpose.
type ours struct {
	layout schemas.Layout
	views  []schemas.Projection
	tape   schemas.Tape
	out    []byte
}

func newOurs(tb testing.TB, w *work) *ours {
	tb.Helper()
	paths := slices.Sorted(maps.Keys(w.fields))
	o := &ours{}
	var err error
	if w.schema != "" {
		o.layout, err = schemas.NewAvro(w.schema, paths)
	} else {
		o.layout, err = schemas.NewJSON(paths)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for n := range w.purposes {
		acts := make([]schemas.Action, len(o.layout.Nodes()))
		for id, node := range o.layout.Nodes() {
			if name := w.treatment(node.Path, n); name != "" && node.Leaf {
				acts[id] = tool(tb, name, n, node.Type)
			}
		}
		p, err := o.layout.Project(acts, fmt.Sprint("crm.p", n))
		if err != nil {
			tb.Fatal(err)
		}
		o.views = append(o.views, p)
	}
	return o
}

func (o *ours) do(src []byte, each func([]byte)) error {
	if err := o.layout.Scan(src, &o.tape); err != nil {
		return err
	}
	for _, v := range o.views {
		var err error
		if o.out, _, err = v.Splice(o.out[:0], src, &o.tape, 0); err != nil {
			return err
		}
		each(o.out)
	}
	return nil
}
