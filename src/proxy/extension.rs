//! Chunk extensions (RFC 9112, 7.1.1). Pure.
//!
//! Hardly anybody uses them, and most readers skip them unchecked, each in a different way; so only what is grammatical
//! passes.

use super::grammar::{is_token, is_value};

/// Where in an extension the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// After a semicolon.
    Start,
    Name,
    /// Blanks after a name.
    NameEnd,
    /// After an equals sign.
    Equals,
    Token,
    Quoted,
    /// After a backslash in quotes.
    Escaped,
    /// After the closing quote.
    Closed,
    /// Blanks after a value.
    ValueEnd,
}

impl Extension {
    /// Takes the next byte; `None` where it is not allowed.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        use Extension::{Closed, Equals, Escaped, Name, NameEnd, Quoted, Start, Token, ValueEnd};
        Some(match (self, byte) {
            (Quoted, b'\\') => Escaped,
            (Quoted, b'"') => Closed,
            (Quoted | Escaped, _) if is_value(byte) => Quoted,
            (Start | Equals, b' ' | b'\t') => self,
            (Name | NameEnd, b' ' | b'\t') => NameEnd,
            (Token | Closed | ValueEnd, b' ' | b'\t') => ValueEnd,
            (Start | Name, _) if is_token(byte) => Name,
            (Equals | Token, _) if is_token(byte) => Token,
            (Equals, b'"') => Quoted,
            (Name | NameEnd, b'=') => Equals,
            (Name | NameEnd | Token | Closed | ValueEnd, b';') => Start,
            _ => return None,
        })
    }

    /// Whether the line may end here; after blanks only where the reader is lenient.
    pub(super) fn may_end(self, lenient: bool) -> bool {
        match self {
            Self::Name | Self::Token | Self::Closed => true,
            Self::NameEnd | Self::ValueEnd => lenient,
            Self::Start | Self::Equals | Self::Quoted | Self::Escaped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_proper(text: &[u8], lenient: bool) -> bool {
        let end = text.iter().try_fold(Extension::Start, |at, byte| at.step(*byte));
        end.is_some_and(|end| end.may_end(lenient))
    }

    #[test]
    fn an_extension_is_a_name_and_a_value_or_none() {
        for text in [
            &b"a"[..],
            b"a=b",
            b"a;b",
            b"a=b;c;d=\"e\"",
            b" a \t= b ; c",
            b"a=\"\"",
            b"a=\"b;c=\\\"d\\\\ \xe9\"",
            b"signature=0123",
        ] {
            assert!(is_proper(text, false), "{}", text.escape_ascii());
        }
        for text in [
            &b""[..],
            b" ",
            b";",
            b"=x",
            b"a=",
            b"a=b=c",
            b"a=\"b",
            b"a=\"b\\",
            b"a=\"b\\\"",
            b"a=\"b\"c",
            b"a b",
            b"a=b c",
            b"a\xe9",
            b"a=\xe9",
            b"\"a\"",
            b"a=\"\x00\"",
            b"a=\"\x7f\"",
            b"a,b",
        ] {
            assert!(!is_proper(text, true), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn blanks_may_stand_at_the_end_only_where_the_reader_is_lenient() {
        for text in [&b"a "[..], b"a=b\t", b"a=\"b\" "] {
            assert!(is_proper(text, true) && !is_proper(text, false), "{}", text.escape_ascii());
        }
    }
}
