//! Which dialect and operation a request speaks, from its method and path alone.
//!
//! The table is the only list of endpoints. Templates are label values, so the set is closed: a path that is
//! not listed is `other`. A path prefix of the backend is not part of the path that is looked up here.
//! Sources: Ollama `server/routes.go`, llama.cpp `tools/server/server.cpp`, vLLM `entrypoints`, SGLang `http_server.py`,
//! TGI `router/src/server.rs`, LM Studio's REST documentation.

mod table;

/// Which server family's wire format an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Ollama's own API.
    Ollama,
    /// `OpenAI`'s API, whoever serves it.
    OpenAi,
    /// Anthropic's messages API, whoever serves it.
    Anthropic,
    /// llama.cpp's own completion API.
    LlamaCpp,
    /// SGLang's own generate API.
    SgLang,
    /// TGI's own generate API.
    Tgi,
    /// LM Studio's own API.
    LmStudio,
    /// Nothing that is understood.
    Unknown,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 8] = [
        Self::Ollama,
        Self::OpenAi,
        Self::Anthropic,
        Self::LlamaCpp,
        Self::SgLang,
        Self::Tgi,
        Self::LmStudio,
        Self::Unknown,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::LlamaCpp => "llamacpp",
            Self::SgLang => "sglang",
            Self::Tgi => "tgi",
            Self::LmStudio => "lmstudio",
            Self::Unknown => "unknown",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Continue a text.
    TextCompletion,
    /// Answer a conversation.
    Chat,
    /// Turn text into vectors.
    Embeddings,
    /// Fetch a model.
    Pull,
    /// Publish a model.
    Push,
    /// Build a model.
    Create,
    /// Anything else.
    Other,
}

impl Operation {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TextCompletion => "text_completion",
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Create => "create",
            Self::Other => "other",
        }
    }

    /// Whether it makes a model generate tokens.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(self, Self::TextCompletion | Self::Chat)
    }
}

/// The shape in which a client of this route expects an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"error": "…"}`
    Native,
    /// `{"error": {"message": "…", "type": "…", …}}`
    OpenAi,
    /// `{"type": "error", "error": {"type": "…", "message": "…"}}`
    Anthropic,
}

impl ErrorShape {
    /// The shape for a path: Anthropic's on `/v1/messages`, `OpenAI`'s on other `/v1/`, else the native one.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path == "/v1/messages" || path.starts_with("/v1/messages/") {
            Self::Anthropic
        } else if path.starts_with("/v1/") {
            Self::OpenAi
        } else {
            Self::Native
        }
    }
}

/// Which parser reads the bodies of an endpoint. Finer than the dialect: one dialect has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Ollama's generations and embeddings.
    Ollama,
    /// Ollama's transfers.
    OllamaProgress,
    /// `OpenAI`'s chat completions, completions and embeddings.
    OpenAi,
    /// `OpenAI`'s responses.
    Responses,
    /// `OpenAI`'s transcriptions and translations of speech.
    Transcription,
    /// Anthropic's messages.
    Anthropic,
    /// llama.cpp's own completions and embeddings.
    LlamaCpp,
    /// SGLang's own generate API.
    SgLang,
    /// TGI's own generate API.
    Tgi,
    /// LM Studio's own chat.
    LmStudio,
    /// Nothing in it is of interest.
    None,
}

/// What is known of a request from its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The endpoint's template, a label value: `/api/chat`, `/api/blobs/:digest`, …, `other`.
    pub endpoint: &'static str,
    /// The wire format.
    pub dialect: Dialect,
    /// What is asked for.
    pub operation: Operation,
    /// Whether the request's body may name a model (its `model` or `name` field).
    pub names_model: bool,
    /// Which parser reads the response.
    pub format: Format,
}

impl Route {
    /// A path that is not in the table.
    pub const OTHER: Self = Self::plain("other", Dialect::Unknown);

    /// An endpoint with nothing to read.
    const fn plain(endpoint: &'static str, dialect: Dialect) -> Self {
        Self { endpoint, dialect, operation: Operation::Other, names_model: false, format: Format::None }
    }

    /// Looks a request up. `path` is the raw path without the query. A method that the endpoint does not have leaves
    /// the template and the dialect, and asks for nothing.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        match table::spoken(path) {
            Some((wanted, route)) if wanted == method => route,
            Some((_, route)) => Self::plain(route.endpoint, route.dialect),
            None => table::plain(method, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_request_is_known_by_method_and_path() {
        let chat = Route::of("POST", "/api/chat");
        assert_eq!((chat.endpoint, chat.dialect), ("/api/chat", Dialect::Ollama));
        assert_eq!((chat.operation, chat.format, chat.names_model), (Operation::Chat, Format::Ollama, true));
        let delete = Route::of("DELETE", "/api/delete");
        assert_eq!((delete.operation, delete.names_model), (Operation::Other, true));
    }

    #[test]
    fn a_method_that_the_endpoint_lacks_asks_for_nothing() {
        for method in ["GET", "OPTIONS", "post", "HEAD", "BREW"] {
            let route = Route::of(method, "/api/chat");
            assert_eq!((route.endpoint, route.dialect), ("/api/chat", Dialect::Ollama), "{method}");
            assert_eq!((route.operation, route.format, route.names_model), (Operation::Other, Format::None, false));
        }
    }

    #[test]
    fn responses_are_chats_with_a_parser_of_their_own() {
        let route = Route::of("POST", "/v1/responses");
        assert_eq!((route.dialect, route.operation), (Dialect::OpenAi, Operation::Chat));
        assert_eq!(route.format, Format::Responses);
        assert_eq!(Route::of("GET", "/v1/responses/resp_1").operation, Operation::Other, "a replay is not counted");
    }

    #[test]
    fn what_no_model_generates_is_named_and_misses_no_tokens() {
        for path in [
            "/reranking",
            "/v1/reranking",
            "/chat/completions/input_tokens",
            "/v1/chat/completions/input_tokens",
            "/responses/input_tokens",
            "/v1/responses/input_tokens",
            "/v1/messages/count_tokens",
            "/v1/images/generations",
            "/v1/images/edits",
            "/v1/images/variations",
            "/v1/audio/speech",
            "/v1/audio/transcriptions",
            "/v1/audio/translations",
            "/audio/speech",
            "/audio/transcriptions",
            "/audio/translations",
        ] {
            let route = Route::of("POST", path);
            assert_eq!((route.endpoint, route.names_model), (path, true));
            assert!(!route.operation.generates(), "{path}");
        }
    }

    #[test]
    fn names_in_a_path_become_a_template() {
        let cases = [
            ("POST", "/api/blobs/sha256:0123", "/api/blobs/:digest"),
            ("HEAD", "/api/blobs/sha256:0123", "/api/blobs/:digest"),
            ("GET", "/v1/models/hf.co%2Forg%2Fm:Q4", "/v1/models/:model"),
            ("GET", "/v1/models/org/m", "/v1/models/:model"),
            ("POST", "/slots/3", "/slots/:id"),
            ("GET", "/v1/stream/c1", "/v1/stream/:conversation"),
            ("GET", "/v1/responses/resp_1", "/v1/responses/:id"),
            ("POST", "/v1/responses/resp_1/cancel", "/v1/responses/:id"),
            ("DELETE", "/api/user/keys/abc", "/api/user/keys/:key"),
            ("GET", "/api/v0/models/m", "/api/v0/models/:model"),
        ];
        for (method, path, endpoint) in cases {
            assert_eq!(Route::of(method, path).endpoint, endpoint, "{method} {path}");
        }
    }

    #[test]
    fn an_unknown_path_is_other() {
        let paths =
            ["", "/nope", "//api/chat", "/api/chat/", "/api/blobs/", "/v1/models/", "*", "/API/chat", "/api/chat "];
        for path in paths {
            assert_eq!(Route::of("POST", path), Route::OTHER, "{path}");
        }
    }

    #[test]
    fn one_path_may_mean_two_servers() {
        assert_eq!(Route::of("GET", "/").dialect, Dialect::Ollama);
        assert_eq!(Route::of("POST", "/").dialect, Dialect::Tgi);
    }
}
