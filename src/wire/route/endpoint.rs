//! What an endpoint is: dialect, operation and body format.

/// Which server family's wire format an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Ollama's own API.
    Ollama,
    /// `OpenAI`'s API, on any server.
    OpenAi,
    /// Anthropic's messages API, on any server.
    Anthropic,
    /// llama.cpp's own completion API.
    LlamaCpp,
    /// SGLang's own generate API.
    SgLang,
    /// TGI's own generate API.
    Tgi,
    /// LM Studio's own API.
    LmStudio,
    /// No documented API.
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

/// What a request asks the server to do.
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

    /// Whether it runs a model: generates tokens, or turns text into vectors.
    #[must_use]
    pub const fn infers(self) -> bool {
        self.generates() || matches!(self, Self::Embeddings)
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
    /// By path: Anthropic's on `/v1/messages`, `OpenAI`'s on the rest of `/v1/`, else Ollama's.
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

/// Which parser reads the response bodies of an endpoint. A dialect has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyFormat {
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
    /// The body is not read.
    None,
}

/// Endpoints that name a model to change what a server does with it.
const MANAGEMENT: [&str; 6] =
    ["/api/delete", "/api/copy", "/models/load", "/models/unload", "/api/v1/models/load", "/api/v1/models/download"];

/// Endpoints that name a model to learn of it, or to have a text taken apart or put together: it does not work for them.
const WITHOUT_INFERENCE: [&str; 9] = [
    "/api/show",
    "/v1/messages/count_tokens",
    "/v1/chat/completions/input_tokens",
    "/v1/responses/input_tokens",
    "/responses/input_tokens",
    "/chat/completions/input_tokens",
    "/tokenize",
    "/detokenize",
    "/apply-template",
];

/// Endpoints without generated tokens whose answers have ids.
const GIVING_IDS: [&str; 4] = ["/v1/files", "/v1/batches", "/v1/conversations", "/api/v1/models/download"];

/// Endpoints whose requests may name an earlier answer in their body.
const CONTINUING: [&str; 4] = ["/v1/responses", "/responses", "/api/v1/chat", "/v1/batches"];

/// Endpoints that end requests in progress: SGLang's and vLLM's.
const ABORTING: [&str; 2] = ["/abort_request", "/abort_requests"];

/// What the method and the path of a request say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The endpoint's template, a label value: `/api/chat`, `/api/blobs/:digest`, …, `other`.
    pub endpoint: &'static str,
    /// The wire format.
    pub dialect: Dialect,
    /// What the server is asked to do.
    pub operation: Operation,
    /// Whether the request's body may name a model (its `model` or `name` field).
    pub names_model: bool,
    /// Which parser reads the response.
    pub format: BodyFormat,
}

impl Route {
    /// A path that is not in the table.
    pub const OTHER: Self = Self::plain("other", Dialect::Unknown);

    /// Whether the model that the request names decides which server can answer. Requests that change which models a
    /// server has are for that server, whatever they name.
    #[must_use]
    pub fn is_by_model(&self) -> bool {
        let manages = matches!(self.operation, Operation::Pull | Operation::Push | Operation::Create);
        self.names_model && !manages && !MANAGEMENT.contains(&self.endpoint)
    }

    /// Whether a model works for it, so that its end says whether models work on the server.
    #[must_use]
    pub fn runs_model(&self) -> bool {
        self.operation.infers() || (self.is_by_model() && !WITHOUT_INFERENCE.contains(&self.endpoint))
    }

    /// Whether its answer has an id by which a later request may name it.
    #[must_use]
    pub fn gives_id(&self) -> bool {
        let is_read = matches!(
            self.format,
            BodyFormat::OpenAi | BodyFormat::Responses | BodyFormat::SgLang | BodyFormat::LmStudio
        );
        is_read && self.operation != Operation::Embeddings || GIVING_IDS.contains(&self.endpoint)
    }

    /// Whether its body may name an earlier answer, which decides which server can continue it.
    #[must_use]
    pub fn may_continue(&self) -> bool {
        CONTINUING.contains(&self.endpoint)
    }

    /// Whether it ends requests in progress, which its body names.
    #[must_use]
    pub fn aborts(&self) -> bool {
        ABORTING.contains(&self.endpoint)
    }

    /// An endpoint whose bodies are not read.
    pub(super) const fn plain(endpoint: &'static str, dialect: Dialect) -> Self {
        Self { endpoint, dialect, operation: Operation::Other, names_model: false, format: BodyFormat::None }
    }
}
