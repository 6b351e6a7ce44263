# Damaged requests and replies, a million of each.
FUZZ_CASES ?= 1000000

.PHONY: fuzz splits
splits: ## cut every recorded answer in two at every byte (the test that CI runs stops at 4,000 bytes)
	cargo test --release --locked --test it wire:: -- --nocapture

fuzz: ## damage a million requests and a million replies, and hold the proxy to what they mean
	INFEROMETER_FUZZ=$(FUZZ_CASES) cargo test --release --locked --test it ambiguity:: -- --nocapture
