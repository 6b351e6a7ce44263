//! The paths of the API, and those of it that have to do with signing in.

/// Where a session begins, and who asks is said.
pub const SESSION: &str = "/dashboard/session";

/// Where a session ends.
pub const SIGN_OUT: &str = "/dashboard/session/end";

/// Where a ticket for a WebSocket is given out. It needs no more than to read.
pub const WS_TICKET: &str = "/dashboard/ws-ticket";

/// Whether a path belongs to the dashboard API, also where nothing is there. Compared as it is sent.
#[must_use]
pub fn is_api(path: &str) -> bool {
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/dashboard") || below("/api") || matches!(path, "/openapi.json" | "/ws")
}
