//! The latest lists of one backend, for the moments in which it does not answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::listing::Listing;

/// How long a list is taken for one that does not come.
const LIFE: Duration = Duration::from_secs(60);

/// The longest list that is kept, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// A backend's answer with a list.
#[derive(Debug)]
pub struct Listed {
    /// The answer's body, as it came.
    pub body: Vec<u8>,
    /// Its media type.
    pub content_type: Box<[u8]>,
}

/// By the kind of list: what came last, when, and how old it was in the latest merged answer.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<[Kept; Listing::ALL.len()]>);

#[derive(Clone, Debug, Default)]
struct Kept {
    latest: Option<(Arc<Listed>, Instant)>,
    age: Option<Duration>,
}

impl Lists {
    /// Keeps a list that has come.
    pub(super) fn remember(&self, listing: Listing, listed: Listed, now: Instant) -> Arc<Listed> {
        let listed = Arc::new(listed);
        let latest = (listed.body.len() <= MAX_KEPT).then(|| (listed.clone(), now));
        self.with(listing, |kept| *kept = Kept { latest, age: Some(Duration::ZERO) });
        listed
    }

    /// The list that came before, where it is not too old.
    pub(super) fn remembered(&self, listing: Listing, now: Instant) -> Option<Arc<Listed>> {
        self.with(listing, |kept| {
            let age = |at: Instant| now.saturating_duration_since(at);
            let young = kept.latest.take_if(|(_, at)| age(*at) <= LIFE);
            kept.age = young.as_ref().map(|(_, at)| age(*at));
            kept.latest = young;
            kept.latest.as_ref().map(|(listed, _)| listed.clone())
        })
    }

    /// How old its list was in the latest merged answer; `None` where it was not in it.
    pub(super) fn age(&self, listing: Listing) -> Option<Duration> {
        self.with(listing, |kept| kept.age)
    }

    fn with<T>(&self, listing: Listing, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[listing as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_come_is_the_previous_one_for_a_minute() {
        let (lists, start) = (Lists::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let listed = |bytes| Listed { body: vec![b'x'; bytes], content_type: Box::default() };
        let known = |at| lists.remembered(Listing::Tags, after(at)).map(|listed| listed.body.len());
        assert_eq!((known(0), lists.age(Listing::Tags)), (None, None));
        lists.remember(Listing::Tags, listed(3), start);
        assert_eq!((lists.age(Listing::Tags), lists.age(Listing::Resident)), (Some(Duration::ZERO), None));
        assert_eq!((known(60), lists.age(Listing::Tags)), (Some(3), Some(Duration::from_secs(60))));
        assert_eq!((known(61), lists.age(Listing::Tags)), (None, None));
        lists.remember(Listing::Tags, listed(MAX_KEPT + 1), start);
        assert_eq!(known(0), None, "what is too long is not kept");
    }
}
