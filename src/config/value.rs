//! The parsers of values, one per kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use super::invalid::InvalidValue::{self, Because, Unexpected};
use super::settings::{Bounds, ElectricityPrice, MaxConnections};
use super::similar::is_misspelling;
use crate::access::network::Network;
use crate::backend::HostHeader;
use crate::backend::address::Address;
use crate::fleet::{Pattern, Slots};
use crate::history::check_target;
use crate::history::settings::{Engine, Target};
use crate::host::helper::{HelperAddress, InvalidHelperAddress};
use crate::logs;

/// More than the price in any currency.
const MAX_PRICE_PER_KILOWATT_HOUR: f64 = 1e6;

/// Longest duration of any setting.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Most model names that may become labels. Each carries a few hundred series.
const MAX_MODELS: usize = 10_000;

/// Most worker threads.
const MAX_WORKERS: usize = 1024;

/// An address to listen on. Of names only `localhost` is accepted, as others would need a resolver.
pub(super) fn listen(text: &str) -> Result<SocketAddr, InvalidValue> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok()).ok_or(Unexpected)
}

/// As [`listen`]; `None` for an empty text.
pub(super) fn second_listen(text: &str) -> Result<Option<SocketAddr>, InvalidValue> {
    if text.is_empty() { Ok(None) } else { listen(text).map(Some) }
}

/// The name of a file; `None` for an empty text.
pub(super) fn file(text: &str) -> Result<Option<PathBuf>, InvalidValue> {
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Longest name of a machine or a zone, in bytes. It is a label value.
const MAX_PLACE: usize = 64;

/// The name of a machine or a zone; `None` for an empty text.
pub(super) fn place(text: &str) -> Result<Option<String>, InvalidValue> {
    let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match text {
        "" => Ok(None),
        _ if printable && text.len() <= MAX_PLACE => Ok(Some(text.to_owned())),
        _ => Err(Unexpected),
    }
}

/// Longest text, in bytes.
const MAX_TEXT: usize = 256;

/// A short text; `None` for an empty one.
pub(super) fn text(text: &str) -> Result<Option<String>, InvalidValue> {
    match text {
        "" => Ok(None),
        _ if text.len() <= MAX_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(Unexpected),
    }
}

/// Names of users.
pub(super) fn names(texts: &[&str]) -> Result<Vec<String>, InvalidValue> {
    let is_empty = |at: usize| InvalidValue::Element(at, "a name is not empty".to_owned());
    texts.iter().position(|name| name.is_empty()).map_or(Ok(()), |at| Err(is_empty(at)))?;
    Ok(texts.iter().map(|name| (*name).to_owned()).collect())
}

/// Addresses and networks.
pub(super) fn networks(texts: &[&str]) -> Result<Vec<Network>, InvalidValue> {
    let expected = "expected an IP address or a network, such as `10.0.0.7` or `10.1.0.0/16`";
    let each = texts.iter().enumerate();
    each.map(|(at, text)| text.parse().map_err(|()| InvalidValue::Element(at, expected.to_owned()))).collect()
}

/// Requests in a time.
pub(super) fn quota(text: &str) -> Result<NonZeroU32, InvalidValue> {
    let most = count(text, 1, MAX_RATE).and_then(|most| u32::try_from(most).ok());
    most.and_then(NonZeroU32::new).ok_or(Unexpected)
}

/// A host name as in a certificate; `None` for an empty text.
pub(super) fn server_name(text: &str) -> Result<Option<String>, InvalidValue> {
    let is_host = text.parse::<Address>().is_ok_and(|address| address.host == text.to_ascii_lowercase());
    match text {
        "" => Ok(None),
        _ if is_host => Ok(Some(text.to_owned())),
        _ => Err(Unexpected),
    }
}

/// Most bounds of a histogram: each adds a series per set of labels.
const MAX_BOUNDS: usize = 64;

/// Upper bounds of a histogram; `None` for an empty list, which keeps the built-in ones.
pub(super) fn bounds(texts: &[&str]) -> Result<Option<Bounds>, InvalidValue> {
    if texts.is_empty() {
        return Ok(None);
    }
    let bounds: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok()).collect();
    let ascend = |bounds: &Vec<f64>| {
        bounds.iter().all(|bound| bound.is_finite() && *bound > 0.0) && bounds.windows(2).all(|pair| pair[0] < pair[1])
    };
    bounds
        .filter(|bounds| bounds.len() <= MAX_BOUNDS && ascend(bounds))
        .map(|bounds| Some(Bounds(bounds)))
        .ok_or(Unexpected)
}

/// A duration of at least a millisecond.
pub(super) fn duration(text: &str) -> Result<Duration, InvalidValue> {
    match parse_duration(text) {
        Some(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err(Unexpected),
    }
}

/// The full names of service records.
pub(super) fn services(texts: &[&str]) -> Result<Vec<String>, InvalidValue> {
    let is_name = |text: &str| text.len() <= 253 && text.split('.').all(|label| (1..=63).contains(&label.len()));
    let named = |(at, text): (usize, &&str)| match text.strip_suffix('.').unwrap_or(text) {
        name if is_name(name) && text.is_ascii() => Ok((*text).to_owned()),
        _ => Err(InvalidValue::Element(at, "it is no name of the DNS".to_owned())),
    };
    texts.iter().enumerate().map(named).collect()
}

/// Port of name servers.
const DNS_PORT: u16 = 53;

/// A name server; `None` for an empty text.
pub(super) fn resolver(text: &str) -> Result<Option<SocketAddr>, InvalidValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT));
    alone.or_else(|_| text.parse()).map(Some).map_err(|_| Unexpected)
}

/// A duration, or zero.
pub(super) fn duration_or_zero(text: &str) -> Result<Duration, InvalidValue> {
    parse_duration(text).ok_or(Unexpected)
}

/// Longest age of anything that is kept.
const MAX_AGE: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Shortest age at which something is removed.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);

/// How long something is kept.
pub(super) fn age(text: &str) -> Result<Duration, InvalidValue> {
    sum_of_units(text).filter(|age| (MIN_AGE..=MAX_AGE).contains(age)).ok_or(Unexpected)
}

/// Smallest size of what is kept, in bytes.
const MIN_SIZE: u64 = 1 << 20;

/// A size in bytes.
pub(super) fn size(text: &str) -> Result<u64, InvalidValue> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return Err(Unexpected),
    };
    let size = text[..digits].parse::<u64>().ok().and_then(|size| size.checked_mul(unit));
    size.filter(|size| *size >= MIN_SIZE && i64::try_from(*size).is_ok()).ok_or(Unexpected)
}

/// Most exchanges a second for which a limit makes sense.
const MAX_RATE: usize = 1_000_000;

/// Exchanges a second.
pub(super) fn rate(text: &str) -> Result<u64, InvalidValue> {
    count(text, 1, MAX_RATE).map(|rate| rate as u64).ok_or(Unexpected)
}

/// Where exchanges are kept.
pub(super) fn history(text: &str) -> Result<Engine, InvalidValue> {
    let engine = Engine::parse(text).ok_or(Unexpected)?;
    // A file is read when it is needed: it may be there later.
    if let Engine::Postgres(target @ Target::Url(_)) = &engine {
        check_target(target).map_err(Because)?;
    }
    Ok(engine)
}

/// A limit; `None` for `0`, which is off.
pub(super) fn limit(text: &str) -> Result<Option<Duration>, InvalidValue> {
    parse_duration(text).map(|duration| Some(duration).filter(|d| !d.is_zero())).ok_or(Unexpected)
}

/// How often to read the machine, from 1 s; `None` for `0`, which is off.
pub(super) fn host_period(text: &str) -> Result<Option<Duration>, InvalidValue> {
    match limit(text) {
        Ok(period) if period.is_none_or(|period| period >= Duration::from_secs(1)) => Ok(period),
        _ => Err(Unexpected),
    }
}

/// The price of a kilowatt-hour, to a millionth; `None` for `0`, which is unknown.
pub(super) fn electricity_price(text: &str) -> Result<Option<ElectricityPrice>, InvalidValue> {
    let price: f64 = text.parse().unwrap_or(-1.0);
    if !(0.0..=MAX_PRICE_PER_KILOWATT_HOUR).contains(&price) {
        return Err(Unexpected);
    }
    let millionths = (price * 1e6).round() as u64;
    Ok((millionths > 0).then_some(ElectricityPrice(millionths)))
}

/// The helper's address; `None` for an empty text.
pub(super) fn helper_url(text: &str) -> Result<Option<HelperAddress>, InvalidValue> {
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(|error: InvalidHelperAddress| Because(error.to_string()))
    }
}

/// A duration up to the longest of any setting.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    sum_of_units(text).filter(|duration| *duration <= MAX_DURATION)
}

/// The sum of one or more numbers with units, in whole milliseconds; `0` needs no unit.
fn sum_of_units(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total = total.checked_add(number.checked_mul(unit_millis(&rest[..letters])?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(Duration::from_millis(total))
}

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    })
}

/// A backend's share of the traffic.
pub(super) fn weight(text: &str) -> Result<NonZeroU32, InvalidValue> {
    small(text, 1, 1000).and_then(NonZeroU32::new).ok_or(Unexpected)
}

/// A group of backends, the lowest first.
pub(super) fn tier(text: &str) -> Result<u32, InvalidValue> {
    small(text, 0, 100).ok_or(Unexpected)
}

/// How many exchanges a backend works on at once.
pub(super) fn slots(text: &str) -> Result<Slots, InvalidValue> {
    match text {
        "auto" => Ok(Slots::Auto),
        "0" => Ok(Slots::Unlimited),
        _ => small(text, 1, 100_000).and_then(NonZeroU32::new).map(Slots::AtMost).ok_or(Unexpected),
    }
}

fn small(text: &str, least: usize, most: usize) -> Option<u32> {
    u32::try_from(count(text, least, most)?).ok()
}

/// Names of models, or patterns of them.
pub(super) fn patterns(texts: &[&str]) -> Result<Vec<Pattern>, InvalidValue> {
    texts.iter().map(|text| Pattern::new(text).ok_or(Unexpected)).collect()
}

/// As [`host_header`]; `None` for an empty text.
pub(super) fn own_host_header(text: &str) -> Result<Option<HostHeader>, InvalidValue> {
    if text.is_empty() { Ok(None) } else { host_header(text).map(Some) }
}

/// A number of model names.
pub(super) fn max_models(text: &str) -> Result<usize, InvalidValue> {
    count(text, 1, MAX_MODELS).ok_or(Unexpected)
}

/// A number of threads; `None` for `0`, which is one per core.
pub(super) fn worker_threads(text: &str) -> Result<Option<NonZeroUsize>, InvalidValue> {
    count(text, 0, MAX_WORKERS).map(NonZeroUsize::new).ok_or(Unexpected)
}

/// A number of connections, `0` or `auto`.
pub(super) fn max_connections(text: &str) -> Result<MaxConnections, InvalidValue> {
    match text {
        "auto" => Ok(MaxConnections::Auto),
        "0" => Ok(MaxConnections::Unlimited),
        _ => count(text, 1, u32::MAX as usize).map(MaxConnections::AtMost).ok_or(Unexpected),
    }
}

fn count(text: &str, least: usize, most: usize) -> Option<usize> {
    // `usize::from_str` takes a leading `+`.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (least..=most).contains(n))
}

/// `on` or `true`, `off` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, InvalidValue> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(Unexpected),
    }
}

/// A format of the log.
pub(super) fn log_format(text: &str) -> Result<logs::LogFormat, InvalidValue> {
    logs::LogFormat::ALL.into_iter().find(|format| format.as_str() == text).ok_or(Unexpected)
}

/// A level or directives.
pub(super) fn log_level(text: &str) -> Result<String, InvalidValue> {
    logs::parse_filter(text).map(|_| text.to_owned()).map_err(|error| Because(error.to_string()))
}

/// The policy for the `Host` field. Its words are matched without case, as otherwise they would be sent as a host.
pub(super) fn host_header(text: &str) -> Result<HostHeader, InvalidValue> {
    match text.to_ascii_lowercase().as_str() {
        "preserve" => Ok(HostHeader::Preserve),
        "upstream" => Ok(HostHeader::Upstream),
        word if !word.contains(['.', ':']) && is_misspelling(word, &["preserve", "upstream"]) => Err(Because(
            "expected `preserve`, `upstream`, or a host; for a host of that name add its port or its domain".into(),
        )),
        _ if is_authority(text) => HeaderValue::from_str(text).map(HostHeader::Literal).map_err(|_| Unexpected),
        _ => Err(Unexpected),
    }
}

/// Whether the text is valid in a `Host` field: a host and an optional port (RFC 9110, 7.2).
fn is_authority(text: &str) -> bool {
    let bare_ipv6 = text.contains("::") && !text.starts_with('[');
    let extra = text.starts_with(':') || text.contains('/') || text.contains(char::is_whitespace);
    !bare_ipv6 && !extra && text.parse::<Address>().is_ok()
}

#[cfg(test)]
mod tests;
