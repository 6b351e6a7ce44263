//! Whether the backend is there, and which server it is.

use super::finding::Finding;
use crate::backend::inventory::{Inventory, Runtime};
use crate::backend::monitor::Monitor;
use crate::backend::probe_once::probe_once;
use crate::backend::status::ProbeFailure;

pub(super) async fn examine(monitor: &Monitor) -> (Runtime, Finding) {
    let address = &monitor.backend.address;
    match probe_once(monitor).await {
        Err(failure) => {
            let what = format!("{address}: {}", failure.as_str());
            (Runtime::Unknown, Finding::fault("backend", what, remedy(failure)))
        }
        Ok(None) => {
            let what = format!("{address} answers, but lists no models: which server it is stays unknown");
            let remedy = "if that is no inference server, give its address with --backend; where it wants a key for its \
                          list, names of models are learnt from answers";
            (Runtime::Unknown, Finding::note("backend", what, remedy))
        }
        Ok(Some(inventory)) => (inventory.runtime, recognised(&address.to_string(), &inventory)),
    }
}

fn recognised(address: &str, inventory: &Inventory) -> Finding {
    let (runtime, models) = (inventory.runtime.as_str(), inventory.models.len());
    let version = inventory.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let what = format!("{address} answers: {runtime}{version}, {models} models");
    match (inventory.runtime, models) {
        (Runtime::Ollama, 0) => Finding::note("backend", what, "fetch one: ollama pull llama3.2"),
        _ => Finding::fine("backend", what),
    }
}

fn remedy(failure: ProbeFailure) -> &'static str {
    match failure {
        ProbeFailure::Refused => {
            "start the server (systemctl start ollama, or ollama serve), or give the address that it listens on with --backend"
        }
        ProbeFailure::ConnectTimeout | ProbeFailure::Unreachable => {
            "check the address in --backend, the server's machine, and the firewalls between"
        }
        ProbeFailure::Dns => "check the name in --backend, or give an IP address",
        ProbeFailure::NoAnswer => "the server hangs or is overloaded: look at its log, start it again",
        ProbeFailure::Protocol => {
            "something else than an HTTP server listens there, or it speaks TLS: check the port, or write https:// in --backend"
        }
        // Its text ends with what to do.
        ProbeFailure::Tls(_) => "",
    }
}
