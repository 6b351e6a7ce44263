//! Opens connections to backends.

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::answer::Answer;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::backend::dial::DialError;
use crate::exchange::outcome::ErrorType;
use crate::fleet::{Fleet, Member};

/// Opens a connection to a backend.
///
/// # Errors
/// The answer for the client, where no connection can be opened.
pub(super) async fn connect(worker: Rc<Worker>, member: Arc<Member>) -> Result<Box<Upstream>, Answer> {
    let limit = member.settings.connect_timeout;
    let mut dialled = member.dialer.dial(limit).await;
    // Idle connections are given up for one that is needed.
    if matches!(dialled, Err(DialError::Exhausted(_))) && worker.thread.pools.clear() {
        dialled = member.dialer.dial(limit).await;
    }
    let failed = |why, text: String| {
        let status = match why {
            ErrorType::ConnectTimeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorType::Limit => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        Answer { status, why, text }
    };
    let (at, several) = (&member.backend.address, worker.thread.with_fleet(Fleet::has_several));
    let key = if several { "the url of its [[backends]] or its --backend" } else { "--backend" };
    dialled.map(Upstream::new).map_err(|error| match error {
        DialError::Refused => failed(
            ErrorType::ConnectRefused,
            format!("the backend at {at} refuses connections: start it, or set {key} to where it listens"),
        ),
        DialError::Timeout => failed(
            ErrorType::ConnectTimeout,
            format!("the backend at {at} does not accept connections in time: check {key} and --connect-timeout"),
        ),
        DialError::Dns(_) => {
            failed(ErrorType::Dns, format!("the name of the backend {at} does not resolve: check {key}"))
        }
        DialError::Tls(fault) => failed(ErrorType::Tls, format!("the backend at {at}: {fault}")),
        DialError::Exhausted(error) => failed(
            ErrorType::Limit,
            format!(
                "no connection to the backend can be opened ({error}): raise the limit of open files or local ports"
            ),
        ),
        DialError::Other(error) => failed(ErrorType::Reset, format!("the backend at {at} cannot be reached: {error}")),
    })
}
