//! What a command says.

/// What a command says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandReport {
    /// For standard output.
    pub output: Vec<u8>,
    /// For standard error.
    pub complaints: String,
    /// The exit code: 0 all is well, 1 a fault was found, 2 the configuration is wrong.
    pub code: u8,
}

/// Why a command could not be carried out.
pub(super) type Failure = Box<dyn std::error::Error>;

impl CommandReport {
    /// Prints this.
    pub(super) fn of(output: impl Into<Vec<u8>>) -> Self {
        Self { output: output.into(), ..Self::default() }
    }

    /// Prints why nothing was done.
    pub(super) fn failed(error: &Failure, code: u8) -> Self {
        Self { complaints: format!("inferometer: {error}\n"), code, ..Self::default() }
    }
}
