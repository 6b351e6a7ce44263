//! Looks for backends in files, by names and by service records, again and again.
//!
//! A source that fails keeps what it had: a file that is being written, and a resolver that is away, take no backend away.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::backend::address::Address;
use crate::backend::srv::{self, Service};
use crate::config::{BackendElement, Config, DiscoverySettings, file_sd};
use crate::fleet::Share;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(5);

/// How long a source may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The greatest weight of a backend, as in the configuration.
const MAX_WEIGHT: u32 = 1000;

/// What each source had last, by how it is written.
#[derive(Default)]
pub(super) struct Discovery {
    known: HashMap<String, Source>,
    /// What was found and is not used, with the reason.
    left_out: Vec<String>,
}

#[derive(Default)]
struct Source {
    elements: Vec<BackendElement>,
    /// Why it failed at the latest look.
    failure: Option<String>,
}

impl Discovery {
    /// Asks every source once.
    pub(super) async fn look(&mut self, config: &Config) -> Vec<BackendElement> {
        let mut found = Vec::new();
        let DiscoverySettings { files, names, services, resolver } = &config.discovery;
        self.known.retain(|source, _| {
            files.contains(source) || services.contains(source) || names.iter().any(|name| name.to_string() == *source)
        });
        for file in files {
            let read =
                timeout(PATIENCE, read(file)).await.unwrap_or_else(|_| Err("it takes too long to read".to_owned()));
            found.extend_from_slice(self.settle(file.clone(), read));
        }
        for name in names {
            let resolved = timeout(PATIENCE, resolve(name)).await;
            let resolved = resolved.unwrap_or_else(|_| Err("the resolver does not answer".to_owned()));
            found.extend_from_slice(self.settle(name.to_string(), resolved));
        }
        for name in services {
            let asked = timeout(PATIENCE, srv::lookup(name, *resolver)).await;
            let asked = asked.unwrap_or_else(|_| Err("the name server does not answer".to_owned()));
            found.extend_from_slice(self.settle(name.clone(), asked.map(|services| offered(&services))));
        }
        self.report_left_out(Config { discovered: found.clone(), ..config.clone() }.left_out());
        found
    }

    /// Logs what is not used, once.
    fn report_left_out(&mut self, left_out: Vec<String>) {
        for why in left_out.iter().filter(|why| !self.left_out.contains(why)) {
            tracing::warn!("a backend was discovered and is left out: {why}");
        }
        self.left_out = left_out;
    }

    /// What the source has: as it says now, else as it said before. A failure is logged once.
    fn settle(&mut self, source: String, said: Result<Vec<BackendElement>, String>) -> &[BackendElement] {
        let known = self.known.entry(source.clone()).or_default();
        match said {
            Ok(elements) => (known.elements, known.failure) = (elements, None),
            Err(why) => {
                if known.failure.as_ref() != Some(&why) {
                    tracing::error!(%source, %why, "backends are not discovered there: what was found before stays");
                }
                known.failure = Some(why);
            }
        }
        &known.elements
    }

    /// Looks again and again, and passes on what has changed. Ends with the configuration.
    pub(super) async fn run(mut self, mut config: watch::Receiver<Config>, found: watch::Sender<Vec<BackendElement>>) {
        loop {
            let now = config.borrow_and_update().clone();
            let elements = self.look(&now).await;
            found.send_if_modified(|known| std::mem::replace(known, elements.clone()) != elements);
            let has_sources = now.discovery.has_sources();
            drop(now);
            tokio::select! {
                () = sleep(PERIOD), if has_sources => {}
                changed = config.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// On a thread of its own: it may lie on a disk that hangs.
async fn read(path: &str) -> Result<Vec<BackendElement>, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        file.take(file_sd::MAX_FILE).read_to_string(&mut text).map_err(|error| error.to_string())?;
        file_sd::parse(&text)
    });
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Each address that the name has.
async fn resolve(name: &Address) -> Result<Vec<BackendElement>, String> {
    let resolved = tokio::net::lookup_host((&*name.host, name.port)).await.map_err(|error| error.to_string())?;
    Ok(elements(name, resolved.collect()))
}

/// Each address of a service. The priorities become tiers, the lowest the first; weights keep their proportion.
fn offered(services: &[Service]) -> Vec<BackendElement> {
    let mut priorities: Vec<_> = services.iter().map(|service| service.priority).collect();
    priorities.dedup();
    let heaviest = services.iter().map(|service| u32::from(service.weight)).max().unwrap_or(0);
    let element = |service: &Service| {
        let tier = priorities.iter().position(|priority| *priority == service.priority).unwrap_or(0);
        // A weight of zero is the least share (RFC 2782).
        let weight = u32::from(service.weight) * MAX_WEIGHT.min(heaviest.max(1)) / heaviest.max(1);
        let address = &service.address;
        let url = Address { tls: false, host: address.ip().to_string(), port: address.port(), prefix: String::new() };
        let share = Share {
            tier: u32::try_from(tier).unwrap_or(u32::MAX),
            weight: NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN),
            ..Share::default()
        };
        BackendElement { url: Some(url), share, ..BackendElement::default() }
    };
    services.iter().map(element).collect()
}

/// Of the fourth version where there is any, as both would be one server twice.
fn elements(name: &Address, mut addresses: Vec<SocketAddr>) -> Vec<BackendElement> {
    if addresses.iter().any(SocketAddr::is_ipv4) {
        addresses.retain(SocketAddr::is_ipv4);
    }
    addresses.sort_unstable();
    addresses.dedup();
    let address = |at: SocketAddr| Address { host: at.ip().to_string(), ..name.clone() };
    addresses.into_iter().map(|at| BackendElement { url: Some(address(at)), ..BackendElement::default() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priorities_of_a_service_are_tiers_and_its_weights_keep_their_proportion() {
        let service = |priority, weight, port| Service { priority, weight, address: ([127, 0, 0, 1], port).into() };
        let shares = |services: &[Service]| {
            let of = |it: &BackendElement| {
                let url = it.url.as_ref().expect("an address").to_string();
                (url, it.share.tier, it.share.weight.get())
            };
            offered(services).iter().map(of).collect::<Vec<_>>()
        };
        let url = |port| format!("http://127.0.0.1:{port}");
        let expected = [(url(1), 0, 60), (url(2), 0, 40), (url(3), 1, 1)];
        assert_eq!(shares(&[service(10, 60, 1), service(10, 40, 2), service(70, 0, 3)]), expected);
        let expected = [(url(1), 0, 1000), (url(2), 0, 500)];
        assert_eq!(shares(&[service(0, 60_000, 1), service(0, 30_000, 2)]), expected);
        assert_eq!(shares(&[]), []);
    }

    #[tokio::test]
    async fn a_name_is_each_of_its_addresses_and_a_failure_takes_nothing_away() {
        let mut discovery = Discovery::default();
        let urls = |found: &[BackendElement]| {
            found.iter().filter_map(|it| it.url.as_ref()).map(ToString::to_string).collect::<Vec<_>>()
        };
        // Not a name, since a machine need not have a file of them.
        let here: Address = "http://127.0.0.1:7/prefix".parse().expect("an address");
        let found = resolve(&here).await.expect("no name is asked for");
        assert_eq!(urls(&found), ["http://127.0.0.1:7/prefix"]);
        let of = |addresses: &[&str]| {
            urls(&elements(&here, addresses.iter().map(|at| at.parse().expect("an address")).collect()))
        };
        assert_eq!(
            of(&["[::1]:7", "127.0.0.9:7", "127.0.0.2:7", "127.0.0.9:7"]),
            ["http://127.0.0.2:7/prefix", "http://127.0.0.9:7/prefix"]
        );
        assert_eq!(of(&["[::1]:7"]), ["http://[::1]:7/prefix"]);
        assert_eq!(discovery.settle("x".to_owned(), Ok(found.clone())), found);
        assert_eq!(discovery.settle("x".to_owned(), Err("away".to_owned())), found);
        assert_eq!(discovery.settle("x".to_owned(), Ok(Vec::new())), []);
        let absent: Address = "http://nowhere.invalid:7".parse().expect("an address");
        assert!(resolve(&absent).await.is_err());
    }
}
