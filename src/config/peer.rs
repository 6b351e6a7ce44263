//! The keys of an element of `[[peers]]`.

use super::error::ConfigError;
use super::key::Reload::Restart;
use super::key::{Key, Reload, keys};
use super::layers::Layers;
use super::settings::Peer;

/// The table of the file.
pub(super) const TABLE: &str = "peers";

/// Most peers: each is asked every ten seconds.
const MOST: usize = 64;

const AT_START: Reload<Peer> = Restart;

/// In the order in which they are printed.
#[rustfmt::skip]
pub(super) static PEER: &[Key<Peer>] = keys! { Peer;
    ["peers.name",            NAME,        "", File, AT_START, {name},                   "Its name until it has told its machine's; unset is the host of its address"]
    ["peers.url",             ADDRESS,     "", File, AT_START, {remote.address},         "Where its second listener is, such as http://gpu-box:8001"]
    ["peers.token_file",      FILE,        "", File, AT_START, {remote.token_file},      "API key for it, with the scope dashboard:read"]
    ["peers.basic_auth_file", FILE,        "", File, AT_START, {remote.basic_auth_file}, "User and password for it, as user:password"]
    ["peers.ca_file",         FILE,        "", File, AT_START, {remote.tls.ca_file},     "Authorities to trust for an https:// address instead of the system's"]
    ["peers.server_name",     SERVER_NAME, "", File, AT_START, {remote.tls.server_name}, "The name that its certificate is for"]
};

/// Reads the elements of `[[peers]]`.
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
