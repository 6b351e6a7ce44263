//! Answers a request that is for several backends: each is asked what the client asked, and what they say becomes one
//! answer.
//!
//! To the rest of the proxy it is one more backend, at the other end of a pair of sockets: forwarding, observation, limits
//! and both protocols are those of any exchange, and a client that leaves closes the pair, which ends the task here and
//! with it every connection to a backend.

mod each;
mod parts;
mod transfer;

use std::io;
use std::sync::Arc;

use parts::{Addressed, Client};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};

use super::request::KeptHead;
use super::upstream::Upstream;
use crate::fleet::Member;
use crate::tls::Stream;

/// What is asked of several backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// To fetch a model: one after another.
    Pull,
    /// To delete a model.
    Delete,
    /// To end requests in progress.
    Abort,
}

/// An errand, and the backends that it is for, at least one.
#[derive(Debug)]
pub(super) struct Everywhere {
    pub(super) errand: Errand,
    pub(super) members: Vec<Arc<Member>>,
}

impl Everywhere {
    /// A connection over which the answer of all comes. To be called on a worker's thread.
    ///
    /// # Errors
    /// Where the system has no pair of sockets left.
    pub(super) fn connect(self, head: &KeptHead) -> io::Result<Box<Upstream>> {
        let (far, near) = std::os::unix::net::UnixStream::pair()?;
        far.set_nonblocking(true)?;
        near.set_nonblocking(true)?;
        // What is read and written is the same for both kinds of sockets.
        let far = TcpStream::from_std(std::os::fd::OwnedFd::from(far).into())?;
        let near = UnixStream::from_std(near)?;
        let addressed = self.members.into_iter().map(|member| {
            let mut request = Vec::new();
            let (prefix, host) = (&member.backend.address.prefix, &member.settings.host_header);
            head.write(prefix, host, member.authority.as_bytes(), &mut request);
            Addressed { member, request }
        });
        let _task = tokio::task::spawn_local(run(near, self.errand, addressed.collect()));
        Ok(Upstream::new(Stream::Plain(far)))
    }
}

/// Runs the errand until it is done, or the client leaves.
async fn run(near: UnixStream, errand: Errand, all: Vec<Addressed>) {
    let (mut from, to) = near.into_split();
    // What comes is the request, of which each backend gets a copy.
    let left = async {
        let mut scratch = vec![0; 16 << 10];
        while matches!(from.read(&mut scratch).await, Ok(1..)) {}
    };
    let work = async {
        let mut to = Client::new(to);
        // It may have left, or nobody has answered: both show in how the connection ends.
        let _ended = match errand {
            Errand::Pull => transfer::run(&all, &mut to).await,
            Errand::Delete => each::delete(&all, &mut to).await,
            Errand::Abort => each::abort(&all, &mut to).await,
        };
    };
    tokio::select! {
        biased;
        () = left => {}
        () = work => {}
    }
}
