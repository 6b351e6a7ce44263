# Included by the Makefile. Options of the benchmark go into ARGS: `make bench ARGS='--rounds 3 --only blast'`.

.PHONY: bench bench-quick guided bench-instructions bench-history bench-setup

bench: cargo bench-setup ## Compare with a bare TCP relay and nginx: about 20 minutes, on a machine that does nothing else (ARGS='--inferometer target/guided/inferometer': that program)
	cargo build --release --locked --package inferometer --bin inferometer
	cargo build --release --locked --package inferometer-bench
	@target/release/bench $(ARGS)

bench-quick: cargo bench-setup ## See that the benchmark works: its numbers mean nothing
	cargo build --release --locked --package inferometer --bin inferometer
	cargo build --release --locked --package inferometer-bench
	@target/release/bench --quick

# Packages are not laid out so yet: their build calls functions by other names than those of the profile.
guided: compiler web bench-setup ## Build the program laid out by a profile of it under load, which is made first: target/guided/inferometer (PROFILE=FILE: by that one)
	set -e; host=$$(rustc -vV | sed -n 's/^host: //p'); profile=$(or $(PROFILE),$$(packaging/profile.sh)); \
	RUSTFLAGS="-Cprofile-use=$$(realpath "$$profile")" CARGO_TARGET_DIR=target/guided/build \
	    cargo build --release --locked --target $$host --package inferometer --bin inferometer; \
	ln -f target/guided/build/$$host/release/inferometer target/guided/inferometer

bench-instructions: cargo bench-setup ## Count instructions and allocations of the inspector (wants valgrind)
	cargo build --release --locked --package inferometer-bench
	@cargo run --quiet --release --locked --package inferometer-bench --bin instructions

bench-history: cargo ## Measure the history against its marks: writer, bytes a row, questions to a month, every endpoint over it (ARGS=--rows=10000000, --month; --quick: no marks)
	cargo build --release --locked --package inferometer --bin inferometer
	cargo build --release --locked --package inferometer-bench
	@cargo run --quiet --release --locked --package inferometer-bench --bin history -- $(ARGS)

bench-setup:
	@benches/setup.sh
