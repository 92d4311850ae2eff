package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
)

// compile runs the engine's checks over what is usable so far, so that one run
// shows the findings of both, and places them in the files. A place that has an
// error already gets no second one: it would be a consequence of the first.
func (l *loader) compile(pol policyFile, streams []streamEntry) {
	if pol.policy == nil {
		return
	}
	var usable []streamEntry
	cfg := engine.Config{Policy: pol.policy}
	for _, s := range streams {
		if w := s.Wiring; w.Topic != "" && w.Format != 0 && len(w.Subjects) > 0 && len(w.Purposes) > 0 && len(w.Fields) > 0 {
			usable = append(usable, s)
			cfg.Streams = append(cfg.Streams, w)
		}
	}
	taken := l.errorPlaces()
	for _, f := range engine.Check(cfg) {
		at, s := translate(f.At, usable)
		if s != nil && !s.sound && strings.Contains(at, ".purposes[") {
			continue // what is left can only be told once the stream's own errors are mended
		}
		p := l.placeOf(at)
		switch {
		case f.Warning:
			l.add(p, Warning, f.Nearest, f.Message)
		case !taken[p]:
			l.report(p, f.Nearest, "%s", f.Message)
		}
	}
}

// errorPlaces lists where errors stand.
func (l *loader) errorPlaces() map[place]bool {
	out := map[place]bool{}
	for _, f := range l.findings {
		if f.Severity == Error {
			out[place{f.src, f.Line, f.Col}] = true
		}
	}
	return out
}

// translate turns the engine's stream numbers into the file's.
func translate(at string, usable []streamEntry) (string, *streamEntry) {
	for i := range usable {
		if rest, ok := strings.CutPrefix(at, fmt.Sprintf("streams[%d]", i)); ok {
			return usable[i].it.at + rest, &usable[i]
		}
	}
	return at, nil
}

// unused warns of purposes that no stream uses: nothing is written for them.
func (l *loader) unused(pol policyFile, streams []streamEntry) {
	for _, p := range pol.purposes {
		used := slices.ContainsFunc(streams, func(s streamEntry) bool {
			return slices.ContainsFunc(s.purposes, func(n scalar) bool { return n.text == p.id })
		})
		if !used && len(streams) > 0 {
			l.warn(p.item.keyPlace(), "no stream uses purpose %s", quote(p.id))
		}
	}
}
