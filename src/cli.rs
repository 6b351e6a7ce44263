//! What was typed.
//!
//! Every setting is taken as text: what it means, and whether it is allowed, is [`crate::config`]'s, which can also
//! say where a wrong value came from.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Parser;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision that was built, where the build was told (`INFEROMETER_REVISION`); else `unknown`.
pub const REVISION: &str = match option_env!("INFEROMETER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

static LONG_VERSION: LazyLock<String> = LazyLock::new(|| format!("{VERSION} (revision {REVISION})"));

/// One line a paragraph: they are broken to fit the terminal.
const AFTER_HELP: &str = "\
Every option can also be set by a variable (INFEROMETER_ and the option in upper snake case, such as \
INFEROMETER_CONNECT_TIMEOUT) or by a key in the file (such as connect_timeout). Options win over variables, variables \
over the file. Limits and the machine's settings stand in the file only: --print-config shows every key. OLLAMA_HOST is \
not read: it tells Ollama's clients where to find this program.

SIGTERM and SIGINT drain, a second one ends at once. Exit codes: 0 drained, 1 failed while running, 2 wrong \
configuration, 130 and 143 ended by a second signal.";

/// A transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "inferometer", version = LONG_VERSION.as_str(), after_help = AFTER_HELP)]
pub struct Cli {
    /// Address to serve clients on [default: 127.0.0.1:11435]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<String>,

    /// Address to serve metrics, health and the status page on [default: 127.0.0.1:8001]
    #[arg(long, value_name = "IP:PORT")]
    pub admin_listen: Option<String>,

    /// TLS certificate and passwords for that address, in the file format of Prometheus exporters' --web.config.file
    #[arg(long, value_name = "FILE")]
    pub admin_web_config_file: Option<String>,

    /// Inference server to forward to: host, host:port, http://host:port/prefix or https://host, with a name for metrics
    /// if wanted [default: http://127.0.0.1:11434]
    #[arg(long, value_name = "[NAME=]URL")]
    pub backend: Vec<String>,

    /// Host field sent to the backend: preserve (the client's), upstream (the backend's address) or a literal
    /// [default: preserve]
    #[arg(long, value_name = "preserve|upstream|HOST")]
    pub host_header: Option<String>,

    /// Model names that become metric labels; later ones are counted as `other` [default: 200]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub max_models: Option<String>,

    /// How long the backend may take to accept a connection [default: 5s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub connect_timeout: Option<String>,

    /// How long exchanges may go on after a request to stop [default: 30s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub drain_timeout: Option<String>,

    /// Least severe events to log: off, error, warn, info, debug, trace, or directives such as
    /// info,inferometer::backend=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How to write the log [default: text]
    #[arg(long, value_name = "text|json")]
    pub log_format: Option<String>,

    /// Whether to log a line for each finished exchange [default: on]
    #[arg(long, value_name = "on|off")]
    pub access_log: Option<String>,

    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,

    /// Print the effective configuration as TOML and exit
    #[arg(long, conflicts_with = "check_config")]
    pub print_config: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{AFTER_HELP, Cli, VERSION};

    #[test]
    fn the_command_line_is_well_formed_and_names_its_version() {
        Cli::command().debug_assert();
        let version = Cli::command().render_version();
        assert!(version.contains(VERSION) && version.contains("(revision "), "{version}");
    }

    #[test]
    fn an_unknown_option_and_a_repeated_one_exit_with_2() {
        for typed in [["--lisen=x", "--check-config"], ["--listen=a", "--listen=b"]] {
            let error = Cli::try_parse_from(std::iter::once("inferometer").chain(typed)).expect_err("refused");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_number_below_zero_is_a_value_and_not_an_option() {
        for typed in [["--max-models", "-1"], ["--connect-timeout", "-5s"], ["--drain-timeout", "-5s"]] {
            let parsed = Cli::try_parse_from(std::iter::once("inferometer").chain(typed));
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
