package engine

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/policy"
)

// Document is a policy or plan that audit records cite by digest; it goes to
// `consent.policies` with the digest in hex as its key (AUDIT A12).
type Document struct {
	Key   string
	Value []byte
}

func newDocument(digest audit.Hash, value []byte) Document {
	return Document{Key: hex.EncodeToString(digest[:]), Value: value}
}

// planDocument is what the audit cites as a plan: what one purpose does with
// each classified position of one layout.
func planDocument(topic string, sp *streamPurpose, fields []audit.Field) (Document, audit.Hash, error) {
	doc := audit.PlanDoc{Topic: topic, Purpose: sp.purpose.ID, Output: sp.topic, Fields: fields}
	value, digest, err := doc.Canonical()
	if err != nil {
		return Document{}, digest, err
	}
	return newDocument(digest, value), digest, nil
}

// describe writes a treatment with its parameters, for plans and people:
// `mask(keep_first=1)`.
func describe(t policy.Treatment) string {
	if len(t.Params) == 0 {
		return t.Name
	}
	params := make([]string, len(t.Params))
	for i, p := range t.Params {
		params[i] = fmt.Sprintf("%s=%v", p.Name, p.Value)
		if s, ok := p.Value.(string); ok {
			params[i] = fmt.Sprintf("%s=%q", p.Name, s)
		}
	}
	return t.Name + "(" + strings.Join(params, ", ") + ")"
}

// documents are those of the policy and of all plans that are remembered. Plans
// of several schemas can have a document in common.
type documents struct {
	list []Document
	uses map[string]int // by Document.Key
}

func (d *documents) add(docs []Document) {
	if d.uses == nil {
		d.uses = map[string]int{}
	}
	for _, doc := range docs {
		if d.uses[doc.Key]++; d.uses[doc.Key] == 1 {
			d.list = append(d.list, doc)
		}
	}
}

func (d *documents) drop(docs []Document) {
	for _, doc := range docs {
		if d.uses[doc.Key]--; d.uses[doc.Key] > 0 {
			continue
		}
		delete(d.uses, doc.Key)
		d.list = slices.DeleteFunc(d.list, func(o Document) bool { return o.Key == doc.Key })
	}
}
