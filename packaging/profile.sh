#!/usr/bin/env bash
# Makes a profile of the proxy, which says how often each part of it runs under load, and prints where it lies (below
# target/guided). The compiler lays a program out by it (-Cprofile-use): what runs often together, and what hardly ever runs out
# of the way. A program that counts is built, and the benchmark drives it: minutes on most machines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GUIDED=$PWD/target/guided
HOST=$(rustc -vV | sed -n 's/^host: //p')
COUNTS=$GUIDED/counts
PROGRAM=$GUIDED/counting/$HOST/release/inferometer

# LLVM's, of the version that the compiler has.
TOOL=$(rustc --print sysroot)/lib/rustlib/$HOST/bin/llvm-profdata
[[ -x $TOOL ]] || rustup component add llvm-tools >&2 ||
    { echo "llvm-profdata is missing: it comes with 'rustup component add llvm-tools'" >&2; exit 1; }

# For a named platform, as the program that is laid out by it: only then are functions called alike in both.
RUSTFLAGS="-Cprofile-generate=$COUNTS" CARGO_TARGET_DIR=$GUIDED/counting \
    cargo build --release --locked --target "$HOST" --package inferometer --bin inferometer >&2
cargo build --release --locked --package inferometer-bench >&2
rm -rf "$COUNTS"
# What an hour of streams would repeat, and single figures, are left out.
target/release/bench --rounds 1 --window 1 --inferometer "$PROGRAM" \
    --only request/response --only streams --only 'at once' --only 'two backends' >"$GUIDED/driven.md"
"$TOOL" merge --output="$GUIDED/merged" "$COUNTS"
# Named by what it holds: cargo builds anew where a flag changes, and does not look into files.
profile=$GUIDED/$(sha256sum "$GUIDED/merged" | cut -c 1-16).profdata
mv "$GUIDED/merged" "$profile"
echo "$profile"
