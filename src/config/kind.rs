//! Kinds of values: how each is described, parsed and printed. One constant per kind, shared by its keys.

mod base;
mod fleet;

pub(super) use base::ValueKind;
pub(super) use fleet::*;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Bounds, ElectricityPrice, MaxConnections};
use super::write::{duration, quoted, size, switch};
use super::{backends, value};
use crate::access::network::Network;
use crate::backend::Backend;
use crate::backend::HostHeader;
use crate::backend::address::Address;
use crate::history;
use crate::host::helper::HelperAddress;
use crate::logs;
use base::Parse::{List, One};
use base::{list, within, words};

pub(super) const LISTEN: ValueKind<SocketAddr> = ValueKind {
    placeholder: "IP:PORT",
    noun: "an IP address and a port",
    syntax: ", such as `127.0.0.1:11435`, `0.0.0.0:11435` or `[::1]:0`",
    range: "",
    parse: One(value::listen),
    print: |address| quoted(&address.to_string()),
};

pub(super) const SECOND_LISTEN: ValueKind<Option<SocketAddr>> = ValueKind {
    placeholder: "IP:PORT",
    noun: "an IP address and a port",
    syntax: ", such as `127.0.0.1:3001`",
    range: ", or `\"\"` for none",
    parse: One(value::second_listen),
    print: |address| quoted(&address.map(|address| address.to_string()).unwrap_or_default()),
};

pub(super) const FILE: ValueKind<Option<PathBuf>> = ValueKind {
    placeholder: "FILE",
    noun: "the name of a file",
    syntax: "",
    range: ", or `\"\"` for none",
    parse: One(value::file),
    print: |path| quoted(&path.as_deref().unwrap_or("".as_ref()).to_string_lossy()),
};

pub(super) const DIRECTORY: ValueKind<Option<PathBuf>> =
    ValueKind { placeholder: "DIRECTORY", noun: "the name of a directory", range: ", or `\"\"` for unset", ..FILE };

pub(super) const HISTORY: ValueKind<history::settings::Engine> = ValueKind {
    placeholder: "off|sqlite|URL",
    noun: "`off`, `sqlite`, the URL of a PostgreSQL database or `file:` and the path of a file that has one",
    syntax: ", such as `postgres://user@host/database`",
    range: "",
    parse: One(value::history),
    print: |engine| quoted(&engine.to_string()),
};

pub(super) const BACKENDS: ValueKind<Vec<Backend>> = ValueKind {
    placeholder: "[NAME=]URL",
    noun: "an address, after a name and `=` if wanted",
    syntax: "",
    range: "",
    parse: List(backends::parse_all),
    print: |backends| list(backends.iter().map(|backend| quoted(&format!("{}={}", backend.name, backend.address)))),
};

pub(super) const ADDRESS: ValueKind<Option<Address>> = ValueKind {
    placeholder: "URL",
    noun: "an address",
    syntax: ", such as `http://gpu-box:11434`",
    range: "",
    parse: One(backends::address),
    print: |address| quoted(&address.as_ref().map(ToString::to_string).unwrap_or_default()),
};

pub(super) const WEB_ADDRESS: ValueKind<Option<Address>> = ValueKind {
    placeholder: "URL",
    noun: "an address",
    syntax: ", such as `http://127.0.0.1:9090` or `https://host/path`",
    range: ", or `\"\"` for none",
    parse: One(backends::address),
    print: |address| quoted(&address.as_ref().map(ToString::to_string).unwrap_or_default()),
};

pub(super) const NAME: ValueKind<Option<Arc<str>>> = ValueKind {
    placeholder: "NAME",
    noun: "a name of at most 64 letters, digits, `.`, `_`, `:`, `-`, `[` or `]`",
    syntax: "",
    range: ", or `\"\"` for unset",
    parse: One(backends::name),
    print: |name| quoted(name.as_deref().unwrap_or_default()),
};

pub(super) const OWN_HOST: ValueKind<Option<HostHeader>> = ValueKind {
    placeholder: "preserve|upstream|HOST",
    noun: "`preserve`, `upstream`, a host with an optional port, or `\"\"` for unset",
    syntax: "",
    range: "",
    parse: One(value::own_host_header),
    print: |policy| quoted(policy.as_ref().map_or("", HostHeader::as_str)),
};

pub(super) const PLACE: ValueKind<Option<String>> = ValueKind {
    placeholder: "NAME",
    noun: "a name of at most 64 printable ASCII characters",
    syntax: "",
    range: ", or `\"\"` for unset",
    parse: One(value::place),
    print: |name| quoted(name.as_deref().unwrap_or_default()),
};

pub(super) const TEXT: ValueKind<Option<String>> =
    ValueKind { placeholder: "TEXT", noun: "at most 256 printable ASCII characters", parse: One(value::text), ..PLACE };

pub(super) const NAMES: ValueKind<Vec<String>> = ValueKind {
    placeholder: "NAME",
    noun: "names",
    syntax: ", such as `[\"me\"]`",
    range: "",
    parse: List(value::names),
    print: |names| list(names.iter().map(|name| quoted(name))),
};

pub(super) const NETWORKS: ValueKind<Vec<Network>> = ValueKind {
    placeholder: "NETWORK",
    noun: "IP addresses or networks",
    syntax: ", such as `[\"10.0.0.7\", \"10.1.0.0/16\"]`",
    range: "",
    parse: List(value::networks),
    print: |networks| list(networks.iter().map(|network| quoted(&network.to_string()))),
};

pub(super) const QUOTA: ValueKind<NonZeroU32> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 1000000",
    parse: One(value::quota),
    print: NonZeroU32::to_string,
};

pub(super) const HOST_HEADER: ValueKind<HostHeader> = ValueKind {
    placeholder: "preserve|upstream|HOST",
    noun: "`preserve`, `upstream`, or a host with an optional port",
    syntax: ", such as `ollama.lan:11434`",
    range: "",
    parse: One(value::host_header),
    print: |policy| quoted(policy.as_str()),
};

pub(super) const MODELS: ValueKind<usize> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 10000",
    parse: One(value::max_models),
    print: usize::to_string,
};

pub(super) const THREADS: ValueKind<Option<NonZeroUsize>> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 1024, or `0` for one a core",
    parse: One(value::worker_threads),
    print: |threads| threads.map_or(0, NonZeroUsize::get).to_string(),
};

pub(super) const CONNECTIONS: ValueKind<MaxConnections> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: ", `0` for off, or `auto` for what the descriptors allow",
    parse: One(value::max_connections),
    print: |most| match most {
        MaxConnections::Auto => quoted("auto"),
        MaxConnections::Unlimited => "0".to_owned(),
        MaxConnections::AtMost(most) => most.to_string(),
    },
};

pub(super) const RATE: ValueKind<u64> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 1000000",
    parse: One(value::rate),
    print: u64::to_string,
};

pub(super) const SIZE: ValueKind<u64> = ValueKind {
    placeholder: "SIZE",
    noun: "a size with a unit (KiB, MiB, GiB, TiB)",
    syntax: ", such as `2GiB`",
    range: " from 1MiB",
    parse: One(value::size),
    print: |bytes| quoted(&size(*bytes)),
};

pub(super) const PRICE: ValueKind<Option<ElectricityPrice>> = ValueKind {
    placeholder: "PRICE",
    noun: "a number from 0 to 1000000",
    syntax: ", such as 0.30",
    range: ", where `0` is not known",
    parse: One(value::electricity_price),
    print: |price| price.map_or(0.0, ElectricityPrice::per_kilowatt_hour).to_string(),
};

pub(super) const TIMEOUT: ValueKind<Duration> =
    within(" from 1ms to 365d", value::duration, |limit| duration(Some(*limit)));

pub(super) const AGE: ValueKind<Duration> = within(" from 1h to 3650d", value::age, |age| duration(Some(*age)));

pub(super) const PATIENCE: ValueKind<Duration> =
    within(" from 0 to 365d", value::duration_or_zero, |limit| duration(Some(*limit)));

pub(super) const LIMIT: ValueKind<Option<Duration>> =
    within(" up to 365d, or `0` for off", value::limit, |limit| duration(*limit));

pub(super) const PERIOD: ValueKind<Option<Duration>> =
    within(" from 1s, or `0` for off", value::host_period, |period| duration(*period));

pub(super) const SWITCH: ValueKind<bool> = words("on|off", "`on` or `off`", value::switch, |on| quoted(switch(*on)));

pub(super) const LOG_FORMAT: ValueKind<logs::LogFormat> =
    words("text|json", "`text` or `json`", value::log_format, |format| quoted(format.as_str()));

pub(super) const LOG_LEVEL: ValueKind<String> =
    words("LEVEL", "a level, or levels by target", value::log_level, |level| quoted(level));

pub(super) const HELPER: ValueKind<Option<HelperAddress>> =
    words("URL", "an address, or `\"\"` for none", value::helper_url, |address| {
        quoted(&address.as_ref().map(ToString::to_string).unwrap_or_default())
    });

pub(super) const SERVER_NAME: ValueKind<Option<String>> = words(
    "HOST",
    "a host name or an IP address, without a port, or `\"\"` for the address's",
    value::server_name,
    |name| quoted(name.as_deref().unwrap_or_default()),
);

pub(super) const BUCKETS: ValueKind<Option<Bounds>> = ValueKind {
    placeholder: "BOUNDS",
    noun: "at most 64 numbers above 0 that ascend",
    syntax: ", such as `[0.1, 1, 10]`",
    range: ", or `[]` for the built-in ones",
    parse: List(value::bounds),
    print: |bounds| {
        let bounds = bounds.as_ref().map_or(&[][..], Bounds::as_slice);
        list(bounds.iter().map(ToString::to_string))
    },
};
