//! What is generated from the command line: completions for shells, and the manual page.

use std::io;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

/// What the manual page says after the options, by section.
const SECTIONS: [(&str, &str); 4] = [
    (
        "EXIT STATUS",
        "0: drained, or the command found nothing wrong. 1: failed while running, or the command found a fault. 2: wrong \
         command line or configuration. 130 and 143: ended by a second SIGINT or SIGTERM.",
    ),
    (
        "SIGNALS",
        "SIGHUP reads the configuration, certificates and passwords again, all or nothing. SIGTERM and SIGINT drain; a \
         second one ends the program at once.",
    ),
    (
        "FILES",
        "The configuration file is TOML. It is named by --config or INFEROMETER_CONFIG; without either none is read. \
         inferometer --print-config writes one with every key, what it is for, its unit, its default, and whether a \
         reload changes it.",
    ),
    ("SEE ALSO", "inferometer-helper(1), ollama(1), prometheus(1)"),
];

/// The script that completes this command line in a shell.
#[must_use]
pub fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let (mut script, name) = (Vec::new(), command.get_name().to_owned());
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// The manual page, for section 1.
#[must_use]
pub fn manual(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    write_manual(command, &mut page).expect("a vector takes all that is written");
    page
}

/// As clap writes it, but for the subcommands, to which it would refer as pages of their own.
fn write_manual(command: Command, page: &mut Vec<u8>) -> io::Result<()> {
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]);
    for subcommand in command.get_subcommands() {
        describe(subcommand, "", &mut commands);
    }
    let man = clap_mangen::Man::new(command);
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    commands.to_writer(page)?;
    man.render_extra_section(page)?;
    let mut sections = Roff::new();
    for (heading, text) in SECTIONS {
        sections.control("SH", [heading]).text([roman(text)]);
    }
    sections.to_writer(page)?;
    man.render_version_section(page)
}

/// A command with its own options, then those of which it is the first word.
fn describe(command: &Command, before: &str, page: &mut Roff) {
    let name = format!("{before}{}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if command.has_subcommands() {
        let before = format!("{name} ");
        command.get_subcommands().for_each(|subcommand| describe(subcommand, &before, page));
        return;
    }
    page.control("TP", []).text([bold(name)]).text([roman(about)]);
    // Settings, which every command takes, have a section of their own.
    for option in command.get_arguments().filter(|option| !option.is_global_set()) {
        let Some(help) = option.get_help().filter(|_| !option.is_hide_set()) else { continue };
        let value = option.get_value_names().unwrap_or_default().join(" ");
        let flag = option.get_long().map(|long| format!("--{long} ")).unwrap_or_default();
        page.control("RS", []).control("TP", []);
        page.text([bold(flag + &value)]).text([roman(help.to_string())]).control("RE", []);
    }
}
