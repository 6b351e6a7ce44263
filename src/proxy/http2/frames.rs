//! Parses frames that pass in one direction: their heads, and the first bytes of some payloads (RFC 9113, 4.1). Pure.

/// Frame types (RFC 9113, 6).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// Length of the client's connection preface in bytes (RFC 9113, 3.4).
const PREFACE: u32 = 24;
const HEAD: usize = 9;
/// Bytes of a payload that are parsed.
const LOOKED_AT: usize = 4;
/// Length of one setting: its identifier and its value (RFC 9113, 6.5.1).
const SETTING: usize = 6;
const SETTINGS_HEADER_TABLE_SIZE: [u8; 2] = [0, 1];

/// A frame that has passed completely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) length: u32,
    pub(super) kind: u8,
    /// `END_STREAM` of a head that continues in other frames is set on the last of them only.
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// The first four bytes of some payloads: the error code of `RST_STREAM`, the last stream of `GOAWAY`. Of `SETTINGS`
    /// the size of the table for heads, where it is set.
    pub(super) word: Option<u32>,
}

impl Frame {
    /// Whether it completes a head.
    pub(super) fn ends_head(self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::CONTINUATION) && self.flags & END_HEADERS != 0
    }

    /// Whether it is the sender's last on its stream.
    pub(super) fn ends_stream(self) -> bool {
        self.flags & END_STREAM != 0 && (self.kind == kind::DATA || self.ends_head())
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the preface that are still to come; `None` after the frame that belongs to it.
    greeting: Option<u32>,
    head: [u8; HEAD + LOOKED_AT],
    filled: usize,
    /// The frame whose payload is passing, or the last one.
    frame: Frame,
    /// Payload bytes still to come.
    skip: u32,
    /// A setting that is passing, and how many of its bytes have.
    setting: ([u8; SETTING], usize),
    /// The head continues in the next frame.
    open: bool,
    /// Counts heads, and frames of other types than `DATA`, that have begun.
    begun: u64,
}

impl Frames {
    /// The direction from a client, which begins with the preface.
    pub(super) fn of_client() -> Self {
        Self { greeting: Some(PREFACE), ..Self::default() }
    }

    /// Follows the next bytes, and calls `see` for each frame once it has passed.
    pub(super) fn follow(&mut self, mut bytes: &[u8], see: &mut impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if let Some(left @ 1..) = &mut self.greeting {
                skip(left, &mut bytes);
            } else if self.skip > 0 {
                let passing = bytes;
                skip(&mut self.skip, &mut bytes);
                if self.frame.kind == kind::SETTINGS {
                    self.read_settings(&passing[..passing.len() - bytes.len()]);
                }
                self.show_if_whole(see);
            } else {
                self.read_head(&mut bytes, see);
            }
        }
    }

    fn read_head(&mut self, bytes: &mut &[u8], see: &mut impl FnMut(Frame)) {
        if self.filled == 0 && !self.open {
            self.begun += 1;
        }
        let taken = bytes.len().min(self.wanted() - self.filled);
        self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        *bytes = &bytes[taken..];
        if self.filled == self.wanted() {
            self.begin_payload();
            self.show_if_whole(see);
        }
    }

    fn read_settings(&mut self, bytes: &[u8]) {
        let (setting, filled) = &mut self.setting;
        for byte in bytes {
            setting[*filled] = *byte;
            *filled = (*filled + 1) % SETTING;
            let [i, d, a, b, c, e] = *setting;
            if *filled == 0 && [i, d] == SETTINGS_HEADER_TABLE_SIZE {
                self.frame.word = Some(u32::from_be_bytes([a, b, c, e]));
            }
        }
    }

    /// How many bytes to collect: the head of a frame, and the beginning of its payload where that is parsed.
    fn wanted(&self) -> usize {
        let [a, b, c, kind, ..] = self.head;
        let says_more = self.filled >= HEAD
            && matches!(kind, kind::RST_STREAM | kind::GOAWAY)
            && u32::from_be_bytes([0, a, b, c]) >= LOOKED_AT as u32;
        if says_more { HEAD + LOOKED_AT } else { HEAD }
    }

    fn begin_payload(&mut self) {
        let [a, b, c, kind, mut flags, s, t, r, m, word @ ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let word = (self.filled > HEAD).then(|| u32::from_be_bytes(word));
        self.skip = length - word.map_or(0, |_| LOOKED_AT as u32);
        self.filled = 0;
        self.setting.1 = 0;
        if kind == kind::CONTINUATION && self.open {
            flags |= self.frame.flags & END_STREAM;
        }
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) {
            self.open = flags & END_HEADERS == 0;
        }
        let stream = u32::from_be_bytes([s, t, r, m]) & 0x7fff_ffff;
        self.frame = Frame { length, kind, flags, stream, word };
    }

    fn show_if_whole(&mut self, see: &mut impl FnMut(Frame)) {
        if self.skip == 0 {
            self.greeting = None;
            see(self.frame);
        }
    }

    /// Whether a frame of any type may follow: none is under way, and no head continues.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.filled == 0 && !self.open
    }

    /// How many bytes may follow at least without another frame beginning; never 0 amid one.
    pub(super) fn left(&self) -> usize {
        if self.skip > 0 { self.skip as usize } else { self.wanted() - self.filled }
    }

    /// The number of the head, or other frame than `DATA`, that is under way. The preface ends with its frame.
    pub(super) fn amid(&self) -> Option<u64> {
        let greets = self.greeting.is_some_and(|left| left < PREFACE);
        let amid = greets || self.open || self.filled > 0 || (self.skip > 0 && self.frame.kind != kind::DATA);
        amid.then_some(self.begun)
    }
}

/// Skips bytes that are not parsed.
fn skip(left: &mut u32, bytes: &mut &[u8]) {
    let skipped = bytes.len().min(*left as usize);
    // At most `left`.
    *left -= skipped as u32;
    *bytes = &bytes[skipped..];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32, word: Option<u32>) -> Frame {
        Frame { length, kind, flags, stream, word }
    }

    #[test]
    fn frames_are_seen_however_they_are_split() {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            b"\0\0\0\x04\0\0\0\0\0",
            b"\0\0\x0c\x04\0\0\0\0\0\0\x02\0\x01\0\0\0\x01\0\x01\0\x05",
            b"\0\0\x03\x01\0\0\0\0\x01abc\0\0\x01\x09\x04\0\0\0\x01d",
            b"\0\0\x05\0\x01\x80\0\0\x01hello",
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
            b"\0\0\x0a\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0hi",
            b"\0\0\0\0\0\0\0\0\x03",
        ]
        .concat();
        let expected = [
            frame(0, kind::SETTINGS, 0, 0, None),
            frame(12, kind::SETTINGS, 0, 0, Some(0x1_0005)),
            frame(3, kind::HEADERS, 0, 1, None),
            frame(1, kind::CONTINUATION, END_HEADERS, 1, None),
            frame(5, kind::DATA, END_STREAM, 1, None),
            frame(4, kind::RST_STREAM, 0, 1, Some(8)),
            frame(10, kind::GOAWAY, 0, 0, Some(0x7fff_ffff)),
            frame(0, kind::DATA, 0, 3, None),
        ];
        for at in 0..=bytes.len() {
            let (mut frames, mut seen) = (Frames::of_client(), Vec::new());
            frames.follow(&bytes[..at], &mut |frame| seen.push(frame));
            frames.follow(&bytes[at..], &mut |frame| seen.push(frame));
            assert_eq!(seen, expected, "split at {at}");
            assert!(frames.is_between() && frames.amid().is_none());
        }
    }

    #[test]
    fn a_head_is_under_way_from_its_first_byte_to_the_last_of_its_last_frame() {
        let head = b"\0\0\x03\x01\0\0\0\0\x01abc\0\0\x01\x09\x04\0\0\0\x01d";
        let mut frames = Frames::default();
        for byte in &head[..head.len() - 1] {
            frames.follow(&[*byte], &mut |_| {});
            assert_eq!(frames.amid(), Some(1));
        }
        frames.follow(&head[head.len() - 1..], &mut |_| {});
        assert_eq!(frames.amid(), None);
        frames.follow(b"\0\0\x02\0\0\0\0\0\x01a", &mut |_| {});
        assert_eq!(frames.amid(), None, "data has limits of its own");
        frames.follow(b"b\0", &mut |_| {});
        assert_eq!(frames.amid(), Some(3), "another one");
    }

    #[test]
    fn a_stream_ends_with_its_last_byte_and_not_before() {
        // A head that ends its stream and continues in another frame; data that end their stream.
        let split = b"\0\0\x03\x01\x01\0\0\0\x01abc\0\0\x01\x09\x04\0\0\0\x01d";
        let data = b"\0\0\x05\0\x01\0\0\0\x01hello";
        for bytes in [&split[..], data] {
            let (mut frames, mut ends) = (Frames::default(), 0);
            let last = bytes.len() - 1;
            frames.follow(&bytes[..last], &mut |frame| ends += u32::from(frame.ends_stream()));
            assert!(ends == 0 && !frames.is_between());
            frames.follow(&bytes[last..], &mut |frame| ends += u32::from(frame.ends_stream()));
            assert!(ends == 1 && frames.is_between());
        }
    }

    #[test]
    fn a_client_is_amid_its_preface_from_the_first_byte_until_a_frame_has_passed() {
        let mut frames = Frames::of_client();
        assert_eq!(frames.amid(), None, "it has sent nothing");
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0" {
            frames.follow(&[*byte], &mut |_| {});
            assert!(frames.amid().is_some());
        }
        frames.follow(&[0], &mut |_| {});
        assert_eq!(frames.amid(), None);
    }
}
