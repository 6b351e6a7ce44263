//! Connections.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::client::{Client, Unconnected};
use crate::history::settings::{MISPLACED, Target, UrlParts};
use crate::history::state::Pause;
use crate::history::store::error::StoreError;

/// What is asked of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing.
    None,
    /// That it is for the server's name, from an authority in this file, else from one that the system trusts.
    Full(Option<PathBuf>),
}

/// Makes the configuration of TLS.
pub type MakeTls = Arc<dyn Fn(&Verification) -> Result<rustls::ClientConfig, String> + Send + Sync>;

/// A PostgreSQL server, and how it is reached.
#[derive(Clone)]
pub struct Server {
    /// Where it is.
    pub target: Target,
    /// For connections that are encrypted.
    pub tls: MakeTls,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Server({})", self.target)
    }
}

/// How long the server may take to accept a connection, and then to acknowledge what was sent; less where a statement may
/// take less.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks that a target names a server, without connecting to it.
///
/// # Errors
/// If its file cannot be read or the URL is invalid. The text quotes no part of the URL.
pub fn check_target(target: &Target) -> Result<(), String> {
    parse(&target.url()?).map(|_| ())
}

impl Server {
    /// Connects. A statement that takes longer than `limit` is given up by the server.
    pub(super) fn connect(&self, limit: Duration) -> Result<Client, StoreError> {
        let unreachable = |text: String| StoreError::Paused(Pause::Failing, format!("{}: {text}", self.target));
        let url = self.target.url().map_err(unreachable)?;
        let (mut config, verification) = parse(&url).map_err(unreachable)?;
        let patience = PATIENCE.min(limit);
        config.connect_timeout(patience).tcp_user_timeout(patience);
        // A server that is gone without a word is noticed in twice that time.
        config.keepalives_idle(patience).keepalives_interval(patience / 2).keepalives_retries(2);
        config.application_name("inferometer");
        let tls = MakeRustlsConnect::new((self.tls)(&verification).map_err(unreachable)?);
        let connected = Client::connect(&config, tls, patience, limit);
        let mut client = connected.map_err(|why| match why {
            Unconnected::System(error) => unreachable(error.to_string()),
            Unconnected::Mute => unreachable("it does not answer".to_owned()),
            Unconnected::Server(error) => self.failed(&error),
        })?;
        let session = format!(
            "SET statement_timeout = {}; SET TIME ZONE 'UTC'; SET search_path TO {}",
            limit.as_millis(),
            super::schema::SCHEMA
        );
        client.batch_execute(&session).map_err(|error| self.failed(&error))?;
        Ok(client)
    }

    /// What the server, or the way to it, says.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> StoreError {
        let code = error.code();
        if code == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED) {
            return StoreError::Interrupted;
        }
        let full = code.is_some_and(|code| *code == tokio_postgres::error::SqlState::DISK_FULL);
        // The server's own words; never its details, which may quote values.
        let text = match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => causes(error),
        };
        StoreError::Paused(if full { Pause::Full } else { Pause::Failing }, format!("{}: {text}", self.target))
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) if !error.to_string().contains(&cause.to_string()) => format!("{error}: {}", causes(cause)),
        _ => error.to_string(),
    }
}

/// Parses a URL. The library does not know the modes that look at the certificate. No error quotes any part of it.
fn parse(url: &str) -> Result<(Config, Verification), String> {
    let parts = UrlParts::of(url);
    if parts.login.is_some_and(|login| login.contains(MISPLACED)) {
        return Err(
            "write `@`, `?` and `#` as `%40`, `%3F` and `%23` in the user, the password and parameters".to_owned()
        );
    }
    let (mut mode, mut roots, mut rest) = (SslMode::Prefer, None, Vec::new());
    let mut is_verified = false;
    for parameter in parts.parameters() {
        match parameter {
            ("sslmode", "disable") => mode = SslMode::Disable,
            ("sslmode", "allow" | "prefer") => mode = SslMode::Prefer,
            ("sslmode", "require") => mode = SslMode::Require,
            ("sslmode", "verify-ca" | "verify-full") => (mode, is_verified) = (SslMode::Require, true),
            ("sslmode", _) => {
                return Err("sslmode is disable, allow, prefer, require, verify-ca or verify-full".to_owned());
            }
            ("sslrootcert", path) => roots = Some(Path::new(path).to_owned()),
            (name, value) => rest.push(format!("{name}={value}")),
        }
    }
    let place = url.find('?').map_or(url, |end| &url[..end]);
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    // The library's own words may quote what it could not read.
    let mut config = Config::from_str(&format!("{place}{query}")).map_err(|_| {
        "it is no URL of a PostgreSQL database; postgres://user:password@host:5432/database is one".to_owned()
    })?;
    config.ssl_mode(mode);
    // With authorities, encryption alone would be less than was asked for (libpq's `require` does the same).
    let verification = if is_verified || (mode == SslMode::Require && roots.is_some()) {
        Verification::Full(roots)
    } else {
        Verification::None
    };
    Ok((config, verification))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_tls_is_honoured() {
        let modes = |parameters: &str| {
            let (config, verification) = parse(&format!("postgres://u:p@h/db{parameters}")).expect("valid");
            (config.get_ssl_mode(), verification)
        };
        assert_eq!(modes(""), (SslMode::Prefer, Verification::None));
        assert_eq!(modes("?sslmode=disable"), (SslMode::Disable, Verification::None));
        assert_eq!(modes("?sslmode=require"), (SslMode::Require, Verification::None));
        assert_eq!(modes("?sslmode=verify-full"), (SslMode::Require, Verification::Full(None)));
        let file = Verification::Full(Some("/ca.pem".into()));
        for mode in ["verify-ca", "verify-full", "require"] {
            let parameters = format!("?sslmode={mode}&sslrootcert=/ca.pem&connect_timeout=3");
            assert_eq!(modes(&parameters), (SslMode::Require, file.clone()), "{mode}");
        }
        for bad in [
            "postgres://h/db?sslmode=sec",
            "postgres://u:sec ret@h:port/db",
            "postgres://u:sec?ret@h/db?sslmode=require",
            "postgres://u:sec#ret@h/db",
            "postgres://u:sec@ret@h/db",
            "postgres://h/db?password=sec@ret",
            "postgres://u:sec/h",
            "postgres://h/db?p%61sswort=sec",
        ] {
            let error = parse(bad).map(|_| ()).expect_err(bad);
            assert!(!error.contains("sec"), "{error}");
        }
        let (config, _) = parse("postgres://u:se%3Fcr%40et@h/db?sslmode=require").expect("valid");
        assert_eq!((config.get_password(), config.get_ssl_mode()), (Some(&b"se?cr@et"[..]), SslMode::Require));
    }
}
