#!/usr/bin/env bash
# Draws the pictures of grafana/README.md: brings the programs into their states, waits, draws, and ends them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

states=target/boards/states pictures=target/boards/pictures
rm -rf "$states" "$pictures"
python3 tests/tools/boards/states.py "$states" --seconds 900 &
running=$!
trap 'kill $running' EXIT
until [[ -s $states/ready ]]; do
    kill -0 $running
    sleep 1
done
# What happens at the beginning of a state is to be in the middle of its pictures.
sleep 150

draw() { python3 tests/tools/boards/pictures.py "$(cut -d' ' -f1 "$states/ready")" "$pictures" --theme dark --width 1280 "$@"; }
draw --board overview --state traffic --minutes 6 --height 35
draw --board model --state traffic --minutes 6 --height 35
draw --board gpu --state fault --minutes 6
draw --board router --state fleet --minutes 6
mkdir -p grafana/pictures
for board in overview-traffic model-traffic gpu-fault router-fleet; do
    cp "$pictures/$board-dark-1280.png" "grafana/pictures/${board%-*}.png"
done
