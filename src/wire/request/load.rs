//! The options with which a request wants its model loaded.

/// Options that make Ollama load a model again when they differ (`api/types.go`, `Runner`).
#[derive(Clone, Copy, Debug)]
pub(super) enum LoadOption {
    Context,
    Batch,
    GpuLayers,
    MainGpu,
    Threads,
    MemoryMap,
}

/// The options with which a request wants its model loaded. If two requests differ in them, Ollama loads the model
/// again, unless one leaves out what the other asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Tokens of context (`num_ctx`); `None` is the model's or the server's default.
    pub context: Option<u64>,
    /// A hash of the others; 0 where there are none.
    pub(super) others: u64,
}

impl LoadOptions {
    /// Only a context of this length, in tokens.
    #[must_use]
    pub const fn with_context(tokens: u64) -> Self {
        Self { context: Some(tokens), others: 0 }
    }

    /// Whether all options but the context are the same.
    #[must_use]
    pub const fn differ_in_context_alone(self, other: Self) -> bool {
        self.others == other.others
    }
}
