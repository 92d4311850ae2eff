package pipeline

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
)

// A record batch of the consent topic that nobody can read holds everybody, and
// says which one it is; what passes by itself does not claim that.
func TestConsentUnreadable(t *testing.T) {
	pr := &projection{Projector: &Projector{}, next: consent.Vector{5, 42}}
	pr.cfg.Topic = "consent.events"
	at := func(topic string, err error) kgo.FetchError {
		return kgo.FetchError{Topic: topic, Partition: 1, Err: err}
	}
	for name, c := range map[string]struct {
		err  kgo.FetchError
		code HoldCode
	}{
		"damaged":            {at("consent.events", errors.New("encoded crc 1 does not match calculated crc 2")), HoldConsentUnread},
		"too large unpacked": {at("consent.events", &kgo.ErrDecompressTooLarge{}), HoldConsentUnread},
		"of no topic":        {at("", errors.New("something")), HoldKafka},
		"an answer":          {at("consent.events", kerr.NotLeaderForPartition), HoldKafka},
		"recreated":          {at("consent.events", kerr.UnknownTopicID), HoldConsentTopic},
		"cut off":            {at("consent.events", io.EOF), HoldKafka},
		"no connection":      {at("consent.events", &net.OpError{Op: "dial", Err: errors.New("refused")}), HoldKafka},
	} {
		var h *Hold
		if err := pr.pollError(c.err); !errors.As(err, &h) || h.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		} else if c.code == HoldConsentUnread && !(strings.Contains(h.Detail, "partition 1, from offset 42") && strings.Contains(h.Mend, "-t consent.events -p 1 -o 42 ")) {
			t.Errorf("%s: %s, mended by %s", name, h.Detail, h.Mend)
		}
	}
}
