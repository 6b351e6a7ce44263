//! The metrics as scrapers get them: one page for all who ask at once.
//!
//! A page is some megabytes at the caps, and a scraper may read it slowly or never. Promises: those who ask within a second
//! get the same page while somebody still holds it, so that a crowd costs one; a scraper that asks again gets a new one; at
//! most [`PAGES`] exist, and where another is needed, those who hold the oldest lose it. Pages are written on threads of
//! their own, two at a time, which go behind those that serve clients.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};

use super::places::Answering;
use super::{Encode, Format};

/// Pages that are written at once.
const WRITING: usize = 2;

/// Pages that are held at once.
pub(super) const PAGES: usize = 8;

/// How old a page may be that is shared.
const SHARED: Duration = Duration::from_secs(1);

/// After so long it is said once more that a page is needed.
const AGAIN: Duration = Duration::from_millis(100);

/// An answer is handed to the system in pieces of so many bytes.
const PIECE: usize = 64 * 1024;

/// How far the thread goes behind those that serve clients, where a thread can: on a busy core it gets a quarter of their
/// share, and a chunk that arrives takes the core from it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Writes pages.
pub(super) struct Scrapes {
    encode: Encode,
    /// The newest page of each kind, for as long as somebody holds it, and the number of the last.
    newest: Mutex<([Weak<Page>; 4], u64)>,
    writing: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    /// There are as many pages as may be, and another is needed.
    pub(super) crowded: Notify,
}

/// A page's bytes, which hold its place among [`PAGES`] until the last of them is sent or thrown away.
struct Written {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A page, which is written when it is first waited for.
pub(super) struct Page {
    number: u64,
    asked: Instant,
    written: OnceCell<Option<Bytes>>,
}

impl Scrapes {
    pub(super) fn new(encode: Encode) -> Self {
        Self {
            encode,
            newest: Mutex::default(),
            writing: Arc::new(Semaphore::new(WRITING)),
            pages: Arc::new(Semaphore::new(PAGES)),
            crowded: Notify::new(),
        }
    }

    /// A page in this form; none where it could not be written, which the log says.
    pub(super) async fn page(&self, format: Format, gzip: bool, scraper: &Answering) -> Option<(Bytes, Arc<Page>)> {
        let page = self.newest(format, gzip, Instant::now());
        scraper.page(page.number);
        let written = page.written.get_or_init(|| async {
            match self.write(format, gzip).await {
                Ok(written) => Some(written),
                Err(error) => {
                    tracing::error!(%error, "the metrics could not be written");
                    None
                }
            }
        });
        let bytes = written.await.clone()?;
        Some((bytes, page))
    }

    /// A page that is young enough, or a new one.
    fn newest(&self, format: Format, gzip: bool, now: Instant) -> Arc<Page> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = usize::from(format == Format::OpenMetrics) * 2 + usize::from(gzip);
        if let Some(page) = newest.0[kind].upgrade()
            && now.saturating_duration_since(page.asked) < SHARED
        {
            return page;
        }
        newest.1 += 1;
        let page = Arc::new(Page { number: newest.1, asked: now, written: OnceCell::new() });
        newest.0[kind] = Arc::downgrade(&page);
        page
    }

    async fn write(&self, format: Format, gzip: bool) -> io::Result<Bytes> {
        let closed = |_| io::Error::other("the listener is over");
        let place = loop {
            match self.pages.clone().try_acquire_owned() {
                Ok(place) => break place,
                Err(_) => self.crowded.notify_one(),
            }
            // Several may wait, and one wish is heard at a time.
            if let Ok(place) = tokio::time::timeout(AGAIN, self.pages.clone().acquire_owned()).await {
                break place.map_err(closed)?;
            }
        };
        // The turn travels with the work: a scraper that leaves does not free it early.
        let turn = self.writing.clone().acquire_owned().await.map_err(closed)?;
        let encode = self.encode.clone();
        let (tell, told) = oneshot::channel();
        let work = move || {
            step_back();
            let text = encode(format);
            let bytes = if gzip { compressed(&text) } else { Ok(text) };
            drop(turn);
            // Whoever asked may have left.
            let _ = tell.send(bytes);
        };
        // Not one of the runtime's: it would stay behind for good, whatever it does next.
        std::thread::Builder::new().name("scrape".into()).spawn(work)?;
        let bytes = told.await.map_err(|_| io::Error::other("the thread that writes them panicked"))??;
        Ok(Bytes::from_owner(Written { bytes, _place: place }))
    }
}

/// Lets the threads that serve clients go first. Elsewhere than on Linux it would be the whole process.
fn step_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Speed before size: a scrape crosses a network every few seconds, and is thrown away.
fn compressed(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    out.write_all(text)?;
    out.finish()
}

/// An answer's body, in pieces.
#[derive(Default)]
pub(super) struct Body {
    left: Bytes,
    page: Option<Arc<Page>>,
    answering: Option<Answering>,
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self { left: bytes.into(), ..Self::default() }
    }
}

impl Body {
    /// Of a page, which can be shared until the last piece is taken.
    pub(super) fn of(bytes: Bytes, page: Arc<Page>) -> Self {
        Self { left: bytes, page: Some(page), answering: None }
    }

    /// The answer is being written from now on.
    pub(super) fn begin(&mut self, answering: Answering) {
        answering.made();
        self.answering = Some(answering);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left.is_empty() {
            self.page = None;
            return Poll::Ready(None);
        }
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::places::Doing;
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

    fn scraper() -> Answering {
        Doing::nothing_yet(std::net::Ipv4Addr::LOCALHOST.into()).answering()
    }

    #[tokio::test]
    async fn a_crowd_gets_one_page_and_whoever_asks_again_a_new_one() {
        let (scrapes, written) = counted();
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(scrapes.page(Format::Text, false, &scraper()).await.expect("a page"));
        }
        assert_eq!(written.load(Ordering::SeqCst), 1);
        let same = held.iter().all(|(bytes, _)| bytes.as_ptr() == held[0].0.as_ptr());
        assert!(same, "it is in memory once");
        scrapes.page(Format::OpenMetrics, true, &scraper()).await.expect("a page");
        assert_eq!(written.load(Ordering::SeqCst), 2, "another form is another page");
        drop(held);
        scrapes.page(Format::Text, false, &scraper()).await.expect("a page");
        assert_eq!(written.load(Ordering::SeqCst), 3, "nobody holds the old one");
    }

    #[tokio::test]
    async fn a_page_counts_until_the_last_of_its_bytes_is_gone() {
        let (scrapes, _) = counted();
        let (bytes, page) = scrapes.page(Format::Text, false, &scraper()).await.expect("a page");
        let last = bytes.slice(99_999..);
        drop((bytes, page));
        assert_eq!(scrapes.pages.available_permits(), PAGES - 1, "a byte holds all of it in memory");
        drop(last);
        assert_eq!(scrapes.pages.available_permits(), PAGES);
    }

    #[tokio::test]
    async fn a_page_that_is_too_old_is_not_shared_and_there_are_so_many_at_most() {
        let (scrapes, written) = counted();
        let mut held = Vec::new();
        let grow_old = || {
            let mut newest = scrapes.newest.lock().expect("no panic");
            newest.0 = Default::default();
        };
        for _ in 0..PAGES {
            held.push(scrapes.page(Format::Text, false, &scraper()).await.expect("a page"));
            grow_old();
        }
        assert_eq!(written.load(Ordering::SeqCst), PAGES);
        let one_more = scraper();
        let mut waiting = Box::pin(scrapes.page(Format::Text, false, &one_more));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there are as many as may be"),
            () = scrapes.crowded.notified() => {}
        }
        held.remove(0);
        waiting.await.expect("a page");
        assert_eq!(written.load(Ordering::SeqCst), PAGES + 1);
        let (now, young) = (Instant::now(), scrapes.newest(Format::Text, false, Instant::now()));
        assert!(Arc::ptr_eq(&young, &scrapes.newest(Format::Text, false, now + SHARED / 2)));
        assert!(!Arc::ptr_eq(&young, &scrapes.newest(Format::Text, false, now + 2 * SHARED)));
    }
}
