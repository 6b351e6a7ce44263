#!/usr/bin/env bash
# Says what is missing to build the project, all of it at once, before the compiler does in its own words.
# Usage: build_needs.sh [--compiler]   (with a C compiler, which some dependencies need)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

has() { command -v "$1" >/dev/null 2>&1; }

missing=()
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
get="install it from https://rustup.rs, then try again"
if has cargo && has rustc; then
    have=$(rustc --version 2>/dev/null || true)
    have=$(sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p' <<<"$have")
    oldest=$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)
    if [[ ! $have ]]; then
        missing+=("Rust is there without a toolchain: rustup default stable, then try again")
    elif [[ $oldest != "$wanted" ]]; then
        missing+=("Rust $have is too old, $wanted or newer is needed: $get")
    fi
else
    missing+=("Rust $wanted or newer is missing: $get")
fi

if [[ ${1-} == --compiler ]]; then
    # gcc without the C library's headers is there where recommended packages are left out, and links nothing.
    compiler="a C compiler (cc) is missing"
    ! has cc || compiler="the C compiler (cc) finds no headers of the C library"
    sudo="sudo "
    ((EUID)) || sudo=
    cc -E - <<<'#include <stdlib.h>' >/dev/null 2>&1 ||
        missing+=("$compiler: on Debian or Ubuntu, ${sudo}apt-get install --no-install-recommends gcc libc6-dev")
fi

if ((${#missing[@]})); then
    printf '%s\n' "${missing[@]}" >&2
    exit 1
fi
[[ ${1-} != --compiler || -e target/release/inferometer ]] ||
    echo "building it for the first time: this takes some minutes" >&2
