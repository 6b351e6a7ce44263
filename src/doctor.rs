//! How the program and what it needs are, asked from the outside: `inferometer doctor` and `inferometer health`.
//!
//! Promises: it asks with GET and HEAD alone, sends no secret, and makes no server load a model; every question has a
//! limit of time; each fault is reported with what to do about it. Left out: mending anything.

mod ask;
mod backends;
mod finding;
pub mod health;
mod machine;
mod owner;
mod ports;
mod requests;
mod running;

use std::sync::Arc;

use crate::backend::inventory::Runtime;
use crate::backend::monitor::Monitor;
use crate::config::Config;
use ask::Listener;
pub use finding::{Finding, Severity, report};
pub use machine::Roots;
use running::Running;

/// What is examined.
pub struct Subject<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Why the files that it names cannot be used; `None` where they can.
    pub files: Option<String>,
    /// One per configured backend that can be asked.
    pub monitors: Vec<Arc<Monitor>>,
    /// Whether the second listener speaks TLS.
    pub admin_tls: bool,
    /// Where the machine is read.
    pub roots: Roots,
}

/// Examines everything, in the order in which a request meets it.
pub async fn examine(subject: &Subject<'_>) -> Vec<Finding> {
    let Subject { config, roots, .. } = subject;
    let mut findings = configuration(subject);
    let clients = Listener::new(config.listen, config.tls.is_some());
    let running = Running::ask(&Listener::new(config.admin_listen, subject.admin_tls)).await;
    findings.extend(ports::examine(config, &running, &roots.proc));
    findings.extend(running.examine(config));
    let mut runtime = Runtime::Unknown;
    for monitor in &subject.monitors {
        let (found, finding) = backends::examine(monitor).await;
        runtime = found;
        findings.push(finding);
    }
    if running.is_there() {
        findings.extend(requests::examine(&clients, config, runtime).await);
        findings.extend(running.scrapes());
    }
    findings.extend(machine::examine(config, roots));
    findings
}

fn configuration(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings: Vec<_> =
        subject.config.warnings.iter().map(|warning| Finding::note("configuration", warning, "")).collect();
    let files = subject.files.as_deref();
    findings.extend(files.map(|error| {
        Finding::fault("configuration", error, "put a file there that this user can read, or correct the setting")
    }));
    if findings.is_empty() {
        findings.push(Finding::fine("configuration", "every key is known, every value is allowed"));
    }
    findings
}
