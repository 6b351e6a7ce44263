#!/usr/bin/env bash
# Unpacks the Prometheus of Debian sid into a folder, without installing it or touching the system's package lists.
# Usage: newer_prometheus.sh FOLDER   (as root, where apt-get is; its programs are then in FOLDER/usr/bin)
set -euo pipefail

folder=$(realpath -m "$1")
[[ -x $folder/usr/bin/promtool && -x $folder/usr/bin/prometheus ]] && exit
command -v apt-get >/dev/null || { echo "this needs Debian's apt-get" >&2; exit 1; }

mkdir -p "$folder"/apt/{state/lists/partial,cache/archives/partial,parts}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror that this machine uses already.
mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian')
echo "deb [signed-by=$keys] ${mirrors%%$'\n'*} sid main" >"$folder/apt/sid.list"
own=(
    -o Dir::Etc::sourcelist="$folder/apt/sid.list" -o Dir::Etc::sourceparts="$folder/apt/parts"
    -o Dir::State="$folder/apt/state" -o Dir::Cache="$folder/apt/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none
)
cd "$folder/apt"
apt-get "${own[@]}" update -qq
apt-get "${own[@]}" download -qq prometheus promtool
for package in *.deb; do
    dpkg-deb --extract "$package" "$folder"
done
"$folder/usr/bin/prometheus" --version 2>&1 | head -1
