//! Tunnels after a 101: opaque bytes in both directions, each closed on its own. A tunnel that is cut by the proxy ends
//! in a reset on both sides, as nothing else shows its peers that bytes are missing.

use std::io;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::closing;
use super::tap::Tap;
use crate::exchange::outcome::{End, ErrorType};
use crate::tls::Stream;

/// The backend's side of a protocol switch.
pub(super) struct Upgraded {
    pub(super) backend: Stream,
    /// What the backend sent after its head.
    pub(super) ahead: Vec<u8>,
    /// Counts the tunnel as in flight on its backend.
    pub(super) tap: Tap,
}

impl Upgraded {
    /// Copies in both directions until each side has closed. `ahead` is what the client sent after its head.
    pub(super) async fn join(mut self, mut client: Stream, ahead: &[u8]) {
        closing::reset_at_end(&client);
        closing::reset_at_end(&self.backend);
        let end = match self.relay(&mut client, ahead).await {
            Ok(()) => End::Complete,
            Err(error) if is_a_farewell(&error) => End::Complete,
            Err(_) => End::BackendFailed(ErrorType::Reset),
        };
        closing::end_in_order(&client);
        closing::end_in_order(&self.backend);
        self.tap.end(end);
    }

    async fn relay(&mut self, client: &mut Stream, ahead: &[u8]) -> io::Result<()> {
        self.backend.write_all(ahead).await?;
        self.backend.flush().await?;
        client.write_all(&self.ahead).await?;
        client.flush().await?;
        copy_bidirectional(client, &mut self.backend).await.map(drop)
    }
}

/// Whether an error is an ordinary end. Either side may reset a tunnel, even while it is written to; which side it was
/// is unknown, and it is no fault of the exchange. With TLS the equivalent is an end without a closing message.
fn is_a_farewell(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
