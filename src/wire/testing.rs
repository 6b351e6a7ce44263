//! For the tests of framings and dialects: everything that a reader emits for a body, at every split.

use super::budget::DecodeBudget;
use super::event::{Defect, Event};
use super::reader::{Framing, Head, Reader, Reported};
use super::route::Route;

/// Everything that a reader emitted.
#[derive(Debug, PartialEq)]
pub(crate) struct ReaderOutput {
    /// In order.
    pub(crate) events: Vec<Event<'static>>,
    /// The offset of each.
    pub(crate) offsets: Vec<u64>,
    pub(crate) framing: Framing,
    pub(crate) expects_terminal: bool,
    pub(crate) defects: Vec<(Defect, u32)>,
}

impl ReaderOutput {
    pub(crate) fn tokens(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Tokens(_))).count()
    }

    pub(crate) fn has(&self, event: Event<'static>) -> bool {
        self.events.contains(&event)
    }

    pub(crate) fn usage(&self) -> Option<super::event::Usage> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        })
    }

    /// Whether a clean end now would count as truncated.
    pub(crate) fn is_cut(&self) -> bool {
        self.expects_terminal && !self.has(Event::Terminal)
    }
}

/// Reads pieces as the body of a success.
pub(crate) fn read_pieces<'a>(path: &str, media: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> ReaderOutput {
    let head = Head {
        status: 200,
        content_type: Some(media.as_bytes()),
        content_encoding: None,
        reported: Reported::default(),
    };
    let mut reader = Reader::new(Route::of("POST", path), &head, &DecodeBudget::unlimited());
    let (mut events, mut offsets) = (Vec::new(), Vec::new());
    let mut emit = |event: Event<'_>, offset: u64| {
        offsets.push(offset);
        events.push(match event {
            Event::Model(name) => Event::Model(name.to_owned().leak()),
            Event::Tokens(tokens) => Event::Tokens(tokens),
            Event::Usage(usage) => Event::Usage(usage),
            Event::Timings(timings) => Event::Timings(timings),
            Event::Finish(reason) => Event::Finish(reason),
            Event::Progress(progress) => Event::Progress(progress),
            Event::Step(step) => Event::Step(step),
            Event::Elsewhere => Event::Elsewhere,
            Event::Error => Event::Error,
            Event::Terminal => Event::Terminal,
            Event::NoTokens => Event::NoTokens,
        });
    };
    for piece in pieces {
        reader.read(piece, &mut emit);
    }
    reader.end(&mut emit);
    let (framing, expects_terminal) = (reader.framing(), reader.expects_terminal());
    ReaderOutput { events, offsets, framing, expects_terminal, defects: reader.defects().iter().collect() }
}

/// Reads a body whole, split at every byte, and byte by byte, and asserts that the result is the same.
#[track_caller]
pub(crate) fn read_every_split(path: &str, media: &str, body: impl AsRef<[u8]>) -> ReaderOutput {
    let body = body.as_ref();
    let whole = read_pieces(path, media, [body]);
    for at in 0..=body.len() {
        assert_eq!(read_pieces(path, media, [&body[..at], &body[at..]]), whole, "split at {at}");
    }
    assert_eq!(read_pieces(path, media, body.chunks(1)), whole, "byte by byte");
    whole
}
