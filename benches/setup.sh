#!/usr/bin/env bash
# Installs what the benchmark compares with and counts with, where it may (root, apt-get). Without them it measures the
# rest, and its report names what is missing.
set -euo pipefail

missing=()
[[ -x /usr/sbin/nginx ]] || command -v nginx >/dev/null || missing+=(nginx-light)
command -v valgrind >/dev/null || missing+=(valgrind)
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
    echo "not installed: ${missing[*]} (on Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]})" >&2
    exit 0
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# The package would start a server of its own, which the benchmark neither needs nor wants.
policy=/usr/sbin/policy-rc.d
[[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && trap 'rm -f $policy' EXIT; }
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >&2 ||
    echo "could not be installed: ${missing[*]}" >&2
