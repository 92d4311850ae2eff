package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/schemas"
)

func registryClient(r configs.SchemaRegistry) (*sr.Client, error) {
	opts := []sr.ClientOpt{sr.URLs(r.URL), sr.HTTPClient(&http.Client{Timeout: 10 * time.Second})}
	if r.Username != "" {
		opts = append(opts, sr.BasicAuth(r.Username, r.Password.Reveal()))
	}
	cl, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	return cl, nil
}

// LatestSchema asks the registry of a configuration for the schema that was
// registered last for a topic's values, and its version.
func LatestSchema(ctx context.Context, cfg *configs.Config, topic string) (text string, version int, err error) {
	cl, err := registryClient(cfg.SchemaRegistry)
	if err != nil {
		return "", 0, err
	}
	return schemas.Latest(ctx, cl, topic+"-value")
}
