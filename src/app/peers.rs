//! Asks peers for the machines that they see, in the background: nobody waits for them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::components::Components;
use super::material::Material;
use crate::api::peers::{NODES, Peers};
use crate::remote::Remote;

/// Between two questions to a peer.
const PERIOD: Duration = Duration::from_secs(10);

/// Begins to ask each peer, until `stop` is true.
pub(super) fn start(material: &Material, components: &Components, stop: &watch::Receiver<bool>) {
    for (name, remote) in &material.peers {
        components.peers.add(name.clone());
        let (peers, name, remote, stop) = (components.peers.clone(), name.clone(), remote.clone(), stop.clone());
        tokio::spawn(follow(peers, name, remote, stop));
    }
}

async fn follow(peers: Peers, name: Arc<str>, remote: Arc<Remote>, mut stop: watch::Receiver<bool>) {
    let mut failing = None;
    loop {
        let why = match remote.get(NODES).await {
            Ok(body) => match peers.heard(&name, &body, SystemTime::now()) {
                true => None,
                false => Some("it does not answer as an inferometer does".to_owned()),
            },
            Err(error) => Some(error.to_string()),
        };
        if why.is_some() {
            peers.lost(&name);
        }
        if why != failing {
            match &why {
                Some(why) => tracing::warn!(peer = &*name, why, "a peer does not tell of its machines"),
                None if failing.is_some() => tracing::info!(peer = &*name, "a peer tells of its machines again"),
                None => {}
            }
            failing = why;
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}
