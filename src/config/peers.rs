//! Reads the elements of `[[peers]]`.

use super::error::ConfigError;
use super::layers::Layers;
use super::peer::PEER;
use super::settings::Peer;

/// Most peers: each is asked every ten seconds.
const MOST: usize = 64;

/// The peers of the file.
///
/// # Errors
/// Where the value of one is not allowed.
pub(super) fn read(layers: &Layers) -> Result<Vec<Peer>, ConfigError> {
    let refuse = |origin: &super::error::SettingOrigin, reason: &str| {
        let (origin, reason) = (origin.clone(), reason.to_owned());
        Err(ConfigError::Value { key: "peers.url", origin, value: String::new(), reason })
    };
    let mut peers = Vec::new();
    for (origin, layers) in &layers.peers {
        let mut peer = Peer::default();
        layers.fill(PEER, &mut peer)?;
        if peer.remote.address.is_none() {
            return refuse(origin, "every one of [[peers]] needs its address");
        }
        if peers.len() == MOST {
            return refuse(origin, "at most 64 peers are allowed");
        }
        peers.push(peer);
    }
    Ok(peers)
}
