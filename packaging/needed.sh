#!/usr/bin/env bash
# Fails where a program needs a newer C library than this version, or a library beside the C library's own.
# Usage: needed.sh GLIBC PROGRAM...
set -euo pipefail

oldest=$1
shift
for program; do
    newest=$(readelf --wide --version-info "$program" | grep -o 'GLIBC_[0-9.]*' | sort --unique --version-sort | tail -1)
    newest=${newest#GLIBC_}
    libraries=$(readelf --wide --dynamic "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | xargs)
    echo "$program needs glibc $newest, and $libraries"
    if [[ $(printf '%s\n' "$newest" "$oldest" | sort --version-sort | tail -1) != "$oldest" ]]; then
        echo "$program needs glibc $newest: no newer one than $oldest may be asked for" >&2
        exit 1
    fi
    for library in $libraries; do
        [[ $library =~ ^(lib(c|m|dl|pthread|rt)\.so\.[0-9]|ld-linux-.*)$ ]] && continue
        echo "$program needs $library, which no package asks for" >&2
        exit 1
    done
done
