//! Kinds of values that only several backends have.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::base::Parse::{List, One};
use super::base::{ValueKind, list, words};
use crate::backend::address::Address;
use crate::config::invalid::InvalidValue;
use crate::config::write::quoted;
use crate::config::{file_sd, value};
use crate::fleet::policy::Policy;
use crate::fleet::{Pattern, Reach, Slots};

pub(in crate::config) const POLICY: ValueKind<Policy> = words(
    "POLICY",
    "`round_robin`, `least_busy` or `model_loaded`",
    |text| Policy::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(InvalidValue::Unexpected),
    |policy| quoted(policy.as_str()),
);

pub(in crate::config) const REACH: ValueKind<Reach> = words(
    "home|all",
    "`home` or `all`",
    |text| Reach::ALL.into_iter().find(|reach| reach.as_str() == text).ok_or(InvalidValue::Unexpected),
    |reach| quoted(reach.as_str()),
);

pub(in crate::config) const WEIGHT: ValueKind<NonZeroU32> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 1000",
    parse: One(value::weight),
    print: NonZeroU32::to_string,
};

pub(in crate::config) const TIER: ValueKind<u32> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 0 to 100",
    parse: One(value::tier),
    print: u32::to_string,
};

pub(in crate::config) const SLOTS: ValueKind<Slots> = ValueKind {
    placeholder: "COUNT",
    noun: "a number",
    syntax: "",
    range: " from 1 to 100000, `0` for no limit, or `auto` for what the backend says",
    parse: One(value::slots),
    print: |slots| match slots {
        Slots::Auto => quoted("auto"),
        Slots::Unlimited => "0".to_owned(),
        Slots::AtMost(most) => most.to_string(),
    },
};

pub(in crate::config) const PATHS: ValueKind<Vec<String>> = ValueKind {
    placeholder: "FILE",
    noun: "names of files",
    syntax: ", such as `[\"/etc/inferometer/backends.yml\"]`",
    range: "",
    parse: List(value::names),
    print: |names| list(names.iter().map(|name| quoted(name))),
};

pub(in crate::config) const DISCOVERED: ValueKind<Vec<Address>> = ValueKind {
    placeholder: "URL",
    noun: "addresses with `http://`",
    syntax: ", such as `[\"http://ollama.internal:11434\"]`",
    range: "",
    parse: List(file_sd::names),
    print: |addresses| list(addresses.iter().map(|address| quoted(&address.to_string()))),
};

pub(in crate::config) const PATTERNS: ValueKind<Vec<Pattern>> = ValueKind {
    placeholder: "MODELS",
    noun: "names of models, in which `*` is any text and `?` any character",
    syntax: ", such as `[\"llama3.2\", \"*:70b\"]`",
    range: "",
    parse: List(value::patterns),
    print: |patterns| {
        let each = patterns.iter().map(|pattern| quoted(pattern.as_str()));
        format!("[{}]", each.collect::<Vec<_>>().join(", "))
    },
};

pub(in crate::config) const SERVICES: ValueKind<Vec<String>> = ValueKind {
    placeholder: "NAME",
    noun: "full names of service records",
    syntax: ", such as `[\"_ollama._tcp.example.org\"]`",
    range: "",
    parse: List(value::services),
    print: |names| list(names.iter().map(|name| quoted(name))),
};

pub(in crate::config) const RESOLVER: ValueKind<Option<SocketAddr>> = ValueKind {
    placeholder: "IP[:PORT]",
    noun: "an IP address with an optional port",
    syntax: ", such as `10.0.0.53`",
    range: ", or `\"\"` for those of the system",
    parse: One(value::resolver),
    print: |server| quoted(&server.map(|server| server.to_string()).unwrap_or_default()),
};
