//! Conversations as they are kept: equal for the exchanges of one conversation, and nothing else.
//!
//! What a client calls its conversation is hashed twice: where it is read, and with the salt of the data directory before
//! it is written. Without the salt, which is in `main.db` alone, a stored value can be neither checked against a name nor
//! compared with one of another directory.

use std::fmt;

use crate::exchange::vocabulary::Conversation;

/// What makes the conversations of a data directory its own.
#[derive(Clone, Copy)]
pub(super) struct Salt(pub(super) [u8; 16]);

impl Salt {
    /// As it is kept.
    pub(super) fn keep(self, conversation: RowConversation) -> ConversationId {
        match conversation {
            RowConversation::Named(named) => ConversationId(named.salted(self.0)),
            RowConversation::Kept(kept) => kept,
        }
    }
}

/// Leaves out the salt.
impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt(…)")
    }
}

/// A conversation as it is kept: 8 bytes, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConversationId(pub [u8; 8]);

impl ConversationId {
    /// Parses what [`fmt::Display`] shows.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let is_hexadecimal = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A conversation in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowConversation {
    /// On its way to the files. It must not leave this process: see [`Conversation`].
    Named(Conversation),
    /// Read from a file.
    Kept(ConversationId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_as_it_is_shown() {
        for id in [ConversationId([0, 1, 2, 3, 4, 5, 6, 0xfe]), ConversationId([0xff; 8])] {
            assert_eq!(ConversationId::parse(&id.to_string()), Some(id));
        }
        for wrong in ["", "1", "+123456789abcdef", "00010203040506070", "000102030405060g"] {
            assert_eq!(ConversationId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_kept_conversation_stays_as_it_is() {
        let kept = ConversationId([7; 8]);
        assert_eq!(Salt([1; 16]).keep(RowConversation::Kept(kept)), kept);
        let named = RowConversation::Named(Conversation::named(b"one").expect("a name"));
        assert_ne!(Salt([1; 16]).keep(named), Salt([2; 16]).keep(named));
    }
}
