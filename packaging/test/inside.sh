# What both tests in the container use.
set -euo pipefail

say() { printf '%-12s %s\n' "$1:" "$2"; }
fail() { echo "package-test: $*" >&2; exit 1; }

# Until a command succeeds, for ten seconds.
until_ok() {
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    journalctl --no-pager -n 20 >&2 || true
    fail "it did not come to: $*"
}

tokens() { curl -sf http://127.0.0.1:8001/metrics | sed -n 's/^ollama_proxy_generated_tokens_total{.*} //p'; }
has_tokens() { [[ $(tokens) == "$1" ]]; }
ask() { curl -sf http://127.0.0.1:11435/api/chat -d '{"model":"m","messages":[]}' | grep -q '"eval_count": 3'; }
process() { systemctl show --property MainPID --value inferometer; }

# The service runs as nobody in particular, locked up, and does its work.
works() {
    until_ok inferometer health
    ask || fail "the proxy does not answer"
    until_ok has_tokens "$1"
    local pid
    pid=$(process)
    # Where systemd takes its users from.
    [[ $(stat -c %u "/proc/$pid") -ge 61184 ]] || fail "it runs as user $(stat -c %u "/proc/$pid")"
    grep -q '^CapEff:\s*0000000000000000$' "/proc/$pid/status" || fail "it has capabilities"
    grep -q '^Seccomp:\s*2$' "/proc/$pid/status" || fail "its system calls are not filtered"
}

# Everything that is there, but for what the system itself writes as it runs.
everything() {
    find / -xdev \( -path /test -o -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path '/var/log/*' -o -path '/var/cache/*' \
        -o -path '/var/lib/dpkg/*' -o -path '/var/lib/rpm/*' -o -path '/var/lib/systemd/random-seed' -o -path '/var/lib/apt/*' \) -prune -o -print | sort
}
