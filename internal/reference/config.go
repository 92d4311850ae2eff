package reference

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Policy is a policy file, read only as far as a decision needs it. That it is
// right is package configs' business.
type Policy struct {
	Revision   int
	Namespaces map[string]string // name: normalisation
	Purposes   map[string]*Purpose
}

// Treatment is what a purpose does with a category.
type Treatment struct {
	Name     string
	Params   map[string]any
	Explicit bool // only with explicit consent, else null
}

// Stream is the wiring of one input topic.
type Stream struct {
	Topic, Format            string
	Purposes                 []string
	Subject, Namespace, Path string
	EventTime                string
	KeySubject               bool // the record key is the subject
	Headers                  map[string]string
	Fields                   []Field // in the file's order
}

// Field gives a path a category.
type Field struct{ Path, Category string }

// ReadPolicy reads a policy file.
func ReadPolicy(text []byte) (*Policy, error) {
	var doc struct {
		Revision   int
		Namespaces map[string]struct{ Normalize string }
		Purposes   map[string]map[string]any
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	p := &Policy{Revision: doc.Revision, Namespaces: map[string]string{}, Purposes: map[string]*Purpose{}}
	for name, ns := range doc.Namespaces {
		if p.Namespaces[name] = ns.Normalize; ns.Normalize == "" {
			p.Namespaces[name] = "none"
		}
	}
	for id, words := range doc.Purposes {
		purpose, err := readPurpose(id, words)
		if err != nil {
			return nil, fmt.Errorf("purpose %s: %w", id, err)
		}
		p.Purposes[id] = purpose
	}
	return p, nil
}

func readPurpose(id string, words map[string]any) (*Purpose, error) {
	p := &Purpose{ID: id, Treat: map[string]Treatment{}}
	for word, v := range words {
		var err error
		switch word {
		case "data_use":
		case "legal_basis":
			p.Basis = fmt.Sprint(v)
		case "direct_marketing":
			p.DirectMarketing = v == true
		case "survives_restriction":
			p.SurvivesRestriction = v == true
		case "time":
			p.ProcessingOnly = v == "processing_only"
		case "recipients":
			for _, r := range v.([]any) {
				p.Recipients = append(p.Recipients, fmt.Sprint(r))
			}
		case "notice":
			n := v.(map[string]any)
			p.NoticeID = fmt.Sprint(n["id"])
			if least, ok := n["min_version"]; ok {
				p.NoticeLeast = fmt.Sprint(least)
			}
		case "retention":
			p.Retention, err = days(v)
		case "max_age":
			p.MaxAge, err = days(v)
		case "max_inactivity":
			p.MaxInactivity, err = days(v)
		case "treat":
			for category, spec := range v.(map[string]any) {
				if p.Treat[category], err = readTreatment(spec); err != nil {
					return nil, fmt.Errorf("%s: %w", category, err)
				}
			}
		default:
			err = fmt.Errorf("the reference does not know the word %q", word)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// days reads a duration in days as ms.
func days(v any) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSuffix(fmt.Sprint(v), "d"), 10, 64)
	return n * 86_400_000, err
}

// readTreatment reads `keep`, `{truncate: 2}` or `{mask: {keep_first: 1}}`.
func readTreatment(spec any) (Treatment, error) {
	if name, ok := spec.(string); ok {
		return Treatment{Name: name}, nil
	}
	m, ok := spec.(map[string]any)
	if !ok || len(m) != 1 {
		return Treatment{}, fmt.Errorf("not a treatment")
	}
	t := Treatment{Params: map[string]any{}}
	for name, v := range m {
		t.Name = name
		params, ok := v.(map[string]any)
		if !ok {
			params = map[string]any{"value": v}
		}
		for k, x := range params {
			if k == "requires" {
				t.Explicit = x == "explicit_consent"
				continue
			}
			t.Params[k] = x
		}
	}
	return t, nil
}

// ReadStreams reads the streams of a wiring file.
func ReadStreams(text []byte) ([]*Stream, error) {
	var doc struct {
		Streams []struct {
			Topic, Format string
			Schema        string
			Purposes      []string
			Subjects      map[string]struct{ Namespace, Path string }
			EventTime     string `yaml:"event_time"`
			Key           any
			Headers       map[string]string
			Fields        yaml.Node
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	var streams []*Stream
	for _, d := range doc.Streams {
		s := &Stream{Topic: d.Topic, Format: d.Format, Purposes: d.Purposes, EventTime: d.EventTime, Headers: d.Headers}
		for name, subject := range d.Subjects {
			s.Subject, s.Namespace, s.Path = name, subject.Namespace, subject.Path
		}
		key, _ := d.Key.(map[string]any)
		if s.KeySubject = key["subject"] == s.Subject; !s.KeySubject {
			return nil, fmt.Errorf("%s: the reference wants the subject for a key", s.Topic)
		}
		for i := 0; i+1 < len(d.Fields.Content); i += 2 {
			s.Fields = append(s.Fields, Field{d.Fields.Content[i].Value, d.Fields.Content[i+1].Value})
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// sensitive are the categories that no broader line covers (GDPR articles 9
// and 10; D23): the keys of fideslang that are, and those of ours.
var sensitive = []string{
	"user.authorization.biometric", "user.biometric", "user.demographic.political_opinion", "user.demographic.race_ethnicity",
	"user.demographic.religious_belief", "user.demographic.sexual_orientation", "user.health_and_medical",
	"x.user.union_membership", "user.criminal_history",
}

func within(key, category string) bool {
	return category == key || strings.HasPrefix(category, key+".")
}

// treatment is what the purpose does with a category; drop where nothing says.
func (p *Purpose) treatment(category string) Treatment {
	limit := ""
	for _, key := range sensitive {
		if within(key, category) {
			limit = key
		}
	}
	best, found := Treatment{Name: "drop"}, ""
	for key, t := range p.Treat {
		if category != "" && within(key, category) && len(key) > len(found) && (limit == "" || within(limit, key)) {
			best, found = t, key
		}
	}
	switch best.Name {
	case "drop", "redact", "constant":
	default:
		if limit != "" && !best.Explicit {
			return Treatment{Name: "redact"}
		}
	}
	return best
}

// category is that of the longest listed path that is path or above it.
func (s *Stream) category(path string) string {
	best := Field{}
	for _, f := range s.Fields {
		above := f.Path == path || strings.HasPrefix(path, f.Path+".") || strings.HasPrefix(path, f.Path+"[")
		if above && len(f.Path) > len(best.Path) {
			best = f
		}
	}
	return best.Category
}
