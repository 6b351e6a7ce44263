//! Questions to the history, answered on its readers.

use std::time::Duration;

use super::error::{ApiError, Code};
use super::state::Parts;
use super::unknown::{Maybe, Reason};
use crate::history::{Reading, StoreError};

/// When an asker may try again where too many ask.
const AGAIN: Duration = Duration::from_secs(1);

impl Parts {
    /// The answer to a question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let Some(readers) = &self.readers else {
            return Err(unavailable(
                "the history is off: start with --history sqlite, and with --data-dir where none is known",
            ));
        };
        match readers.ask(question).await {
            Ok(answer) => answer.map_err(|error| refused(&error)),
            Err(_) => {
                let error = unavailable("too many questions wait for the history: ask again");
                Err(ApiError { retry_after: Some(AGAIN), ..error })
            }
        }
    }
}

impl Parts {
    /// The answer to a question without which there is nothing to show. Unknown where nothing is kept.
    pub(super) async fn required<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Maybe<T>, ApiError> {
        if self.readers.is_none() {
            return Ok(Maybe::Unknown(Reason::NotConfigured));
        }
        self.ask(question).await.map(Maybe::Known)
    }

    /// The answer to one of several questions; one that fails makes its own fields unknown, not the whole answer.
    pub(super) async fn asked<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Maybe<T> {
        self.required(question).await.unwrap_or(Maybe::Unknown(Reason::CollectorFailed))
    }
}

/// What it says of files stays in the log: an answer names none.
fn refused(error: &StoreError) -> ApiError {
    match error {
        StoreError::Interrupted => unavailable("it took too long: ask for a shorter range, or with fewer filters"),
        StoreError::Paused(..) | StoreError::Damaged(..) => {
            tracing::warn!(%error, "a question to the history was not answered");
            unavailable("the history cannot be read now; the log says why")
        }
    }
}

fn unavailable(message: &'static str) -> ApiError {
    ApiError::new(Code::Unavailable, message)
}
