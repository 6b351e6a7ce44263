//! The keys of an element of `[[peers]]`.

use super::key::Reload::Restart;
use super::key::{Key, Reload, keys};
use super::settings::Peer;

/// The table of the file.
pub(super) const TABLE: &str = "peers";

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
