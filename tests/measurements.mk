# Measurements that need a quiet machine, and so are no part of `test`.
ROUNDS ?= 200
# Of each of the six clients of `fleet-test`.
CALLS ?= 200

.PHONY: hanging cancellation fleet-test
hanging: compiler ## what a chunk costs with every source of the machine hanging, and with none, in turns
	INFEROMETER_ROUNDS=$(ROUNDS) cargo test --release --locked --test it hanging:: -- --ignored --nocapture

cancellation: compiler ## how soon a client that leaves stops its backend, in every variant; fails where it takes 10 ms
	cargo test --release --locked --test it cancellation:: -- --ignored --nocapture

fleet-test: setup ## a storm of official clients before three real engines, of which one dies and one changes (CALLS of each client)
	INFEROMETER_STORM=$(CALLS) cargo test --locked --test it fleet::engines -- --ignored --nocapture
