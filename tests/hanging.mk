# The proxy's cost with every source of the machine hanging.
ROUNDS ?= 200

.PHONY: hanging
hanging: ## what a chunk costs with every source of the machine hanging, and with none, in turns
	INFEROMETER_ROUNDS=$(ROUNDS) cargo test --release --locked --test it hanging:: -- --ignored --nocapture
