# Every recipe of the project. CI runs nothing that this file does not.

.DEFAULT_GOAL := help
# Recipes share `target` and the machine's cores: one after the other, also under `make -j`.
.NOTPARALLEL:
SHELL := /bin/bash

# rustup's home for cargo, for shells that did not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin

VENV := target/venv

.PHONY: help setup build run run-with-helper demo demo-fleet screenshot board-pictures lint doc test test-fast golden lint-dashboards newer-prometheus gpu-check clean cargo compiler

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: cargo ## have what the tests need (installs missing Debian packages where it may)
	@tests/tools/setup.sh
	@$(MAKE) --no-print-directory $(VENV)/stamp

build: compiler web ## the release binary, in target/release
	cargo build --release --locked

run: compiler web ## build it and run it before your Ollama (ARGS='--backend ...': its options, before another server)
	cargo build --release --locked --bin inferometer
	@target/release/inferometer $(ARGS)

run-with-helper: compiler web ## the same with the privileged helper (power, temperature): started by sudo, ended with it
	cargo build --release --locked --bin inferometer
	cargo build --release --locked --package inferometer-helper
	@tests/tools/run_with_helper.sh target/release $(ARGS)

demo: compiler web ## watch it work, before your Ollama or a simulated one (ARGS=--simulated: always that); needs gcc and Rust
	cargo build --release --locked --bins --examples
	@cargo run --quiet --release --locked --example demo -- $(ARGS)

demo-fleet: compiler ## the same before three simulated servers: requests spread, one dies and comes back, one fails for a while
	cargo build --release --locked --bins --examples
	@cargo run --quiet --release --locked --example demo -- --fleet $(ARGS)

# The figures on it are the simulator's own pace, for which the profile does not matter.
screenshot: compiler ## draw docs/demo.svg, the picture in the README: the demo's screen, from a real run
	cargo build --locked --bins --examples
	python3 tests/tools/screenshot.py docs/demo.svg target/debug/examples/demo --simulated --seconds 45

lint: cargo ## formatting and lints, as CI wants them
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc: cargo ## the documentation of the code, in target/doc, with warnings as errors
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

test: setup web-test lint doc ## everything CI runs: setup, the page's unit tests, lint, documentation, every test
	cargo test --workspace --locked

test-fast: compiler ## the tests that need neither root nor Python nor Prometheus, and take little time once built
	cargo test --workspace --lib --locked
	cargo test --test it --locked -- cancellation:: differential:: docs:: house:: proxy:: reload::

golden: setup ## write golden files and dashboards anew (look at the diff)
	UPDATE_GOLDEN=1 cargo test --workspace --locked
	UPDATE_DASHBOARDS=1 cargo test --workspace --locked

# Not a part of `test`: it needs Node, which nothing else does, and a download of 25 MB.
lint-dashboards: ## hold the dashboards against the schema that Grafana publishes (needs npm)
	@mkdir -p target/grafana
	@cp tests/tools/grafana/* target/grafana/
	@cd target/grafana && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts
	@cd target/grafana && node check.mjs ../../grafana/dashboards

# Eight minutes, most of them for Prometheus to see something. Not a part of `test`: it needs Node and chromium.
board-pictures: setup ## draw the dashboards' pictures in grafana/README.md from real data (needs npm and chromium)
	cargo build --locked --bins --example simulated_ollama
	@tests/tools/boards/pictures.sh

# Not a part of `test`: Debian's stable release has Prometheus 2, and its next one (3) only comes from there.
newer-prometheus: setup ## the tests of rules, alerts and dashboards before the Prometheus of Debian sid (needs apt)
	@test -x target/newer-prometheus/usr/bin/promtool || tests/tools/unpack.sh --suite sid target/newer-prometheus prometheus promtool
	PATH=$(CURDIR)/target/newer-prometheus/usr/bin:$$PATH cargo test --test it --locked boards::

# Not a part of `test`: it needs a card. Minutes for the build, and seconds for the check.
gpu-check: compiler ## compare every family of NVIDIA's cards with what nvidia-smi prints (needs a card)
	@command -v nvidia-smi >/dev/null || { echo "nvidia-smi is missing: it comes with NVIDIA's driver" >&2; exit 1; }
	cargo build --locked
	python3 tests/tools/gpu_check.py --program target/debug/inferometer

clean: cargo ## remove everything that was built
	cargo clean

cargo:
	@tests/tools/build_needs.sh

compiler:
	@tests/tools/build_needs.sh --compiler

# A half-made environment has no stamp, and is made anew.
$(VENV)/stamp: tests/tools/requirements.txt
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --no-input --disable-pip-version-check --only-binary :all: --requirement $<
	touch $@

# The binary says which revision it is, where git knows. Tests do without: a new commit need not rebuild them.
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null)
ifneq ($(REVISION),)
build run run-with-helper demo demo-fleet: export INFEROMETER_REVISION := $(REVISION)
endif

-include benches/bench.mk
-include tests/completions.mk
-include tests/dependencies.mk
-include tests/fuzz.mk
-include tests/measurements.mk
-include tests/web.mk
-include packaging/dist.mk
