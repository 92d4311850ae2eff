# Few targets; .ci/run is the whole check.
.PHONY: test lint bench bench-engine servers

test: ## what needs Go and nothing else
	go test ./...

lint: ## the pinned golangci-lint, built once into .tools
	.ci/lint

bench: ## floor, product and ratio; on a real Kafka when CONSENTSTREAM_KAFKA is set
	go run ./internal/bench $(BENCH)

# benchstat is run and not required: it is nobody's dependency.
benchstat = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

bench-engine: ## the filter engine beside the usual means, on the same records
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; \
	go test ./internal/bench/engine -run '^$$' -bench . -count 6 -timeout 30m $(BENCH) | tee "$$out" && \
	go run $(benchstat) -col /by "$$out"

servers: ## real servers: eval "$$(make -s servers)"
	@internal/servers/servers.sh start
