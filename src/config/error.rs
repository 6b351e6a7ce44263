//! Errors in a configuration: the key, the value, its origin, and what is allowed.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::key::{flag, variable};

/// The source of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The configuration file.
    File {
        /// Its path as given.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// No source sets it.
    Default,
}

impl SettingOrigin {
    /// One word.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Variable => "environment",
            Self::File { .. } => "file",
            Self::Default => "default",
        }
    }
}

/// Keys whose value may hold a password, in whatever way it is mistyped: it is never shown.
const SECRET: [&str; 1] = ["history"];

/// Why there is no configuration. The exit code is 2 for each.
#[derive(Debug)]
pub enum ConfigError {
    /// A value that is not allowed.
    Value {
        /// The key as written in a file; the flag and the variable follow from it.
        key: &'static str,
        /// The source of the value.
        origin: SettingOrigin,
        /// The value as written.
        value: String,
        /// What is allowed, or why this is not.
        reason: String,
    },
    /// A key that the file must not hold.
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key, with its table.
        key: String,
        /// The most similar known key; `None` where none is similar.
        similar: Option<String>,
    },
    /// The file is not TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line of the fault, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
}

impl ConfigError {
    /// The exit code of the process.
    pub const EXIT_CODE: u8 = 2;
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { key, origin, value, reason } => {
                match origin {
                    SettingOrigin::Flag => write!(out, "--{}", flag(key))?,
                    SettingOrigin::Variable => write!(out, "{}", variable(key))?,
                    SettingOrigin::File { path, line } => write!(out, "{}:{line}: {key}", path.display())?,
                    SettingOrigin::Default => write!(out, "{key} (default)")?,
                }
                match SECRET.contains(key) {
                    true => write!(out, ": the value is not allowed: {reason}"),
                    false => write!(out, ": `{}` is not allowed: {reason}", without_password(value).escape_debug()),
                }
            }
            Self::UnknownKey { path, line, key, similar } => {
                write!(out, "{}:{line}: unknown key `{}`", path.display(), key.escape_debug())?;
                match similar {
                    Some(similar) => write!(out, "; did you mean `{similar}`?"),
                    None => out.write_str("; `--print-config` shows every key"),
                }
            }
            Self::Syntax { path, line, message } => write!(out, "{}:{line}: not TOML: {message}", path.display()),
            Self::Read { path, cause } => write!(out, "--config: cannot read `{}`: {cause}", path.display()),
        }
    }
}

/// A URL without the name and the password in it; any other value as it is.
fn without_password(value: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = value.split_once("://") else { return value.into() };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]).into(),
        None => value.into(),
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { cause, .. } => Some(cause),
            Self::Value { .. } | Self::UnknownKey { .. } | Self::Syntax { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (value, shown) in [
            ("http://user:S3CRET@host:1/path@x", "http://***@host:1/path@x"),
            ("http://token@host", "http://***@host"),
            ("http://a@b@host", "http://***@host"),
            ("http://host/?mail=a@b", "http://host/?mail=a@b"),
            ("a@b", "a@b"),
            ("", ""),
        ] {
            assert_eq!(without_password(value), shown);
        }
        let (key, reason) = ("backend", "it has a password".to_owned());
        let error = ConfigError::Value { key, origin: SettingOrigin::Flag, value: "http://u:S3CRET@h".into(), reason };
        assert!(!error.to_string().contains("S3CRET"), "{error}");
    }
}
