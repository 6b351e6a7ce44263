//! Writes the metrics: one exposition for concurrent scrapers.
//!
//! An exposition is some megabytes at the caps, and a scraper may read it slowly or never. Promises: scrapers that ask
//! within a second share one exposition while any of them holds it, so that a crowd costs one; after that a scrape gets
//! a new one; at most [`MAX_EXPOSITIONS`] exist, and where another is needed, the connections that hold the oldest are
//! closed. They are written two at a time, below the priority of what carries requests ([`crate::priority`]).

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore};

use super::negotiate::ExpositionFormat;
use super::parts::Encode;
use super::slots::AnswerGuard;

/// Expositions written at once.
const MAX_WRITERS: usize = 2;

/// Expositions in memory at once.
pub(super) const MAX_EXPOSITIONS: usize = 8;

/// How old an exposition may be that another scraper gets.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How often a scraper that waits for room asks for it again.
const ROOM_RETRY: Duration = Duration::from_millis(100);

pub(super) struct Scrapes {
    encode: Encode,
    /// The newest exposition by format and compression, while any scraper holds it, and the number of the last one.
    newest: Mutex<([Weak<Exposition>; 4], u64)>,
    /// When an exposition was last handed to a scraper.
    last_served: Mutex<Option<Instant>>,
    writers: Arc<Semaphore>,
    room: Arc<Semaphore>,
    /// Notified when another exposition is needed and [`MAX_EXPOSITIONS`] exist.
    pub(super) needs_room: Notify,
}

/// Bytes that count towards [`MAX_EXPOSITIONS`] until the last of them is sent or dropped.
struct CountedBytes {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The metrics in one format, written when they are first waited for.
pub(super) struct Exposition {
    /// Ascending: the lowest number is the oldest.
    number: u64,
    asked: Instant,
    /// `None` where writing failed.
    written: OnceCell<Option<Bytes>>,
}

impl Scrapes {
    pub(super) fn new(encode: Encode) -> Self {
        Self {
            encode,
            newest: Mutex::default(),
            last_served: Mutex::default(),
            writers: Arc::new(Semaphore::new(MAX_WRITERS)),
            room: Arc::new(Semaphore::new(MAX_EXPOSITIONS)),
            needs_room: Notify::new(),
        }
    }

    /// `None` where it could not be written, which is logged.
    pub(super) async fn exposition(
        &self,
        format: ExpositionFormat,
        gzip: bool,
        scraper: &AnswerGuard,
    ) -> Option<(Bytes, Arc<Exposition>)> {
        let exposition = self.newest(format, gzip, Instant::now());
        scraper.set_exposition(exposition.number);
        let written = exposition.written.get_or_init(|| async {
            match self.write(format, gzip).await {
                Ok(written) => Some(written),
                Err(error) => {
                    tracing::error!(%error, "the metrics could not be written");
                    None
                }
            }
        });
        let bytes = written.await.clone()?;
        *self.last_served.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Some((bytes, exposition))
    }

    /// When metrics were last scraped; `None` before the first scrape.
    pub(super) fn last_served(&self) -> Option<Instant> {
        *self.last_served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One younger than [`MAX_AGE`], or a new one.
    fn newest(&self, format: ExpositionFormat, gzip: bool, now: Instant) -> Arc<Exposition> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = usize::from(format == ExpositionFormat::OpenMetrics) * 2 + usize::from(gzip);
        if let Some(exposition) = newest.0[kind].upgrade()
            && now.saturating_duration_since(exposition.asked) < MAX_AGE
        {
            return exposition;
        }
        newest.1 += 1;
        let exposition = Arc::new(Exposition { number: newest.1, asked: now, written: OnceCell::new() });
        newest.0[kind] = Arc::downgrade(&exposition);
        exposition
    }

    async fn write(&self, format: ExpositionFormat, gzip: bool) -> io::Result<Bytes> {
        let closed = |_| io::Error::other("the listener is over");
        let room = loop {
            match self.room.clone().try_acquire_owned() {
                Ok(room) => break room,
                Err(_) => self.needs_room.notify_one(),
            }
            // Several scrapers may wait, and notifications that arrive together are one.
            if let Ok(room) = tokio::time::timeout(ROOM_RETRY, self.room.clone().acquire_owned()).await {
                break room.map_err(closed)?;
            }
        };
        // The permit moves to the thread: a scraper that leaves does not free it early.
        let permit = self.writers.clone().acquire_owned().await.map_err(closed)?;
        let encode = self.encode.clone();
        let written = tokio::task::spawn_blocking(move || {
            let text = encode(format);
            let bytes = if gzip { compressed(&text) } else { Ok(text) };
            drop(permit);
            bytes
        });
        let bytes = written.await.map_err(|_| io::Error::other("the thread that writes them panicked"))??;
        Ok(Bytes::from_owner(CountedBytes { bytes, _room: room }))
    }
}

/// At the fastest level: an exposition is sent once, and processor time costs more than bandwidth.
fn compressed(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    out.write_all(text)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::slots::Activity;
    use super::*;

    fn counted() -> (Scrapes, Arc<AtomicUsize>) {
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        let encode: Encode = Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            vec![b'x'; 100_000]
        });
        (Scrapes::new(encode), written)
    }

    fn scraper() -> AnswerGuard {
        Activity::accepted(std::net::Ipv4Addr::LOCALHOST.into()).begin_answer()
    }

    #[tokio::test]
    async fn concurrent_scrapers_share_one_exposition_and_a_later_one_gets_a_new_one() {
        let (scrapes, written) = counted();
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(scrapes.exposition(ExpositionFormat::Text, false, &scraper()).await.expect("an exposition"));
        }
        assert_eq!(written.load(Ordering::SeqCst), 1);
        let same = held.iter().all(|(bytes, _)| bytes.as_ptr() == held[0].0.as_ptr());
        assert!(same, "it is in memory once");
        scrapes.exposition(ExpositionFormat::OpenMetrics, true, &scraper()).await.expect("an exposition");
        assert_eq!(written.load(Ordering::SeqCst), 2, "another format is another exposition");
        drop(held);
        scrapes.exposition(ExpositionFormat::Text, false, &scraper()).await.expect("an exposition");
        assert_eq!(written.load(Ordering::SeqCst), 3, "the old one was dropped");
    }

    #[tokio::test]
    async fn an_exposition_counts_until_the_last_of_its_bytes_is_dropped() {
        let (scrapes, _) = counted();
        let (bytes, exposition) =
            scrapes.exposition(ExpositionFormat::Text, false, &scraper()).await.expect("an exposition");
        let last = bytes.slice(99_999..);
        drop((bytes, exposition));
        assert_eq!(scrapes.room.available_permits(), MAX_EXPOSITIONS - 1, "a byte holds all of it in memory");
        drop(last);
        assert_eq!(scrapes.room.available_permits(), MAX_EXPOSITIONS);
    }

    #[tokio::test]
    async fn an_old_exposition_is_not_shared_and_their_number_is_bounded() {
        let (scrapes, written) = counted();
        let mut held = Vec::new();
        let grow_old = || {
            let mut newest = scrapes.newest.lock().expect("no panic");
            newest.0 = Default::default();
        };
        for _ in 0..MAX_EXPOSITIONS {
            held.push(scrapes.exposition(ExpositionFormat::Text, false, &scraper()).await.expect("an exposition"));
            grow_old();
        }
        assert_eq!(written.load(Ordering::SeqCst), MAX_EXPOSITIONS);
        let one_more = scraper();
        let mut waiting = Box::pin(scrapes.exposition(ExpositionFormat::Text, false, &one_more));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there are as many as may be"),
            () = scrapes.needs_room.notified() => {}
        }
        held.remove(0);
        waiting.await.expect("an exposition");
        assert_eq!(written.load(Ordering::SeqCst), MAX_EXPOSITIONS + 1);
        let (now, young) = (Instant::now(), scrapes.newest(ExpositionFormat::Text, false, Instant::now()));
        assert!(Arc::ptr_eq(&young, &scrapes.newest(ExpositionFormat::Text, false, now + MAX_AGE / 2)));
        assert!(!Arc::ptr_eq(&young, &scrapes.newest(ExpositionFormat::Text, false, now + 2 * MAX_AGE)));
    }
}
