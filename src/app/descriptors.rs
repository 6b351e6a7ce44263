//! How many descriptors the process may open, and how many clients they serve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system allows without privileges, and returns it. `None` is no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // macOS reports a higher maximum than it grants, so the limit is read back.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current
}

/// Most descriptors reserved for other uses than clients: the second listener, clients that are refused with a 503,
/// idle connections to the backend, the log and the machine's files.
const RESERVED: u64 = 400;

/// How many clients can be served with this many descriptors, at least 1: an exchange needs three, for the client's
/// socket, its duplicate and the backend's socket.
pub(super) fn max_clients(descriptors: u64) -> u64 {
    ((descriptors - RESERVED.min(descriptors / 4)) / 3).max(1)
}

/// How many connections each of so many second listeners may have with this many descriptors, at least 1: together
/// half of what is reserved where little is, so that they leave enough for the rest.
pub(super) fn max_watchers(descriptors: u64, listeners: u64) -> u64 {
    (descriptors / 8 / listeners.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_listeners_leave_descriptors_for_the_rest_of_the_program() {
        for (descriptors, listeners, each) in [(40, 1, 5), (256, 1, 32), (256, 2, 16), (1_024, 1, 128), (4, 2, 1)] {
            assert_eq!(max_watchers(descriptors, listeners), each, "{descriptors}");
            let reserved = descriptors - 3 * max_clients(descriptors);
            assert!(descriptors < 8 || 2 * each * listeners <= reserved, "{descriptors}: {reserved}");
        }
    }

    #[test]
    fn clients_leave_descriptors_for_the_second_listener() {
        for (descriptors, clients) in [(2, 1), (40, 10), (256, 64), (1_024, 256), (4_096, 1_232), (1 << 20, 349_392)] {
            assert_eq!(max_clients(descriptors), clients, "{descriptors}");
            assert!(descriptors < 4 || 3 * clients < descriptors, "a third at most");
        }
    }
}
