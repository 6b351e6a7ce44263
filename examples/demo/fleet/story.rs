//! What happens to the servers, over and over.

use std::io;
use std::time::{Duration, Instant};

use super::node::Node;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    Dies,
    ComesBack,
    Fails,
    Recovers,
}

/// When it happens in a round, from 0 to 1, to which server, and what there is to say.
const EVENTS: [(f64, usize, Event, &str); 4] = [
    (0.25, 1, Event::Dies, "`usual` has died, amid its answers: new requests go elsewhere at once."),
    (0.5, 1, Event::ComesBack, "`usual` has come back: a probe finds it, and its share grows."),
    (0.7, 2, Event::Fails, "`old` answers with errors: after five in a row it is left out, and tried now and then."),
    (0.85, 2, Event::Recovers, "`old` has recovered: one request tries it, then it gets its share again."),
];

/// What has happened.
#[derive(Debug)]
pub(crate) struct Story {
    length: Duration,
    round: Instant,
    next: usize,
    news: &'static str,
}

impl Story {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, round: Instant::now(), next: 0, news: "All servers work." }
    }

    /// The latest.
    pub(crate) fn news(&self) -> &'static str {
        self.news
    }

    /// Lets happen what is due. Returns whether there is news.
    pub(crate) async fn go_on(&mut self, nodes: &mut [Node]) -> io::Result<bool> {
        let Some((when, node, event, news)) = EVENTS.get(self.next) else {
            if self.round.elapsed() >= self.length {
                (self.round, self.next) = (Instant::now(), 0);
            }
            return Ok(false);
        };
        if self.round.elapsed() < self.length.mul_f64(*when) {
            return Ok(false);
        }
        let node = &mut nodes[*node];
        match event {
            Event::Dies => node.die()?,
            Event::ComesBack => node.run().await?,
            Event::Fails => node.fail(true).await?,
            Event::Recovers => node.fail(false).await?,
        }
        self.next += 1;
        self.news = news;
        Ok(true)
    }
}
