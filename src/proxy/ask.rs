//! Asks one backend over a connection of its own, for an answer that is made of several backends'.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::chunks::{BodyProgress, Part};
use super::framing::Framing;
use super::grammar::HeadScan;
use super::response::parse_head;
use crate::backend::dial::DialError;
use crate::fleet::Member;
use crate::tls::Stream;

/// A backend's answer, of which the head has come.
pub(super) struct Asked {
    pub(super) status: u16,
    /// `None` where its head names none.
    pub(super) content_type: Option<Box<[u8]>>,
    /// Its body is coded, and so cannot be put together with others.
    pub(super) is_coded: bool,
    stream: Stream,
    framing: Framing,
    /// Bytes of the body that were read and not passed on.
    ahead: Vec<u8>,
    is_over: bool,
}

/// Bytes that a read has room for.
const READ: usize = 16 << 10;

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub(super) enum AskError {
    Dial(DialError),
    /// The connection broke, or ended too early.
    Broken,
    /// What came is no answer.
    Improper,
    /// It did not come in time.
    Late,
}

impl From<io::Error> for AskError {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl std::fmt::Display for AskError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(out),
            Self::Broken => out.write_str("the connection broke"),
            Self::Improper => out.write_str("the answer is not HTTP, or too long"),
            Self::Late => out.write_str("no answer in time"),
        }
    }
}

impl Asked {
    /// Sends the request, and reads the head of the answer.
    pub(super) async fn begin(member: &Member, request: &[u8]) -> Result<Self, AskError> {
        let mut stream = member.dialer.dial(member.settings.connect_timeout).await.map_err(AskError::Dial)?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let (mut read, mut seen) = (Vec::with_capacity(READ), HeadScan::default());
        loop {
            if stream.read_buf(&mut read).await? == 0 {
                return Err(AskError::Broken);
            }
            while let Some((mut response, length)) = parse_head(&read, &mut seen).map_err(|_| AskError::Improper)? {
                if response.is_interim() {
                    read.drain(..length);
                    continue;
                }
                let framing = std::mem::replace(&mut response.framing, Framing::OVER);
                return Ok(Self {
                    status: response.status,
                    content_type: response.content_type.map(Into::into),
                    is_coded: response.content_encoding.is_some(),
                    is_over: framing.is_over() || response.is_bodiless(),
                    framing,
                    ahead: read.split_off(length),
                    stream,
                });
            }
        }
    }

    /// The next piece of the body; `None` at its end. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, AskError> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            if self.ahead.is_empty() {
                // Without room a vector grows by 64 bytes, and each read would bring no more.
                self.ahead.reserve(READ);
                if self.stream.read_buf(&mut self.ahead).await? == 0 {
                    self.is_over = true;
                    return if matches!(self.framing, Framing::Close) { Ok(None) } else { Err(AskError::Broken) };
                }
            }
            let mut body = Vec::new();
            let followed = self.framing.follow(&self.ahead, &mut |part| {
                if let Part::Data(data) = part {
                    body.extend_from_slice(data);
                }
            });
            self.ahead.clear();
            self.is_over = followed.state == BodyProgress::Over;
            if followed.state == BodyProgress::Broken {
                return Err(AskError::Improper);
            }
            if !body.is_empty() {
                return Ok(Some(body));
            }
        }
    }

    /// The rest of the body. `None` where it is longer than this.
    pub(super) async fn whole(&mut self, most: usize) -> Result<Option<Vec<u8>>, AskError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > most {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole))
    }
}
