//! The backends with everything that is configured of them, whichever way they are written.

use std::sync::Arc;

use super::backends::{self as texts, MAX_BACKENDS, reaches};
use super::element::{ELEMENT, TABLE, TLS_TABLE};
use super::error::{ConfigError, SettingOrigin};
use super::keys::KEYS;
use super::layers::Layers;
use super::settings::{BackendElement, Config};
use crate::backend::{self, Backend};
use crate::fleet::Share;
use crate::tls::client;

/// A backend with its settings, the defaults of all filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name and address.
    pub backend: Backend,
    /// The settings for requests to it.
    pub settings: backend::Settings,
    /// What is asked of it.
    pub share: Share,
    /// TLS settings, for an `https://` address.
    pub tls: client::Settings,
    /// The table of the configuration that those settings are in.
    pub tls_table: &'static str,
    /// Its machine; `None` derives it from the address.
    pub node: Option<String>,
    /// The location of that machine; `None` is unknown.
    pub zone: Option<String>,
}

impl Config {
    /// Every backend, at least one: those that are written, in their order, and then those that were discovered. Of one name
    /// there is one. The default one is there only where nothing is to be discovered; while nothing is found it drains.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.members_and_others().0
    }

    /// The backends that were discovered and are not used, with the reason: their name is another one's, or they are too many.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        self.members_and_others().1
    }

    fn members_and_others(&self) -> (Vec<Member>, Vec<String>) {
        let (mut members, mut left_out) = (self.written(), Vec::new());
        let own: Vec<_> = [self.listen, self.admin_listen].into_iter().chain(self.dashboard_listen).collect();
        let mut found: Vec<_> = self.discovered.iter().filter_map(|element| self.member(element)).collect();
        found.retain(|member| !own.iter().any(|own| reaches(&member.backend.address, *own)));
        if self.elements.is_empty() && is_default(&self.backends) {
            if !found.is_empty() {
                members.clear();
            } else if self.discovery.has_sources() {
                members.iter_mut().for_each(|member| member.share.drains = true);
            }
        }
        for member in found {
            let Backend { name, address } = &member.backend;
            match members.iter().find(|known| known.backend.name == *name) {
                Some(known) if known.backend.address == *address => {}
                Some(known) => {
                    left_out.push(format!("{address}: the name {name} is that of {}", known.backend.address));
                }
                None if members.len() >= MAX_BACKENDS => {
                    left_out.push(format!("{address}: there are {MAX_BACKENDS} already"));
                }
                None => members.push(member),
            }
        }
        (members, left_out)
    }

    fn written(&self) -> Vec<Member> {
        if self.elements.is_empty() {
            return self.backends.iter().map(|backend| self.plain(backend.clone())).collect();
        }
        self.elements.iter().filter_map(|element| self.member(element)).collect()
    }

    fn plain(&self, backend: Backend) -> Member {
        Member {
            backend,
            settings: self.backend.clone(),
            share: Share::default(),
            tls: self.backend_tls.clone(),
            tls_table: "backend_tls",
            node: self.backend_node.clone(),
            zone: self.backend_zone.clone(),
        }
    }

    /// `None` for an element without an address, which is refused when it is read.
    fn member(&self, element: &BackendElement) -> Option<Member> {
        let plain = self.plain(element.backend()?);
        let (own, default) = (&element.tls, &plain.tls);
        let tls = client::Settings {
            ca_file: own.ca_file.clone().or_else(|| default.ca_file.clone()),
            identity: own.identity.clone().or_else(|| default.identity.clone()),
            server_name: own.server_name.clone().or_else(|| default.server_name.clone()),
        };
        let host_header = element.host_header.clone().unwrap_or_else(|| plain.settings.host_header.clone());
        Some(Member {
            settings: backend::Settings { host_header, ..plain.settings },
            share: element.share.clone(),
            tls_table: if *own == client::Settings::default() { plain.tls_table } else { TLS_TABLE },
            tls,
            node: element.node.clone().or(plain.node),
            zone: element.zone.clone().or(plain.zone),
            backend: plain.backend,
        })
    }
}

/// Whether these are the default, under its own name.
fn is_default(backends: &[Backend]) -> bool {
    let default = KEYS.iter().find(|key| key.name == "backend").map(|key| texts::parse(key.default));
    matches!(default, Some(Ok(default)) if *backends == [default.clone()])
}

impl BackendElement {
    /// Its name and address.
    fn backend(&self) -> Option<Backend> {
        let address = self.url.clone()?;
        let name = self.name.clone().unwrap_or_else(|| Arc::from(address.host_port()));
        Some(Backend { name, address })
    }
}

/// Fills the elements of `[[backends]]`, which take the place of `backend` unless that is set by a flag or a variable.
///
/// # Errors
/// Where the file sets both, or the value of an element is not allowed.
pub(super) fn fill(layers: &mut Layers, config: &mut Config) -> Result<(), ConfigError> {
    let filled = layers.elements.iter().map(|(origin, element)| {
        let mut settings = BackendElement::default();
        element.fill(ELEMENT, &mut settings)?;
        if settings.url.is_none() {
            let (origin, reason) = (origin.clone(), "every one of [[backends]] needs its address".to_owned());
            return Err(ConfigError::Value { key: "backends.url", origin, value: String::new(), reason });
        }
        Ok(settings)
    });
    let elements = filled.collect::<Result<Vec<_>, _>>()?;
    if elements.is_empty() {
        return Ok(());
    }
    match layers.all("backend").last().map(|setting| &setting.origin) {
        Some(SettingOrigin::File { .. }) => {
            return Err(layers.refuse("backend", format!("the file has [[{TABLE}]] too: write either of them")));
        }
        Some(SettingOrigin::Flag | SettingOrigin::Variable) => {
            layers.elements.clear();
            layers.warnings.push(format!("--backend is set, so [[{TABLE}]] in the file is left alone"));
        }
        Some(SettingOrigin::Default) | None => {
            config.backends.clear();
            config.elements = elements;
        }
    }
    Ok(())
}

/// The error that the backend at this index is not allowed. `key` is that of an element.
pub(super) fn refuse(layers: &Layers, at: usize, key: &'static str, reason: String) -> ConfigError {
    match layers.elements.get(at) {
        Some((_, element)) => element.refuse(key, reason),
        None => layers.refuse("backend", reason),
    }
}
