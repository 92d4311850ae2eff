package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"github.com/go-json-experiment/json"
)

// Field says what a purpose does with one classified position.
type Field struct {
	Path      string `json:"path"` // rule or schema path, never a key from the data
	Category  string `json:"category"`
	Treatment string `json:"treatment"`      // with its parameters
	Gate      string `json:"gate,omitempty"` // "explicit_consent", or a ground such as "art9_2_h"; "": none
	// Subject names the subject that the position is about, where the stream has
	// several: one of them, or "*" for all; "": nobody.
	Subject string `json:"subject,omitempty"`
}

// PlanDoc is what one purpose does with each field of a stream: the document
// that Decision.Plan names by its digest. It stands in `consent.policies`
// under the digest in hex (AUDIT A12).
type PlanDoc struct {
	Kind    string  `json:"kind"`    // "plan"
	Version int     `json:"version"` // 1
	Topic   string  `json:"topic"`   // input topic
	Purpose string  `json:"purpose"`
	Output  string  `json:"output"` // output topic
	Fields  []Field `json:"fields"` // in layout order
}

// Canonical gives the document's bytes and their SHA-256: one JSON object,
// members in the order above, no white space. It sets Kind and Version. It
// fails on text that is not UTF-8.
func (p *PlanDoc) Canonical() ([]byte, Hash, error) {
	doc := *p
	doc.Kind, doc.Version = "plan", 1
	text, err := json.Marshal(&doc, json.FormatNilSliceAsNull(false))
	if err != nil {
		return nil, Hash{}, errors.New("plan document: text that is not UTF-8")
	}
	return text, sha256.Sum256(text), nil
}

// ParsePlanDoc reads a canonical plan document and nothing else.
func ParsePlanDoc(text []byte) (PlanDoc, error) {
	var p PlanDoc
	if err := json.Unmarshal(text, &p, json.RejectUnknownMembers(true)); err != nil {
		return PlanDoc{}, errors.New("plan document: wrong JSON")
	}
	canonical, _, err := p.Canonical()
	if err != nil || !bytes.Equal(canonical, text) {
		return PlanDoc{}, errors.New("plan document: not in canonical form")
	}
	return p, nil
}
