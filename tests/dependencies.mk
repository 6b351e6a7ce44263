# What the dependencies are, and which Rust they need. Not a part of `test`: both want programs that are installed or downloaded first.
CARGO_DENY := target/tools/bin/cargo-deny

.PHONY: deny minimum-rust
deny: $(CARGO_DENY) ## licences, sources, doubles and known vulnerabilities of the dependencies, as deny.toml says (downloads)
	$(CARGO_DENY) check $(ARGS)

# Only where rustup has it already: nothing here downloads a toolchain.
minimum-rust: compiler ## build with the oldest Rust that is supported, if rustup has it, and see what dependencies ask for
	@tests/tools/minimum_rust.sh
	cargo test --test it --locked tooling::no_dependency_asks_for_a_newer_rust

$(CARGO_DENY): | cargo
	@test -x $@ || cargo install cargo-deny --version 0.20.2 --locked --root target/tools
