#!/bin/sh
# Asks a model through inferometer in three dialects and shows what was counted.
#
#   examples/clients/ask.sh llama3.2:1b
set -eu
MODEL=${1:?a model, as `ollama list` names it}
PROXY=${INFEROMETER:-http://127.0.0.1:11435}
ADMIN=${INFEROMETER_ADMIN:-http://127.0.0.1:8001}
MESSAGES='[{"role":"user","content":"Say hello in one word."}]'

ask() {
    echo "--- $1"
    curl --silent --show-error --fail-with-body --no-buffer --header 'Content-Type: application/json' \
        "$PROXY$1" --data "$2"
    echo
}

ask /api/chat "{\"model\":\"$MODEL\",\"messages\":$MESSAGES}"
# Without include_usage an OpenAI stream carries no token counts.
ask /v1/chat/completions "{\"model\":\"$MODEL\",\"messages\":$MESSAGES,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
ask /v1/messages "{\"model\":\"$MODEL\",\"max_tokens\":32,\"messages\":$MESSAGES}"

echo "--- what was counted"
curl --silent --show-error --fail "$ADMIN/metrics" | grep -E '^ollama_proxy_(requests|prompt_tokens|generated_tokens)_total'
