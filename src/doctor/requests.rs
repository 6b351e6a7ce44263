//! Whether requests come through the proxy, tried with one that costs the server nothing.

use http::StatusCode;

use super::ask::Listener;
use super::finding::Finding;
use crate::backend::HostHeader;
use crate::backend::fetch::{FetchError, FetchedResponse};
use crate::backend::inventory::Runtime;
use crate::backend::probe;
use crate::config::Config;
use crate::host;

/// Marks answers of the proxy itself.
const MARK: &str = "x-inferometer-error";

pub(super) async fn examine(clients: &Listener, config: &Config, runtime: Runtime) -> Vec<Finding> {
    let path = harmless_path(runtime);
    let mut findings = vec![judge(clients, path, clients.get(path).await)];
    let preserves = config.backend.host_header == HostHeader::Preserve;
    if runtime == Runtime::Ollama && preserves && !config.listen.ip().to_canonical().is_loopback() {
        let name = format!("{}:{}", host::node(), config.listen.port());
        let is_refused = |answer: &FetchedResponse| answer.status == StatusCode::FORBIDDEN;
        if clients.get_as(&name, path).await.as_ref().is_ok_and(is_refused) {
            findings.push(host_refused(&name));
        }
    }
    findings
}

/// Each of these servers answers it from memory.
fn harmless_path(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Ollama => "/api/version",
        Runtime::LlamaCpp | Runtime::Vllm | Runtime::Sglang | Runtime::Tgi | Runtime::LmStudio => "/v1/models",
        Runtime::Unknown => "/",
    }
}

fn judge(clients: &Listener, path: &str, answer: Result<FetchedResponse, FetchError>) -> Finding {
    let url = clients.url();
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("{url}{path}: {}", probe::failure(&error).as_str());
            let remedy = "see the program's log; where [tls] was switched on or off, restart it";
            return Finding::fault("requests", what, remedy);
        }
    };
    let status = answer.status;
    if let Some(error) = answer.headers.get(MARK).and_then(|value| value.to_str().ok()) {
        let what = format!("GET {url}{path} is answered {} by the proxy: {}", status.as_u16(), error.escape_debug());
        return Finding::fault("requests", what, "what the backend needs stands above; then clients get answers");
    }
    match status {
        StatusCode::FORBIDDEN if answer.body.is_empty() => host_refused(&url),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let what = format!("GET {url}{path} comes through: the backend wants credentials ({})", status.as_u16());
            Finding::note("requests", what, "clients send them as they would without the proxy")
        }
        _ if status.is_server_error() => {
            let what = format!("GET {url}{path} is answered {} by the backend", status.as_u16());
            Finding::fault("requests", what, "see the backend's log")
        }
        _ => Finding::fine("requests", format!("GET {url}{path} comes through: {}", status.as_u16())),
    }
}

fn host_refused(name: &str) -> Finding {
    let what = format!("clients that reach it as {name} are answered 403: Ollama does not know that name");
    Finding::fault("requests", what, "set host_header = \"upstream\" (--host-header upstream)")
}
