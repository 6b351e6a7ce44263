//! Which machine a backend runs on.

use std::sync::Arc;

use crate::backend::{Backend, BackendLocation};
use crate::config::Member;
use crate::host;

/// The names of the backends whose energy this machine's meters measure: those on a loopback address, or on one that
/// can be bound here. A name other than `localhost` may belong to any machine.
pub(super) fn on_this_machine<'a>(backends: impl Iterator<Item = &'a Backend>) -> Vec<Arc<str>> {
    let bound = |ip| std::net::UdpSocket::bind((ip, 0)).is_ok();
    let local = |backend: &&Backend| backend.address.is_localhost() || backend.address.ip().is_some_and(bound);
    backends.filter(local).map(|backend| Arc::clone(&backend.name)).collect()
}

/// The location as configured; else this machine's name for a local backend, and the host of its address for another.
pub(super) fn locate(Member { backend, node, zone, .. }: &Member, is_local: bool) -> BackendLocation {
    let derived = || if is_local { host::node() } else { backend.address.host.as_str().into() };
    let zone = zone.as_deref().unwrap_or_default().into();
    BackendLocation { node: node.as_deref().map_or_else(derived, Into::into), zone }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_counted_for_a_backend_that_is_surely_on_this_machine() {
        let local = |address: &str| {
            let address = address.parse().expect("an address");
            !on_this_machine(std::iter::once(&Backend { name: "it".into(), address })).is_empty()
        };
        for here in ["localhost", "127.0.0.1:8080", "http://[::1]:11434", "0.0.0.0"] {
            assert!(local(here), "{here}");
        }
        // Addresses for documentation (RFC 5737, RFC 3849) are assigned to no machine.
        for elsewhere in ["192.0.2.1", "http://gpu-box:11434", "https://gpu.lan", "http://[2001:db8::1]:80"] {
            assert!(!local(elsewhere), "{elsewhere}");
        }
    }
}
