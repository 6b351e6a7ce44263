//! The command line.
//!
//! Every setting is kept as text: [`crate::config`] decides which settings have a flag, what a value means and whether
//! it is allowed, and can name the origin of an invalid value.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision, from `INFEROMETER_REVISION` at build time; `unknown` without it.
pub const REVISION: &str = match option_env!("INFEROMETER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

static LONG_VERSION: LazyLock<String> = LazyLock::new(|| format!("{VERSION} (revision {REVISION})"));

const ABOUT: &str = "A transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers";

/// One line per paragraph: clap wraps them to the terminal.
const AFTER_HELP: &str = "\
Every option can also be set by a variable (INFEROMETER_ and the option in upper snake case, such as \
INFEROMETER_CONNECT_TIMEOUT) or by a key in the file (such as connect_timeout). Options win over variables, variables \
over the file. Limits and the machine's settings stand in the file only: --print-config shows every key. OLLAMA_HOST is \
not read: it tells Ollama's clients where to find this program.

SIGTERM and SIGINT drain, a second one ends at once. Exit codes: 0 drained, 1 failed while running, 2 wrong \
configuration, 130 and 143 ended by a second signal.";

/// A setting with a flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Its key in the configuration.
    pub key: &'static str,
    /// The flag without its dashes.
    pub name: String,
    /// Names the value in the help.
    pub placeholder: &'static str,
    /// One sentence, with the default value.
    pub help: String,
    /// Whether it may be given more than once.
    pub is_list: bool,
}

/// The parsed command line.
#[derive(Clone, Debug, Default)]
pub struct Cli {
    /// The values of the given flags, by key.
    pub settings: HashMap<&'static str, Vec<String>>,
    /// The configuration file; `None` where none was given.
    pub config: Option<PathBuf>,
    /// Check the configuration and exit.
    pub check_config: bool,
    /// Print the configuration and exit.
    pub print_config: bool,
}

impl Cli {
    /// Parses the process's arguments. `--help`, `--version` and an invalid command line end the process.
    #[must_use]
    pub fn parse(flags: &[Flag]) -> Self {
        Self::from_matches(flags, &command(flags).get_matches())
    }

    /// Parses these arguments, the program's name first.
    ///
    /// # Errors
    /// When a flag is unknown, repeated or without a value; also for `--help` and `--version`.
    pub fn try_parse_from<T>(flags: &[Flag], typed: impl IntoIterator<Item = T>) -> Result<Self, clap::Error>
    where
        T: Into<OsString> + Clone,
    {
        Ok(Self::from_matches(flags, &command(flags).try_get_matches_from(typed)?))
    }

    fn from_matches(flags: &[Flag], matches: &ArgMatches) -> Self {
        let given = |flag: &Flag| Some((flag.key, matches.get_many::<String>(flag.key)?.cloned().collect()));
        Self {
            settings: flags.iter().filter_map(given).collect(),
            config: matches.get_one("config").cloned(),
            check_config: matches.get_flag("check_config"),
            print_config: matches.get_flag("print_config"),
        }
    }
}

/// The parser for these flags and the process's own.
#[must_use]
pub fn command(flags: &[Flag]) -> Command {
    let file = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf));
    let switch = |id: &'static str, long: &'static str| Arg::new(id).long(long).action(ArgAction::SetTrue);
    Command::new("inferometer")
        .version(LONG_VERSION.as_str())
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .args(flags.iter().map(argument))
        .arg(file.help("Configuration file (TOML)"))
        .arg(switch("check_config", "check-config").help("Check the configuration and exit"))
        .arg(
            switch("print_config", "print-config")
                .conflicts_with("check_config")
                .help("Print the effective configuration as TOML, with what each key is for, and exit"),
        )
}

fn argument(flag: &Flag) -> Arg {
    Arg::new(flag.key)
        .long(flag.name.clone())
        .value_name(flag.placeholder)
        .help(flag.help.clone())
        .action(if flag.is_list { ArgAction::Append } else { ArgAction::Set })
        // A negative number is a value, refused with its reason, rather than an unknown option.
        .allow_hyphen_values(matches!(flag.placeholder, "COUNT" | "DURATION"))
}

#[cfg(test)]
mod tests {
    use super::{AFTER_HELP, Cli, VERSION, command};
    use crate::config::flags;

    #[test]
    fn the_command_line_is_well_formed_and_names_its_version() {
        command(&flags()).debug_assert();
        let version = command(&flags()).render_version();
        assert!(version.contains(VERSION) && version.contains("(revision "), "{version}");
    }

    #[test]
    fn an_unknown_option_and_a_repeated_one_exit_with_2() {
        for typed in [["--lisen=x", "--check-config"], ["--listen=a", "--listen=b"]] {
            let error =
                Cli::try_parse_from(&flags(), std::iter::once("inferometer").chain(typed)).expect_err("refused");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_number_below_zero_is_a_value_and_not_an_option() {
        for typed in [["--max-models", "-1"], ["--connect-timeout", "-5s"], ["--drain-timeout", "-5s"]] {
            let parsed = Cli::try_parse_from(&flags(), std::iter::once("inferometer").chain(typed));
            assert!(parsed.is_ok(), "{typed:?}");
        }
    }

    #[test]
    fn the_help_is_broken_into_lines_by_the_terminal_alone() {
        for paragraph in AFTER_HELP.lines().filter(|line| !line.is_empty()) {
            assert!(paragraph.ends_with('.'), "{paragraph}");
        }
    }
}
