# Tidewaiter. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The scan engine's libraries need the json experiment of Go 1.26 (CONTRIBUTING.md says why, and when it goes).
export GOEXPERIMENT := jsonv2
export CGO_ENABLED  := 0
export GOFLAGS      := -buildvcs=false

BIN      := $(CURDIR)/bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REGISTRY := github.com/distribution/distribution/v3/cmd/registry@v3.1.2
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VULN     := golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: go
go:
	@command -v go >/dev/null || { echo "Go is missing: install Go 1.26 (https://go.dev/dl)"; exit 1; }

.PHONY: build
build: go ## Build bin/tidewaiter
	@mkdir -p $(BIN)
	go build -ldflags '-s -w -X github.com/tidewaiter/tidewaiter/internal/cli.version=$(VERSION)' -o $(BIN)/tidewaiter ./cmd/tidewaiter

# A real registry for the demo and the tests: the reference implementation, built from its module.
$(BIN)/registry: | go
	@mkdir -p $(BIN)
	GOEXPERIMENT= GOBIN=$(BIN) go install $(REGISTRY)

$(BIN)/golangci-lint: | go
	@mkdir -p $(BIN)
	GOEXPERIMENT= GOBIN=$(BIN) go install $(LINT)

$(BIN)/govulncheck: | go
	@mkdir -p $(BIN)
	GOEXPERIMENT= GOBIN=$(BIN) go install $(VULN)

.PHONY: demo
demo: build $(BIN)/registry ## Registry, images, advisories and server on this machine, offline; DEMO_ARGS=--once ends by itself
	$(BIN)/tidewaiter demo --registry-binary $(BIN)/registry $(DEMO_ARGS)

# PostgreSQL's server programs come from Debian where they are absent. TIDEWAITER_TEST_POSTGRES names another server.
.PHONY: postgres
postgres:
	@./scripts/need-postgres

.PHONY: test
test: go $(BIN)/registry postgres ## All tests, on SQLite and PostgreSQL
	go test -timeout 25m ./...

.PHONY: check
check: go $(BIN)/golangci-lint $(BIN)/registry postgres ## Format, vet, lint, import rule and race detector
	@test -z "$$(gofmt -l cmd internal client emulator bench 2>/dev/null)" || { gofmt -l cmd internal; exit 1; }
	go vet ./...
	$(BIN)/golangci-lint run ./...
	CGO_ENABLED=1 go test -race -p 1 -timeout 40m ./internal/... # one package at a time: most start servers

.PHONY: vuln
vuln: $(BIN)/govulncheck ## Known vulnerabilities in what we link (needs the internet)
	$(BIN)/govulncheck ./...

.PHONY: bench
bench: build $(BIN)/registry postgres ## Measure the targets and write BENCHMARKS.md
	go run ./bench -write BENCHMARKS.md $(BENCH_ARGS)

.PHONY: parity
parity: go ## Compare findings with full Trivy on the sample images
	cd test/parity && go test -count=1 -timeout 20m -v ./...

.PHONY: e2e
e2e: build $(BIN)/registry postgres ## The binary against real parts, end to end
	go test -count=1 -timeout 20m -tags e2e ./test/e2e/...

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) data dist
