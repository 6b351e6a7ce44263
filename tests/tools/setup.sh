#!/usr/bin/env bash
# Sees that the programs which the tests run are there: Prometheus with promtool, Python with venv, a C compiler, the
# certificates that downloads are checked with, curl, script, rustfmt and clippy.
#
# Prometheus is unpacked into target/prometheus where the PATH has none, because Debian's package brings a service that
# starts at boot and listens on every interface. Of the rest it installs what is missing and nothing else, where it may
# (root, apt-get); elsewhere it says what is missing and how to get it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

has() { command -v "$1" >/dev/null 2>&1; }

missing=()
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
# gcc alone, without recommended packages, has no headers of the C library.
cc -E - <<<'#include <stdlib.h>' >/dev/null 2>&1 || missing+=(gcc libc6-dev)
has curl || missing+=(curl)
has git || missing+=(git)
has script || missing+=(bsdutils)
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
        echo "elsewhere: the programs of these names, on the PATH" >&2
        exit 1
    fi
fi

unpacked=target/prometheus
if ! { has prometheus && has promtool; } && ! [[ -x $unpacked/usr/bin/prometheus && -x $unpacked/usr/bin/promtool ]]; then
    if ! { has apt-get && has dpkg-deb; }; then
        echo "missing for the tests: prometheus and promtool, on the PATH (https://prometheus.io/download/)" >&2
        exit 1
    fi
    echo "unpacking Prometheus into $unpacked"
    tests/tools/unpack.sh "$unpacked" prometheus
    # Newer releases have it in a package of its own.
    [[ -x $unpacked/usr/bin/promtool ]] || tests/tools/unpack.sh "$unpacked" promtool
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
