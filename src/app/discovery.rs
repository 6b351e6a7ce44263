//! Looks for backends in files and by names, again and again.
//!
//! A source that fails keeps what it had: a file that is being written, and a resolver that is away, take no backend away.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::backend::address::Address;
use crate::config::{BackendElement, Config, file_sd};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(5);

/// How long a source may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// What each source had last, by how it is written.
#[derive(Default)]
pub(super) struct Discovery {
    known: HashMap<String, Source>,
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
        let (files, names) = (&config.discovery.files, &config.discovery.names);
        self.known.retain(|source, _| files.contains(source) || names.iter().any(|name| name.to_string() == *source));
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
        found
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
            let has_sources = !now.discovery.files.is_empty() || !now.discovery.names.is_empty();
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
