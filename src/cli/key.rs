//! `inferometer key`: a new API key.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// The key to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArguments {
    /// Its name.
    pub name: String,
    /// What it permits.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires: String,
}

pub(super) fn command() -> Command {
    let option = |id: &'static str| Arg::new(id).long(id).value_name(id.to_ascii_uppercase());
    Command::new("key")
        .about("Make an API key for the second listener: prints it once, and its line for access.keys_file")
        .arg(Arg::new("name").value_name("NAME").required(true).help("Who has it, as the audit names it"))
        .arg(
            option("scope")
                .action(ArgAction::Append)
                .default_value("dashboard:read")
                .help("What it permits: dashboard:read, dashboard:admin or inference:read; may be repeated"),
        )
        .arg(option("expires").default_value("never").help("When it ends: 2027-06-30, 90d from now, or never"))
}

pub(super) fn arguments(matches: &ArgMatches) -> KeyArguments {
    let text = |id: &str| matches.get_one::<String>(id).cloned().expect("clap requires it or has a default");
    let scopes = matches.get_many::<String>("scope").into_iter().flatten().cloned().collect();
    KeyArguments { name: text("name"), scopes, expires: text("expires") }
}
