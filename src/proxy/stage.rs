//! A worker for tests that poll a connection by hand, with the records of its exchanges laid open.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::slot::Slots;
use super::worker::{Admission, Life, Worker};
use super::{Parts, Settings, Shared};
use crate::backend::Backend;
use crate::backend::address::Address;
use crate::backend::dial::Dialer;
use crate::exchange::names::AsSpelled;
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{Sink, Watch};

/// What has ended.
#[derive(Clone, Default)]
pub(super) struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    /// The last one.
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

/// Without a time limit, before this backend.
pub(super) fn worker(backend: SocketAddr, records: &Records) -> Rc<Worker> {
    let settings =
        Settings { connect_timeout: Duration::from_secs(20), max_connections: 100, http2: true, ..Settings::default() };
    let address: Address = format!("http://{backend}").parse().expect("an address");
    let parts = Parts {
        settings: watch::channel(settings).1,
        shared: Shared {
            backend: Backend { name: "test".into(), address: address.clone() },
            dialer: Arc::new(Dialer::new(address)),
            sink: Arc::new(records.clone()),
            tls: None,
            residency: Arc::default(),
            names: Arc::new(AsSpelled),
        },
        ids: Arc::default(),
        connections: Arc::default(),
        room: mpsc::unbounded_channel().0,
        held_by_decoders: Arc::default(),
        heads: Arc::default(),
        lingering: Arc::default(),
    };
    Worker::new(parts, watch::channel(Life::Running).1)
}

/// As every connection has it that found a place.
pub(super) fn admission() -> Admission {
    let now = Instant::now();
    Admission { seat: Slots::new(now).make(0, now), over_limit: false, at: now.into() }
}
