package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/consentstream/consentstream/consent"
)

// document is the canonical form of a policy. Every member of format 1 is always
// there, in this order, so that a policy has one text; one added later is left
// out where it is empty, so that a policy that does not use it keeps its digest:
// another digest under the same revision parks lanes.
type document struct {
	Format     string              `json:"format"`
	Taxonomy   string              `json:"taxonomy"`
	Normalizer int                 `json:"normalizer"`
	Revision   int64               `json:"revision"`
	Namespaces []documentNamespace `json:"namespaces"` // by name
	Purposes   []documentPurpose   `json:"purposes"`   // in the file's order, which is the order of outputs
}

type documentNamespace struct {
	Name      string `json:"name"`
	Normalize string `json:"normalize"`
}

type documentPurpose struct {
	ID                  string         `json:"id"`
	DataUse             string         `json:"data_use"`
	LegalBasis          string         `json:"legal_basis"`
	RetentionMs         int64          `json:"retention_ms"`
	DirectMarketing     bool           `json:"direct_marketing"`
	Recipients          []string       `json:"recipients"` // ascending
	NoticeID            string         `json:"notice_id"`
	NoticeMinVersion    string         `json:"notice_min_version"`
	SurvivesRestriction bool           `json:"survives_restriction"`
	MaxAgeMs            int64          `json:"max_age_ms"`
	MaxInactivityMs     int64          `json:"max_inactivity_ms"`
	ProcessingOnly      bool           `json:"processing_only"`
	Treat               []documentRule `json:"treat"` // by category
}

type documentRule struct {
	Category         string          `json:"category"`
	Treatment        string          `json:"treatment"`
	Params           []documentParam `json:"params"` // by name
	RequiresExplicit bool            `json:"requires_explicit_consent"`
	Ground           string          `json:"ground,omitempty"` // added later
}

// documentParam names the type, because JSON has one kind of number.
type documentParam struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Canonical is the policy as the audit cites it: one line of JSON without
// insignificant space, complete, and equal for equal policies.
func (p *Policy) Canonical() []byte {
	doc := document{
		Format: "consentstream policy 1", Taxonomy: TaxonomyVersion(), Normalizer: consent.NormalizerVersion, Revision: p.Revision,
		Namespaces: make([]documentNamespace, len(p.Namespaces)), Purposes: make([]documentPurpose, len(p.Purposes)),
	}
	for i, ns := range p.Namespaces {
		doc.Namespaces[i] = documentNamespace(ns)
	}
	slices.SortFunc(doc.Namespaces, func(a, b documentNamespace) int { return strings.Compare(a.Name, b.Name) })
	for i := range p.Purposes {
		doc.Purposes[i] = p.Purposes[i].document()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		panic("policy: canonical document: " + err.Error()) // it holds nothing that JSON cannot
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Digest is SHA-256 of the canonical document.
func (p *Policy) Digest() [32]byte { return sha256.Sum256(p.Canonical()) }

func (p *Purpose) document() documentPurpose {
	doc := documentPurpose{
		ID: p.ID, DataUse: p.DataUse, LegalBasis: p.Basis.String(), RetentionMs: p.Retention,
		DirectMarketing: p.DirectMarketing, Recipients: append([]string{}, p.Recipients...),
		NoticeID: p.NoticeID, NoticeMinVersion: p.NoticeMinVersion, SurvivesRestriction: p.SurvivesRestriction,
		MaxAgeMs: p.MaxAge, MaxInactivityMs: p.MaxInactivity, ProcessingOnly: p.ProcessingOnly,
		Treat: make([]documentRule, len(p.Treat)),
	}
	slices.Sort(doc.Recipients)
	for i := range p.Treat {
		doc.Treat[i] = p.Treat[i].document()
	}
	slices.SortStableFunc(doc.Treat, func(a, b documentRule) int { return strings.Compare(a.Category, b.Category) })
	return doc
}

func (r *Rule) document() documentRule {
	doc := documentRule{Category: r.Category, Treatment: r.Treatment.Name, RequiresExplicit: r.RequiresExplicit, Ground: r.Ground}
	if doc.Treatment == "" {
		doc.Treatment = "drop"
	}
	doc.Params = make([]documentParam, len(r.Treatment.Params))
	for i, param := range r.Treatment.Params {
		doc.Params[i] = param.document()
	}
	slices.SortStableFunc(doc.Params, func(a, b documentParam) int { return strings.Compare(a.Name, b.Name) })
	return doc
}

func (p Param) document() documentParam {
	doc := documentParam{Name: p.Name}
	switch v := p.Value.(type) {
	case nil:
		doc.Type = "null"
	case string:
		doc.Type, doc.Value = "string", v
	case bool:
		doc.Type, doc.Value = "bool", strconv.FormatBool(v)
	case int64:
		doc.Type, doc.Value = "int", strconv.FormatInt(v, 10)
	case float64:
		doc.Type, doc.Value = "float", strconv.FormatFloat(v, 'g', -1, 64)
	default:
		// No other type comes out of a policy file (Param).
		doc.Type, doc.Value = fmt.Sprintf("%T", v), fmt.Sprintf("%#v", v)
	}
	return doc
}
