//! `100 Continue` over HTTP/2 (RFC 9110, 10.1.1). The HTTP library sends no interim responses and does not say which
//! stream a request came on, so the stream is inferred, and the frame is written between those of the library.
//!
//! Promises: a permission never goes to another stream than the one it is for; where that one is not certain, as
//! several requests came at once or the library has ever refused one, there is none, and the client sends its body when it
//! has waited long enough.

use std::cell::{Cell, Ref, RefCell};
use std::task::Waker;

use super::frames::{END_HEADERS, Frame, kind};

/// The size of a decoder's table that needs no signal (RFC 7541, 4.2; RFC 9113, 6.5.2).
const TABLE: u32 = 4096;
/// `:status: 100`, which enters no table (RFC 7541, 6.2.2).
const CONTINUE: &[u8] = b"\x08\x03100";

/// The permissions of one connection.
#[derive(Default)]
pub(super) struct Continues {
    /// Streams that the client has opened, and requests that the library has handed over: it does so in their order,
    /// once for each that it does not refuse.
    opened: Cell<u64>,
    taken: Cell<u64>,
    last: Cell<u32>,
    /// A stream may get one.
    awaited: Cell<bool>,
    /// Wakes the connection's task.
    writer: Cell<Option<Waker>>,
    /// Frames to be written.
    waiting: RefCell<Vec<u8>>,
    /// The size of the client's table; `None` where it is the default.
    table: Cell<Option<u32>>,
    /// It has changed more than once, and what the library has signalled of it is not known.
    unknown_table: Cell<bool>,
}

impl Continues {
    /// The client has opened a stream.
    pub(super) fn note_opened(&self, stream: u32) {
        self.opened.update(|opened| opened + 1);
        self.last.set(stream);
    }

    /// The library hands over a request. Returns its stream, where that is certain.
    pub(super) fn take(&self) -> Option<u32> {
        self.taken.update(|taken| taken + 1);
        (self.taken == self.opened).then(|| self.last.get())
    }

    /// The client has sent a frame of `SETTINGS`.
    pub(super) fn note_settings(&self, frame: Frame) {
        if let Some(size) = frame.word {
            let known = self.table.replace(Some(size));
            self.unknown_table.set(self.unknown_table.get() || known.is_some_and(|known| known != size));
        }
    }

    /// A request that may get a permission begins. To be called on the connection's task.
    pub(super) fn await_one(&self) {
        self.awaited.set(true);
    }

    /// Keeps the waker of the connection's task where one is needed.
    pub(super) fn register(&self, waker: &Waker) {
        if self.awaited.take() {
            self.writer.set(Some(waker.clone()));
        }
    }

    /// Permits the client to send the body of this stream.
    pub(super) fn permit(&self, stream: u32) {
        if self.unknown_table.get() {
            return;
        }
        let mut block = Vec::new();
        if let Some(size) = self.table.get().filter(|size| *size < TABLE) {
            signal(size, &mut block);
        }
        block.extend_from_slice(CONTINUE);
        let mut waiting = self.waiting.borrow_mut();
        // A few bytes.
        waiting.extend_from_slice(&[0, 0, block.len() as u8, kind::HEADERS, END_HEADERS]);
        waiting.extend_from_slice(&stream.to_be_bytes());
        waiting.append(&mut block);
        if let Some(waker) = self.writer.take() {
            waker.wake_by_ref();
            self.writer.set(Some(waker));
        }
    }

    /// Whether frames are to be written.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// The frames to be written.
    pub(super) fn waiting(&self) -> Ref<'_, Vec<u8>> {
        self.waiting.borrow()
    }

    /// So many bytes of them were written.
    pub(super) fn note_written(&self, bytes: usize) {
        self.waiting.borrow_mut().drain(..bytes);
    }
}

/// Signals the size of the table that the client has asked for, which the library signals too, with its next head (RFC
/// 7541, 6.3).
fn signal(size: u32, block: &mut Vec<u8>) {
    const PREFIX: u32 = 0x1f;
    let Some(mut rest) = size.checked_sub(PREFIX) else { return block.push(0x20 | size as u8) };
    block.push(0x3f);
    while rest >= 0x80 {
        block.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    block.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_certain_only_where_every_one_before_it_was_handed_over() {
        let continues = Continues::default();
        continues.note_opened(1);
        assert_eq!(continues.take(), Some(1));
        continues.note_opened(3);
        continues.note_opened(5);
        assert_eq!((continues.take(), continues.take()), (None, Some(5)), "two at once");
        continues.note_opened(7);
        continues.note_opened(9);
        assert_eq!(continues.take(), None, "one of them is refused");
        continues.note_opened(11);
        assert_eq!(continues.take(), None);
    }

    #[test]
    fn a_smaller_table_is_signalled_and_one_that_changes_gets_none() {
        let settings = |word| Frame { kind: kind::SETTINGS, word, ..Frame::default() };
        let frame = |block: &[u8]| [&[0, 0, block.len() as u8, 1, 4, 0, 0, 0, 5], block].concat();
        for (table, block) in [
            (None, CONTINUE.to_vec()),
            (Some(65_536), CONTINUE.to_vec()),
            (Some(0), [b"\x20", CONTINUE].concat()),
            (Some(1337), [b"\x3f\x9a\x0a", CONTINUE].concat()),
        ] {
            let continues = Continues::default();
            continues.note_settings(settings(table));
            continues.permit(5);
            assert_eq!(*continues.waiting(), frame(&block), "{table:?}");
            continues.note_written(frame(&block).len());
            assert!(!continues.is_waiting());
            continues.note_settings(settings(Some(100)));
            continues.note_settings(settings(Some(200)));
            continues.permit(5);
            assert!(!continues.is_waiting(), "{table:?}");
        }
    }
}
