//! `inferometer top` and `inferometer snapshot`.

use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use super::report::{CommandReport, Failure};
use super::running::{admin_tls, block_on};
use crate::backend::address::Address;
use crate::cli::{SnapshotArguments, TargetArguments, TopArguments};
use crate::config::error::ConfigError;
use crate::config::{self, Config};
use crate::console::{self, Target};
use crate::history::timestamp::Timestamp;

type Resolved = Result<Config, ConfigError>;

pub(super) fn top(arguments: &TopArguments, resolve: impl FnOnce() -> Resolved) -> Result<CommandReport, Failure> {
    let target = target(&arguments.target, resolve)?;
    if arguments.once || !std::io::stdout().is_terminal() {
        return Ok(match block_on(console::once(&target))? {
            Ok(frame) => CommandReport::of(frame),
            Err(error) => silent(&target, &error),
        });
    }
    block_on(console::top(&target))??;
    Ok(CommandReport::default())
}

pub(super) fn snapshot(
    arguments: &SnapshotArguments,
    resolve: impl FnOnce() -> Resolved,
) -> Result<CommandReport, Failure> {
    let target = target(&arguments.target, resolve)?;
    let length = config::duration(&arguments.last)
        .ok_or_else(|| format!("--last {}: write it as 15m, 6h or 7d", arguments.last.escape_debug()))?;
    let now = SystemTime::now();
    let [from, to] = [now.checked_sub(length), Some(now)].map(|at| {
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0)).to_string()
    });
    Ok(match block_on(console::html(&target, &arguments.last, (&from, &to)))? {
        Ok(file) => CommandReport::of(file),
        Err(error) => silent(&target, &error),
    })
}

fn silent(target: &Target, error: &console::TargetError) -> CommandReport {
    CommandReport {
        complaints: format!("inferometer: {}: {error}\n", target.url()),
        code: 1,
        ..CommandReport::default()
    }
}

/// The program that a URL names, else the one that these settings would start.
fn target(arguments: &TargetArguments, resolve: impl FnOnce() -> Resolved) -> Result<Target, Failure> {
    let address = match &arguments.url {
        Some(url) => url.parse().map_err(|error| format!("--url {}: {error}", url.escape_debug()))?,
        None => own(&resolve()?)?,
    };
    let read = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("--token-file {}: {error}", path.display()))
    };
    let token = arguments.token_file.as_ref().map(read).transpose()?;
    Ok(Target::new(address, token.as_deref())?)
}

fn own(config: &Config) -> Result<Address, Failure> {
    let ip = match config.admin_listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let port = config.admin_listen.port();
    Ok(Address { tls: admin_tls(config)?, host: ip.to_string(), port, prefix: String::new() })
}
