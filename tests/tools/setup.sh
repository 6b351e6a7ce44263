#!/usr/bin/env bash
# Sees that the programs which the tests run are there: Prometheus with promtool, Alertmanager, VictoriaMetrics,
# PostgreSQL, Python with venv, a C compiler, the certificates that downloads are checked with, curl, script, rustfmt
# and clippy.
#
# The servers among them are unpacked into target where the system has none, because Debian's packages bring services
# that start at boot and listen. Of the rest it installs what is missing and nothing else, where it may
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

for package in prometheus-alertmanager victoria-metrics; do
    unpacked=target/${package#prometheus-}
    if ! has "$package" && ! [[ -x $unpacked/usr/bin/$package ]]; then
        if ! { has apt-get && has dpkg-deb; }; then
            echo "missing for the tests: $package, on the PATH" >&2
            exit 1
        fi
        echo "unpacking $package into $unpacked"
        tests/tools/unpack.sh "$unpacked" "$package"
    fi
done
# Debian's build reads its templates from a fixed place, which is not there: it gets them from below its working directory.
unpacked=target/alertmanager/usr/bin/prometheus-alertmanager
if [[ -x $unpacked ]]; then
    LC_ALL=C sed -i 's#/usr/share/prometheus/alertmanager#usr/share//prometheus/alertmanager#g' "$unpacked"
fi

unpacked=target/postgresql
# Debian keeps each version's programs off the PATH.
if ! has initdb && ! compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null \
    && ! compgen -G "$unpacked/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    if ! { has apt-get && has dpkg-deb; }; then
        echo "missing for the tests: initdb and postgres, on the PATH (https://www.postgresql.org/download/)" >&2
        exit 1
    fi
    echo "unpacking PostgreSQL into $unpacked"
    version() { apt-cache depends postgresql | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p'; }
    server=$(version)
    # A fresh container has no lists.
    [[ $server || $(id -u) != 0 ]] || { apt-get update -qq </dev/null; server=$(version); }
    # With the libraries that this system has not.
    mapfile -t packages < <(apt-get install --simulate --no-install-recommends "$server" | awk '/^Inst/ { print $2 }')
    tests/tools/unpack.sh "$unpacked" "${packages[@]}"
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
