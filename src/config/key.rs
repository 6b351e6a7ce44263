//! What a key is: a line of the table in [`super::keys`], over the settings that it fills.
//!
//! A table of keys is over one struct of settings: [`Config`](super::settings::Config) for what stands once in the file. What
//! stands there several times, as a table of tables does (`[[peers]]`), is a struct of its own and a table of keys over
//! it: each element is read, filled, printed and compared by the same functions.

use super::kind::Kind;
use super::wrong::Refused;

/// What the names of our variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "INFEROMETER_";

/// A line of a table of keys.
pub(super) struct Key<S: 'static> {
    /// As it stands in the file, with its table: `limits.head`.
    pub(super) name: &'static str,
    /// The value where no source gives one, as it would be typed. For a list, nothing is an empty one.
    pub(super) default: &'static str,
    pub(super) sources: Sources,
    pub(super) reload: Reload<S>,
    /// What it may be, and where in the settings it goes.
    pub(super) field: &'static dyn Field<S>,
    /// What it is for: one sentence without its end, with the unit where the value has none.
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
    /// It is in force from then on.
    Live,
    /// It waits for a restart.
    Restart,
    /// It is in force where `holds` says so of the running settings and the new ones, and else waits for a restart.
    LiveWhere { holds: fn(&S, &S) -> bool, restart_to: &'static str },
}

impl<S> Reload<S> {
    /// Whether a change from `running` to `next` is in force without a restart.
    pub(super) fn is_live(&self, running: &S, next: &S) -> bool {
        match self {
            Self::Live => true,
            Self::Restart => false,
            Self::LiveWhere { holds, .. } => holds(running, next),
        }
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Live => "live".to_owned(),
            Self::Restart => "restart".to_owned(),
            Self::LiveWhere { restart_to, .. } => format!("live, restart to {restart_to}"),
        }
    }
}

impl<S> Key<S> {
    /// The table of the file that it stands in; empty for the top.
    pub(super) fn table(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(table, _)| table)
    }

    /// Its name within its table.
    pub(super) fn leaf(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, leaf)| leaf)
    }

    /// Whether a flag and a variable set it, too.
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

/// A place in the settings, whatever its type.
pub(super) trait Field<S>: Sync {
    /// Reads a value and puts it there.
    fn read(&self, settings: &mut S, texts: &[&str]) -> Result<(), Refused>;
    /// The value as TOML.
    fn print(&self, settings: &S) -> String;
    fn is_same(&self, one: &S, other: &S) -> bool;
    fn copy(&self, from: &S, into: &mut S);
    fn is_list(&self) -> bool;
    fn placeholder(&self) -> &'static str;
    /// What it may be, for people.
    fn allowed(&self) -> String;
}

/// A place of type `T`, and what may be there.
pub(super) struct At<S, T: 'static> {
    pub(super) kind: &'static Kind<T>,
    pub(super) get: fn(&S) -> T,
    pub(super) set: fn(&mut S, T),
}

impl<S, T: PartialEq> Field<S> for At<S, T> {
    fn read(&self, settings: &mut S, texts: &[&str]) -> Result<(), Refused> {
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

/// Lines of `[name, what it may be, default, where it is set, what a reload does, field, help]`. The field is a path
/// within the settings in braces, or, where it takes more than that, a pair of functions that get and set it.
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
        &$crate::config::key::At::<$settings, _> {
            kind: &$crate::config::kind::$kind,
            get: |settings: &$settings| ::std::clone::Clone::clone(&settings.$($path).+),
            set: |settings: &mut $settings, value| settings.$($path).+ = value,
        }
    };
    ($settings:ty, $kind:ident, ($get:expr, $set:expr)) => {
        &$crate::config::key::At::<$settings, _> { kind: &$crate::config::kind::$kind, get: $get, set: $set }
    };
}

pub(super) use {at, keys};
