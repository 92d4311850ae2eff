package configs

import (
	"cmp"
	"math"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/policy"
)

// The names that people choose.
var (
	purposeName   = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	namespaceName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	instanceName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	groupName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)
	topicName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

// policyFile is what is known of the policy, sound or not.
type policyFile struct {
	policy     *policy.Policy // its sound purposes; nil where it could not be read
	namespaces []string       // all names
	purposes   []purposeEntry // all, in the file's order
}

// purposeEntry is one purpose of the file.
type purposeEntry struct {
	item  item
	id    string
	sound bool
}

// ids lists the names of all purposes.
func (f policyFile) ids() []string {
	out := make([]string, len(f.purposes))
	for i, p := range f.purposes {
		out[i] = p.id
	}
	return out
}

// policyOf reads the policy that the wiring names.
func (l *loader) policyOf(o object) policyFile {
	it, s, ok := o.textAt("policy")
	if !ok {
		return policyFile{}
	}
	named := it.place()
	path := inDir(it.dir, s.text)
	if path == it.src.name {
		l.report(named, "", "the policy and the wiring must be two files")
		return policyFile{}
	}
	root, ok := l.open(path, filepath.Dir(path), &named)
	if !ok {
		return policyFile{}
	}
	root.name = "the policy"
	p, ok := l.object(root, policySection)
	if !ok {
		return policyFile{}
	}
	return l.policyFile(p)
}

func (l *loader) policyFile(o object) policyFile {
	l.version(o)
	f := policyFile{policy: &policy.Policy{Revision: o.integer("revision", 0, 1, math.MaxInt64)}}
	for _, e := range o.freeEntries("namespaces") {
		f.namespaces = append(f.namespaces, e.key.Value)
		f.policy.Namespaces = append(f.policy.Namespaces, l.namespace(e))
	}
	slices.SortFunc(f.policy.Namespaces, func(a, b policy.Namespace) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range o.freeEntries("purposes") {
		before := l.errors()
		p := l.purpose(e)
		sound := l.errors() == before
		f.purposes = append(f.purposes, purposeEntry{e, p.ID, sound})
		if sound {
			f.policy.Purposes = append(f.policy.Purposes, p)
		}
	}
	return f
}

// freeEntries lists a word whose map has keys of people's choosing, at least
// one.
func (o object) freeEntries(name string) []item {
	it, ok := o.items[name]
	if !ok {
		return nil
	}
	entries, ok := o.l.entries(it, false)
	if ok && len(entries) == 0 && len(it.node.Content) == 0 {
		o.l.report(it.place(), "", "%s is empty", it.name)
	}
	for _, e := range entries {
		o.l.places[e.at] = e.keyPlace()
	}
	return entries
}

// namespace reads one namespace. An unsound one is returned all the same, so
// that what refers to it is not reported as undefined.
func (l *loader) namespace(e item) policy.Namespace {
	n := policy.Namespace{Name: e.key.Value, Normalize: "none"}
	if !namespaceName.MatchString(n.Name) {
		l.report(e.keyPlace(), "", "%s is not a namespace name: lower-case letters, digits and _, a letter first", e.name)
	}
	if o, ok := l.object(e, namespaceSection); ok {
		n.Normalize = o.choice("normalize", "none", consent.Normalizations(), nil)
		o.choice("scope", "person", []string{"person"}, []string{"device", "contact_point", "household"})
	}
	return n
}

var basisNames = []string{"consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"}

func (l *loader) purpose(e item) policy.Purpose {
	p := policy.Purpose{ID: e.key.Value}
	if !purposeName.MatchString(p.ID) {
		l.report(e.keyPlace(), "", "%s is not a purpose name: lower-case letters, digits and _ in parts joined by dots, each part with a letter first", e.name)
	}
	o, ok := l.object(e, purposeSection)
	if !ok {
		return p
	}
	p.DataUse = l.dataUse(o)
	p.Basis, _ = policy.ParseBasis(o.choice("legal_basis", "", basisNames, nil))
	p.Retention = o.duration("retention")
	p.DirectMarketing = o.boolean("direct_marketing")
	p.SurvivesRestriction = o.boolean("survives_restriction")
	for _, r := range o.texts("recipients") {
		p.Recipients = append(p.Recipients, r.text)
	}
	slices.Sort(p.Recipients)
	p.MaxAge, p.MaxInactivity = o.duration("max_age"), o.duration("max_inactivity")
	p.NoticeID, p.NoticeMinVersion = l.notice(o)
	p.ProcessingOnly = l.timeMode(o) == "processing_only"
	p.Treat = l.treat(o)
	return p
}

func (l *loader) dataUse(o object) string {
	it, s, ok := o.textAt("data_use")
	if !ok {
		return ""
	}
	if !policy.ValidDataUse(s.text) {
		near, hint := s.nearestKey(policy.DataUses()), ""
		if near == "" {
			hint = ": write one, such as analytics.reporting, or your own that begins with x."
		}
		l.report(it.place(), near, "%s is not a data use of the taxonomy%s", s.shown(), hint)
	}
	return s.text
}

func (l *loader) notice(o object) (id, minVersion string) {
	it, ok := o.items["notice"]
	if !ok {
		return "", ""
	}
	n, ok := l.object(it, noticeSection)
	if !ok {
		return "", ""
	}
	return n.text("id"), n.text("min_version")
}

// timeMode refuses event_only with its reason: a withdrawal would not stop
// records of the time before it (DECISION D19).
func (l *loader) timeMode(o object) string {
	if it, ok := o.items["time"]; ok && it.node.Value == "event_only" {
		l.report(it.place(), "both", "event_only is refused: a withdrawal would not stop older records; use both or processing_only")
		return "both"
	}
	return o.choice("time", "both", []string{"both", "processing_only"}, nil)
}
