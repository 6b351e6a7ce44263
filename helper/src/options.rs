//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
Usage: inferometer-helper [OPTIONS]

Answers with the machine's power, temperatures and pressures, as JSON, on a socket of this machine.
Started as root it opens its sources and then becomes an unprivileged user.

  --listen ADDRESS      127.0.0.1:PORT, [::1]:PORT or unix:/path/of/a/socket [default: 127.0.0.1:8002]
  --interval DURATION   how often to read, 1s to 10s [default: 2s]
  --source SOURCE       powermetrics (macOS), kernel (Linux: RAPL, hwmon, pressure), or - for the output of
                        `powermetrics --format plist` on the standard input [default: that of the system]
  --user NAME|UID:GID   whom to become when started as root [default: nobody]
  --powermetrics PATH   the program [default: /usr/bin/powermetrics]
  --help, --version

`inferometer-helper man` prints the manual page.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: Listen,
    /// 1 s to 10 s. Faster readings of RAPL would reveal what other programs compute (CVE-2020-8694).
    pub(crate) interval: Duration,
    pub(crate) source: Source,
    pub(crate) user: User,
    /// A source without a sample for so long has failed.
    pub(crate) silence: Duration,
    /// Whether to ask macOS for the share of free memory at each sample.
    pub(crate) memory_level: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A loopback address.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The source of the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The output of this program, which is spawned.
    Powermetrics(PathBuf),
    /// The output of `powermetrics` on standard input.
    Input,
    /// The kernel's files under these roots.
    Kernel { proc: PathBuf, sys: PathBuf },
}

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

const DEFAULT_PORT: u16 = 8002;

/// Several times the longest interval.
const DEFAULT_SILENCE: Duration = Duration::from_secs(60);

impl Options {
    /// `None` for `--help` and `--version`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let macos = cfg!(target_os = "macos");
        let mut listen = Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
        let mut interval = Duration::from_secs(2);
        let mut silence = DEFAULT_SILENCE;
        let mut source = if macos { "powermetrics" } else { "kernel" }.to_owned();
        let mut user = "nobody".to_owned();
        let mut program = PathBuf::from("/usr/bin/powermetrics");
        let (mut proc, mut sys) = (PathBuf::from("/proc"), PathBuf::from("/sys"));
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            if matches!(name.as_str(), "--help" | "-h" | "--version" | "-V") {
                return Ok(None);
            }
            let value = given.or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--listen" => listen = parse_listen(&value)?,
                "--interval" => interval = parse_interval(&value)?,
                "--source" => source = value,
                "--user" => user = value,
                "--powermetrics" => program = value.into(),
                // For tests; not in the help.
                "--silence" => silence = parse_interval(&value)?,
                "--proc" => proc = value.into(),
                "--sys" => sys = value.into(),
                _ => return Err(format!("{name} is not an option")),
            }
        }
        let source = match source.as_str() {
            "powermetrics" => Source::Powermetrics(program),
            "kernel" => Source::Kernel { proc, sys },
            "-" => Source::Input,
            other => return Err(format!("--source {other}: expected powermetrics, kernel or -")),
        };
        Ok(Some(Self { listen, interval, source, user: parse_user(&user)?, silence, memory_level: macos }))
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    let address = match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => return Ok(Listen::Unix(path.into())),
        Some(_) => None,
        None => text.parse::<SocketAddr>().ok(),
    };
    address.filter(|address| address.ip().is_loopback()).map(Listen::Tcp).ok_or_else(|| {
        format!("--listen {text}: expected an address of this machine alone, such as 127.0.0.1:8002, or unix:/path")
    })
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.strip_suffix("ms").map_or((text.strip_suffix('s'), 1000), |digits| (Some(digits), 1));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|number| number.checked_mul(unit));
    number
        .filter(|millis| (1000..=10_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("--interval {text}: expected 1s to 10s, such as 2s or 1500ms"))
}

/// A name in /etc/passwd, or `UID:GID`. Root is refused, as nothing would be dropped.
fn parse_user(text: &str) -> Result<User, String> {
    let passwd = || std::fs::read_to_string("/etc/passwd").ok();
    let numbers =
        text.split_once(':').and_then(|(uid, gid)| Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
    let named = || passwd().and_then(|passwd| find_user(&passwd, text));
    // The conventional number of the user that owns nothing, for systems without that name.
    let nobody = || (text == "nobody").then_some(User { uid: 65534, gid: 65534 });
    let user = numbers.or_else(named).or_else(nobody).ok_or_else(|| format!("--user {text}: no such user"))?;
    if user.uid == 0 || user.gid == 0 {
        return Err(format!("--user {text}: root keeps its privileges; name another"));
    }
    Ok(user)
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    // macOS writes negative numbers: -2 is 2^32 - 2.
    let number = |text: &str| text.parse().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned));
    let line =
        passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| line.first() == Some(&name))?;
    Some(User { uid: number(line.get(2)?)?, gid: number(line.get(3)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_local_addresses_are_accepted() {
        for (typed, listen) in [
            ("--listen 127.0.0.1:9", Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 9)))),
            ("--listen=[::1]:9", Listen::Tcp("[::1]:9".parse().expect("an address"))),
            ("--listen unix:/run/x.sock", Listen::Unix("/run/x.sock".into())),
        ] {
            assert_eq!(parse(typed).expect(typed).expect("options").listen, listen);
        }
        for typed in ["0.0.0.0:8002", "192.168.0.1:8002", "[::]:8002", "localhost:8002", "unix:x", "8002"] {
            assert!(parse(&format!("--listen {typed}")).is_err(), "{typed}");
        }
    }

    #[test]
    fn reading_faster_than_once_a_second_is_refused() {
        assert_eq!(parse_interval("1500ms"), Ok(Duration::from_millis(1500)));
        for typed in ["999ms", "0s", "11s", "1", "-1s", "1m", ""] {
            assert!(parse_interval(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_user_is_a_name_or_numbers_and_not_root() {
        assert_eq!(parse_user("1000:1001"), Ok(User { uid: 1000, gid: 1001 }));
        let macos = "##\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
        assert_eq!(find_user(macos, "nobody"), Some(User { uid: 4_294_967_294, gid: 4_294_967_294 }));
        for typed in ["root", "0:5", "5:0", "no-such-user", "5", ""] {
            assert!(parse_user(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn an_unknown_option_a_missing_value_and_an_unknown_source_are_refused() {
        for typed in ["--lisen x", "--listen", "x", "--source nvidia"] {
            assert!(parse(typed).is_err(), "{typed}");
        }
        assert_eq!(parse("--version"), Ok(None));
    }
}
