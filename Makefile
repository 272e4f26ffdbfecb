# Damson's commands. `make` prints this help; each target says after ## what it does.
# DuckDB is linked in through cgo: the build tag duckdb_arrow gives its columnar interface.
export GOFLAGS := -tags=duckdb_arrow
GO ?= go
BIN := bin/damson

.DEFAULT_GOAL := help
.PHONY: help build demo test parity chaos simulate check fmt vet lint bench bench-engine bench-geolife bench-ml bench-linear bench-cluster bench-load bench-features bench-warehouse bench-project bench-day clean toolchain test-tools

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

toolchain: ## check for Go and a C++ compiler; install the compiler on Debian when it is missing
	@scripts/toolchain

test-tools: ## check for PostgreSQL's programs, which tests start; install them on Debian when they are missing
	@scripts/test-tools

build: toolchain ## build bin/damson
	@mkdir -p bin
	$(GO) build -o $(BIN) ./cmd/damson

demo: build ## the GeoLife project end to end in ./damson-demo, then its report
	$(BIN) demo --no-serve

test: check ## everything CI runs: format, vet, staticcheck, all tests with the race detector

parity: toolchain test-tools ## the GeoLife project on DuckDB and PostgreSQL, and on DAMSON_TEST_GREENPLUM_URL, compared row by row; DATA=dir for real files
	$(GO) test ./internal/cli -run 'TestParity$$' -v -count=1 -timeout 60m -parity-days 0 $(if $(DATA),-parity-data $(abspath $(DATA)))

simulate: toolchain ## 100,000 simulated worlds of the scheduler and of the engine that the tests do not have; SEEDS=n FROM=n for others
	$(GO) test ./internal/engine -run 'TestSimulation$$' -from $(or $(FROM),100001) -seeds $(or $(SEEDS),100000) -timeout 3h
	$(GO) test ./internal/scheduler -run 'TestSimulation$$' -from $(or $(FROM),100001) -seeds $(or $(SEEDS),100000) -timeout 3h

chaos: toolchain test-tools ## kill servers 100 times over SQLite, a PostgreSQL store, and store and warehouse in PostgreSQL; some 6 minutes
	$(GO) test ./internal/cli -run 'TestChaos' -v -timeout 60m -kills $(or $(KILLS),100)

# With the race detector every process sleeps for a second at its end unless it is told not to, and the tests start hundreds.
check: toolchain test-tools fmt vet lint ## format, vet, staticcheck and race tests
	GORACE=atexit_sleep_ms=0 $(GO) test -race -timeout 30m ./...

fmt:
	@bad=$$(gofmt -l cmd internal examples bench 2>/dev/null); \
	if [ -n "$$bad" ]; then echo "not formatted (run gofmt -w on them):"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

bench: bench-project bench-load bench-warehouse bench-ml bench-features bench-linear bench-cluster bench-geolife bench-day bench-engine ## all benchmarks; each prints ratios against a floor or a peer

bench-project: toolchain ## validate 1,000 pipelines of 12 tasks
	$(GO) test -run '^$$' -bench . ./bench/project

bench-load: toolchain ## load files against DuckDB's own read_csv
	$(GO) run ./bench/load

bench-warehouse: toolchain test-tools ## load into PostgreSQL and read from it against psql and COPY
	$(GO) run ./bench/warehouse

bench-ml: toolchain ## train a forest and boosted trees against scikit-learn and LightGBM (when python3 has them)
	$(GO) run ./bench/ml

bench-linear: toolchain ## fit logistic and linear regressions against scikit-learn (when python3 has it)
	$(GO) run ./bench/linear

bench-cluster: toolchain ## cluster rows against scikit-learn's KMeans (when python3 has it)
	$(GO) run ./bench/cluster

bench-features: toolchain ## features of time series against tsfresh (when python3, or DAMSON_PYTHON, has it)
	$(GO) run ./bench/features -set minimal -series 5000
	$(GO) run ./bench/features -set comprehensive -series 400

bench-geolife: toolchain build ## the example's backfill and 25 million points against bare DuckDB; some 6 minutes
	$(GO) run ./bench/geolife overhead
	$(GO) run ./bench/geolife scale

bench-day: toolchain test-tools build ## the example's days on PostgreSQL against the same SQL by psql; some 5 minutes
	$(GO) run ./bench/day

bench-engine: toolchain test-tools build ## chains, backfills and starts over SQLite and PostgreSQL; some 25 minutes
	$(GO) build -o bin/bench-engine ./bench/engine
	for part in chain backfill start million; do bin/bench-engine $$part || exit 1; done

clean: ## remove what the targets above made
	rm -rf bin damson-demo
