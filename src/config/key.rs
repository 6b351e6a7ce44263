//! The definition of a key: a line of the table in [`super::keys`].
//!
//! A table of keys fills one struct of settings: [`Config`](super::settings::Config) for what occurs once in the file.
//! What occurs several times, as in an array of tables (`[[peers]]`), has a struct and a table of keys of its own: each
//! element is read, filled, printed and compared by the same functions.

use super::invalid::Rejection;
use super::kind::ValueKind;

/// The prefix of every variable.
pub(super) const VARIABLE_PREFIX: &str = "INFEROMETER_";

/// A line of a table of keys.
pub(super) struct Key<S: 'static> {
    /// The name in the file, with its table: `limits.head`.
    pub(super) name: &'static str,
    /// The value where no source sets one, as it would be typed. An empty text is an empty list for a list.
    pub(super) default: &'static str,
    pub(super) sources: Sources,
    pub(super) reload: Reload<S>,
    /// Its kind of value, and the field of the settings that it fills.
    pub(super) field: &'static dyn Field<S>,
    /// Its purpose: one sentence without a full stop, with the unit where the value has none.
    pub(super) help: &'static str,
}

/// Where a key can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// By a flag, a variable and the file.
    Anywhere,
    /// By the file alone.
    File,
}

/// What a reload does with a value that has changed.
pub(super) enum Reload<S: 'static> {
    /// It takes effect without a restart.
    Live(Scope),
    /// It takes effect at a restart.
    Restart,
    /// It takes effect without a restart if `holds` for the running settings and the new ones.
    LiveWhere { scope: Scope, holds: fn(&S, &S) -> bool, restart_to: &'static str },
}

/// For what a new value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// For everything, exchanges in flight included.
    Everything,
    /// For later requests, also on connections that are open.
    Requests,
    /// For later connections of clients.
    Connections,
    /// For later connections to the backend.
    BackendConnections,
}

impl Scope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "at once",
            Self::Requests => "for new requests",
            Self::Connections => "for new connections",
            Self::BackendConnections => "for new connections to the backend",
        }
    }
}

impl<S> Reload<S> {
    /// Whether a change from `running` to `next` takes effect without a restart.
    pub(super) fn is_live(&self, running: &S, next: &S) -> bool {
        match self {
            Self::Live(_) => true,
            Self::Restart => false,
            Self::LiveWhere { holds, .. } => holds(running, next),
        }
    }

    /// For the printed configuration and the documentation.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Live(scope) => format!("live {}", scope.as_str()),
            Self::Restart => "restart".to_owned(),
            Self::LiveWhere { scope, restart_to, .. } => format!("live {}, restart to {restart_to}", scope.as_str()),
        }
    }
}

impl<S> Key<S> {
    /// Its table in the file; empty for the top level.
    pub(super) fn table(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Its name within its table.
    pub(super) fn leaf(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, leaf)| leaf)
    }

    /// Whether a flag and a variable can set it too.
    pub(super) fn has_flag(&self) -> bool {
        self.sources == Sources::Anywhere
    }
}

/// The flag that sets a key, without its dashes.
pub(super) fn flag(key: &str) -> String {
    key.replace('_', "-")
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.to_ascii_uppercase())
}

/// A field of the settings, of any type.
pub(super) trait Field<S>: Sync {
    /// Parses a value and sets the field.
    fn read(&self, settings: &mut S, texts: &[&str]) -> Result<(), Rejection>;
    /// The value as TOML.
    fn print(&self, settings: &S) -> String;
    fn is_same(&self, one: &S, other: &S) -> bool;
    fn copy(&self, from: &S, into: &mut S);
    fn is_list(&self) -> bool;
    fn placeholder(&self) -> &'static str;
    /// The allowed values, for the printed configuration and the documentation.
    fn allowed(&self) -> String;
}

/// A field of type `T`, and its kind of value.
pub(super) struct TypedField<S, T: 'static> {
    pub(super) kind: &'static ValueKind<T>,
    pub(super) get: fn(&S) -> T,
    pub(super) set: fn(&mut S, T),
}

impl<S, T: PartialEq> Field<S> for TypedField<S, T> {
    fn read(&self, settings: &mut S, texts: &[&str]) -> Result<(), Rejection> {
        (self.set)(settings, self.kind.read(texts)?);
        Ok(())
    }

    fn print(&self, settings: &S) -> String {
        (self.kind.print)(&(self.get)(settings))
    }

    fn is_same(&self, one: &S, other: &S) -> bool {
        (self.get)(one) == (self.get)(other)
    }

    fn copy(&self, from: &S, into: &mut S) {
        (self.set)(into, (self.get)(from));
    }

    fn is_list(&self) -> bool {
        self.kind.is_list()
    }

    fn placeholder(&self) -> &'static str {
        self.kind.placeholder
    }

    fn allowed(&self) -> String {
        format!("{}{}", self.kind.noun, self.kind.range)
    }
}

/// Lines of `[name, kind, default, sources, reload, field, help]`. The field is a path within the settings in braces,
/// or a pair of functions that get and set it.
macro_rules! keys {
    ($settings:ty; $([$name:literal, $kind:ident, $default:literal, $sources:ident, $reload:expr, $field:tt, $help:literal])*) => {
        &[$($crate::config::key::Key {
            name: $name,
            default: $default,
            sources: $crate::config::key::Sources::$sources,
            reload: $reload,
            field: $crate::config::key::at!($settings, $kind, $field),
            help: $help,
        }),*]
    };
}

macro_rules! at {
    ($settings:ty, $kind:ident, { $($path:ident).+ }) => {
        &$crate::config::key::TypedField::<$settings, _> {
            kind: &$crate::config::kind::$kind,
            get: |settings: &$settings| ::std::clone::Clone::clone(&settings.$($path).+),
            set: |settings: &mut $settings, value| settings.$($path).+ = value,
        }
    };
    ($settings:ty, $kind:ident, ($get:expr, $set:expr)) => {
        &$crate::config::key::TypedField::<$settings, _> { kind: &$crate::config::kind::$kind, get: $get, set: $set }
    };
}

pub(super) use {at, keys};
