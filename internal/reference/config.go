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
	Explicit bool   // only with explicit consent, else null
	Ground   string // the exception that a special category is shown on (D23)
}

// gate is what a plan calls the condition under which a value shows; "" for none.
func (t Treatment) gate() string {
	if t.Explicit {
		return "explicit_consent"
	}
	return t.Ground
}

// Stream is the wiring of one input topic.
type Stream struct {
	Topic, Format string
	Purposes      []string
	Split         string // path of the elements that are records; "" for none
	SplitElements int
	Subjects      []Subject // in the file's order
	EventTime     string    // its path; "" for none
	TimeHeader    string    // the header that it stands in instead
	Key           *Key      // nil: none
	Headers       map[string]Field
	Fields        []Field // in the file's order
}

// Subject is somebody whom records are about, and where records say who it is.
type Subject struct {
	Name, Namespace, Header string
	Paths                   oneOrMore `yaml:"path"`
	Key                     bool
}

// oneOrMore is a text, or a list of them.
type oneOrMore []string

// UnmarshalYAML reads either.
func (list *oneOrMore) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]string)(list))
	}
	*list = []string{node.Value}
	return nil
}

// Key is what the record key is.
type Key struct{ Subject, Category, Namespace string }

// Field gives a path a category, and says whose data or identifier stands there.
type Field struct{ Path, Category, Subject, Namespace string }

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

// readTreatment reads `keep`, `{truncate: 2}` or `{mask: {keep_first: 1}}`. The
// value of a parameter is what YAML makes of it.
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
			switch k {
			case "requires":
				t.Explicit = x == "explicit_consent"
			case "ground":
				t.Ground = fmt.Sprint(x)
			default:
				t.Params[k] = x
			}
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
			Split         struct{ Path string }
			Subjects      yaml.Node
			EventTime     yaml.Node `yaml:"event_time"`
			Key           yaml.Node
			Headers       yaml.Node
			Fields        yaml.Node
			Limits        struct {
				SplitElements int `yaml:"split_elements"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	var streams []*Stream
	for _, d := range doc.Streams {
		s := &Stream{Topic: d.Topic, Format: d.Format, Purposes: d.Purposes, Split: d.Split.Path, SplitElements: d.Limits.SplitElements,
			EventTime: d.EventTime.Value, Headers: map[string]Field{}}
		var err error
		if d.EventTime.Kind == yaml.MappingNode {
			var at struct{ Path, Header string }
			if err := d.EventTime.Decode(&at); err != nil {
				return nil, err
			}
			s.EventTime, s.TimeHeader = at.Path, at.Header
		}
		if s.Subjects, err = readSubjects(&d.Subjects); err != nil {
			return nil, err
		}
		if d.Key.Kind == yaml.MappingNode {
			s.Key = &Key{}
			if err := d.Key.Decode(s.Key); err != nil {
				return nil, err
			}
		}
		if s.Fields, err = readFields(&d.Fields); err != nil {
			return nil, err
		}
		headers, err := readFields(&d.Headers)
		if err != nil {
			return nil, err
		}
		for _, h := range headers {
			s.Headers[h.Path] = h
		}
		streams = append(streams, s)
	}
	return streams, nil
}

func readSubjects(node *yaml.Node) (list []Subject, err error) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		s := Subject{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// readFields reads `path: category` and `path: {category: …}`.
func readFields(node *yaml.Node) (list []Field, err error) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		f := Field{Path: node.Content[i].Value, Category: node.Content[i+1].Value}
		if node.Content[i+1].Kind == yaml.MappingNode {
			if err := node.Content[i+1].Decode(&f); err != nil {
				return nil, err
			}
		}
		list = append(list, f)
	}
	return list, nil
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
		if limit != "" && best.gate() == "" {
			return Treatment{Name: "redact"}
		}
	}
	return best
}
