#!/usr/bin/env bash
# Tries the packages of target/dist as their users will: in a fresh Debian that is booted in a container, with a systemd
# of its own, they are installed, used, upgraded, removed and purged. Says what it saw, line by line, with figures.
# It needs root, and installs what is missing for it where apt-get may.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

DIST=target/dist
WORK=target/package-test
SUITE=bookworm
here=packaging/test

[[ $(id -u) == 0 ]] || { echo "package-test needs root: it makes and boots a small Debian" >&2; exit 1; }
missing=()
for program in debootstrap:debootstrap systemd-nspawn:systemd-container lintian:lintian rpm:rpm zsh:zsh fish:fish \
    qemu-aarch64-static:qemu-user-static python3:python3; do
    command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
done
if ((${#missing[@]})); then
    echo "installing: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
fi
mkdir -p $WORK

# shellcheck source=packaging/test/static.sh
. $here/static.sh
# shellcheck source=packaging/test/boot.sh
. $here/boot.sh

check_archives
check_debian_packages
check_rpm_packages
check_units
check_completions
check_container_file
check_other_processor

boot deb
enter /test/deb.sh
halt
boot rpm
enter /test/rpm.sh
halt
echo "the packages are fine"
