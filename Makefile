# What one does with Kaiwa's source. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
# `make dev ARGS=--data-dir=/tmp/k`, `make test ARGS=-v`
ARGS ?=
# `make upgrade FROM=v0.1.0`
FROM ?= HEAD~1

# What `make generate` writes.
GENERATED := api/openapi.gen.go docs/life.md console/src/api.gen.ts
CONSOLE_SOURCES := $(shell find console -type f -not -path '*/node_modules/*' -not -path 'console/dist/*' -not -name '*.go' -not -path 'console/unbuilt/*')
NPM := $(shell command -v npm)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: dev
dev: ## everything on this machine, with a LINE simulator; state is kept in .kaiwa
	@$(if $(NPM),$(MAKE) console,echo "npm is not here: the console will say how it is built")
	$(GO) run ./cmd/kaiwa-dev $(ARGS)

.PHONY: chaos
chaos: programs test-needs ## whole conversations while everything is killed, and what is left checked: ten minutes (CHAOS_MINUTES, CHAOS_SEED)
	bin/kaiwa-dev chaos $(ARGS)

.PHONY: upgrade
upgrade: programs test-needs ## the same, beginning with kaiwa of an earlier commit (FROM, else the one before) that is replaced process by process
	deploy/upgrade.sh $(FROM) $(ARGS)

.PHONY: build
build: ## bin/kaiwa and bin/kaiwa-dev, static binaries
	@$(if $(NPM),$(MAKE) console,echo "npm is not here: the console will say how it is built")
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/kaiwa ./cmd/kaiwa-dev

# Compiled as `go run` and `go test` do, which have most of it already.
.PHONY: programs
programs:
	$(GO) build -o bin/ ./cmd/kaiwa ./cmd/kaiwa-dev

.PHONY: console
console: console/dist/index.html ## the web console (needs Node 20.19 or newer)

.PHONY: test
test: test-needs ## every test
	@$(if $(NPM),$(MAKE) test-console,echo "npm is not here: the console's tests are left out")
	$(GO) test -timeout 25m $(ARGS) ./...

.PHONY: bench
bench: programs test-needs ## how fast it is, on scratch services; `make bench ARGS=--quick`
	bin/kaiwa-dev bench --json=bin -- $(ARGS)

.PHONY: lint
lint: ## formatting, vet, staticcheck, deterministic workflows, generated code, go.mod, the console
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
		[ -z "$$unformatted" ] || { echo "gofmt -w is due on:"; echo "$$unformatted"; exit 1; }
	$(GO) mod tidy -diff
	@$(if $(NPM),$(MAKE) lint-console,echo "npm is not here: the console is not checked")
	$(GO) vet ./...
	$(GO) tool workflowcheck ./workflows/...
	$(GO) tool staticcheck ./...
	@$(MAKE) lint-generated

.PHONY: generate
generate: ## the API's types in Go and TypeScript, and docs/life.md
	$(GO) generate ./...
	$(GO) test ./internal/conversation -run TestTheLifePage -update
	@$(if $(NPM),$(MAKE) console/node_modules/.package-lock.json && cd console && npm run --silent generate,echo "npm is not here: console/src/api.gen.ts is left as it is")

.PHONY: vuln
vuln: ## known vulnerabilities in what Kaiwa is built from (needs the network)
	$(GO) run $(GOVULNCHECK) ./...

.PHONY: clean
clean: ## remove what was built; .kaiwa stays
	rm -rf bin console/node_modules console/dist
	git checkout -q -- console/dist/.gitkeep

# What the tests need beside Go: a PostgreSQL to start on a free port, or the
# URL of one that runs; ClamAV's daemon.
.PHONY: test-needs
test-needs:
	@[ -n "$${KAIWA_TEST_POSTGRES:-}" ] || command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || \
		{ echo "The tests need PostgreSQL's server: apt-get install postgresql (or set KAIWA_TEST_POSTGRES to the URL of one that runs)" >&2; exit 1; }
	@command -v clamd >/dev/null || [ -x /usr/sbin/clamd ] || { echo "The tests need ClamAV's daemon: apt-get install clamav-daemon" >&2; exit 1; }

.PHONY: test-console
test-console: console/dist/index.html
	cd console && npm run --silent test

.PHONY: lint-console
lint-console: console/node_modules/.package-lock.json
	cd console && npm run --silent lint

.PHONY: lint-generated
lint-generated: generate
	@git diff --exit-code -- $(GENERATED) || { echo "generated files are out of date: commit what make generate writes" >&2; exit 1; }

console/node_modules/.package-lock.json: console/package.json console/package-lock.json
	cd console && npm ci --no-audit --no-fund --silent
	@touch $@

console/dist/index.html: console/node_modules/.package-lock.json $(CONSOLE_SOURCES)
	cd console && npm run --silent build
