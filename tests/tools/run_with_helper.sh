#!/usr/bin/env bash
# Runs the proxy with the privileged helper: started by sudo, and ended when the proxy ends.
# Usage: run_with_helper.sh FOLDER [OPTIONS OF INFEROMETER]     (FOLDER has both programs)
set -euo pipefail
folder=$(cd "$1" && pwd)
shift

helper=("$folder/inferometer-helper" --listen 127.0.0.1:8002)
if ((EUID)); then
    # The password is asked for before the proxy's first lines. The helper gives its privileges up for those of this user, for
    # nobody else may be able to run what was built below a home.
    sudo --validate
    root=(sudo bash -c)
    helper+=(--user "$(id -u):$(id -g)")
else
    root=(bash -c)
fi

# Where the helper is can only be said in a file. One of yours wins, and then has to say it itself.
if [[ ! ${INFEROMETER_CONFIG-} ]]; then
    export INFEROMETER_CONFIG=$folder/run-with-helper.toml
    echo 'helper_url = "http://127.0.0.1:8002"' >"$INFEROMETER_CONFIG"
fi

# A shell of root holds the helper for as long as the other end of a pipe is open. The proxy has that end: whatever ends the proxy
# ends the helper, without a second question for a password.
hold='"$@" & trap "" INT HUP; while read -r _; do :; done; kill $! 2>/dev/null; wait'
exec 3> >(exec "${root[@]}" "$hold" hold "${helper[@]}")
exec "$folder/inferometer" "$@"
