#!/usr/bin/env bash
# Says what is missing to build the project, before the compiler does in its own words.
# Usage: build_needs.sh [--compiler]   (with a C compiler, which some dependencies need)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

has() { command -v "$1" >/dev/null 2>&1; }
fail() { echo "$1" >&2; exit 1; }

wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
get="install it from https://rustup.rs, then try again"
has cargo && has rustc || fail "Rust $wanted or newer is missing: $get"
have=$(rustc --version 2>/dev/null || true)
have=$(sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p' <<<"$have")
[[ $have ]] || fail "Rust is there without a toolchain: rustup default stable, then try again"
oldest=$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)
[[ $oldest == "$wanted" ]] || fail "Rust $have is too old, $wanted or newer is needed: $get"

[[ ${1-} == --compiler ]] || exit 0
has cc || fail "a C compiler (cc) is missing: on Debian or Ubuntu, sudo apt-get install --no-install-recommends gcc libc6-dev"
[[ -e target/release/inferometer ]] || echo "building it for the first time: this takes some minutes" >&2
