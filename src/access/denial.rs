//! Why a request is not answered.

use std::time::Duration;

use http::StatusCode;

use super::scope::{Scope, Scopes};

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The listener is reached by other machines, and no credentials are configured.
    Closed,
    /// Without credentials beyond loopback, it asks for a name that is not known.
    ForeignHost,
    /// A page of another site may have sent it.
    CrossSite,
    /// It would change something, and its body does not say to be JSON.
    NotJson,
    /// It has no credentials, or they are not accepted.
    Unauthenticated(Fault, Challenge),
    /// Too many wrong credentials from this address, or too many passwords to check at once. They were not checked; the
    /// client may retry after this time.
    TooManyAttempts(Duration),
    /// Too many requests; the next is answered after this time.
    RateLimited(Duration),
    /// The credentials do not permit it.
    NotPermitted {
        /// The scope that would.
        required: Scope,
        /// Those that were given.
        has: Scopes,
    },
}

/// What is wrong with the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There are none.
    Missing,
    /// They are not accepted.
    Wrong,
    /// They were accepted before.
    Expired,
}

/// Which credentials would be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// A user and a password.
    pub basic: bool,
    /// An API key or a token.
    pub bearer: bool,
}

impl Denial {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Closed | Self::ForeignHost | Self::CrossSite | Self::NotPermitted { .. } => StatusCode::FORBIDDEN,
            Self::NotJson => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(..) => StatusCode::UNAUTHORIZED,
            Self::TooManyAttempts(_) | Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// When to retry.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts(wait) | Self::RateLimited(wait) => Some(*wait),
            _ => None,
        }
    }

    /// A sentence that says what to do. It repeats nothing of the request.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Closed => {
                "bound beyond this machine, this listener answers anyone only with metrics and health: set passwords \
                 (admin_web_config_file), API keys (access.keys_file) or tokens (access.jwks_file), or start with \
                 --dashboard-open to show the rest to whoever reaches it"
            }
            Self::ForeignHost => {
                "shown without credentials (--dashboard-open), this answers to addresses, localhost and the names in \
                 access.names only, so that no web site can read it through a browser"
            }
            Self::CrossSite => "a page of another site may have sent this; open this address itself",
            Self::NotJson => "what changes something is sent as application/json",
            Self::Unauthenticated(Fault::Missing, Challenge { basic: true, bearer: false }) => {
                "a user and a password are needed"
            }
            Self::Unauthenticated(Fault::Missing, Challenge { basic: false, .. }) => {
                "an API key or a token is needed: Authorization: Bearer …"
            }
            Self::Unauthenticated(Fault::Missing, _) => "a user and a password, an API key or a token are needed",
            Self::Unauthenticated(Fault::Wrong, _) => "these credentials are not accepted",
            Self::Unauthenticated(Fault::Expired, _) => {
                "these credentials have expired: sign in again, ask the issuer for another token, or make another API key \
                 (inferometer key)"
            }
            Self::TooManyAttempts(_) => {
                "too many wrong credentials from this address, or too many passwords at once: they are not looked at before \
                 the time in Retry-After is over"
            }
            Self::RateLimited(_) => {
                "too many requests: wait as long as Retry-After says, ask less often, or raise access.requests_per_minute and \
                 access.requests_per_10s"
            }
            Self::NotPermitted { required: Scope::DashboardRead, has } if has.permit(Scope::InferenceRead) => {
                "inference:read shows what its own tenant did, and there are no tenants yet: nothing here is shown with it \
                 alone; use a key or token with dashboard:read"
            }
            Self::NotPermitted { .. } => "these credentials do not permit it",
        }
    }
}
