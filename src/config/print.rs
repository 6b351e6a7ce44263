//! The effective configuration as a file that can be fed back.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{Bounds, Buckets, Config, ElectricityPrice, HostHeader, MaxConnections};

impl Config {
    /// Every setting as TOML. Read back, it gives this configuration again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{key} = {value}");
        };
        line("listen", quoted(&self.listen.to_string()));
        line("admin_listen", quoted(&self.admin_listen.to_string()));
        let backends: Vec<String> =
            self.backends.iter().map(|backend| quoted(&format!("{}={}", backend.name, backend.address))).collect();
        line("backend", format!("[{}]", backends.join(", ")));
        line("backend_node", quoted(self.backend_node.as_deref().unwrap_or_default()));
        line("backend_zone", quoted(self.backend_zone.as_deref().unwrap_or_default()));
        line("admin_web_config_file", path(self.admin_web_config_file.as_deref()));
        line("host_header", quoted(self.host_header.as_str()));
        line("max_models", self.max_models.to_string());
        line("connect_timeout", duration(Some(self.connect_timeout)));
        line("drain_timeout", duration(Some(self.drain_timeout)));
        line("log_level", quoted(&self.log_level));
        line("log_format", quoted(self.log_format.as_str()));
        line("access_log", quoted(if self.access_log { "on" } else { "off" }));
        line("http2", quoted(if self.http2 { "on" } else { "off" }));
        line("worker_threads", self.worker_threads.unwrap_or(0).to_string());
        let helper = self.helper_url.as_ref().map(ToString::to_string).unwrap_or_default();
        line("helper_url", quoted(&helper));
        out.push_str("\n[limits]\n");
        out.push_str(&self.limits());
        out.push_str("\n[host]\n");
        let _ = writeln!(out, "period = {}", duration(self.host_period));
        let price = self.electricity_price.map_or(0.0, ElectricityPrice::per_kilowatt_hour);
        let _ = writeln!(out, "electricity_price_per_kwh = {price}");
        out.push_str("\n[buckets]\n");
        out.push_str(&self.buckets());
        out.push_str(&self.tls());
        out
    }

    /// Those that are built in are empty lists.
    fn buckets(&self) -> String {
        let Buckets { duration, first_token, token, load, rate, overhead, size, context } = &self.buckets;
        let kinds = [
            ("duration", duration),
            ("first_token", first_token),
            ("token", token),
            ("load", load),
            ("rate", rate),
            ("overhead", overhead),
            ("size", size),
            ("context", context),
        ];
        kinds.into_iter().fold(String::new(), |text, (key, bounds)| {
            let bounds = bounds.as_ref().map_or(&[][..], Bounds::as_slice);
            let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
            text + key + " = [" + &bounds.join(", ") + "]\n"
        })
    }

    fn tls(&self) -> String {
        let (client, backend) = (self.tls.as_ref(), &self.backend_tls);
        let shown = backend.identity.as_ref();
        format!(
            "\n[tls]\ncert_file = {}\nkey_file = {}\n\n\
             [backend_tls]\nca_file = {}\ncert_file = {}\nkey_file = {}\nserver_name = {}\n",
            path(client.map(|identity| identity.cert_file.as_path())),
            path(client.map(|identity| identity.key_file.as_path())),
            path(backend.ca_file.as_deref()),
            path(shown.map(|identity| identity.cert_file.as_path())),
            path(shown.map(|identity| identity.key_file.as_path())),
            quoted(backend.server_name.as_deref().unwrap_or_default()),
        )
    }

    fn limits(&self) -> String {
        let limits = &self.limits;
        let connections = match limits.max_connections {
            MaxConnections::Auto => quoted("auto"),
            MaxConnections::Unlimited => "0".to_owned(),
            MaxConnections::AtMost(most) => most.to_string(),
        };
        [
            ("head", duration(limits.head)),
            ("keep_alive_idle", duration(limits.keep_alive_idle)),
            ("body_idle", duration(limits.body_idle)),
            ("write_stall", duration(limits.write_stall)),
            ("first_byte", duration(limits.first_byte)),
            ("pool_idle", duration(limits.pool_idle)),
            ("stall", duration(limits.stall)),
            ("max_connections", connections),
        ]
        .into_iter()
        .fold(String::new(), |text, (key, value)| text + key + " = " + &value + "\n")
    }
}

impl HostHeader {
    /// The policy as it is configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Preserve => "preserve",
            Self::Upstream => "upstream",
            Self::Literal(host) => host,
        }
    }
}

/// The name of a file; none is an empty one.
fn path(path: Option<&Path>) -> String {
    quoted(&path.unwrap_or(Path::new("")).to_string_lossy())
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A duration in the largest unit that is exact; off is `0`.
fn duration(duration: Option<Duration>) -> String {
    let millis = duration.unwrap_or_default().as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match units.into_iter().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit)) {
        Some((name, unit)) => quoted(&format!("{}{name}", millis / unit)),
        None if millis == 0 => "0".to_owned(),
        None => quoted(&format!("{millis}ms")),
    }
}
