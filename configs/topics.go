package configs

import "strings"

// topicUse is one topic and what it is for.
type topicUse struct {
	name string
	use  string // "the audit topic"
	at   place
	out  bool // an output of (topic, purpose)
	// unnamed: a default that no line of the file names.
	unnamed bool
}

// checkTopics finds topics that are used for two things: two streams that read
// one topic, two pairs that give one output, an output that loops onto a topic
// that is read or that holds consents, audit, quarantine or policies.
func (l *loader) checkTopics(o object, streams []streamEntry, t Topics) {
	uses := l.systemTopics(o, t)
	for _, s := range streams {
		if s.Wiring.Topic != "" {
			uses = append(uses, topicUse{s.Wiring.Topic, "an input topic", l.placeOf(s.it.at + ".topic"), false, false})
		}
	}
	for _, s := range streams {
		for _, p := range s.purposes {
			if s.Wiring.Topic == "" || !purposeName.MatchString(p.text) {
				continue // reported where it stands
			}
			uses = append(uses, l.outputTopic(s.Wiring.Topic, p))
		}
	}
	first := map[string]topicUse{}
	for _, u := range uses {
		v, taken := first[metricName(u.name)]
		if !taken {
			first[metricName(u.name)] = u
		} else if !u.out || u.use != v.use { // a pair comes twice where its input does: reported there
			l.reportClash(u, v)
		}
	}
}

// systemTopics lists the topics that are not streams.
func (l *loader) systemTopics(o object, t Topics) []topicUse {
	var uses []topicUse
	for _, u := range []struct{ word, name string }{
		{"consent", t.Consent}, {"audit", t.Audit}, {"quarantine", t.Quarantine}, {"policies", t.Policies},
		{"checkpoints", "consent.checkpoints"}, // DESIGN section 5: reserved for the sealer
	} {
		at, ok := l.places[u.word+".topic"]
		if !ok {
			at = o.it.place()
		}
		uses = append(uses, topicUse{u.name, "the " + u.word + " topic", at, false, !ok})
	}
	return uses
}

// outputTopic is the topic of one pair; its name must be a topic name too.
func (l *loader) outputTopic(topic string, p scalar) topicUse {
	name := topic + "." + p.text
	if !validTopic(name) {
		l.report(p.place(), "", "the output topic %s is longer than Kafka's 249 characters", quote(name))
	}
	return topicUse{name, "the output of " + topic + " for " + p.text, p.place(), true, false}
}

// metricName is the form by which Kafka compares topic names: names that differ
// only in "." and "_" collide, and a broker refuses to create the second.
func metricName(topic string) string { return strings.ReplaceAll(topic, ".", "_") }

// reportClash reports at the second use, unless only the first is in the file.
func (l *loader) reportClash(u, v topicUse) {
	if u.unnamed {
		u, v = v, u
	}
	switch {
	case u.name != v.name:
		l.report(u.at, "", "the topic %s (%s) and %s (%s) differ only in . and _, which Kafka refuses", u.name, u.use, v.name, v.use)
	case u.out && !v.out:
		l.report(u.at, "", "the output topic %s loops: it is also %s", u.name, v.use)
	case u.use == v.use:
		l.report(u.at, "", "the topic %s is twice %s; the first is on line %d", u.name, u.use, v.at.line)
	default:
		l.report(u.at, "", "the topic %s is used twice: as %s and as %s", u.name, v.use, u.use)
	}
}

// placeOf finds an address, or the nearest one above it.
func (l *loader) placeOf(at string) place {
	for at != "" {
		if p, ok := l.places[at]; ok {
			return p
		}
		at = parentOf(at)
	}
	return l.places[""]
}

// parentOf cuts the last word or key of an address; a key may itself hold dots
// and brackets, so it is the bracket that opens it which counts.
func parentOf(at string) string {
	if strings.HasSuffix(at, "]") {
		depth := 0
		for i := len(at) - 1; i >= 0; i-- {
			switch at[i] {
			case ']':
				depth++
			case '[':
				if depth--; depth == 0 {
					return at[:i]
				}
			}
		}
		return ""
	}
	return at[:max(0, strings.LastIndexByte(at, '.'))]
}
