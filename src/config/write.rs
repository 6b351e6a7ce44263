//! Formats values as TOML.

use std::time::Duration;

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `on` or `off`.
pub(super) const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// A duration in the largest exact unit; `0` for `None` and zero.
pub(super) fn duration(duration: Option<Duration>) -> String {
    let millis = duration.unwrap_or_default().as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match units.into_iter().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit)) {
        Some((name, unit)) => quoted(&format!("{}{name}", millis / unit)),
        None if millis == 0 => "0".to_owned(),
        None => quoted(&format!("{millis}ms")),
    }
}

/// A size in bytes, in the largest unit that divides it.
pub(super) fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units.into_iter().find(|(bits, _)| bytes > 0 && bytes.is_multiple_of(1 << bits));
    fits.map_or_else(|| format!("{bytes}"), |(bits, unit)| format!("{}{unit}", bytes >> bits))
}
