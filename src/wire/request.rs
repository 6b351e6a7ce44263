//! Finds the model that a request's body names, while the body passes.

/// A scanner over a request body for its top-level `model` (or `name`) field: the last duplicate wins, the key is
/// compared without case (Go's `encoding/json` does both), the body may be of any length, memory is constant.
#[derive(Debug, Default)]
pub struct ModelScanner {}

impl ModelScanner {
    /// Longest model name that is kept, in bytes. A longer one is unknown.
    pub const MAX_NAME: usize = 512;

    /// Reads the next piece of the body.
    pub fn read(&mut self, _piece: &[u8]) {}

    /// The model named so far; final once the body has ended.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        None
    }
}
