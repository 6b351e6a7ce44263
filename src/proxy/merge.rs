//! Answers a listing with what all backends list, where there are several.
//!
//! Each is asked what the client asked, at the same time. What answers in time with a list is merged; of one that does not
//! its previous list is taken, unless that is old. Models that a backend may not be asked for are left out of its list.
//! Where only one has answered, and with nothing to leave out, it is asked as for any other request, so that a client gets
//! a backend's own answer.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::answer::Merged;
use super::ask::Asked;
use super::request::KeptHead;
use super::worker::Worker;
use crate::fleet::policy::Standing;
use crate::fleet::{Listed, Member};
use crate::wire::listing::Listing;

/// How long the backends may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most bytes of one answer.
const MAX_ANSWER: usize = 16 << 20;

/// What came of asking all.
pub(super) enum Gathered {
    /// An answer of what they list.
    Merged(Merged),
    /// This one alone has answered with a list, of which nothing is to be left out.
    Alone(Arc<Member>),
    /// None has a list.
    Nothing,
}

/// A list of one backend.
struct Part {
    /// The backend's place among those that were asked.
    at: usize,
    /// It did not answer now: this is what it said before.
    is_late: bool,
    listed: Arc<Listed>,
}

/// Asks every backend that works.
pub(super) async fn merge(worker: Rc<Worker>, head: &KeptHead, listing: Listing) -> Gathered {
    let now = std::time::Instant::now();
    let members: Vec<Arc<Member>> = worker.thread.with_fleet(|fleet| {
        let serves = |member: &&Arc<Member>| !member.share.drains && member.standing(now) == Standing::Up;
        fleet.members().iter().filter(serves).cloned().collect()
    });
    let mut asked = JoinSet::new();
    for (at, member) in members.iter().cloned().enumerate() {
        let mut request = Vec::new();
        let (prefix, host) = (&member.backend.address.prefix, &member.settings.host_header);
        head.write(prefix, host, member.authority.as_bytes(), &mut request);
        asked.spawn_local(
            async move { (at, tokio::time::timeout(PATIENCE, ask(&member, &request)).await.ok().flatten()) },
        );
    }
    let mut parts = Vec::new();
    while let Some(answer) = asked.join_next().await {
        let Ok((at, answered)) = answer else { continue };
        let is_late = answered.is_none();
        let listed = match answered {
            Some(listed) => members[at].remember(listing, listed, std::time::Instant::now()),
            None => members[at].remembered(listing, std::time::Instant::now()),
        };
        parts.extend(listed.map(|listed| Part { at, is_late, listed }));
    }
    parts.sort_by_key(|part| part.at);
    put_together(&members, listing, &parts)
}

fn put_together(members: &[Arc<Member>], listing: Listing, parts: &[Part]) -> Gathered {
    let lists = parts.iter().filter_map(|part| {
        let share = &members[part.at].share;
        Some((part, listing.admitted(&part.listed.body, |model| share.admits(model))?))
    });
    let lists: Vec<_> = lists.collect();
    if let [(part, Cow::Borrowed(_))] = &lists[..]
        && !part.is_late
    {
        return Gathered::Alone(members[part.at].clone());
    }
    let bodies: Vec<_> = lists.iter().map(|(_, body)| &**body).collect();
    match (listing.merge(&bodies), lists.first()) {
        (Some(body), Some((first, _))) => {
            Gathered::Merged(Merged { body: body.into(), content_type: first.listed.content_type.clone() })
        }
        _ => Gathered::Nothing,
    }
}

/// `None` for anything but a whole answer of 200.
async fn ask(member: &Member, request: &[u8]) -> Option<Listed> {
    let mut asked = Asked::begin(member, request).await.ok()?;
    if asked.status != 200 || asked.is_coded {
        return None;
    }
    let content_type = asked.content_type.take().unwrap_or_else(|| b"application/json".as_slice().into());
    Some(Listed { body: asked.whole(MAX_ANSWER).await.ok()??, content_type })
}
