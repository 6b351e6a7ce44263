# Included by the Makefile. Options of the benchmark go into BENCH_ARGS: `make bench BENCH_ARGS='--rounds 3 --only blast'`.

.PHONY: bench bench-quick bench-instructions

bench: ## Compare with a bare TCP relay and nginx: about 12 minutes, on a machine that does nothing else
	cargo build --release --package inferometer --bin inferometer
	cargo build --release --package inferometer-bench
	cargo run --release --package inferometer-bench --bin bench -- $(BENCH_ARGS)

bench-quick: ## See that the benchmark works: its numbers mean nothing
	$(MAKE) bench BENCH_ARGS=--quick

bench-instructions: ## Count instructions and allocations of the inspector (wants valgrind)
	cargo build --release --package inferometer-bench
	cargo run --release --package inferometer-bench --bin instructions
