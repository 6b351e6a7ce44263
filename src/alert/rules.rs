//! The rules that are shipped, by the file of Prometheus that they stand in.

mod fleet;
mod gpu;
mod host;
mod program;
mod serving;

use super::rule::Rule;

/// Rules that Prometheus evaluates together, and reads from one file.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// The name of its file, without `.yml`.
    pub file: &'static str,
    /// What the file says of itself.
    pub about: &'static str,
    /// The rules, in several lists one after another.
    pub rules: &'static [&'static [Rule]],
}

/// Every group.
pub const GROUPS: [Group; 4] = [
    Group {
        name: "inferometer",
        file: "alerts",
        about: "Alerts of inferometer. `runbook_url` is the path from the root of this repository with the anchor that \
                Git forges give the heading (its name in lower case); the runbook says how to make it a link. Every \
                expression keeps `job`, `instance` and `backend`, so that two proxies never hide each other.",
        rules: &[serving::RULES, program::RULES],
    },
    Group {
        name: "inferometer_fleet",
        file: "fleet",
        about: "Alerts on several backends behind one address. A proxy with one backend exposes none of these families and \
                is silent.",
        rules: &[fleet::RULES],
    },
    Group {
        name: "inferometer-gpu",
        file: "gpu",
        about: "Alerts on GPUs. A card that does not tell something has no series of it, and that alert is silent. \
                Alerts and dashboards that were made for NVIDIA's DCGM work beside them: the names `DCGM_FI_DEV_*` are \
                there too.",
        rules: &[gpu::RULES],
    },
    Group {
        name: "inferometer-host",
        file: "host",
        about: "Alerts on the machine underneath. What a machine does not tell has no series, and its alert is silent.",
        rules: &[host::RULES],
    },
];

impl Group {
    /// Its rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        self.rules.iter().flat_map(|list| list.iter())
    }
}

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().flat_map(Group::rules)
}

/// The rule of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.name == name)
}
