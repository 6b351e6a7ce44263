//! A worker for tests that poll a connection by hand, with the records of its exchanges.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::admission::{Admission, Life};
use super::alarm::Alarm;
use super::decoding::HeldByDecoders;
use super::settings::{Settings, Shared};
use super::slot::Slots;
use super::worker::{Worker, WorkerParts};
use crate::backend::address::Address;
use crate::backend::dial::Dialer;
use crate::backend::{self, Backend};
use crate::exchange::names::AsSpelled;
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::fleet::{Fleet, Member, Share};

/// The records of the exchanges that have ended.
#[derive(Clone, Default)]
pub(super) struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    /// The latest.
    pub(super) fn last(&self) -> Record {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().expect("an exchange has ended").clone()
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Sink for Records {
    type Watch = Self;

    fn started(&self, _: &Start) -> Self {
        self.clone()
    }
}

impl Watch for Records {
    fn finished(&mut self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }
}

/// A worker without time limits, for the backend at `at`.
pub(super) fn worker(at: SocketAddr, records: &Records) -> Rc<Worker> {
    let settings = Settings { max_connections: 100, http2: true, ..Settings::default() };
    let upstream = backend::Settings { connect_timeout: Duration::from_secs(20), ..backend::Settings::default() };
    let address: Address = format!("http://{at}").parse().expect("an address");
    let dialer = Arc::new(Dialer::new(address.clone()));
    let fleet = Fleet::of_one(Member::new(
        Backend { name: "test".into(), address },
        upstream,
        Share::default(),
        dialer,
        Instant::now(),
    ));
    let parts = WorkerParts {
        settings: watch::channel(settings).1,
        shared: Shared {
            fleet: watch::channel(Arc::new(fleet)).1,
            sink: Arc::new(records.clone()),
            tls: None,
            residency: Arc::default(),
            names: Arc::new(AsSpelled),
            held: Default::default(),
        },
        ids: Arc::default(),
        connections: Arc::default(),
        room: mpsc::unbounded_channel().0,
        held_by_decoders: HeldByDecoders::default(),
        heads: Arc::default(),
        lingering: Arc::default(),
        alarm: Alarm::default(),
    };
    Worker::new(parts, watch::channel(Life::Running).1)
}

/// The admission of a connection within the limit.
pub(super) fn admission() -> Admission {
    let now = Instant::now();
    Admission { seat: Slots::new(now).make(0, now), over_limit: false, at: now.into() }
}
