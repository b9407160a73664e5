# make help lists the targets.

GO       ?= go
OUT      := out
BIN      := bin
LINT     := $(OUT)/golangci-lint
LINT_VER := v2.15.0
# Packages of this module that are ours to cover. Helpers for tests are not.
PKGS     := $(shell $(GO) list ./... | grep -v -e /looptest -e /mcptest -e /certtest)
# Statements of our packages that tests must reach.
COVERAGE := 90
FUZZTIME := 5s
FUZZPKGS  = $(PKGS)
CONFORMANCE := cmd/everything/conformance
TSPEER   := benchmarks/servers/typescript
# make build VERSION=v1.2.3 makes a release; a VERSION of the environment is somebody else's.
VERSION  :=
# Licences that may be linked into the daemon.
LICENSES := Apache-2.0,BSD-2-Clause,BSD-3-Clause,ISC,MIT,MPL-2.0
# What bench-compare compares.
ONLY     := http-modern|ws-1|ws-16|ws-ping
MICRO    := Call|Ping|Parse|Serve|Message|Validate
COUNT    := 6
# How long make soak lasts.
SOAK     := 60m

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

run: ## the daemon with demo tools on 127.0.0.1:8080
	$(GO) run ./cmd/millrace serve --demo

# No cgo: one static file, and no C compiler that has a say in it. The commit is put
# in whatever GOFLAGS says. The build id stays: it depends on nothing but the inputs.
build: ## bin/millrace, the same bytes for the same commit; VERSION=v1.2.3 for a release
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=true $(if $(VERSION),-ldflags '-X main.version=$(VERSION)') -o $(BIN)/millrace ./cmd/millrace

# Clones, because Go does not look for the commit in a linked worktree.
reproducible: ## build HEAD in two folders with an empty cache each, and compare (three minutes on two busy cores)
	@rm -rf $(OUT)/reproducible
	@for dir in $(abspath $(OUT))/reproducible/one $(abspath $(OUT))/reproducible/another/folder; do \
	  git clone -q --shared --no-checkout . $$dir && git -C $$dir checkout -q $$(git rev-parse HEAD) && \
	  GOCACHE=$$dir.cache $(MAKE) -s -C $$dir build && $$dir/$(BIN)/millrace version || exit 1; \
	  sha256sum < $$dir/$(BIN)/millrace | tee -a $(OUT)/reproducible/sums; \
	done
	@test $$(uniq $(OUT)/reproducible/sums | wc -l) = 1 || { echo 'the two differ: see $(OUT)/reproducible'; exit 1; }
	@rm -rf $(OUT)/reproducible

# TESTFLAGS is how cover measures what the tests reach: they run once for both.
test: ## all tests of this module
	$(GO) test $(TESTFLAGS) ./...

race: ## all tests under the race detector, in random order
	$(GO) test -race -shuffle=on ./...
	cd benchmarks && $(GO) test -race -shuffle=on ./client ./daemon ./echo ./generator

$(LINT):
	GOBIN=$(abspath $(OUT)) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VER)

lint: $(LINT) ## gofmt, go vet, golangci-lint at a pinned version, tidy modules
	$(GO) vet ./...
	$(LINT) run --allow-parallel-runners ./...
	cd benchmarks && $(GO) vet ./... && $(abspath $(LINT)) run --allow-parallel-runners -c $(abspath .golangci.yml) ./...
	cd server/interop && $(GO) vet ./... && $(abspath $(LINT)) run --allow-parallel-runners -c $(abspath .golangci.yml) ./...
	cd server/auth/oidctest && $(GO) vet ./... && $(abspath $(LINT)) run --allow-parallel-runners -c $(abspath .golangci.yml) ./...
	cd $(CONFORMANCE) && $(GO) vet ./... && $(abspath $(LINT)) run --allow-parallel-runners -c $(abspath .golangci.yml) ./...
	$(GO) mod tidy -diff
	cd benchmarks && $(GO) mod tidy -diff
	cd server/interop && $(GO) mod tidy -diff
	cd server/auth/oidctest && $(GO) mod tidy -diff
	cd $(CONFORMANCE) && $(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff
	$(GO) mod verify

# A module of its own pins these with all that they need, and their sums.
$(OUT)/tools/built: tools/go.mod tools/go.sum
	cd tools && $(GO) build -o $(abspath $(OUT))/tools/ tool
	@touch $@

# Of the file, not of the sources: it tells what is in there, and the hash of it.
# Licences are not asked of this tool: it takes that of golang.org/x/sys for another.
sbom: build $(OUT)/tools/built ## out/sbom.json: what bin/millrace is made of, in CycloneDX
	$(OUT)/tools/cyclonedx-gomod bin -json -std -noserial -notimestamp -output $(OUT)/sbom.json $(BIN)/millrace

# arm64 links less.
licenses: $(OUT)/tools/built ## licences of what is linked into the daemon; fails for others than $(LICENSES)
	@export CGO_ENABLED=0 GOOS=linux GOARCH=amd64; \
	{ $(OUT)/tools/go-licenses check ./cmd/millrace --allowed_licenses=$(LICENSES) && \
	  $(OUT)/tools/go-licenses report ./cmd/millrace --ignore millrace --template tools/licenses.tpl > $(OUT)/licenses.md; \
	} 2> $(OUT)/licenses.txt || { cat $(OUT)/licenses.txt; exit 1; }
	@grep '^|' $(OUT)/licenses.md
	@diff -u docs/licenses.md $(OUT)/licenses.md || { echo 'out of date: cp $(OUT)/licenses.md docs/licenses.md'; exit 1; }

vuln: $(OUT)/tools/built ## known vulnerabilities in what our code calls; needs the internet (https://vuln.go.dev)
	$(OUT)/tools/govulncheck ./...

cover: ## all tests, and coverage of our packages; fails under $(COVERAGE) % of statements
	@mkdir -p $(OUT)
	$(MAKE) test TESTFLAGS='-count=1 -coverpkg=$(shell echo $(PKGS) | tr ' ' ',') -coverprofile=$(OUT)/coverage.out' > $(OUT)/coverage.txt || (cat $(OUT)/coverage.txt; exit 1)
	@$(GO) tool cover -func=$(OUT)/coverage.out | tail -n 1
	@$(GO) tool cover -func=$(OUT)/coverage.out | awk -v want=$(COVERAGE) \
	  'END { sub("%", "", $$NF); if ($$NF + 0 < want) { print "coverage " $$NF " % is under " want " %"; exit 1 } }'

# Each package is built once, with the instrumentation that fuzzing wants. A worker
# that is still busy when the time is up makes a test report "context deadline
# exceeded" although no input failed: that alone is no failure.
fuzz: ## every fuzz target for $(FUZZTIME)
	@mkdir -p $(OUT)/fuzzcache
	@for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}={{.Dir}}{{end}}' $(FUZZPKGS)); do \
	  dir=$${pkg#*=}; pkg=$${pkg%%=*}; \
	  grep -qs '^func Fuzz' $$dir/*_test.go || continue; \
	  $(GO) test -c -fuzz . -o $(OUT)/fuzz.test $$pkg || exit 1; \
	  for f in $$(cd $$dir && $(abspath $(OUT))/fuzz.test -test.list '^Fuzz' | grep '^Fuzz'); do \
	    echo "fuzz $$pkg $$f"; \
	    (cd $$dir && $(abspath $(OUT))/fuzz.test -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) -test.parallel 2 \
	      -test.fuzzcachedir $(abspath $(OUT))/fuzzcache/$$pkg) > $(OUT)/fuzz.txt 2>&1 && continue; \
	    grep -q '^    context deadline exceeded' $(OUT)/fuzz.txt && ! grep -q 'Failing input' $(OUT)/fuzz.txt && continue; \
	    cat $(OUT)/fuzz.txt; exit 1; \
	  done || exit 1; \
	done

security: ## the authorization matrix, a real OpenID provider, hostile input; prints how many of each
	@mkdir -p $(OUT)
	$(GO) test -count=1 -v -run 'Hostile|Authoriz|ProtectedResource|MalformedCredential|TokenCanary' ./server ./cmd/millrace > $(OUT)/security.txt || (cat $(OUT)/security.txt; exit 1)
	@grep -E '^(ok|--- )|combinations|hostile' $(OUT)/security.txt
	$(GO) test -count=1 ./server/auth ./server/limit
	cd server/auth/oidctest && $(GO) test -count=1 -race ./...

interop: ## third-party clients against the real daemon (needs npm for half of them)
	@command -v npm >/dev/null || echo "npm is not installed: the clients written in JavaScript are NOT run"
	cd server/interop && if command -v npm >/dev/null; then npm ci --no-audit --no-fund --loglevel=error; fi && $(GO) test -count=1 -v ./...

$(CONFORMANCE)/node_modules/.package-lock.json: $(CONFORMANCE)/package-lock.json
	cd $(CONFORMANCE) && npm ci --no-audit --no-fund --loglevel=error

conformance: ## the official conformance suite against cmd/everything (needs npm); ARGS='--only ping' runs a part
	@if command -v npm >/dev/null; then \
	  $(MAKE) -s $(CONFORMANCE)/node_modules/.package-lock.json && cd $(CONFORMANCE) && $(GO) test ./... && $(GO) run . $(ARGS); \
	else \
	  (cd $(CONFORMANCE) && $(GO) test ./...) || exit 1; \
	  echo '!!!!!!!! npm is not installed: the official conformance suite is NOT run, nothing is known about conformance !!!!!!!!'; \
	  test -z "$$CI" -o "$$CI" = false; \
	fi

load: ts-peer ## load, drain and descriptor tests at full size, by hand (minutes)
	cd benchmarks && $(GO) test ./... && $(GO) run ./load churn,rate,drain,fdlimit

resilience: ## bad clients, overload, kill -9, rolling restarts, at full size (6 minutes); needs haproxy; slowhttptest where it is installed
	cd benchmarks && $(GO) run ./load idle,atlimit,slow,overload,badtokens,kill,rolling

soak: ## half of the load that can be served, with faults, for an hour (SOAK=60m); writes benchmarks/results/soak.md
	cd benchmarks && $(GO) run ./load soak --duration $(SOAK) --out results/soak.md

load-short: ts-peer ## all of load, resilience and soak, small, without latency gates
	cd benchmarks && $(GO) test ./... && $(GO) run ./load all --short

$(TSPEER)/node_modules/.package-lock.json: $(TSPEER)/package-lock.json
	cd $(TSPEER) && npm ci --no-audit --no-fund --loglevel=error

# The peer written in TypeScript, where there is npm; the suite tells when it is missing.
ts-peer:
	@if command -v npm >/dev/null; then $(MAKE) -s $(TSPEER)/node_modules/.package-lock.json; fi

bench: ts-peer ## Millrace beside other servers and the floor, under 10 minutes; ARGS='--only ws-16 --pprof out/pprof' runs a part
	@mkdir -p $(OUT)
	cd benchmarks && $(GO) run ./bench --json $(abspath $(OUT))/bench.json --report $(abspath $(OUT))/bench $(ARGS)
	@echo "the page with plots: $(OUT)/bench/README.md"

bench-full: ts-peer ## the whole of it, more rounds, into benchmarks/results
	cd benchmarks && $(GO) run ./bench --full --json results/run.json --report results $(ARGS)

bench-micro: ## micro-benchmarks of our packages
	$(GO) test -run '^$$' -bench . -benchmem $(PKGS)

# Macro and micro, in turn: what a change of machine or temperature does meanwhile must not look like a change of code.
bench-compare: ## this checkout beside revision BASE, with benchstat; ONLY, MICRO and COUNT choose
	@test -n "$(BASE)" || { echo "usage: make bench-compare BASE=revision"; exit 2; }
	@mkdir -p $(OUT)
	-git worktree remove --force $(OUT)/base 2>/dev/null
	git worktree add --detach $(OUT)/base $(BASE)
	cd benchmarks && $(GO) run ./bench --compare ../$(OUT)/base --benchfmt $(abspath $(OUT))/compare --only '$(ONLY)' --rounds $(COUNT)
	@rm -f $(OUT)/compare/micro-base.txt $(OUT)/compare/micro-head.txt
	@for i in $$(seq $(COUNT)); do \
	  (cd $(OUT)/base && $(GO) test -run '^$$' -bench '$(MICRO)' -benchtime 0.2s -benchmem ./...) | grep -E '^(Benchmark|pkg:)' >> $(OUT)/compare/micro-base.txt; \
	  $(GO) test -run '^$$' -bench '$(MICRO)' -benchtime 0.2s -benchmem ./... | grep -E '^(Benchmark|pkg:)' >> $(OUT)/compare/micro-head.txt; \
	done
	git worktree remove --force $(OUT)/base
	cd benchmarks && $(GO) tool benchstat base=$(abspath $(OUT))/compare/base.txt head=$(abspath $(OUT))/compare/head.txt
	cd benchmarks && $(GO) tool benchstat base=$(abspath $(OUT))/compare/micro-base.txt head=$(abspath $(OUT))/compare/micro-head.txt

# What reads bytes from strangers first is fuzzed; the seeds and corpora of all are tests.
ci: ## everything that a change must pass
	@mkdir -p $(OUT)
	$(MAKE) -j2 --output-sync=target cover lint
	$(MAKE) sbom
	$(MAKE) licenses
	$(MAKE) race
	$(MAKE) fuzz FUZZTIME=1s FUZZPKGS='./codec/... ./loop'
	$(MAKE) security
	$(MAKE) interop
	$(MAKE) conformance
	$(MAKE) load-short

.PHONY: help run build reproducible test race lint sbom licenses vuln cover fuzz interop security conformance load load-short resilience soak bench bench-full bench-micro bench-compare ts-peer ci
