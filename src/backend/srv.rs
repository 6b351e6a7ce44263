//! Asks the DNS for service records (RFC 2782) and the addresses of their targets.
//!
//! The system's resolver knows names and addresses only, and a resolver library would bring some forty packages for one
//! question in five seconds; so this asks the name server itself, with messages of simple-dns: one question over UDP, again
//! over TCP where the answer does not fit (RFC 1035, 4.2). Left out: search domains, caches, DNSSEC.

mod message;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use message::{Answer, Question, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long a name server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most name servers that are asked, as in the system's resolver.
const MAX_SERVERS: usize = 3;

/// Most targets whose addresses are asked for.
const MAX_TARGETS: usize = 256;

/// Most bytes of an answer over UDP.
const MAX_DATAGRAM: usize = 4096;

/// Port of name servers.
const PORT: u16 = 53;

/// The file that names the system's name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// One address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Those of the lowest priority come first; the others where none of these works.
    pub priority: u16,
    /// Where it is.
    pub address: SocketAddr,
    /// Its share among those of its priority.
    pub weight: u16,
}

/// The addresses of a service, by its full name (`_ollama._tcp.example.org`). `server` is the name server to ask; `None`
/// is those of the system. Empty where the service is declared to be nowhere.
///
/// # Errors
/// Why that is not known.
pub async fn lookup(name: &str, server: Option<SocketAddr>) -> Result<Vec<Service>, String> {
    let servers = match server {
        Some(server) => vec![server],
        None => {
            let file = tokio::task::spawn_blocking(|| std::fs::read_to_string(RESOLV_CONF)).await;
            system_servers(&file.ok().and_then(Result::ok).unwrap_or_default())
        }
    };
    let found = ask(&servers, name, RecordType::Service).await?;
    let targets: Vec<_> = found.iter().filter_map(Record::service).take(MAX_TARGETS).collect();
    if targets.is_empty() {
        return Err("the name has no service records".to_owned());
    }
    let mut services = Vec::new();
    for (priority, weight, port, target) in targets {
        // The root as target: the service is nowhere (RFC 2782).
        if target.is_empty() {
            continue;
        }
        for ip in addresses(&servers, target).await? {
            services.push(Service { priority, weight, address: SocketAddr::new(ip, port) });
        }
    }
    services.sort_unstable();
    services.dedup_by_key(|service| service.address);
    Ok(services)
}

/// The addresses of a target: of the fourth version where it has any, as both would be one server twice.
async fn addresses(servers: &[SocketAddr], target: &str) -> Result<Vec<IpAddr>, String> {
    for kind in [RecordType::Ipv4, RecordType::Ipv6] {
        let found = ask(servers, target, kind).await.map_err(|why| format!("{target}: {why}"))?;
        let addresses: Vec<_> = found.iter().filter_map(Record::address).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
    }
    Err(format!("{target} has no address"))
}

/// The first answer of a server.
async fn ask(servers: &[SocketAddr], name: &str, kind: RecordType) -> Result<Vec<Record>, String> {
    // Nobody outside can know it.
    let id = RandomState::new().hash_one(name) as u16;
    let question = Question::new(id, name, kind).ok_or_else(|| format!("{name} is no name"))?;
    let mut why = "there is no name server".to_owned();
    for server in servers.iter().take(MAX_SERVERS) {
        match timeout(PATIENCE, exchange(*server, &question)).await {
            Ok(Ok(Answer::Records(records))) => return Ok(records),
            Ok(Ok(Answer::NoSuchName)) => return Err("there is no such name".to_owned()),
            Ok(Ok(Answer::Truncated | Answer::Failed)) => why = format!("{server} fails"),
            Ok(Err(error)) => why = format!("{server}: {error}"),
            Err(_) => why = format!("{server} does not answer"),
        }
    }
    Err(why)
}

async fn exchange(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question.bytes()).await?;
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut datagram).await?;
        // What answers another question is a late answer, or a forged one.
        match question.answer(&datagram[..length]) {
            Some(Answer::Truncated) => return exchange_whole(server, question).await,
            Some(answer) => return Ok(answer),
            None => {}
        }
    }
}

/// Over TCP, where each message has its length in front.
async fn exchange_whole(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.bytes().len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&length[..], question.bytes()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    question.answer(&message).ok_or_else(|| io::Error::other("it answers another question"))
}

/// The servers that the file names; this machine where it names none (resolv.conf(5)).
fn system_servers(file: &str) -> Vec<SocketAddr> {
    let named = file.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next());
    let mut servers: Vec<_> = named.filter_map(|ip| Some(SocketAddr::new(ip.parse().ok()?, PORT))).collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::message::testing::{RData, reply};
    use super::*;

    /// A name server that answers as the script says: with records, or not at all. With `cut` the answers over UDP are
    /// truncated.
    fn server(cut: bool, script: fn(&str, u16) -> Option<Vec<RData>>) -> SocketAddr {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = tcp.local_addr().expect("an address");
        let udp = std::net::UdpSocket::bind(address).expect("the same port");
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                if let Some(answer) = reply(&question[..length], cut, script) {
                    // An answer to a question that was not asked comes first.
                    let mut forged = answer.clone();
                    forged[0] ^= 1;
                    let _ = udp.send_to(&forged, from);
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut length = [0; 2];
                stream.read_exact(&mut length).expect("a length");
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut question).expect("a question");
                let answer = reply(&question, false, script).expect("an answer");
                let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat()).expect("it reads");
            }
        });
        address
    }

    fn script(name: &str, kind: u16) -> Option<Vec<RData>> {
        let service = |priority, weight, port, target: &str| RData::Service(priority, weight, port, target.to_owned());
        Some(match (name, kind) {
            ("_ollama._tcp.example.org", 33) => vec![
                service(10, 60, 11434, "gpu1.example.org"),
                service(20, 0, 8080, "gpu2.example.org"),
                service(10, 40, 11434, "six.example.org"),
            ],
            ("_none._tcp.example.org", 33) => vec![service(0, 0, 0, "")],
            ("gpu1.example.org", 1) => vec![RData::Alias("a.example.org".to_owned()), RData::Ipv4([127, 0, 0, 1])],
            ("gpu2.example.org", 1) => vec![RData::Ipv4([127, 0, 0, 2]), RData::Ipv4([127, 0, 0, 3])],
            ("six.example.org", 28) => vec![RData::Ipv6(Ipv6Addr::LOCALHOST.octets())],
            ("silent.example.org", _) => return None,
            _ => Vec::new(),
        })
    }

    #[tokio::test]
    async fn a_service_is_each_address_of_its_targets_with_priority_weight_and_port() {
        for cut in [false, true] {
            let server = server(cut, script);
            let found = lookup("_ollama._tcp.example.org", Some(server)).await.expect("an answer");
            let found: Vec<_> = found.iter().map(|it| (it.priority, it.weight, it.address.to_string())).collect();
            let expected = [
                (10, 60, "127.0.0.1:11434"),
                (10, 40, "[::1]:11434"),
                (20, 0, "127.0.0.2:8080"),
                (20, 0, "127.0.0.3:8080"),
            ];
            assert_eq!(found, expected.map(|(priority, weight, at)| (priority, weight, at.to_owned())), "cut: {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_nowhere_is_empty_and_what_is_not_known_says_why() {
        let server = server(false, script);
        assert_eq!(lookup("_none._tcp.example.org", Some(server)).await, Ok(Vec::new()));
        let why = |name: &'static str| async move { lookup(name, Some(server)).await.expect_err(name) };
        assert_eq!(why("_other._tcp.example.org").await, "the name has no service records");
        assert_eq!(why("silent.example.org").await, format!("{server} does not answer"));
        assert_eq!(why("a..b").await, "a..b is no name");
    }

    #[test]
    fn the_name_servers_of_the_system_are_those_of_its_file() {
        let file = "# comment\nsearch example.org\nnameserver 10.0.0.1\n nameserver\t::1 # x\nnameserver bad\n";
        let servers: Vec<_> = system_servers(file).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53"]);
        assert_eq!(system_servers("").len(), 1);
    }
}
