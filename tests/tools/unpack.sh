#!/usr/bin/env bash
# Unpacks Debian packages into a folder without installing them: no root, no service, nothing else of the system touched.
# Usage: unpack.sh [--suite NAME | --architecture NAME] FOLDER PACKAGE...
# Without a suite the packages are those of this system's own sources, at the version that it would install; without an
# architecture they are for its own.
set -euo pipefail

suite= architecture=
[[ ${1-} == --suite ]] && { suite=$2; shift 2; }
[[ ${1-} == --architecture ]] && { architecture=$2; shift 2; }
folder=$(realpath -m "$1")
shift
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "this needs Debian's apt-get and dpkg-deb" >&2; exit 1; }

rm -rf "$folder/apt"
mkdir -p "$folder"/apt/{lists/partial,cache/archives/partial,parts}
own=(
    -o Dir::State::Lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache"
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none
)
[[ $architecture ]] && own+=(-o APT::Architecture="$architecture" -o APT::Architectures="$architecture")
if [[ $suite ]]; then
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # The mirror that this machine uses already.
    mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian')
    echo "deb [signed-by=$keys] ${mirrors%%$'\n'*} $suite main" >"$folder/apt/suite.list"
    own+=(-o Dir::Etc::sourcelist="$folder/apt/suite.list" -o Dir::Etc::sourceparts="$folder/apt/parts")
fi

cd "$folder/apt"
# The system's own lists may be absent (a fresh container) or too old.
if [[ $suite$architecture ]] || ! apt-get -o APT::Sandbox::User="$(id -un)" download -qq "$@" 2>/dev/null; then
    apt-get "${own[@]}" update -qq
    apt-get "${own[@]}" download -qq "$@"
fi
for package in *.deb; do
    dpkg-deb --extract "$package" "$folder"
done
rm -rf "$folder/apt"
