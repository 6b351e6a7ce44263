#!/usr/bin/env bash
# Sees that the programs which the tests run are there: Prometheus with promtool, Python with venv, a C compiler, the
# certificates that downloads are checked with, rustfmt and clippy. Where it may (root, apt-get) it installs what is
# missing and nothing else; elsewhere it says what is missing and how to get it.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

missing=()
has prometheus && has promtool || missing+=(prometheus)
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
has cc || missing+=(gcc libc6-dev)
# Other systems keep their certificates elsewhere; only Debian's place can be told from the outside.
! has apt-get || [[ -s /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)

if ((${#missing[@]})); then
    if has apt-get && [[ $(id -u) == 0 ]]; then
        echo "installing: ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq </dev/null
        apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
    else
        echo "missing for the tests: ${missing[*]}" >&2
        echo "on Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        echo "elsewhere: the programs of these names (prometheus brings promtool), on the PATH" >&2
        exit 1
    fi
fi

for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 && continue
    if has rustup; then
        rustup component add "$component"
    else
        echo "missing for the tests: $component (a part of Rust; https://rustup.rs brings it)" >&2
        exit 1
    fi
done
