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
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        commands.control("TP", []).text([bold(subcommand.get_name())]).text([roman(about)]);
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
