//! The command line.
//!
//! Every setting is kept as text: [`crate::config`] decides which settings have a flag, what a value means and whether
//! it is allowed, and can name the origin of an invalid value.

mod console;
mod history;
mod key;
mod pages;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
pub use clap_complete::Shell;
pub use console::{SnapshotArguments, TargetArguments, TopArguments};
pub use history::export::{ExportArguments, ExportFormat};
pub use history::list::{ListArguments, ListFormat, ListName};
pub use history::{ForgottenName, HistoryTask};
pub use key::KeyArguments;
pub use pages::{completions, manual};

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision, as `build.rs` found it; `None` where the build knew none.
pub const REVISION: Option<&str> =
    if env!("INFEROMETER_REVISION").is_empty() { None } else { Some(env!("INFEROMETER_REVISION")) };

static LONG_VERSION: LazyLock<String> = LazyLock::new(|| match REVISION {
    Some(revision) => format!("{VERSION} (revision {revision})"),
    None => VERSION.to_owned(),
});

const ABOUT: &str = "A transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers";

/// One line per paragraph: clap wraps them to the terminal.
const AFTER_HELP: &str = "\
Every option can also be set by a variable (INFEROMETER_ and the option in upper snake case, such as \
INFEROMETER_CONNECT_TIMEOUT) or by a key in the file (such as connect_timeout). Options win over variables, variables \
over the file. Limits and the machine's settings stand in the file only: --print-config shows every key. OLLAMA_HOST is \
not read: it tells Ollama's clients where to find this program.

Without a command it serves. SIGTERM and SIGINT drain, a second one ends at once. Exit codes: 0 drained, 1 failed while \
running, 2 wrong configuration, 130 and 143 ended by a second signal.";

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

/// What the process was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Serve until a signal ends it.
    #[default]
    Serve,
    /// Check the configuration.
    CheckConfig,
    /// Print the configuration.
    PrintConfig,
    /// Ask the running program whether it serves.
    Health,
    /// Examine the program and what it needs.
    Doctor,
    /// Look at the history, or work on its files.
    History(HistoryTask),
    /// Show what the running program does.
    Top(TopArguments),
    /// Write what it shows as a file.
    Snapshot(SnapshotArguments),
    /// Make an API key.
    Key(KeyArguments),
    /// Print the completions for a shell.
    Completions(Shell),
    /// Print the manual page.
    Manual,
}

/// The parsed command line.
#[derive(Clone, Debug, Default)]
pub struct Cli {
    /// The values of the given flags, by key.
    pub settings: HashMap<&'static str, Vec<String>>,
    /// The configuration file; `None` where none was given.
    pub config: Option<PathBuf>,
    /// What to do.
    pub task: Task,
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
            task: task(matches),
        }
    }
}

fn task(matches: &ArgMatches) -> Task {
    match matches.subcommand() {
        Some(("health", _)) => Task::Health,
        Some(("doctor", _)) => Task::Doctor,
        Some(("history", matches)) => Task::History(history::task(matches)),
        Some(("key", matches)) => Task::Key(key::arguments(matches)),
        Some(("top", matches)) => Task::Top(console::top(matches)),
        Some(("snapshot", matches)) => Task::Snapshot(console::snapshot(matches)),
        Some(("completions", matches)) => {
            Task::Completions(*matches.get_one::<Shell>("shell").expect("clap requires it"))
        }
        Some(("man", _)) => Task::Manual,
        _ if matches.get_flag("check_config") => Task::CheckConfig,
        _ if matches.get_flag("print_config") => Task::PrintConfig,
        _ => Task::Serve,
    }
}

/// The parser for these flags and the process's own. Settings may stand before and after a command.
#[must_use]
pub fn command(flags: &[Flag]) -> Command {
    let file = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf)).global(true);
    let switch = |id: &'static str, long: &'static str| Arg::new(id).long(long).action(ArgAction::SetTrue);
    let command = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
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
        .subcommand(command(
            "health",
            "Ask the running program whether it serves clients: exit code 0 or 1, and a line",
        ))
        .subcommand(command(
            "doctor",
            "Look for faults in the program, its settings and what it needs, and say what to do",
        ))
        .subcommand(history::command())
        .subcommand(console::top_command())
        .subcommand(console::snapshot_command())
        .subcommand(key::command())
        .subcommand(command("completions", "Print the completions for a shell").arg(shell))
        .subcommand(command("man", "Print the manual page"))
        .disable_help_subcommand(true)
}

/// The placeholder of a switch.
const SWITCH: &str = "on|off";

fn argument(flag: &Flag) -> Arg {
    Arg::new(flag.key)
        .long(flag.name.clone())
        .value_name(flag.placeholder)
        .help(flag.help.clone())
        .global(true)
        .value_hint(if flag.placeholder == "FILE" { ValueHint::FilePath } else { ValueHint::Other })
        .action(if flag.is_list { ArgAction::Append } else { ArgAction::Set })
        // A switch that is named alone is on.
        .num_args(if flag.placeholder == SWITCH { 0..=1 } else { 1..=1 })
        .default_missing_value("on")
        // A negative number is a value, refused with its reason, rather than an unknown option.
        .allow_hyphen_values(matches!(flag.placeholder, "COUNT" | "DURATION"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{AFTER_HELP, Cli, HistoryTask, REVISION, Shell, Task, VERSION, command, completions, manual};
    use crate::config::flags;

    #[test]
    fn the_command_line_is_well_formed_and_names_its_version() {
        command(&flags()).debug_assert();
        let version = command(&flags()).render_version();
        assert_eq!(version.contains("(revision "), REVISION.is_some(), "{version}");
        assert!(version.contains(VERSION), "{version}");
    }

    #[test]
    fn a_command_takes_settings_before_and_after_its_name() {
        let parse = |typed: &[&str]| {
            let typed = std::iter::once("inferometer").chain(typed.iter().copied());
            Cli::try_parse_from(&flags(), typed).expect("it is allowed")
        };
        for typed in
            [["health", "--admin-listen=[::1]:9", "--config=f"], ["--config=f", "--admin-listen=[::1]:9", "health"]]
        {
            let cli = parse(&typed);
            let given =
                (cli.task, cli.config.as_deref().and_then(Path::to_str), cli.settings["admin_listen"].join(" "));
            assert_eq!(given, (Task::Health, Some("f"), "[::1]:9".to_owned()), "{typed:?}");
        }
        assert_eq!(parse(&[]).task, Task::Serve);
        assert_eq!(parse(&["--check-config"]).task, Task::CheckConfig);
        assert_eq!(parse(&["completions", "zsh"]).task, Task::Completions(Shell::Zsh));
        assert_eq!(parse(&["history", "status", "--data-dir=d"]).task, Task::History(HistoryTask::Status));
        let Task::Key(key) = parse(&["key", "ci", "--scope=a", "--scope", "b"]).task else { panic!("a key") };
        assert_eq!((&*key.name, key.scopes, &*key.expires), ("ci", vec!["a".to_owned(), "b".to_owned()], "never"));
        assert!(Cli::try_parse_from(&flags(), ["inferometer", "key"]).is_err(), "of which name");
        assert!(Cli::try_parse_from(&flags(), ["inferometer", "history"]).is_err(), "what of it");
        assert!(Cli::try_parse_from(&flags(), ["inferometer", "completions"]).is_err(), "for which shell");
        assert!(Cli::try_parse_from(&flags(), ["inferometer", "helth"]).is_err(), "no command");
    }

    #[test]
    fn completions_and_the_manual_page_name_every_option_and_every_command() {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let script = text(completions(command(&flags()), Shell::Bash));
        let page = text(manual(command(&flags()))).replace('\\', "");
        let command = command(&flags());
        let options = command.get_arguments().filter_map(|option| option.get_long());
        let names: Vec<_> = options.map(|name| format!("--{name}")).collect();
        let commands = command.get_subcommands();
        let all = commands.flat_map(|command| std::iter::once(command).chain(command.get_subcommands()));
        let commands = all.flat_map(|command| {
            let own = command.get_arguments().filter(|option| !option.is_global_set());
            let own = own.filter_map(|option| option.get_long()).map(|name| format!("--{name}"));
            std::iter::once(command.get_name().to_owned()).chain(own)
        });
        for name in names.into_iter().chain(commands) {
            assert!(script.contains(&name) && page.contains(&name), "{name}");
        }
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
