//! A poller: level-triggered readiness by key.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Most events per wait.
const BATCH: usize = 256;

pub(crate) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watches a socket for reading. Closing the socket removes it.
    pub(crate) fn add(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key as u64), EventFlags::IN)?)
    }

    /// Watches a socket for writing too, or stops that.
    pub(crate) fn set_write(&self, socket: impl AsFd, key: usize, write: bool) -> io::Result<()> {
        let flags = if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key as u64), flags)?)
    }

    /// Waits at most so long. Sets `ready` to the ready keys, each with whether it can be read.
    pub(crate) fn wait(&self, limit: Duration, ready: &mut Vec<(usize, bool)>) -> io::Result<()> {
        ready.clear();
        let seconds = limit.as_secs().try_into().unwrap_or(i64::MAX);
        let limit = Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
        let mut room = [MaybeUninit::<Event>::uninit(); BATCH];
        let events = match epoll::wait(&self.epoll, &mut room, Some(&limit)) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().map(|event| {
            let readable = EventFlags::IN | EventFlags::HUP | EventFlags::ERR;
            let (flags, data) = (event.flags, event.data);
            (data.u64() as usize, flags.intersects(readable))
        }));
        Ok(())
    }
}
