package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// fenced: a process with our ids is alive. Rebuilding would fence it in turn,
// for ever; so we go.
func (s *session) fenced() error {
	return &Stop{Reason: fmt.Sprintf("another process uses instance %s of group %s (transactional id %s): give each process its own instance: in the wiring", s.w.cfg.Instance, s.w.cfg.Group, s.w.id)}
}

// superseded tells what it means that our producer is fenced. Older than its timeout,
// the transaction was ended by the broker, which fences with the same words, unless
// the group has another process in our place; else somebody else is us.
func (s *session) superseded(ctx context.Context) error {
	if time.Since(s.begun) < s.w.cfg.Limits.Txn || s.replaced(ctx) {
		return s.fenced()
	}
	return errRebuild
}

// replaced reports that the group has another member under our instance id.
func (s *session) replaced(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	groups, err := kadm.NewClient(s.cl).DescribeGroups(ctx, s.w.cfg.Group)
	if err != nil {
		return false
	}
	ours, _ := s.cl.GroupMetadata()
	for _, m := range groups[s.w.cfg.Group].Members {
		if m.InstanceID != nil && *m.InstanceID == s.w.id {
			return ours != "" && m.MemberID != ours // "": we are about to join again
		}
	}
	return false
}
