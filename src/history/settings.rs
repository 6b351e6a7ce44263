//! The settings of the history.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where finished exchanges are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Nowhere.
    #[default]
    Off,
    /// In SQLite files on this machine.
    Sqlite,
    /// In such files, and copied from there to PostgreSQL, which answers questions.
    Postgres(Target),
}

impl Engine {
    /// Parses `off`, `sqlite`, `postgres://…` or `file:` and the path of a file that has such a URL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "sqlite" => Some(Self::Sqlite),
            _ => match text.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Some(Self::Postgres(Target::File(path.into()))),
                Some(_) => None,
                None => is_url(text).then(|| Self::Postgres(Target::Url(text.into()))),
            },
        }
    }
}

/// As it is configured, but for a password.
impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => out.write_str("off"),
            Self::Sqlite => out.write_str("sqlite"),
            Self::Postgres(target) => target.fmt(out),
        }
    }
}

/// Which PostgreSQL.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// At this URL, which may hold a password.
    Url(Box<str>),
    /// At the URL in this file. It is read again for each connection.
    File(PathBuf),
}

impl Target {
    /// The URL.
    ///
    /// # Errors
    /// When the file cannot be read, or has none.
    pub fn url(&self) -> Result<String, String> {
        match self {
            Self::Url(url) => Ok(url.to_string()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let url = text.trim().to_owned();
                if is_url(&url) { Ok(url) } else { Err(format!("{}: it holds no postgres:// URL", path.display())) }
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme) && text.len() > scheme.len())
}

/// A URL in its parts.
pub(super) struct UrlParts<'a> {
    pub(super) scheme: &'a str,
    /// User and password: whatever is in front of the last `@`, so that no part of a password is taken for something else.
    pub(super) login: Option<&'a str>,
    /// Host, port and database.
    pub(super) place: &'a str,
    pub(super) parameters: &'a str,
}

impl<'a> UrlParts<'a> {
    pub(super) fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        Self { scheme, login, place, parameters }
    }

    /// The parameters with their values.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let each = self.parameters.split('&').filter(|it| !it.is_empty());
        each.map(|it| it.split_once('=').unwrap_or((it, "")))
    }

    /// The user, where the login is plainly one.
    fn user(&self) -> Option<&'a str> {
        let login = self.login?;
        let user = login.split_once(':').map_or(login, |(user, _)| user);
        (!login.is_empty() && !user.contains(MISPLACED)).then_some(user)
    }
}

/// What must not be in a login as it is.
pub(super) const MISPLACED: [char; 3] = ['@', '?', '#'];

/// The parameters that may be shown. All others may hold a secret.
const SHOWN: [&str; 10] = [
    "sslmode",
    "sslrootcert",
    "connect_timeout",
    "application_name",
    "target_session_attrs",
    "host",
    "hostaddr",
    "port",
    "user",
    "dbname",
];

/// Without the password: nothing may log or print it.
impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::File(path) => return write!(out, "file:{}", path.display()),
            Self::Url(url) => UrlParts::of(url),
        };
        write!(out, "{}://", url.scheme)?;
        match (url.login, url.user()) {
            (None, _) => {}
            (Some(login), Some(user)) if login == user => write!(out, "{user}@")?,
            (Some(_), user) => write!(out, "{}:***@", user.unwrap_or_default())?,
        }
        out.write_str(url.place)?;
        let is_plain = |value: &str| !value.contains(['=', '?', '%', ';']);
        let shown = url.parameters().filter(|(name, value)| SHOWN.contains(name) && is_plain(value));
        for (at, (name, value)) in shown.enumerate() {
            write!(out, "{}{name}={value}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Target({self})")
    }
}

/// How long and how much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Single exchanges, by age.
    pub raw: Duration,
    /// Single exchanges, by the size of their files in bytes.
    pub raw_bytes: u64,
    /// Sums by the minute.
    pub minutes: Duration,
    /// Sums by the hour.
    pub hours: Duration,
    /// Events, and audit entries, by age.
    pub events: Duration,
    /// Most events that are kept, and most audit entries.
    pub events_most: u64,
    /// Jobs that are over, by age.
    pub jobs: Duration,
    /// Lines of the log, by age.
    pub logs: Duration,
    /// Lines of the log, by their size in bytes.
    pub logs_bytes: u64,
}

/// The settings of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where exchanges are kept.
    pub engine: Engine,
    /// The directory of the files. `None` where neither the configuration nor the environment names one.
    pub directory: Option<PathBuf>,
    /// The name of the copy in PostgreSQL. `None`: a number that is made once in the directory.
    pub instance: Option<String>,
    /// How long and how much is kept.
    pub retention: Retention,
    /// Ordinary exchanges above this many a second are thinned.
    pub raw_rate: u64,
}

/// The intervals of the writer's work. The program uses the defaults; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two turns of the writer.
    pub drain: Duration,
    /// Between two merges of the sums.
    pub merge: Duration,
    /// Between two attempts while paused.
    pub retry: Duration,
    /// Between two checks for what is too old or too large.
    pub retain: Duration,
    /// Between two readings of the machine.
    pub sample: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            drain: Duration::from_millis(200),
            merge: Duration::from_secs(5),
            retry: Duration::from_secs(30),
            retain: Duration::from_secs(60),
            sample: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (given, shown) in [
            ("postgres://u:secret@h:5433/db?sslmode=require", "postgres://u:***@h:5433/db?sslmode=require"),
            ("postgresql://u@h/db", "postgresql://u@h/db"),
            ("postgres://h/db?password=secret&sslmode=disable", "postgres://h/db?sslmode=disable"),
            ("postgres://u:se@cret@h/db", "postgres://u:***@h/db"),
            ("postgres://u:se?cret@h/db?sslmode=require", "postgres://u:***@h/db?sslmode=require"),
            ("postgres://u:se#cret/secret@h/db", "postgres://u:***@h/db"),
            ("postgres://h/db?password=se@cret", "postgres://:***@cret"),
            ("postgres://h/db?sslpassword=secret&p%61ssword=secret&port=5433", "postgres://h/db?port=5433"),
            ("postgres://h/db?sslmode=require?password=secret", "postgres://h/db"),
            ("postgres://h/db?options=-c%20secret", "postgres://h/db"),
            ("file:/run/credentials/inferometer.service/history", "file:/run/credentials/inferometer.service/history"),
        ] {
            let engine = Engine::parse(given).expect("it is one");
            assert_eq!(engine.to_string(), shown);
            assert!(!format!("{engine:?}").contains("secret"));
        }
        for text in ["", "SQLite", "postgres", "postgres://", "file:", "mysql://h/db"] {
            assert_eq!(Engine::parse(text), None, "{text}");
        }
    }
}
