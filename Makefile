# Few targets; .ci/run is the whole check.
.PHONY: test lint bench servers

test: ## what needs Go and nothing else
	go test ./...

lint: ## the pinned golangci-lint, built once into .tools
	.ci/lint

bench: ## floor, product and ratio; on a real Kafka when CONSENTSTREAM_KAFKA is set
	go run ./internal/bench $(BENCH)

servers: ## real servers: eval "$$(make -s servers)"
	@internal/servers/servers.sh start
