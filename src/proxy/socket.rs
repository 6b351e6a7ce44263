//! One side's socket: read into memory that the thread lends, and written at once; bytes that the system does not take
//! yet are buffered here. An idle connection holds no buffer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::Stream;

/// A socket and the bytes waiting to be written to it.
pub(super) struct Socket {
    pub(super) stream: Stream,
    waiting: Vec<u8>,
    /// How many of the waiting bytes have been written.
    written: usize,
    /// TLS holds bytes that are not flushed.
    unflushed: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, waiting: Vec::new(), written: 0, unflushed: false }
    }

    /// Reads what is available, up to the length of `into`; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Whether the system has taken every byte.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && !self.unflushed
    }

    /// How many bytes are waiting.
    pub(super) fn left(&self) -> usize {
        self.waiting.len() - self.written
    }

    /// Writes the waiting bytes until the system has taken all of them.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left() > 0 {
            self.written += ready!(write(&mut self.stream, cx, &self.waiting[self.written..]))?;
        }
        // Frees the memory: a client that was slow once need not be so again.
        self.waiting = Vec::new();
        self.written = 0;
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes bytes after those waiting. Returns how many of them the system took at once; the rest waits.
    ///
    /// # Errors
    /// When the connection is broken and no byte of them has left, nor part of a TLS record.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        let encrypted = self.stream.encrypted_bytes();
        self.unflushed |= self.stream.is_tls();
        if self.waiting.is_empty() {
            while taken < bytes.len() {
                match write(&mut self.stream, cx, &bytes[taken..]) {
                    Poll::Ready(Ok(written)) => taken += written,
                    Poll::Ready(Err(error)) if taken == 0 && self.stream.encrypted_bytes() == encrypted => {
                        return Err(error);
                    }
                    // The error shows again when the rest is written.
                    Poll::Ready(Err(_)) | Poll::Pending => break,
                }
            }
        }
        self.waiting.extend_from_slice(&bytes[taken..]);
        Ok(taken)
    }
}

/// Writes at least one byte.
fn write(stream: &mut Stream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(Ok(written)),
    }
}
