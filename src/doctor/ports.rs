//! Whether the two ports are free, this program's, or taken by another process.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::finding::Finding;
use super::owner::{Owner, find_owner};
use super::running::Running;
use crate::config::Config;

enum PortState {
    Free,
    Taken,
    /// No program could listen there.
    Unusable(io::Error),
}

/// Binding tells, and nothing can connect meanwhile: it does not listen.
fn state(address: SocketAddr) -> PortState {
    match TcpListener::bind(address) {
        Ok(_) => PortState::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => PortState::Taken,
        Err(error) => PortState::Unusable(error),
    }
}

/// The findings about both ports.
pub(super) fn examine(config: &Config, running: &Running, proc: &Path) -> Vec<Finding> {
    let ports = [("listen", config.listen), ("admin-listen", config.admin_listen)];
    let mut findings = Vec::new();
    let mut free = 0;
    for (flag, address) in ports.into_iter().filter(|(_, address)| address.port() != 0) {
        match state(address) {
            PortState::Free if running.is_there() => findings.push(not_served(flag, address)),
            PortState::Free => free += 1,
            PortState::Taken => {
                let (owner, admin) = (find_owner(proc, address), find_owner(proc, config.admin_listen));
                findings.push(taken(flag, address, running, &owner, &admin));
            }
            PortState::Unusable(error) => findings.push(unusable(flag, address, &error)),
        }
    }
    if free > 0 && findings.is_empty() {
        let what = format!("inferometer does not run: nothing listens on {} or {}", config.listen, config.admin_listen);
        let remedy =
            "start it (systemctl start inferometer, or inferometer), or give doctor the --config that it runs with";
        findings.push(Finding::fault("ports", what, remedy));
    }
    findings
}

fn not_served(flag: &str, address: SocketAddr) -> Finding {
    let what = format!("nothing listens on {address}, while inferometer answers on --admin-listen");
    Finding::fault("ports", what, format!("it runs with another --{flag}: give doctor the --config that it runs with"))
}

/// `admin` owns the second listener's port.
fn taken(flag: &str, address: SocketAddr, running: &Running, owner: &Owner, admin: &Owner) -> Finding {
    if running.is_there() && !owner.is_another_program_than(admin) {
        return Finding::fine("ports", format!("{address} is taken by {owner}"));
    }
    let next = address.port().saturating_add(1);
    let what = format!("{address} (--{flag}) is taken by {owner}, and not by inferometer");
    Finding::fault(
        "ports",
        what,
        format!("stop it, or choose another port, such as --{flag} {}:{next}", bracketed(address)),
    )
}

fn bracketed(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

fn unusable(flag: &str, address: SocketAddr, error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "give an address that this machine has, or 0.0.0.0 for all of them".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "choose a port from 1024 on, or let the service manager pass the right".to_owned()
        }
        _ => format!("choose another address for --{flag}"),
    };
    Finding::fault("ports", format!("{address} (--{flag}) cannot be listened on: {error}"), remedy)
}
