package schemas

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"
)

// LatestClient is what Latest needs of *sr.Client.
type LatestClient interface {
	SchemaByVersion(ctx context.Context, subject string, version int) (sr.SubjectSchema, error)
}

// Latest asks for the Avro schema that was registered last under subject, and its
// version. Nothing decides on it: records name their schemas by id. The error
// wraps one of ErrUnavailable, ErrUnknownSchema and ErrUnsupportedSchema.
func Latest(ctx context.Context, cl LatestClient, subject string) (text string, version int, err error) {
	const latest = -1
	s, err := cl.SchemaByVersion(ctx, subject, latest)
	switch what := fmt.Sprintf("subject %q", subject); {
	case err != nil && notFound(err):
		return "", 0, fmt.Errorf("%w: %s is not in the registry", ErrUnknownSchema, what)
	case err != nil:
		return "", 0, unavailable(what, err)
	case s.Type != sr.TypeAvro:
		return "", 0, fmt.Errorf("%w: %s is not of type AVRO", ErrUnknownSchema, what)
	case len(s.References) > 0:
		return "", 0, fmt.Errorf("%w: %s", ErrUnsupportedSchema, what)
	}
	return s.Schema.Schema, s.Version, nil
}
