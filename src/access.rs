//! Who may ask the second listener, and how often.
//!
//! | credentials | sent as | permit |
//! |---|---|---|
//! | a user's password | `Authorization: Basic` | `dashboard:read`, and `dashboard:admin` to users that are named as admins |
//! | an API key, a token | `Authorization: Bearer`; a WebSocket's protocol `bearer.…` | the scopes that it says |
//! | a session | a cookie that `POST /dashboard/session` sets | what began it |
//! | a ticket | a WebSocket's parameter `ticket`, once, within 30 s | what asked for it |
//!
//! Where none are configured, anyone is answered on loopback; beyond it only metrics and health are shown, unless
//! `dashboard_open` is on.
//!
//! Promises: what is not known to be harmless needs the admin scope; nothing of another site's page is answered that
//! changes something, nor a WebSocket of it; secrets are kept as digests, and never logged or shown; a session ends with
//! the password, the key or the signing key that began it; every table is bounded. Left out: the name of the host (the
//! listener's guard), and what an endpoint needs beyond these scopes.

mod denial;
mod gate;
mod guesses;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod network;
mod passwords;
pub mod paths;
mod priority;
pub mod private_file;
mod request;
mod rules;
pub mod scope;
pub mod settings;
mod sign_ins;
mod tally;
mod tokens;
mod vault;

pub use denial::{Challenge, Denial, Fault};
pub use gate::sessions::NewSession;
pub use gate::{Gate, GateStatus};
pub use passwords::Users;
pub use request::{Asker, Connection, is_json, websocket_protocol};
pub use rules::Rules;
pub use sign_ins::{came_from, product_of};
pub use vault::NoRandom;
