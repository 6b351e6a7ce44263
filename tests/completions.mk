# Not a part of `test`: it wants zsh and fish, which nothing else does.
.PHONY: completions-test
completions-test: compiler ## see that bash, zsh and fish load the completions (installs those that are missing, with root)
	cargo build --locked --bin inferometer
	@tests/tools/completions.sh target/debug/inferometer
