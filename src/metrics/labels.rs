//! The label values of models and methods.

use std::sync::Arc;

use crate::backend::catalogue::{AnsweredName, Catalogue};
use crate::exchange::names::NamedModel;
use crate::exchange::record::Method;
use crate::exchange::vocabulary::Dialect;

/// Everything beyond a cap, or outside a list.
pub(super) const OTHER: &str = "other";
/// The model is not known yet, or no backend has confirmed its name.
pub(super) const UNKNOWN: &str = "unknown";
/// The route has no model.
pub(super) const NONE: &str = "";

/// The label of the model that a request names; `None` where the name has no label of its own. A name that the backend
/// lists is the label, and is not looked up again.
pub(super) fn requested(catalogue: &Catalogue, backend: &str, dialect: Dialect, name: &NamedModel) -> Option<Arc<str>> {
    name.as_listed().cloned().or_else(|| catalogue.label(backend, dialect, name))
}

/// The label of the model that a successful response names. `None` while it is not known which model the backend means,
/// or where the backend lists no such model.
pub(super) fn answered(catalogue: &Catalogue, backend: &str, dialect: Dialect, name: &NamedModel) -> Option<Arc<str>> {
    if let Some(label) = name.as_listed() {
        return Some(Arc::clone(label));
    }
    match catalogue.admit_answered(backend, dialect, name) {
        AnsweredName::Label(label) => Some(label),
        AnsweredName::Other => Some(OTHER.into()),
        AnsweredName::Unlisted => None,
    }
}

/// The method label of a duration: GET, POST or `other`, to keep the number of histograms low.
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
    fn the_methods_of_durations_are_get_post_and_other() {
        assert_eq!(
            [Method::Get, Method::Post, Method::Head, Method::Other].map(duration_method),
            ["GET", "POST", OTHER, OTHER]
        );
    }
}
