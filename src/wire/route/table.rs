//! The table of endpoints.

use super::endpoint::Dialect::{Anthropic, LlamaCpp, LmStudio, Ollama, OpenAi, SgLang, Tgi};
use super::endpoint::Operation::{Chat, Create, Embeddings, Other, Pull, Push, TextCompletion};
use super::endpoint::{BodyFormat, Route};

/// Each path is written once: as the pattern and as the label.
macro_rules! endpoints {
    ($path:expr; $($endpoint:literal: $method:literal $dialect:ident $operation:ident $format:ident,)+) => {
        match $path {
            $($endpoint => Some(($method, Route {
                endpoint: $endpoint,
                dialect: $dialect,
                operation: $operation,
                names_model: true,
                format: BodyFormat::$format,
            })),)+
            _ => None,
        }
    };
}

/// Endpoints whose request names a model, each with the one method that does.
pub(super) fn naming_a_model(path: &str) -> Option<(&'static str, Route)> {
    endpoints! { path;
        "/api/chat": "POST" Ollama Chat Ollama,
        "/api/generate": "POST" Ollama TextCompletion Ollama,
        "/v1/chat/completions": "POST" OpenAi Chat OpenAi,
        "/v1/completions": "POST" OpenAi TextCompletion OpenAi,
        "/v1/responses": "POST" OpenAi Chat Responses,
        "/v1/messages": "POST" Anthropic Chat Anthropic,
        "/api/embed": "POST" Ollama Embeddings Ollama,
        "/v1/embeddings": "POST" OpenAi Embeddings OpenAi,
        "/api/embeddings": "POST" Ollama Embeddings Ollama,
        "/api/pull": "POST" Ollama Pull OllamaProgress,
        "/api/push": "POST" Ollama Push OllamaProgress,
        "/api/create": "POST" Ollama Create OllamaProgress,
        "/api/show": "POST" Ollama Other None,
        "/api/delete": "DELETE" Ollama Other None,
        "/api/copy": "POST" Ollama Other None,
        "/v1/messages/count_tokens": "POST" Anthropic Other None,
        "/v1/responses/compact": "POST" OpenAi Other None,
        "/v1/chat/completions/input_tokens": "POST" OpenAi Other None,
        "/v1/responses/input_tokens": "POST" OpenAi Other None,
        "/v1/moderations": "POST" OpenAi Other None,
        "/v1/audio/speech": "POST" OpenAi Other None,
        "/v1/audio/transcriptions": "POST" OpenAi Other Transcription,
        "/v1/audio/translations": "POST" OpenAi Other Transcription,
        "/v1/images/generations": "POST" OpenAi Other None,
        "/v1/images/edits": "POST" OpenAi Other None,
        "/v1/images/variations": "POST" OpenAi Other None,
        "/v1/rerank": "POST" OpenAi Other None,
        "/v1/reranking": "POST" OpenAi Other None,
        "/v1/classify": "POST" OpenAi Other None,
        "/v1/score": "POST" OpenAi Other None,
        "/v2/rerank": "POST" OpenAi Other None,
        "/rerank": "POST" OpenAi Other None,
        "/reranking": "POST" OpenAi Other None,
        "/score": "POST" OpenAi Other None,
        "/pooling": "POST" OpenAi Other None,
        "/classify": "POST" OpenAi Other None,
        // llama.cpp serves these without a prefix as well; `/completion` and `/completions` are its own.
        "/chat/completions": "POST" OpenAi Chat OpenAi,
        "/responses": "POST" OpenAi Chat Responses,
        "/chat/completions/input_tokens": "POST" OpenAi Other None,
        "/responses/input_tokens": "POST" OpenAi Other None,
        "/completion": "POST" LlamaCpp TextCompletion LlamaCpp,
        "/completions": "POST" LlamaCpp TextCompletion LlamaCpp,
        "/infill": "POST" LlamaCpp TextCompletion LlamaCpp,
        "/embedding": "POST" LlamaCpp Embeddings LlamaCpp,
        "/embeddings": "POST" LlamaCpp Embeddings LlamaCpp,
        "/audio/transcriptions": "POST" OpenAi Other Transcription,
        "/audio/translations": "POST" OpenAi Other Transcription,
        "/audio/speech": "POST" OpenAi Other None,
        // Of vLLM too, which may serve several models; TGI's name none.
        "/tokenize": "POST" LlamaCpp Other None,
        "/detokenize": "POST" LlamaCpp Other None,
        "/apply-template": "POST" LlamaCpp Other None,
        "/models/load": "POST" LlamaCpp Other None,
        "/models/unload": "POST" LlamaCpp Other None,
        // TGI has this path too; it was archived, and its clients stream from the next.
        "/generate": "POST" SgLang TextCompletion SgLang,
        "/generate_stream": "POST" Tgi TextCompletion Tgi,
        "/api/v0/chat/completions": "POST" LmStudio Chat OpenAi,
        "/api/v0/completions": "POST" LmStudio TextCompletion OpenAi,
        "/api/v0/embeddings": "POST" LmStudio Embeddings OpenAi,
        "/api/v1/chat": "POST" LmStudio Chat LmStudio,
        "/api/v1/models/load": "POST" LmStudio Other None,
        "/api/v1/models/download": "POST" LmStudio Other None,
    }
}

macro_rules! plain_endpoints {
    ($path:expr; $($dialect:ident: $($endpoint:literal)+;)+) => {
        match $path {
            $($($endpoint => Route::plain($endpoint, $dialect),)+)+
            _ => return None,
        }
    };
}

/// Endpoints whose requests name no model, and [`Route::OTHER`].
pub(super) fn plain(method: &str, path: &str) -> Route {
    if method == "POST" && path == "/" {
        return Route {
            endpoint: "/",
            dialect: Tgi,
            operation: TextCompletion,
            names_model: false,
            format: BodyFormat::Tgi,
        };
    }
    fixed(path).or_else(|| templated(path)).unwrap_or(Route::OTHER)
}

fn fixed(path: &str) -> Option<Route> {
    Some(plain_endpoints! { path;
        Ollama: "/" "/api/tags" "/api/ps" "/api/version" "/api/status" "/api/me" "/api/signout"
            "/api/experimental/web_search" "/api/experimental/web_fetch" "/api/experimental/model-recommendations";
        OpenAi: "/v1/models" "/v1/files" "/v1/batches" "/v1/conversations" "/v1/realtime" "/abort_requests" "/v1/load_lora_adapter" "/v1/unload_lora_adapter";
        LlamaCpp: "/health" "/v1/health" "/metrics" "/props" "/models" "/models/sse" "/slots" "/lora-adapters"
            "/v1/stream" "/v1/streams" "/v1/chat/completions/control"
            "/tools" "/cors-proxy";
        SgLang: "/get_model_info" "/model_info" "/get_server_info" "/server_info" "/flush_cache" "/abort_request"
            "/health_generate" "/get_load";
        Tgi: "/info" "/chat_tokenize";
        LmStudio: "/api/v0/models" "/api/v1/models" "/api/v1/models/unload" "/api/v1/models/download/status";
    })
}

/// Paths that contain a name. The name may contain slashes.
fn templated(path: &str) -> Option<Route> {
    let templates = [
        ("/api/blobs/", "/api/blobs/:digest", Ollama),
        ("/v1/models/", "/v1/models/:model", OpenAi),
        ("/v1/responses/", "/v1/responses/:id", OpenAi),
        ("/v1/chat/completions/", "/v1/chat/completions/:id", OpenAi),
        ("/v1/files/", "/v1/files/:id", OpenAi),
        ("/v1/batches/", "/v1/batches/:id", OpenAi),
        ("/v1/conversations/", "/v1/conversations/:id", OpenAi),
        ("/slots/", "/slots/:id", LlamaCpp),
        ("/v1/stream/", "/v1/stream/:conversation", LlamaCpp),
        ("/api/user/keys/", "/api/user/keys/:key", Ollama),
        ("/api/v0/models/", "/api/v0/models/:model", LmStudio),
        ("/api/v1/models/download/status/", "/api/v1/models/download/status/:job", LmStudio),
    ];
    let named = |prefix: &str| path.strip_prefix(prefix).is_some_and(|name| !name.is_empty());
    let (_, endpoint, dialect) = templates.into_iter().find(|(prefix, ..)| named(prefix))?;
    Some(Route::plain(endpoint, dialect))
}
