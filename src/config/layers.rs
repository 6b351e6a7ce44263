//! Merges flags over environment over file over defaults: for every key, the text in force and its origin.
//!
//! The file may have only known keys. The environment may have others: Kubernetes, for one, sets `INFEROMETER_PORT` and
//! the like for a service of that name, so an unknown variable is at most a warning.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::element::{self, ELEMENT};
use super::error::{ConfigError, SettingOrigin};
use super::hint::meant;
use super::invalid::Rejection;
use super::key::{Key, VARIABLE_PREFIX, variable};
use super::peer::{self, PEER};
use super::settings::Origins;
use super::similar::closest;
use crate::cli::Cli;

/// A setting as text, with its origin.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) origin: SettingOrigin,
}

/// The settings in force, by key; several where the key takes a list.
#[derive(Debug, Default)]
pub(super) struct Layers {
    settings: HashMap<&'static str, Vec<Setting>>,
    /// Those of each element of `[[backends]]`, and where it begins.
    pub(super) elements: Vec<(SettingOrigin, Layers)>,
    /// Those of each element of `[[peers]]`, and where it begins.
    pub(super) peers: Vec<(SettingOrigin, Layers)>,
    /// Warnings of variables that look like a misspelling of a known one.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// The defaults of these keys.
    pub(super) fn defaults<S>(keys: &[Key<S>]) -> Self {
        let given = |key: &Key<S>| {
            let is_empty = key.field.is_list() && key.default.is_empty();
            let default = Setting { text: key.default.to_owned(), origin: SettingOrigin::Default };
            (key.name, if is_empty { Vec::new() } else { vec![default] })
        };
        Self { settings: keys.iter().map(given).collect(), ..Self::default() }
    }

    /// Merges the sources over the defaults.
    pub(super) fn collect<S>(
        keys: &[Key<S>],
        cli: &Cli,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::defaults(keys);
        let env = environment(env);
        let named = env.get(&variable("config")).map(Path::new);
        if let Some(path) = cli.config.as_deref().or(named) {
            let text = read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
            layers.file(keys, &File { path, text: &text })?;
        }
        layers.variables(keys, &env)?;
        for (key, texts) in &cli.settings {
            let flag = |text: &String| Setting { text: text.clone(), origin: SettingOrigin::Flag };
            layers.settings.insert(*key, texts.iter().map(flag).collect());
        }
        Ok(layers)
    }

    /// Parses the value of every key into the settings.
    pub(super) fn fill<S>(&self, keys: &[Key<S>], settings: &mut S) -> Result<(), ConfigError> {
        for key in keys {
            let given = self.all(key.name);
            let texts: Vec<&str> = given.iter().map(|setting| setting.text.as_str()).collect();
            key.field.read(settings, &texts).map_err(|refused| refuse(key, given, refused))?;
        }
        Ok(())
    }

    /// Merges one table of the file; its name is empty for the top level.
    pub(super) fn table<S>(
        &mut self,
        keys: &[Key<S>],
        (name, table): (&str, &DeTable<'_>),
        file: &File<'_>,
    ) -> Result<(), ConfigError> {
        for (key, value) in table {
            let origin = file.origin(key.span().start);
            let full = if name.is_empty() { key.get_ref().to_string() } else { format!("{name}.{}", key.get_ref()) };
            if let DeValue::Table(inner) = value.get_ref()
                && keys.iter().any(|key| !name.is_empty() && key.table() == full)
            {
                self.table(keys, (&full, inner), file)?;
                continue;
            }
            let Some(known) = keys.iter().find(|known| known.name == full) else {
                return Err(unknown_key(keys, full, origin));
            };
            let texts = texts(value.get_ref(), known.field.is_list())
                .ok_or_else(|| mistyped(known.name, value.get_ref(), origin.clone()))?;
            if !texts.is_empty() {
                let setting = |text| Setting { text, origin: origin.clone() };
                self.settings.insert(known.name, texts.into_iter().map(setting).collect());
            }
        }
        Ok(())
    }

    /// Where the value of each key comes from.
    pub(super) fn origins(&self) -> Origins {
        let origin = |(key, given): (&&'static str, &Vec<Setting>)| Some((*key, given.last()?.origin.word()));
        Origins(self.settings.iter().filter_map(origin).collect())
    }

    /// Every setting of a key.
    pub(super) fn all(&self, key: &'static str) -> &[Setting] {
        self.settings.get(key).map_or(&[], Vec::as_slice)
    }

    /// The error that the value of a key is not allowed together with others.
    pub(super) fn refuse(&self, key: &'static str, reason: impl Into<String>) -> ConfigError {
        let (value, origin) = match self.all(key).last() {
            Some(setting) => (setting.text.clone(), setting.origin.clone()),
            None => (String::new(), SettingOrigin::Default),
        };
        ConfigError::Value { key, origin, value, reason: reason.into() }
    }

    fn file<S>(&mut self, keys: &[Key<S>], file: &File<'_>) -> Result<(), ConfigError> {
        let table = DeTable::parse(file.text).map_err(|error| ConfigError::Syntax {
            path: file.path.to_owned(),
            line: file.line(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut top = DeTable::new();
        for (key, value) in table.into_inner() {
            let origin = file.origin(key.span().start);
            if **key.get_ref() == *element::TABLE {
                self.elements.extend(elements(ELEMENT, element::TABLE, (value.get_ref(), origin), file)?);
                continue;
            }
            if **key.get_ref() == *peer::TABLE {
                self.peers.extend(elements(PEER, peer::TABLE, (value.get_ref(), origin), file)?);
                continue;
            }
            let table = keys.iter().map(Key::table).find(|table| !table.is_empty() && *table == &**key.get_ref());
            match (table, value.get_ref()) {
                (Some(name), DeValue::Table(settings)) => self.table(keys, (name, settings), file)?,
                (Some(key), value) => {
                    let (value, reason) = (value.type_str().to_owned(), format!("expected a table: `[{key}]`"));
                    return Err(ConfigError::Value { key, origin, value, reason });
                }
                (None, _) => drop(top.insert(key, value)),
            }
        }
        self.table(keys, ("", &top), file)
    }

    fn variables<S>(&mut self, keys: &[Key<S>], env: &BTreeMap<String, OsString>) -> Result<(), ConfigError> {
        let names = || keys.iter().filter(|key| key.has_flag()).map(|key| key.name);
        for (name, value) in env {
            let written = name[VARIABLE_PREFIX.len()..].to_ascii_lowercase();
            if let Some(key) = names().find(|key| variable(key) == *name) {
                self.settings.insert(key, vec![from_variable(key, value)?]);
            } else if let Some(meant) = closest(&written, names()).filter(|_| *name != variable("config")) {
                let meant = variable(meant);
                self.warnings.push(format!("{name} is not a variable of this program; did you mean {meant}?"));
            }
        }
        Ok(())
    }
}

/// The settings of each element of an array of tables, and where it begins.
fn elements<S>(
    keys: &[Key<S>],
    table: &'static str,
    (value, origin): (&DeValue<'_>, SettingOrigin),
    file: &File<'_>,
) -> Result<Vec<(SettingOrigin, Layers)>, ConfigError> {
    let refuse = |origin, value: &DeValue<'_>| {
        let (value, reason) = (value.type_str().to_owned(), format!("expected a table for each: `[[{table}]]`"));
        ConfigError::Value { key: table, origin, value, reason }
    };
    let DeValue::Array(elements) = value else { return Err(refuse(origin, value)) };
    let of = |element: &toml::Spanned<DeValue<'_>>| {
        let origin = file.origin(element.span().start);
        let DeValue::Table(settings) = element.get_ref() else { return Err(refuse(origin, element.get_ref())) };
        let mut layers = Layers::defaults(keys);
        layers.table(keys, (table, settings), file)?;
        Ok((origin, layers))
    };
    elements.iter().map(of).collect()
}

/// The file's path and text.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl File<'_> {
    /// The line of the byte at this offset, from 1.
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn origin(&self, at: usize) -> SettingOrigin {
        SettingOrigin::File { path: self.path.to_owned(), line: self.line(at) }
    }
}

/// The variables with our prefix. Empty ones are left out: in compose files and shells `VARIABLE=` means "not set".
fn environment(env: impl IntoIterator<Item = (OsString, OsString)>) -> BTreeMap<String, OsString> {
    env.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        .collect()
}

fn from_variable(key: &'static str, value: &OsStr) -> Result<Setting, ConfigError> {
    let origin = SettingOrigin::Variable;
    match value.to_str() {
        Some(text) => Ok(Setting { text: text.to_owned(), origin }),
        None => {
            let (value, reason) = (value.to_string_lossy().into_owned(), "expected UTF-8".to_owned());
            Err(ConfigError::Value { key, origin, value, reason })
        }
    }
}

/// A value of the file as it would be typed, or the elements of a list. `None` for another type.
fn texts(value: &DeValue<'_>, is_list: bool) -> Option<Vec<String>> {
    match value {
        DeValue::Array(values) if is_list => values.iter().map(|value| scalar(value.get_ref())).collect(),
        value => scalar(value).map(|text| vec![text]),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// For a backend written as a table, as in other programs.
const BACKEND_IS_NO_TABLE: &str = "expected an address, as in `backend = \"http://gpu-box:11434\"`, before the first table; \
     its certificates stand in `[backend_tls]`, its place in `backend_node` and `backend_zone`; a table for each backend is \
     `[[backends]]`";

fn mistyped(key: &'static str, value: &DeValue<'_>, origin: SettingOrigin) -> ConfigError {
    let reason = if key == "backend" { BACKEND_IS_NO_TABLE } else { "expected a string, a number or a switch" };
    ConfigError::Value { key, origin, value: value.type_str().to_owned(), reason: reason.into() }
}

/// The error for a refused value or list.
fn refuse<S>(key: &Key<S>, given: &[Setting], Rejection { element, reason }: Rejection) -> ConfigError {
    let at_fault = match element {
        Some(at) => given.get(at),
        None if key.field.is_list() => None,
        None => given.last(),
    };
    let texts = || given.iter().map(|setting| setting.text.as_str()).collect::<Vec<_>>().join(", ");
    let origin = at_fault.or(given.first()).map_or(SettingOrigin::Default, |setting| setting.origin.clone());
    let value = at_fault.map_or_else(|| format!("[{}]", texts()), |setting| setting.text.clone());
    ConfigError::Value { key: key.name, origin, value, reason }
}

fn unknown_key<S>(keys: &[Key<S>], key: String, origin: SettingOrigin) -> ConfigError {
    let (path, line) = match origin {
        SettingOrigin::File { path, line } => (path, line),
        SettingOrigin::Flag | SettingOrigin::Variable | SettingOrigin::Default => Default::default(),
    };
    ConfigError::UnknownKey { path, line, similar: meant(keys, &key), key }
}
