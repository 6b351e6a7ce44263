//! Which process listens on a port, from Linux's `/proc`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp` (Linux, `include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Process {
        pid: u32,
        name: String,
    },
    /// A process of this user, whose files may not be looked at.
    Hidden {
        uid: u32,
    },
    /// There is no `/proc`, or it does not list the socket, as from within a container.
    Unknown {
        port: u16,
    },
}

impl Owner {
    /// Whether they are surely two programs. Two processes of one name may be one program's ports, published by a
    /// container's engine.
    pub(super) fn is_another_program_than(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Process { name: one, .. }, Self::Process { name: other, .. }) if one != other)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(out, "{} (process {pid})", name.escape_debug()),
            Self::Hidden { uid } => write!(out, "a process of user {uid} that only root can look at (sudo says which)"),
            Self::Unknown { port } => {
                write!(out, "a process that is not seen from here (lsof -nP -iTCP:{port} says which)")
            }
        }
    }
}

/// The owner of the socket that listens on this address, read below this procfs.
pub(super) fn find_owner(proc: &Path, address: SocketAddr) -> Owner {
    let tables = ["net/tcp", "net/tcp6"].map(|name| fs::read_to_string(proc.join(name)).unwrap_or_default());
    let sockets = || tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listening);
    let Some(socket) = sockets().find(|socket| overlaps(socket.address, address)) else {
        return Owner::Unknown { port: address.port() };
    };
    process_with(proc, socket.inode).unwrap_or(Owner::Hidden { uid: socket.uid })
}

struct Socket {
    address: SocketAddr,
    uid: u32,
    inode: u64,
}

/// A line: number, local and remote address, state, queues, timer, retransmits, user, timeout, inode.
fn listening(line: &str) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let address = parse_address(fields.get(1)?)?;
    let socket = Socket { address, uid: fields.get(7)?.parse().ok()?, inode: fields.get(9)?.parse().ok()? };
    (fields[3] == LISTEN).then_some(socket)
}

/// `0100007F:2CAB`: the words of the address as the machine holds them, and the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Whether a socket on the first address keeps another from the second.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let (first, second) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (first == second || first.is_unspecified() || second.is_unspecified())
}

fn process_with(proc: &Path, inode: u64) -> Option<Owner> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir(proc).ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = ids.find(|pid| {
        let files = fs::read_dir(proc.join(pid.to_string()).join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| link.as_os_str() == wanted.as_str())
    })?;
    let name = fs::read_to_string(proc.join(pid.to_string()).join("comm")).unwrap_or_default();
    Some(Owner::Process { pid, name: name.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for (text, address) in [
            ("0100007F:2CAB", "127.0.0.1:11435"),
            ("00000000:1F41", "0.0.0.0:8001"),
            ("00000000000000000000000001000000:1F41", "[::1]:8001"),
            ("B80D0120000000000000000001000000:0050", "[2001:db8::1]:80"),
        ] {
            assert_eq!(parse_address(text), address.parse().ok(), "{text}");
        }
        for text in ["", "0100007F", "0100007:50", "0100007G:0050", "é100007F:0050"] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_that_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let owner = |address| find_owner(Path::new("/proc"), address);
        let Owner::Process { pid, name } = owner(address) else { panic!("it is this process") };
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        let other = SocketAddr::new([127, 0, 0, 2].into(), address.port());
        assert_eq!(owner(other), Owner::Unknown { port: address.port() });
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert_eq!(owner(any), Owner::Process { pid, name });
    }
}
