//! Flags over environment over file: for every key the text that counts, and where it came from.
//!
//! The file may hold only keys that exist. The environment may hold anything: Kubernetes, for one, sets
//! `INFEROMETER_PORT` and its like beside a service of that name, so an unknown variable is at most a warning.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin, variable};
use super::{BACKEND_TLS_KEYS, BUCKET_KEYS, HOST_KEYS, LIMIT_KEYS, SETTING_KEYS, SIMILAR, TLS_KEYS, VARIABLE_PREFIX};
use crate::cli::Cli;

/// A setting as text, with its origin.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// The settings that count, by key; a list where the key takes one.
#[derive(Debug, Default)]
pub(super) struct Layers {
    settings: HashMap<&'static str, Vec<Setting>>,
    /// Variables that look like a slip of one of ours.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Lays the three sources over each other.
    pub(super) fn collect(
        cli: &Cli,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::default();
        let mut from_env = HashMap::new();
        let mut file = None;
        for (name, value) in env {
            let Some(name) = name.to_str() else { continue };
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            if value.is_empty() {
                continue; // `VARIABLE=` is how compose files and shells write "not set"
            }
            if name == variable("config") {
                file = Some(value);
            } else if let Some(key) = SETTING_KEYS.iter().find(|key| variable(key) == name) {
                from_env.insert(*key, vec![variable_text(key, &value)?]);
            } else if let Some(key) = similar(&rest.to_ascii_lowercase(), SETTING_KEYS.map(str::to_owned).into_iter()) {
                let meant = variable(&key);
                layers.warnings.push(format!("{name} is not a variable of this program; did you mean {meant}?"));
            }
        }
        if let Some(path) = cli.config.as_deref().or(file.as_deref().map(Path::new)) {
            layers.file(path, read)?;
        }
        layers.settings.extend(from_env);
        layers.flags(cli);
        Ok(layers)
    }

    /// The value of a key, or its default.
    pub(super) fn value<T>(
        &self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let Some(setting) = self.all(key).last() else { return Ok(default) };
        parse(&setting.text).map_err(|reason| setting.refuse(key, reason))
    }

    /// What the values of a key that takes a list amount to; none at all are none.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&[&str]) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let settings = self.all(key);
        let Some(first) = settings.first() else { return Ok(None) };
        let texts: Vec<&str> = settings.iter().map(|setting| setting.text.as_str()).collect();
        parse(&texts).map(Some).map_err(|reason| ConfigError::Value {
            key,
            origin: first.origin.clone(),
            value: format!("[{}]", texts.join(", ")),
            reason,
        })
    }

    /// Every setting of a key that takes a list.
    pub(super) fn all(&self, key: &'static str) -> &[Setting] {
        self.settings.get(key).map_or(&[], Vec::as_slice)
    }

    /// Where the value of a key came from.
    pub(super) fn origin(&self, key: &'static str) -> Origin {
        self.all(key).last().map_or(Origin::Default, |setting| setting.origin.clone())
    }

    fn flags(&mut self, cli: &Cli) {
        let single = [
            ("listen", &cli.listen),
            ("admin_listen", &cli.admin_listen),
            ("admin_web_config_file", &cli.admin_web_config_file),
            ("host_header", &cli.host_header),
            ("max_models", &cli.max_models),
            ("connect_timeout", &cli.connect_timeout),
            ("drain_timeout", &cli.drain_timeout),
            ("log_level", &cli.log_level),
            ("log_format", &cli.log_format),
            ("access_log", &cli.access_log),
        ];
        let flag = |text: &String| Setting { text: text.clone(), origin: Origin::Flag };
        for (key, text) in single {
            if let Some(text) = text {
                self.settings.insert(key, vec![flag(text)]);
            }
        }
        if !cli.backend.is_empty() {
            self.settings.insert("backend", cli.backend.iter().map(flag).collect());
        }
    }

    fn file(&mut self, path: &Path, read: impl FnOnce(&Path) -> io::Result<String>) -> Result<(), ConfigError> {
        let text = read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
        let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let place = |at: usize| Origin::File { path: path.to_owned(), line: line(at) };
        for (key, value) in table.get_ref() {
            let origin = place(key.span().start);
            let name = key.get_ref().as_ref();
            match (TABLES.iter().find(|(table, _)| *table == name), value.get_ref()) {
                (Some((table, keys)), DeValue::Table(settings)) => {
                    for (key, value) in settings {
                        let origin = place(key.span().start);
                        self.file_setting(&format!("{table}."), keys, key.get_ref(), value.get_ref(), origin)?;
                    }
                }
                (Some((table, _)), value) => {
                    let (value, reason) = (value.type_str().to_owned(), format!("expected a table: `[{table}]`"));
                    return Err(ConfigError::Value { key: table, origin, value, reason });
                }
                (None, value) => self.file_setting("", &FILE_KEYS, name, value, origin)?,
            }
        }
        Ok(())
    }

    fn file_setting(
        &mut self,
        table: &str,
        known: &[&'static str],
        key: &str,
        value: &DeValue<'_>,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let full = format!("{table}{key}");
        let Some(known) = known.iter().find(|known| **known == full) else {
            return Err(unknown_key(full, origin));
        };
        let texts: Option<Vec<String>> = match value {
            DeValue::Array(values) if full == "backend" || BUCKET_KEYS.contains(known) => {
                values.iter().map(|v| scalar(v.get_ref())).collect()
            }
            value => scalar(value).map(|text| vec![text]),
        };
        let refuse = || {
            let (value, origin) = (value.type_str().to_owned(), origin.clone());
            let reason =
                if full == "backend" { BACKEND_IS_NO_TABLE } else { "expected a string, a number or a switch" };
            ConfigError::Value { key: known, origin, value, reason: reason.into() }
        };
        let settings = texts.ok_or_else(refuse)?.into_iter();
        self.settings.insert(known, settings.map(|text| Setting { text, origin: origin.clone() }).collect());
        Ok(())
    }
}

impl Setting {
    /// This value is not allowed.
    pub(super) fn refuse(&self, key: &'static str, reason: impl Into<String>) -> ConfigError {
        ConfigError::Value { key, origin: self.origin.clone(), value: self.text.clone(), reason: reason.into() }
    }
}

/// The tables of the file, and what may stand in each.
const TABLES: [(&str, &[&str]); 5] = [
    ("limits", &LIMIT_KEYS),
    ("host", &HOST_KEYS),
    ("buckets", &BUCKET_KEYS),
    ("tls", &TLS_KEYS),
    ("backend_tls", &BACKEND_TLS_KEYS),
];

/// Where what other programs keep in a table of the backend's stands here.
const BACKEND_IS_NO_TABLE: &str = "expected an address, as in `backend = \"http://gpu-box:11434\"`, before the first table; \
     its certificates stand in `[backend_tls]`, its place in `backend_node` and `backend_zone`";

/// What people call a key by the names of metrics, or of other programs' settings.
const ALIASES: [(&str, &str); 18] = [
    ("ttft", "buckets.first_token"),
    ("ttfb", "buckets.first_token"),
    ("time_to_first_token", "buckets.first_token"),
    ("time_to_first_token_seconds", "buckets.first_token"),
    ("itl", "buckets.token"),
    ("tpot", "buckets.token"),
    ("inter_token_latency", "buckets.token"),
    ("time_per_output_token", "buckets.token"),
    ("latency", "buckets.duration"),
    ("request_duration", "buckets.duration"),
    ("tps", "buckets.rate"),
    ("tokens_per_second", "buckets.rate"),
    ("model_load_duration", "buckets.load"),
    ("context_length", "buckets.context"),
    ("upstream", "backend"),
    ("target", "backend"),
    ("ollama_host", "backend"),
    ("metrics_listen", "admin_listen"),
];

/// What may stand at the top of the file: every setting, and what only a file can set.
const FILE_KEYS: [&str; SETTING_KEYS.len() + 5] = {
    let mut keys = ["worker_threads"; SETTING_KEYS.len() + 5];
    keys[SETTING_KEYS.len()] = "helper_url";
    keys[SETTING_KEYS.len() + 1] = "backend_node";
    keys[SETTING_KEYS.len() + 2] = "backend_zone";
    keys[SETTING_KEYS.len() + 3] = "http2";
    let mut at = 0;
    while at < SETTING_KEYS.len() {
        keys[at] = SETTING_KEYS[at];
        at += 1;
    }
    keys
};

fn variable_text(key: &'static str, value: &OsString) -> Result<Setting, ConfigError> {
    let setting = |text: String| Setting { text, origin: Origin::Variable };
    match value.to_str() {
        Some(text) => Ok(setting(text.to_owned())),
        None => Err(setting(value.to_string_lossy().into_owned()).refuse(key, "expected UTF-8")),
    }
}

/// A value of the file as it would be typed.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn unknown_key(key: String, origin: Origin) -> ConfigError {
    let (path, line) = match origin {
        Origin::File { path, line } => (path, line),
        Origin::Flag | Origin::Variable | Origin::Default => Default::default(),
    };
    // A key outside its table is as likely as a slip.
    let written = key.replace('-', "_").to_ascii_lowercase();
    let in_tables = || TABLES.iter().flat_map(|(_, keys)| keys.iter());
    let in_table = in_tables().find(|known| known.split_once('.').is_some_and(|(_, name)| name == written));
    let known = FILE_KEYS.iter().chain(in_tables()).chain(TABLES.iter().map(|(table, _)| table));
    let name = written.rsplit('.').next().unwrap_or_default();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, meant)| meant);
    let similar = match in_table.or(alias) {
        Some(found) => Some((*found).to_owned()),
        None => similar(&written, known.map(|key| (*key).to_owned())),
    };
    ConfigError::UnknownKey { path, line, key, similar }
}

fn similar(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
