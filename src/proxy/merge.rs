//! Answers a listing with what all backends list, where there are several.
//!
//! Each is asked what the client asked, at the same time. What answers in time with a list is merged; of one that does not
//! its previous list is taken, unless that is old. Where there are fewer than two, the home is asked as for any other request, so that a client gets a backend's own answer.

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

/// Asks every backend that works. `None` where there is nothing to merge.
pub(super) async fn merge(worker: Rc<Worker>, head: &KeptHead, listing: Listing) -> Option<Merged> {
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
    let mut lists = Vec::new();
    while let Some(answer) = asked.join_next().await {
        let Ok((at, answered)) = answer else { continue };
        let listed = match answered {
            Some(listed) => members[at].remember(listing, listed, std::time::Instant::now()),
            None => members[at].remembered(listing, std::time::Instant::now()),
        };
        lists.extend(listed.map(|listed| (at, listed)));
    }
    lists.sort_by_key(|(at, _)| *at);
    lists.retain(|(_, listed)| listing.merge(&[&listed.body]).is_some());
    let bodies: Vec<_> = lists.iter().map(|(_, listed)| &*listed.body).collect();
    let body = listing.merge(&bodies).filter(|_| bodies.len() > 1)?.into();
    Some(Merged { body, content_type: lists[0].1.content_type.clone() })
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
