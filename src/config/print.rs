//! Prints the effective configuration as a TOML file with a comment for each key.

use super::element::{self, ELEMENT};
use super::key::{Key, flag};
use super::keys::KEYS;
use super::layers::Layers;
use super::peer::{self, PEER};
use super::settings::{BackendElement, Config, Peer};

const HEAD: &str = "\
# The settings in force. Given back by --config they are the same.
# A key with a flag has a variable, too: INFEROMETER_ and its name in upper case. Flags win over variables, variables
# over the file, the file over the defaults. live: SIGHUP changes it, for what it
# says; restart: a restart does.

";

impl Config {
    /// Every setting as TOML, which reads back as this configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let (defaults, mut out) = (defaults(), HEAD.to_owned());
        let mut table = "";
        for key in KEYS {
            if key.table() != table {
                table = key.table();
                out.push_str(&format!("\n[{table}]\n"));
            }
            out.push_str(&comment(key, &key.field.print(&defaults)));
            out.push_str(&line(key, self));
        }
        self.print_elements(&mut out);
        self.print_peers(&mut out);
        out
    }

    /// The elements of `[[backends]]`, of which the first explains the keys; a comment where there are none.
    fn print_elements(&self, out: &mut String) {
        let (default, mut begun) = (default_element(), false);
        for element in &self.elements {
            let mut table = "";
            for key in ELEMENT {
                if key.table() != table {
                    table = key.table();
                    let (open, close) = if table == element::TABLE { ("[[", "]]") } else { ("[", "]") };
                    out.push_str(&format!("\n{open}{table}{close}\n"));
                }
                if !begun {
                    out.push_str(&comment(key, &key.field.print(&default)));
                }
                out.push_str(&line(key, element));
            }
            begun = true;
        }
        if !begun {
            out.push_str("\n# Instead of `backend`, a table [[backends]] for each gives it settings of its own:\n");
            for key in ELEMENT {
                out.push_str(&comment(key, &key.field.print(&default)));
                out.push_str(&format!("# {} = {}\n", key.name, key.field.print(&default)));
            }
        }
    }

    /// The elements of `[[peers]]`; a comment where there are none.
    fn print_peers(&self, out: &mut String) {
        let default = default_peer();
        for element in &self.peers {
            out.push_str(&format!("\n[[{}]]\n", peer::TABLE));
            PEER.iter().for_each(|key| out.push_str(&line(key, element)));
        }
        if self.peers.is_empty() {
            out.push_str("\n# A table [[peers]] for each other program of this kind that is asked for its machines:\n");
            for key in PEER {
                out.push_str(&comment(key, &key.field.print(&default)));
                out.push_str(&format!("# {} = {}\n", key.name, key.field.print(&default)));
            }
        }
    }

    /// Every key with its value as in that file, and where that comes from.
    #[must_use]
    pub fn keys(&self) -> Vec<(&'static str, String, &'static str)> {
        KEYS.iter().map(|key| (key.name, key.field.print(self), self.origins.word(key.name))).collect()
    }
}

/// An element without any setting.
pub(super) fn default_element() -> BackendElement {
    let mut element = BackendElement::default();
    Layers::defaults(ELEMENT).fill(ELEMENT, &mut element).expect("a test reads every default");
    element
}

/// A peer without any setting.
pub(super) fn default_peer() -> Peer {
    let mut peer = Peer::default();
    Layers::defaults(PEER).fill(PEER, &mut peer).expect("a test reads every default");
    peer
}

/// A key with its value.
pub(super) fn line<S>(key: &Key<S>, settings: &S) -> String {
    format!("{} = {}\n", key.leaf(), key.field.print(settings))
}

/// The purpose of a key, its allowed values, its default, the effect of a reload, and its flag.
fn comment<S>(key: &Key<S>, default: &str) -> String {
    let (allowed, reload) = (key.field.allowed(), key.reload.describe());
    let flag = if key.has_flag() { format!("; --{}", flag(key.name)) } else { String::new() };
    format!("# {} ({allowed}; default {default}; {reload}{flag})\n", key.help)
}

/// The configuration without any source.
pub(super) fn defaults() -> Config {
    let mut config = Config::blank();
    Layers::defaults(KEYS).fill(KEYS, &mut config).expect("a test reads every default");
    config
}
