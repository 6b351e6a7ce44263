//! Whether the running program serves clients, for `inferometer health`.

use std::net::SocketAddr;

use http::StatusCode;

use super::ask::Listener;
use crate::backend::probe;
use crate::backend::status::ProbeFailure;
use crate::tls::Fault;

/// Asks `/readyz`, which needs no password. The text is one line: what the program says, or why it says nothing.
///
/// # Errors
/// When it does not serve clients: not there, not started, or draining.
pub async fn check(admin: SocketAddr, tls: bool) -> Result<String, String> {
    if admin.port() == 0 {
        return Err("admin_listen has port 0, which the system chooses: give it a port, so that it can be asked".into());
    }
    let listener = Listener::new(admin, tls);
    let url = listener.url();
    match listener.get("/readyz").await {
        Ok(answer) if answer.status == StatusCode::OK => Ok(format!("serving clients, says {url}/readyz")),
        Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
            let state = String::from_utf8_lossy(&answer.body).trim().escape_debug().to_string();
            Err(format!("not serving clients, says {url}/readyz: {state}"))
        }
        Ok(answer) => Err(format!("{url}/readyz answers {}: is that this program's admin_listen?", answer.status)),
        Err(error) => Err(match probe::failure(&error) {
            ProbeFailure::Tls(Fault::ClientCertificate) => format!(
                "{url} wants a client's certificate, which this command has not: with client_auth_type                  VerifyClientCertIfGiven and users it can ask"
            ),
            failure => format!("{url}/readyz: {}", failure.as_str()),
        }),
    }
}

/// How the history of the running program does, as `/health` says: one line.
///
/// # Errors
/// When nothing is known of it: the program does not run, or wants a password.
pub async fn history(admin: SocketAddr, tls: bool) -> Result<String, String> {
    let listener = Listener::new(admin, tls);
    let url = listener.url();
    let answer = match listener.get("/health").await {
        Ok(answer) if answer.status == StatusCode::OK => answer,
        Ok(answer) => return Err(format!("not known: {url}/health answers {}", answer.status)),
        Err(_) => return Err(format!("none answers at {url}")),
    };
    let health: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let history = &health["history"];
    let Some(status) = history["status"].as_str() else {
        return Err(format!("not known: {url}/health says nothing of a history"));
    };
    let reason = history["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let lost = history["lost"].as_u64().unwrap_or(0);
    let said = format!("{status}{reason}").escape_debug().to_string();
    Ok(format!("{said}, {lost} exchanges lost since its start, says {url}/health"))
}
