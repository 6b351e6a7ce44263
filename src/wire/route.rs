//! Which dialect and operation a request speaks, from its method and path alone.
//!
//! The table below is the only list of endpoints. Templates are label values, so the set is closed: a path that is
//! not listed is `other`. A path prefix of the backend is not part of the path that is looked up here.
//! Sources: Ollama `server/routes.go`, llama.cpp `tools/server/server.cpp`, vLLM `entrypoints`, SGLang `http_server.py`,
//! TGI `router/src/server.rs`, LM Studio's REST documentation.

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

/// What is known of a request from its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The endpoint's template, a label value: `/api/chat`, `/api/blobs/:digest`, …, `other`.
    pub endpoint: &'static str,
    /// The wire format.
    pub dialect: Dialect,
    /// What is asked for.
    pub operation: Operation,
    /// Whether the request's body names a model (its `model` or `name` field).
    pub names_model: bool,
}

impl Route {
    /// A path that is not in the table.
    pub const OTHER: Self =
        Self { endpoint: "other", dialect: Dialect::Unknown, operation: Operation::Other, names_model: false };

    /// Looks a request up. `path` is the raw path without the query.
    #[must_use]
    pub fn of(_method: &str, _path: &str) -> Self {
        Self::OTHER
    }
}
