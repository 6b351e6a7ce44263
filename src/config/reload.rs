//! Applies the changes of a configuration that take effect without a restart.

use super::element;
use super::key::Key;
use super::keys::KEYS;
use super::peer;
use super::settings::Config;

/// The changed keys of a reload, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The keys whose new value is in force.
    pub changed: Vec<&'static str>,
    /// The keys that keep their value until a restart.
    pub restart: Vec<&'static str>,
}

impl Config {
    /// Takes over the values of `next` that take effect without a restart.
    ///
    /// Compares only the names of files: the caller rereads their content in any case.
    pub fn adopt(&mut self, next: Self) -> Reloaded {
        let mut reloaded = adopt(KEYS, self, &next);
        if self.elements != next.elements {
            self.elements = next.elements;
            reloaded.changed.push(element::TABLE);
        }
        if self.peers != next.peers {
            reloaded.restart.push(peer::TABLE);
        }
        let in_force = |key: &&'static str| !reloaded.restart.contains(key);
        self.origins.0.extend(next.origins.0.into_iter().filter(|(key, _)| in_force(key)));
        self.warnings = next.warnings;
        reloaded
    }
}

/// The same for the settings of any table of keys.
pub(super) fn adopt<S: Clone>(keys: &[Key<S>], running: &mut S, next: &S) -> Reloaded {
    let (before, mut reloaded) = (running.clone(), Reloaded::default());
    for key in keys.iter().filter(|key| !key.field.is_same(&before, next)) {
        if key.reload.is_live(&before, next) {
            key.field.copy(next, running);
            reloaded.changed.push(key.name);
        } else {
            reloaded.restart.push(key.name);
        }
    }
    reloaded
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
    fn live_keys_change_and_the_others_are_named_and_keep_their_value() {
        let table = [
            ("access_log = \"off\"", "access_log", ""),
            ("log_level = \"debug\"", "log_level", ""),
            ("http2 = \"off\"", "http2", ""),
            ("host_header = \"upstream\"", "host_header", ""),
            ("connect_timeout = \"1s\"", "connect_timeout", ""),
            ("drain_timeout = \"1s\"", "drain_timeout", ""),
            ("admin_web_config_file = \"web.yml\"", "admin_web_config_file", ""),
            ("[limits]\nhead = \"1s\"\nstall = 0\npool_idle = \"1s\"", "limits.head limits.pool_idle limits.stall", ""),
            ("[limits]\nhead = \"1s\"\nmax_connections = 5", "limits.head", "limits.max_connections"),
            ("dashboard_open = \"on\"", "dashboard_open", ""),
            ("[access]\nkeys_file = \"k\"\nadmins = [\"me\"]", "access.keys_file access.admins", ""),
            ("[access]\nrequests_per_minute = 7", "access.requests_per_minute", ""),
            ("listen = \"127.0.0.1:1\"", "", "listen"),
            ("admin_listen = \"127.0.0.1:1\"", "", "admin_listen"),
            ("backend = \"http://gpu\"", "backend", ""),
            ("backend = \"https://gpu\"\n[backend_tls]\nserver_name = \"x\"", "backend backend_tls.server_name", ""),
            ("[[backends]]\nurl = \"http://gpu\"\n[[backends]]\nurl = \"http://box\"", "backend backends", ""),
            (
                "policy = \"least_busy\"\nbackend = [\"a=http://a\", \"b=http://b\"]\n[fleet]\nhome = \"b\"",
                "backend policy fleet.home",
                "",
            ),
            ("backend_node = \"gpu\"\nbackend_zone = \"here\"", "backend_node backend_zone", ""),
            ("[backend_tls]\nserver_name = \"x\"", "backend_tls.server_name", ""),
            ("[backend_tls]\ncert_file = \"c\"\nkey_file = \"k\"", "backend_tls.cert_file backend_tls.key_file", ""),
            ("[tls]\ncert_file = \"c\"\nkey_file = \"k\"", "", "tls.cert_file tls.key_file"),
            ("max_models = 5", "", "max_models"),
            ("log_format = \"json\"", "", "log_format"),
            ("worker_threads = 3", "", "worker_threads"),
            ("helper_url = \"http://127.0.0.1:8002\"", "", "helper_url"),
            ("[buckets]\nload = [1]", "", "buckets.load"),
            (
                "[host]\nperiod = \"9s\"\nelectricity_price_per_kwh = 1\nelectricity_currency = \"EUR\"",
                "",
                "host.period host.electricity_price_per_kwh host.electricity_currency",
            ),
        ];
        for (toml, changed, restart) in table {
            let (mut running, before, next) = (configured(""), configured(""), configured(toml));
            let reloaded = running.adopt(next.clone());
            assert_eq!((reloaded.changed.join(" "), reloaded.restart.join(" ")), (changed.into(), restart.into()));
            assert_eq!(running == next, restart.is_empty(), "{toml}");
            if changed.is_empty() {
                let unlike = Config { warnings: before.warnings.clone(), ..running.clone() };
                assert_eq!(unlike, before, "{toml}");
            }
            let again = running.adopt(next);
            assert_eq!((again.changed.len(), again.restart.join(" ")), (0, restart.into()), "named until a restart");
        }
    }

    #[test]
    fn certificate_files_change_only_where_tls_stays_on() {
        let with = |cert| configured(&format!("[tls]\ncert_file = \"{cert}\"\nkey_file = \"k\""));
        let (mut running, off) = (with("a"), configured(""));
        assert_eq!(running.adopt(with("b")).changed, ["tls.cert_file"]);
        assert_eq!(running, with("b"));
        assert_eq!(running.adopt(off).restart, ["tls.cert_file", "tls.key_file"]);
        assert_eq!(running, with("b"));
    }
}
