//! What of a configuration can be exchanged while the program runs.

use super::{Config, Limits};

impl Config {
    /// Takes over from `next` what can change while the program runs. The keys of what differs and cannot are given
    /// back; they keep the value that is in force.
    ///
    /// Files are taken to be read anew also where their names stay.
    pub fn adopt(&mut self, next: Self) -> Vec<&'static str> {
        // Named one by one, so that a new key cannot be forgotten.
        let Self {
            listen,
            admin_listen,
            admin_web_config_file,
            tls,
            backend_tls,
            backends,
            host_header,
            max_models,
            connect_timeout,
            drain_timeout,
            log_level,
            log_format,
            access_log,
            limits:
                Limits { head, keep_alive_idle, body_idle, write_stall, first_byte, pool_idle, stall, max_connections },
            host_period,
            electricity_price,
            helper_url,
            http2,
            worker_threads,
            backend_node,
            backend_zone,
            buckets,
            warnings,
        } = next;
        let same_backends = self.backends == backends;
        let fixed = [
            ("listen", self.listen == listen),
            ("admin_listen", self.admin_listen == admin_listen),
            ("backend", same_backends),
            // To speak it or not; the files themselves are exchanged.
            ("tls", self.tls.is_some() == tls.is_some()),
            // It goes with the backend that it is for.
            ("backend_tls", same_backends || self.backend_tls == backend_tls),
            ("max_models", self.max_models == max_models),
            ("log_format", self.log_format == log_format),
            ("limits.max_connections", self.limits.max_connections == max_connections),
            ("host.period", self.host_period == host_period),
            ("host.electricity_price_per_kwh", self.electricity_price == electricity_price),
            ("helper_url", self.helper_url == helper_url),
            ("worker_threads", self.worker_threads == worker_threads),
            ("backend_node", self.backend_node == backend_node),
            ("backend_zone", self.backend_zone == backend_zone),
            ("buckets", self.buckets == buckets),
        ];
        if self.tls.is_some() == tls.is_some() {
            self.tls = tls;
        }
        if same_backends {
            self.backend_tls = backend_tls;
        }
        self.admin_web_config_file = admin_web_config_file;
        self.host_header = host_header;
        self.connect_timeout = connect_timeout;
        self.drain_timeout = drain_timeout;
        self.log_level = log_level;
        self.access_log = access_log;
        self.http2 = http2;
        let max_connections = self.limits.max_connections;
        self.limits =
            Limits { head, keep_alive_idle, body_idle, write_stall, first_byte, pool_idle, stall, max_connections };
        self.warnings = warnings;
        fixed.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::cli::Cli;
    use crate::config;

    fn configured(toml: &str) -> Config {
        let cli = Cli { config: Some("inferometer.toml".into()), ..Cli::default() };
        config::resolve(&cli, [], |_| Ok(toml.to_owned())).expect("a configuration")
    }

    #[test]
    fn what_can_change_does_and_what_cannot_is_named_and_stays() {
        let table = [
            ("access_log = \"off\"", ""),
            ("log_level = \"debug\"", ""),
            ("http2 = \"off\"", ""),
            ("host_header = \"upstream\"", ""),
            ("connect_timeout = \"1s\"", ""),
            ("drain_timeout = \"1s\"", ""),
            ("admin_web_config_file = \"web.yml\"", ""),
            ("[limits]\nhead = \"1s\"\nstall = 0\npool_idle = \"1s\"", ""),
            ("[limits]\nmax_connections = 5", "limits.max_connections"),
            ("listen = \"127.0.0.1:1\"", "listen"),
            ("admin_listen = \"127.0.0.1:1\"", "admin_listen"),
            ("backend = \"http://gpu\"", "backend"),
            ("backend = \"https://gpu\"\n[backend_tls]\nserver_name = \"x\"", "backend backend_tls"),
            ("[backend_tls]\nserver_name = \"x\"", ""),
            ("[tls]\ncert_file = \"c\"\nkey_file = \"k\"", "tls"),
            ("max_models = 5", "max_models"),
            ("log_format = \"json\"", "log_format"),
            ("worker_threads = 3", "worker_threads"),
            ("helper_url = \"http://127.0.0.1:8002\"", "helper_url"),
            ("[host]\nperiod = \"9s\"\nelectricity_price_per_kwh = 1", "host.period host.electricity_price_per_kwh"),
        ];
        for (toml, named) in table {
            let (mut running, before, next) = (configured(""), configured(""), configured(toml));
            assert_eq!(running.adopt(next.clone()).join(" "), named, "{toml}");
            if named.is_empty() {
                assert_eq!(running, next, "{toml}");
            } else {
                let unlike = Config { warnings: before.warnings.clone(), ..running.clone() };
                assert_eq!(unlike, before, "{toml}");
                assert_eq!(running.adopt(next).join(" "), named, "and again, until it is started anew");
            }
        }
    }
}
