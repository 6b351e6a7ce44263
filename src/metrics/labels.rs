//! Label values that are not names of something.

use std::sync::Arc;

use crate::backend::catalogue::{Answered, Catalogue};
use crate::exchange::record::{Method, Start};

/// Whatever has no label of its own.
pub(super) const OTHER: &str = "other";
/// A model that no backend has confirmed, or that is not known yet.
pub(super) const UNKNOWN: &str = "unknown";
/// A request that names no model by its nature.
pub(super) const NONE: &str = "";

/// The label of the model that a request names, where it has one of its own.
pub(super) fn requested(catalogue: &Catalogue, start: &Start, name: &str) -> Option<Arc<str>> {
    catalogue.label(&start.backend, start.route.dialect, name)
}

/// The label of the model that a success answer names. None while it is not known what the backend means by the name, or
/// where the backend lists no such model.
pub(super) fn answered(catalogue: &Catalogue, start: &Start, name: &str) -> Option<Arc<str>> {
    match catalogue.answered(&start.backend, start.route.dialect, name) {
        Answered::Label(label) => Some(label),
        Answered::Other => Some(OTHER.into()),
        Answered::Unlisted => None,
    }
}

/// The method of a duration: the two that matter, to keep the histograms few.
pub(super) const fn duration_method(method: Method) -> &'static str {
    match method {
        Method::Get | Method::Post => method.as_str(),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_tell_apart_get_post_and_the_rest() {
        assert_eq!(
            [Method::Get, Method::Post, Method::Head, Method::Other].map(duration_method),
            ["GET", "POST", OTHER, OTHER]
        );
    }
}
