# Damaged requests and replies, a million of each, which other readers of HTTP/1 read too; then every fuzz target in turn, for so many seconds.
FUZZ_CASES ?= 1000000
FUZZ_SECONDS ?= 60
# Requests of `api-conformance`, at least.
API_CASES ?= 10000
FUZZ_TARGETS ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
CARGO_FUZZ := target/tools/bin/cargo-fuzz

.PHONY: api-conformance fuzz fuzz-ambiguity fuzz-targets fuzz-keep splits
api-conformance: setup ## hold the API against its own document with 10,000 made-up requests (API_CASES: how many; about three minutes)
	INFEROMETER_API_CASES=$(API_CASES) cargo test --locked --test it api::conformance -- --nocapture

splits: cargo ## cut every recorded answer in two at every byte (the test that CI runs stops at 4,000 bytes)
	cargo test --release --locked --test it wire:: -- --nocapture

fuzz: fuzz-ambiguity fuzz-targets ## damage a million requests and replies, then run every fuzz target (FUZZ_SECONDS each)

fuzz-ambiguity: cargo $(VENV)/stamp
	INFEROMETER_FUZZ=$(FUZZ_CASES) cargo test --release --locked --test it ambiguity:: -- --nocapture

# On stable: no sanitizer, for there is no unsafe code. What is found stays in fuzz/artifacts.
fuzz-targets: $(CARGO_FUZZ)
	@for target in $(FUZZ_TARGETS); do \
		python3 tests/tools/fuzz_corpus.py unpack fuzz/kept/$$target fuzz/corpus/$$target && \
		$(CARGO_FUZZ) fuzz run -s none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=65536 || exit; \
	done

fuzz-keep: $(CARGO_FUZZ) ## keep the few small inputs that fuzzing found to reach every place; tests rerun them
	@for target in $(FUZZ_TARGETS); do \
		rm -rf target/kept && mkdir -p target/kept && \
		$(CARGO_FUZZ) fuzz run -s none $$target target/kept fuzz/seeds/$$target fuzz/corpus/$$target -- \
			-set_cover_merge=1 -use_counters=0 -max_len=300 && \
		python3 tests/tools/fuzz_corpus.py pack target/kept fuzz/kept/$$target || exit; \
	done

$(CARGO_FUZZ): | cargo
	@command -v c++ >/dev/null || { echo "libFuzzer needs a C++ compiler (on Debian or Ubuntu: g++)" >&2; exit 1; }
	@test -x $@ || cargo install cargo-fuzz --version 0.13.2 --locked --root target/tools
