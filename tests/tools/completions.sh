#!/usr/bin/env bash
# Sees that bash, zsh and fish load the completions that the program prints, and that they complete.
# Usage: completions.sh PROGRAM
#
# A shell that is missing is installed where that may be done (root, apt-get); elsewhere it is named, and the exit code is 1.
set -euo pipefail
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

missing=()
for shell in bash zsh fish; do
    command -v "$shell" >/dev/null || missing+=("$shell")
done
if ((${#missing[@]})) && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
    missing=()
fi
if ((${#missing[@]})); then
    echo "not tried: completions for ${missing[*]}, which this machine has not (apt-get install ${missing[*]})" >&2
    exit 1
fi

expect() { # SHELL WHAT, with the output on standard input
    grep -qF -- "$2" || { echo "$1 does not complete $2" >&2; exit 1; }
}

"$program" completions bash >"$folder/inferometer.bash"
bash --norc -euc '
    source "$1/inferometer.bash"
    complete -p inferometer >/dev/null
    COMP_WORDS=(inferometer "$2") COMP_CWORD=1
    _inferometer inferometer "$2" inferometer
    printf "%s\n" "${COMPREPLY[@]}"
' - "$folder" doc | expect bash doctor

# Only a terminal completes: zsh makes one of its own.
"$program" completions zsh >"$folder/_inferometer"
zsh -f -c '
    zmodload zsh/zpty
    zpty inner zsh -f -i
    zpty -w inner "PS1=; fpath=($1 \$fpath); autoload -Uz compinit && compinit -u -d $1/dump; print ready"
    zpty -r -m inner line "*ready*ready*"
    zpty -n -w inner "inferometer doc"$'"'\\t'"'
    zpty -r -t -m inner line "*inferometer doctor*" || { sleep 2; zpty -r -t inner line; }
    print -r -- $line
    print -r -- loaded
' - "$folder" >"$folder/zsh.out"
expect zsh "inferometer doctor" <"$folder/zsh.out"

"$program" completions fish >"$folder/inferometer.fish"
fish --no-config --command "source $folder/inferometer.fish; complete --do-complete 'inferometer doc'" | expect fish doctor

echo "bash, zsh and fish load the completions, and complete"
