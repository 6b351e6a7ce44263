#!/bin/sh
# Points the usual clients at inferometer. Read it into a shell: . examples/clients/environment.sh
#
# Only the address changes; keys, models and everything else stay as they are.
INFEROMETER=${INFEROMETER:-http://127.0.0.1:11435}

# ollama (the command) and its Python and JavaScript libraries
export OLLAMA_HOST="$INFEROMETER"
# openai, and what is built on it (LiteLLM, LangChain, aider)
export OPENAI_BASE_URL="$INFEROMETER/v1"
export OPENAI_API_BASE="$INFEROMETER/v1"
export OPENAI_API_KEY="${OPENAI_API_KEY:-none}"
# anthropic, and what is built on it; it adds /v1 by itself
export ANTHROPIC_BASE_URL="$INFEROMETER"
