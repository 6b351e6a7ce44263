//! What a client is told when its exchange fails before the response has begun: whose fault it is, and what to do.

use http::StatusCode;

use super::answer::Answer;
use super::upstream::Failure;
use crate::exchange::outcome::ErrorType;
use crate::fleet::Member;
use crate::tls::Fault;

/// The answer to a client whose backend failed before the response's head.
pub(super) fn explain(member: &Member, failure: &Failure) -> Answer {
    let at = &member.backend.address;
    let why = failure.why();
    let (status, text) = match failure {
        Failure::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            format!("the backend at {at} did not begin its answer in time: raise limits.first_byte, or set it to 0"),
        ),
        Failure::Improper(fault) => {
            (StatusCode::BAD_GATEWAY, format!("the backend at {at} does not answer in proper HTTP/1.1: {fault}"))
        }
        Failure::Closed => {
            (StatusCode::BAD_GATEWAY, format!("the backend at {at} closed the connection before it answered"))
        }
        Failure::Broken(error) => {
            let text = match Fault::find(error) {
                Some(fault) => format!("the backend at {at}: {fault}"),
                None => format!("the backend at {at} reset the connection before it answered"),
            };
            (StatusCode::BAD_GATEWAY, text)
        }
    };
    Answer { status, why, text }
}

/// The answer to a client whose body found no room to be held in.
pub(super) fn no_room() -> Answer {
    let text = "too many large requests at once: try again in a moment, or raise fleet.hold_total_max".to_owned();
    Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::Limit, text }
}

/// The answer to a client whose upload failed through its own fault.
pub(super) fn blame(why: ErrorType) -> Answer {
    let (status, text) = match why {
        ErrorType::ClientTimeout => (StatusCode::REQUEST_TIMEOUT, "the request's body took too long to arrive"),
        _ => (StatusCode::BAD_REQUEST, "the request's body is framed wrongly or breaks off"),
    };
    Answer { status, why, text: text.to_owned() }
}

/// The answer to a client whose exchange an operator stopped. The status is one after which no client repeats the request
/// by itself.
pub(super) fn stopped() -> Answer {
    let text = "an operator stopped this request: it is not to be sent again unchanged".to_owned();
    Answer { status: StatusCode::FORBIDDEN, why: ErrorType::Stopped, text }
}
