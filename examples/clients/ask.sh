#!/bin/sh
# Asks a model through inferometer in three dialects and shows what was counted. Needs curl.
#
#   examples/clients/ask.sh llama3.2:1b
#
# A dialect that the server does not speak is named and passed over.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 MODEL (as 'ollama list' names it)" >&2
    exit 2
fi
MODEL=$1
PROXY=${INFEROMETER:-http://127.0.0.1:11435}
ADMIN=${INFEROMETER_ADMIN:-http://127.0.0.1:8001}
MESSAGES='[{"role":"user","content":"Say hello in one word."}]'
answered=0

# Streams an answer and shows its text, which each dialect sends in a field "content" or "text", piece by piece.
ask() {
    printf -- '--- %s\n' "$1"
    if ! answer=$(curl --silent --show-error --no-buffer --header 'Content-Type: application/json' \
        --write-out '\n%{http_code}' "$PROXY$1" --data "$2"); then
        echo "no answer: does inferometer run on $PROXY?"
        return 0
    fi
    status=$(printf '%s\n' "$answer" | tail -n 1)
    if [ "$status" = 200 ]; then
        answered=$((answered + 1))
        printf '%s\n' "$answer" | sed -n -e 's/.*"content":"\(\([^"\\]*\(\\.\)*\)*\)".*/\1/p' -e 's/.*"text":"\(\([^"\\]*\(\\.\)*\)*\)".*/\1/p' |
            tr -d '\n' | cut -c 1-200
    else
        printf '%s: ' "$status"
        printf '%s\n' "$answer" | head -n 1 | cut -c 1-200
    fi
}

ask /api/chat "{\"model\":\"$MODEL\",\"messages\":$MESSAGES}"
# Without include_usage an OpenAI stream carries no token counts.
ask /v1/chat/completions "{\"model\":\"$MODEL\",\"messages\":$MESSAGES,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
ask /v1/messages "{\"model\":\"$MODEL\",\"max_tokens\":32,\"messages\":$MESSAGES,\"stream\":true}"
if [ "$answered" -eq 0 ]; then
    exit 1
fi

echo "--- what was counted of $MODEL"
curl --silent --show-error --fail "$ADMIN/metrics" |
    grep -E '^ollama_proxy_(requests|prompt_tokens|generated_tokens)_total[{]' |
    grep -F "model=\"$MODEL" | grep -v ' 0$' || echo "nothing: it has another name there, see $ADMIN/metrics"
