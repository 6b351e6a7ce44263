# Damaged requests and replies, a million of each.
FUZZ_CASES ?= 1000000

.PHONY: fuzz
fuzz: ## damage a million requests and a million replies, and hold the proxy to what they mean
	INFEROMETER_FUZZ=$(FUZZ_CASES) cargo test --release --locked --test it ambiguity:: -- --nocapture
