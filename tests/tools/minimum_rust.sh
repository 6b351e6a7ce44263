#!/usr/bin/env bash
# Checks that everything builds with the Rust that Cargo.toml states as the oldest, where rustup has that toolchain.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! command -v rustup >/dev/null; then
    echo "not built with Rust $oldest: there is no rustup" >&2
    exit 0
fi
toolchain=$(rustup toolchain list | sed -n "s/^\($oldest\(\.[0-9]*\)\?-[^ ]*\).*/\1/p" | head -n 1)
if [[ ! $toolchain ]]; then
    echo "not built with Rust $oldest: rustup toolchain install $oldest --profile minimal" >&2
    exit 0
fi
# A folder of its own, or each run would build everything again for the other toolchain.
CARGO_TARGET_DIR=target/minimum-rust exec cargo "+$toolchain" check --workspace --all-targets --locked
