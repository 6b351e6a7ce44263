//! A backend that speaks as Ollama does, whose models and answers a test changes while it runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::backend::{Backend, Connection};

/// What it answers to one path: the status line's end, and lines that are sent as chunks.
type Answer = (&'static str, Vec<String>);

/// The backend.
pub(crate) struct Ollama {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<Models>>,
    _backend: Backend,
}

/// What it knows.
#[derive(Default)]
struct Models {
    listed: Vec<String>,
    resident: Vec<String>,
    /// It closes every connection without an answer.
    is_silent: bool,
    /// By the beginning of the request.
    answers: Vec<(String, Answer)>,
    /// By the beginning of the request: before the head, and before each line but the first.
    delays: Vec<(String, Duration, Duration)>,
}

impl Ollama {
    /// That lists these models and has none in memory.
    pub(crate) fn listing(models: &[&str]) -> Self {
        let listed = models.iter().map(|model| (*model).to_owned()).collect();
        let state = Arc::new(Mutex::new(Models { listed, ..Models::default() }));
        let served = state.clone();
        let backend = Backend::start(move |connection| serve(connection, &served));
        Self { address: backend.address, state, _backend: backend }
    }

    /// Replaces the models in memory.
    pub(crate) fn hold(&self, models: &[&str]) {
        self.state.lock().expect("no panic").resident = models.iter().map(|model| (*model).to_owned()).collect();
    }

    /// Closes every connection without an answer from now on, or answers again.
    pub(crate) fn fall_silent(&self, is_silent: bool) {
        self.state.lock().expect("no panic").is_silent = is_silent;
    }

    /// Answers requests that begin with this, such as `POST /api/pull`, with these lines. The last call counts.
    pub(crate) fn answer(&self, begins: &str, status: &'static str, lines: &[&str]) {
        let lines = lines.iter().map(|line| format!("{line}\n")).collect();
        self.state.lock().expect("no panic").answers.insert(0, (begins.to_owned(), (status, lines)));
    }
}

impl Ollama {
    /// Takes its time for requests that begin with this: before the head, and between lines. The last call counts.
    pub(crate) fn slow(&self, begins: &str, head: Duration, between: Duration) {
        self.state.lock().expect("no panic").delays.insert(0, (begins.to_owned(), head, between));
    }
}

/// The time itself that an answer takes. A client that leaves ends it.
fn take(connection: &mut Connection, time: Duration) {
    if !time.is_zero() {
        connection.wait(time);
    }
}

fn serve(connection: &mut Connection, state: &Mutex<Models>) {
    while let Some(request) = connection.request() {
        let request = String::from_utf8_lossy(&request).into_owned();
        if state.lock().expect("no panic").is_silent {
            return;
        }
        let (status, lines) = find(&state.lock().expect("no panic"), &request);
        let delays = state.lock().expect("no panic").delays.clone();
        let delay = delays.into_iter().find(|(begins, ..)| request.starts_with(begins));
        let (head, between) = delay.map_or((Duration::ZERO, Duration::ZERO), |(_, head, between)| (head, between));
        take(connection, head);
        connection.write(
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                .as_bytes(),
        );
        for (at, line) in lines.iter().enumerate() {
            take(connection, if at == 0 { Duration::ZERO } else { between });
            connection.write(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes());
        }
        connection.write(b"0\r\n\r\n");
    }
}

fn find(state: &Models, request: &str) -> Answer {
    if let Some((_, answer)) = state.answers.iter().find(|(begins, _)| request.starts_with(begins)) {
        return answer.clone();
    }
    let list = |names: &[String]| {
        let models: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}","model":"{name}"}}"#)).collect();
        vec![format!(r#"{{"models":[{}]}}"#, models.join(","))]
    };
    if request.starts_with("GET /api/tags") {
        return ("200 OK", list(&state.listed));
    }
    if request.starts_with("GET /api/ps") {
        return ("200 OK", list(&state.resident));
    }
    if request.starts_with("GET /api/version") {
        return ("200 OK", vec![r#"{"version":"0.12.0"}"#.to_owned()]);
    }
    if request.starts_with("HEAD / ") {
        return ("200 OK", Vec::new());
    }
    ("404 Not Found", vec![r#"{"error":"not found"}"#.to_owned()])
}
