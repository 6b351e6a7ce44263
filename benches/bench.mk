# Included by the Makefile. Options of the benchmark go into ARGS: `make bench ARGS='--rounds 3 --only blast'`.

.PHONY: bench bench-quick bench-instructions bench-history bench-setup

bench: cargo bench-setup ## Compare with a bare TCP relay and nginx: about 20 minutes, on a machine that does nothing else
	cargo build --release --locked --package inferometer --bin inferometer
	cargo build --release --locked --package inferometer-bench
	@cargo run --quiet --release --locked --package inferometer-bench --bin bench -- $(ARGS)

bench-quick: ## See that the benchmark works: its numbers mean nothing
	@$(MAKE) --no-print-directory bench ARGS=--quick

bench-instructions: cargo bench-setup ## Count instructions and allocations of the inspector (wants valgrind)
	cargo build --release --locked --package inferometer-bench
	@cargo run --quiet --release --locked --package inferometer-bench --bin instructions

bench-history: cargo ## Measure the history against its marks: writer, bytes a row, questions to a month, every endpoint over it (ARGS=--rows=10000000, --month; --quick: no marks)
	cargo build --release --locked --package inferometer --bin inferometer
	cargo build --release --locked --package inferometer-bench
	@cargo run --quiet --release --locked --package inferometer-bench --bin history -- $(ARGS)

bench-setup:
	@benches/setup.sh
