//! The keys of an element of `[[backends]]`.

use super::key::Reload::Live;
use super::key::{Key, Reload, Scope, keys};
use super::keys::{cert, key, set_cert, set_key};
use super::settings::BackendElement;

/// The table of the file.
pub(super) const TABLE: &str = "backends";
/// TLS settings within it.
pub(super) const TLS_TABLE: &str = "backends.tls";

/// A change holds from the next exchange on.
const REQUESTS: Reload<BackendElement> = Live(Scope::Requests);
const FILES: Reload<BackendElement> = Live(Scope::BackendConnections);

/// In the order in which they are printed.
#[rustfmt::skip]
pub(super) static ELEMENT: &[Key<BackendElement>] = keys! { BackendElement;
    ["backends.name",            NAME,     "",     File, REQUESTS, {name},         "Its name in metrics; unset is the host and port of its address"]
    ["backends.url",             ADDRESS,  "",     File, REQUESTS, {url},          "Where it is: host, host:port, http://host:port/prefix or https://host"]
    ["backends.weight",          WEIGHT,   "1",    File, REQUESTS, {share.weight}, "Its share of the traffic in relation to the others'"]
    ["backends.tier",            TIER,     "0",    File, REQUESTS, {share.tier},   "Those of a higher tier are used where none of a lower one works"]
    ["backends.slots",           SLOTS,    "auto", File, REQUESTS, {share.slots},  "How many exchanges it works on at once, where it does not say so itself"]
    ["backends.allow",           PATTERNS, "",     File, REQUESTS, {share.allow},  "The only models that it is asked for"]
    ["backends.deny",            PATTERNS, "",     File, REQUESTS, {share.deny},   "Models that it is not asked for"]
    ["backends.drain",           SWITCH,   "off",  File, REQUESTS, {share.drains}, "Whether it gets no further exchanges; those in flight go on"]
    ["backends.node",            PLACE,    "",     File, REQUESTS, {node},         "Its machine; unset is backend_node"]
    ["backends.zone",            PLACE,    "",     File, REQUESTS, {zone},         "Where that machine is; unset is backend_zone"]
    ["backends.host_header",     OWN_HOST, "",     File, REQUESTS, {host_header},  "Host field sent to it; unset is host_header"]

    ["backends.tls.ca_file",     FILE,        "",  File, FILES, {tls.ca_file},     "Authorities to trust; unset is backend_tls.ca_file"]
    ["backends.tls.cert_file",   FILE,        "",  File, FILES, (|it| cert(&it.tls.identity), |it, file| set_cert(&mut it.tls.identity, file)), "Certificate to show; unset is that of backend_tls"]
    ["backends.tls.key_file",    FILE,        "",  File, FILES, (|it| key(&it.tls.identity), |it, file| set_key(&mut it.tls.identity, file)),    "Its private key"]
    ["backends.tls.server_name", SERVER_NAME, "",  File, FILES, {tls.server_name}, "The name that its certificate is for; unset is backend_tls.server_name"]
};
