//! How long each endpoint of the dashboard API takes over a history that is there already.
//!
//! Every GET of the program's own OpenAPI document, as it answers without parameters; where a time may be chosen, the
//! longest one besides. Ids are those that the list above the path shows.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::contestant;
use crate::watchers::UNLIMITED;

/// What an endpoint may take at the 95th percentile, in milliseconds.
pub const MARK: f64 = 50.0;

/// Questions to each endpoint.
const ASKED: usize = 40;

/// Longest time for one answer.
const LIMIT: Duration = Duration::from_secs(60);

/// What has to be asked for.
const REQUIRED: [(&str, &str); 1] = [("/dashboard/series", "metrics=requests,failed_percent,ttft_p95")];

/// The parameter that chooses a time, and the longest that it takes.
const LONGEST: [(&str, &str); 3] = [("period", "30d"), ("since", "30d"), ("hours", "720")];

/// An endpoint that was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked for.
    pub target: String,
    /// Median and 95th percentile in milliseconds, and the bytes of an answer; or why it was not measured.
    pub took: Result<(f64, f64, usize), String>,
}

/// Starts the program over this directory and asks it.
///
/// # Errors
/// With the reason when it does not start or has no document.
pub fn measure(program: &Path, directory: &Path) -> Result<Vec<Asked>, String> {
    let config = directory.join("endpoints.toml");
    let kept = "[retention]\nexchanges = \"365d\"\nexchanges_size = \"1TiB\"\nminutes = \"365d\"\n";
    std::fs::write(&config, format!("{UNLIMITED}\n{kept}")).map_err(|error| error.to_string())?;
    let running = contestant::start_over(program, directory, &config)?;
    let admin = running.admin().ok_or("it has no second listener")?;
    let get = |target: &str| get(admin, target).map_err(|error| format!("{target}: {error}"));
    let document: Value = serde_json::from_slice(&get("/openapi.json")?).map_err(|error| error.to_string())?;
    let paths = document["paths"].as_object().ok_or("the document has no paths")?;
    let mut all = Vec::new();
    for (path, methods) in paths.iter().filter(|(_, methods)| methods["get"].is_object()) {
        // A socket is not an answer that ends.
        if path.ends_with("/ws") {
            continue;
        }
        let target = match with_id(path, &get) {
            Ok(target) => target,
            Err(why) => {
                all.push(Asked { target: path.clone(), took: Err(why) });
                continue;
            }
        };
        let required = REQUIRED.iter().find(|(of, _)| of == path).map(|(_, query)| *query);
        let parameters = methods["get"]["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        let longest = LONGEST.iter().find(|(name, _)| has(name)).map(|(name, value)| format!("{name}={value}"));
        let mut queries = vec![required.map(str::to_owned)];
        queries.extend(longest.map(|longest| Some([required.unwrap_or_default(), &longest].join("&"))));
        for query in queries {
            let query = query.map_or_else(String::new, |query| format!("?{}", query.trim_start_matches('&')));
            let target = format!("{target}{query}");
            let took = time(|| get(&target).map(|answer| answer.len()));
            all.push(Asked { target, took });
        }
    }
    Ok(all)
}

/// A path with the first id that the list above it shows.
fn with_id(path: &str, get: &impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<String, String> {
    let Some((list, rest)) = path.split_once("/{id}") else { return Ok(path.to_owned()) };
    let answer: Value = serde_json::from_slice(&get(list)?).map_err(|error| error.to_string())?;
    let id = first_id(&answer).ok_or_else(|| format!("{list} shows no id"))?;
    let id: String = id
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._:".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    Ok(format!("{list}/{id}{rest}"))
}

/// The id of the first element of a list that has one, whatever its kind is called: `id`, `trace_id`, `nodeId`.
fn first_id(value: &Value) -> Option<String> {
    match value {
        Value::Array(elements) => elements.iter().find_map(|element| {
            let mut members = element.as_object()?.iter();
            let is_id = |key: &str| key == "id" || key.ends_with("_id") || key.ends_with("Id");
            members.find_map(|(key, value)| match value {
                Value::String(id) if is_id(key) => Some(id.clone()),
                Value::Number(id) if is_id(key) => Some(id.to_string()),
                _ => None,
            })
        }),
        Value::Object(members) => members.values().find_map(first_id),
        _ => None,
    }
}

/// Median, 95th percentile, and what was answered last.
fn time(ask: impl Fn() -> Result<usize, String>) -> Result<(f64, f64, usize), String> {
    let mut bytes = 0;
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let begun = Instant::now();
        bytes = ask()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[ASKED / 2], times[ASKED * 95 / 100], bytes))
}

/// The body of an answer of 200.
fn get(admin: SocketAddr, target: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(admin)?;
    socket.set_read_timeout(Some(LIMIT))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let head = memchr::memmem::find(&answer, b"\r\n\r\n").filter(|_| answer.starts_with(b"HTTP/1.1 200"));
    let first = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let head = head.ok_or_else(|| io::Error::other(String::from_utf8_lossy(first).into_owned()))?;
    Ok(answer.split_off(head + 4))
}
