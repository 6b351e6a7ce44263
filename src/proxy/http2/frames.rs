//! Frames as they pass in one direction: their heads, and the first bytes of what they carry (RFC 9113, 4.1). Pure.

/// Kinds of frames (RFC 9113, 6).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags that are looked at.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// What a client's connection begins with (RFC 9113, 3.4).
const PREFACE: u32 = 24;
const HEAD: usize = 9;
/// So much of a payload is looked at.
const LOOKED_AT: usize = 4;

/// A frame that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// What a payload of exactly four bytes says: of a stream that is reset, why.
    pub(super) code: Option<u32>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD + LOOKED_AT],
    filled: usize,
    /// Bytes of the payload, or of the preface, that are still to come and are not looked at.
    skip: u32,
    /// The kind of the frame whose payload is under way.
    kind: u8,
    /// A head goes on in the next frame.
    open: bool,
    /// Heads, or frames of another kind than data, that have begun.
    begun: u64,
}

impl Frames {
    /// What a client sends.
    pub(super) fn of_client() -> Self {
        // The preface is like a frame that is neither data nor over.
        Self { skip: PREFACE, kind: kind::HEADERS, ..Self::default() }
    }

    /// Follows the next bytes, and shows each frame once its head has passed.
    pub(super) fn follow(&mut self, mut bytes: &[u8], see: &mut impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = bytes.len().min(self.skip as usize);
                // No more than there was.
                self.skip -= skipped as u32;
                bytes = &bytes[skipped..];
                continue;
            }
            if self.filled == 0 && !self.open {
                self.begun += 1;
            }
            let wanted = self.wanted() - self.filled;
            let taken = bytes.len().min(wanted);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == self.wanted() {
                self.pass(see);
            }
        }
    }

    /// How many bytes are looked at together: all of a short payload that says why.
    fn wanted(&self) -> usize {
        let says_why = self.filled >= HEAD && self.head[..3] == [0, 0, LOOKED_AT as u8];
        if says_why { HEAD + LOOKED_AT } else { HEAD }
    }

    fn pass(&mut self, see: &mut impl FnMut(Frame)) {
        let [a, b, c, kind, flags, stream @ .., _, _, _, _] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let code = (self.filled > HEAD).then(|| {
            let [.., a, b, c, d] = self.head;
            u32::from_be_bytes([a, b, c, d])
        });
        self.skip = if code.is_some() { 0 } else { length };
        self.filled = 0;
        self.kind = kind;
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) {
            self.open = flags & END_HEADERS == 0;
        }
        see(Frame { length, kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, code });
    }

    /// Whether no frame is under way.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.filled == 0
    }

    /// Which head, or other frame than one of data, is under way.
    pub(super) fn amid(&self) -> Option<u64> {
        let amid = self.open || self.filled > 0 || (self.skip > 0 && self.kind != kind::DATA);
        amid.then_some(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32, code: Option<u32>) -> Frame {
        Frame { length, kind, flags, stream, code }
    }

    #[test]
    fn frames_are_seen_however_they_are_split() {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            b"\0\0\0\x04\0\0\0\0\0",
            b"\0\0\x03\x01\0\0\0\0\x01abc\0\0\x01\x09\x04\0\0\0\x01d",
            b"\0\0\x05\0\x01\x80\0\0\x01hello",
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
            b"\0\0\0\0\0\0\0\0\x03",
        ]
        .concat();
        let expected = [
            frame(0, 4, 0, 0, None),
            frame(3, kind::HEADERS, 0, 1, None),
            frame(1, kind::CONTINUATION, END_HEADERS, 1, None),
            frame(5, kind::DATA, END_STREAM, 1, None),
            frame(4, kind::RST_STREAM, 0, 1, Some(8)),
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
}
