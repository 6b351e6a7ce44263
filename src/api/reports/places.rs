//! On which machine a backend is.

use crate::api::state::Parts;
use crate::backend::address::Address;

/// The machine of an address: this one, else the host of the address.
pub(super) fn place(parts: &Parts, address: &Address) -> String {
    if is_here(address) { parts.node.to_string() } else { address.host.clone() }
}

/// Whether it surely is an address of this machine.
pub(super) fn is_here(address: &Address) -> bool {
    address.is_localhost() || address.ip().is_some_and(|ip| ip.is_loopback())
}
