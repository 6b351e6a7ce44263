#!/usr/bin/env bash
# Has what the benchmark compares with and counts with: nginx, unpacked into target/nginx, because the package would
# bring a server that starts at boot; valgrind, installed where it may (root, apt-get). Without them the benchmark
# measures the rest, and its report names what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unpacked=target/nginx
if ! [[ -x /usr/sbin/nginx || -x $unpacked/usr/sbin/nginx ]] && ! command -v nginx >/dev/null; then
    echo "unpacking nginx into $unpacked" >&2
    tests/tools/unpack.sh "$unpacked" nginx >&2 || echo "nginx could not be unpacked" >&2
fi

command -v valgrind >/dev/null && exit
if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
    echo "not installed: valgrind (on Debian or Ubuntu: sudo apt-get install --no-install-recommends valgrind)" >&2
    exit 0
fi
echo "installing: valgrind" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind; } </dev/null >&2 ||
    echo "could not be installed: valgrind" >&2
