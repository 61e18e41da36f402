# What is done often. `make` alone lists it; .ci/run is what a change has to pass.
.DEFAULT_GOAL := help
.PHONY: help demo test race servers-up servers-test servers-down lint ci bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The whole shop in one process: nothing to install
	go run ./cmd/demo

test: ## All tests, with servers inside the test process
	go test ./...

race: ## The same under the race detector
	go test -race ./...

servers-up: ## Start real Kafka, MySQL, MariaDB and three Redis, without a container engine
	scripts/servers up kafka mysql redis mariadb --quorum --secure

servers-test: ## All tests on the servers that servers-up has started
	eval "$$(scripts/servers env)" && REQUIRE_SERVERS=1 go test -race -count=1 -parallel 6 -timeout 12m ./...

servers-down: ## Stop them; their data stay (scripts/servers down --purge removes them)
	scripts/servers down

lint: ## Format, vet, and the linters with the import arrows
	.ci/run format vet lint

ci: ## Everything that a change has to pass
	.ci/run

bench: ## Benchmarks inside the process; they take a while
	go test -run '^$$' -bench . -benchmem ./...
