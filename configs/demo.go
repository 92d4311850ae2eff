package configs

import "embed"

// Demo holds demo/policy.yaml, demo/consentstream.yaml and the schema that the
// latter names: what `consentstream demo` runs, and what docker-compose.yml
// mounts.
//
//go:embed demo
var Demo embed.FS
