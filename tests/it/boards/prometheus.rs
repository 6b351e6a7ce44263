//! A real Prometheus with the shipped configuration and rules, on a free port, for as long as a test holds it.

use super::arrivals::Arrivals;
use super::{PATIENCE, files, rules};
use crate::support::servers::free;
use crate::support::tools;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// How long anything may take on a busy machine before the test gives up.
const DEADLINE: Duration = Duration::from_secs(60);
/// What it writes into its log once it answers.
const READY: &str = "Server is ready to receive web requests.";
/// Another program may take a free port before Prometheus does; then the next one is tried.
const ATTEMPTS: usize = 3;

/// A running Prometheus; dropping it ends it.
pub(super) struct Prometheus {
    process: Child,
    url: String,
    targets: usize,
    log: PathBuf,
    arrivals: Arc<Arrivals>,
}

impl Prometheus {
    /// Starts it on the storage in `tmp/data` (empty, or blocks laid there before) with the shipped configuration,
    /// in which only the targets and, so that tests need not wait, the intervals (1 s) are others. It is ready when
    /// this returns.
    pub(super) fn start(targets: &[SocketAddr], tmp: &Path) -> Self {
        let config = tmp.join("prometheus.yml");
        let (arrivals, receiver) = Arrivals::listen();
        let text = configuration(targets, receiver, tmp).to_string();
        std::fs::write(&config, text).expect("the scratch folder can be written");
        for _ in 0..ATTEMPTS {
            let mut started = Self::spawn(&config, tmp, targets.len(), arrivals.clone());
            if started.becomes_ready() {
                return started;
            }
        }
        panic!("Prometheus does not start:\n{}", files::read(&tmp.join("prometheus.log")));
    }

    /// Where it answers, `127.0.0.1:PORT`.
    pub(super) fn address(&self) -> &str {
        &self.url
    }

    /// Waits until every target was scraped this often, each time with success.
    pub(super) fn wait_for_scrapes(&self, times: usize) {
        let query = "/api/v1/query?query=sum_over_time(up%7Bjob%3D%22ollama_proxy%22%7D%5B5m%5D)";
        let scraped = self.arrivals.until(DEADLINE, || {
            let Ok(reply) = get(&self.url, query) else { return false };
            let counts = reply["data"]["result"].as_array().cloned().unwrap_or_default();
            let enough = |series: &Value| {
                series["value"][1]
                    .as_str()
                    .and_then(|count| count.parse().ok())
                    .is_some_and(|count: usize| count >= times)
            };
            counts.len() == self.targets && counts.iter().all(enough)
        });
        let targets = get(&self.url, "/api/v1/targets").unwrap_or_default();
        assert!(scraped, "not scraped {times} times within {DEADLINE:?}: {targets:#}\n{}", files::read(&self.log));
    }

    /// Asks until nothing is left unanswered, as it takes a few scrapes under traffic until every rate has a value. What is
    /// still unanswered when the patience ends comes back.
    pub(super) fn wait_until_answered(&self, unanswered: impl Fn() -> Vec<String>) -> Vec<String> {
        let mut left = Vec::new();
        self.wait_for(|| {
            left = unanswered();
            left.is_empty()
        });
        left
    }

    /// Whether the condition, which is looked at after each scrape, comes to hold.
    pub(super) fn wait_for(&self, holds: impl FnMut() -> bool) -> bool {
        self.arrivals.until(PATIENCE, holds)
    }

    /// The alerts it has loaded, in the order of the files.
    pub(super) fn loaded_alerts(&self) -> Vec<String> {
        let reply = get(&self.url, "/api/v1/rules?type=alert").expect("Prometheus answers");
        let groups = reply["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        rules.filter_map(|rule| Some(rule["name"].as_str()?.to_owned())).collect()
    }

    fn spawn(config: &Path, tmp: &Path, targets: usize, arrivals: Arc<Arrivals>) -> Self {
        let url = free().to_string();
        let log = tmp.join("prometheus.log");
        let process = tools::prometheus()
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", tmp.join("data").display()))
            .arg(format!("--web.listen-address={url}"))
            .arg("--enable-feature=exemplar-storage")
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        Self { process, url, targets, log, arrivals }
    }

    /// False when it ended before it was ready.
    fn becomes_ready(&mut self) -> bool {
        let stderr = self.process.stderr.take().expect("it is piped");
        let log = File::create(&self.log).expect("the scratch folder can be written");
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || keep(stderr, log, &ready));
        is_ready.recv_timeout(DEADLINE).is_ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps what it writes, and says when it is ready.
fn keep(stderr: ChildStderr, mut log: File, ready: &mpsc::Sender<()>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // The test may be over, and its folder gone.
        let _ = writeln!(log, "{line}");
        if line.contains(READY) {
            let _ = ready.send(());
        }
    }
}

/// Asks the HTTP API. An error is what Prometheus says is wrong.
pub(super) fn get(address: &str, path: &str) -> Result<Value, String> {
    let reply = fetch(address, path).map_err(|error| format!("{address} does not answer: {error}"))?;
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json: Value = serde_json::from_str(body).map_err(|_| format!("no JSON for {path}: {reply}"))?;
    match json["status"].as_str() {
        Some("success") => Ok(json),
        _ => Err(json["error"].as_str().unwrap_or("an error without a text").to_owned()),
    }
}

/// One request in HTTP/1.0: the answer ends with the connection, and is never chunked.
fn fetch(address: &str, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(DEADLINE))?;
    write!(connection, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply)?;
    Ok(reply)
}

/// The shipped configuration for these targets, which sends its samples on to the receiver, with the rules for other systems' names taken in; JSON is YAML too. The
/// rules are laid beside it, evaluated as often as the rest.
fn configuration(targets: &[SocketAddr], receiver: SocketAddr, tmp: &Path) -> Value {
    let mut shipped = files::shipped(&["prometheus/prometheus.yml"], &["yml"]).remove(0);
    shipped.text = shipped.text.replace("  #- compat/", "  - compat/");
    let mut config = shipped.parse().expect("the configuration parses");
    for interval in ["scrape_interval", "evaluation_interval"] {
        assert_eq!(config["global"][interval], "5s", "{interval} is promised to be 5 s");
        config["global"][interval] = json!("1s");
    }
    let compat = files::shipped(&["prometheus/compat"], &["yml"]).into_iter();
    let mut named: Vec<_> = config["rule_files"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    named.sort_unstable();
    let stand: Vec<_> =
        compat.map(|file| file.name.replace("prometheus/", "")).chain(["rules/*.yml".to_owned()]).collect();
    assert_eq!(named, stand, "every file of rules has its line, those of other systems' names a commented one");
    config["rule_files"] = json!(copied_rules(tmp));
    assert_eq!(config["scrape_configs"][0]["static_configs"][0]["targets"], json!(["localhost:8001"]));
    config["scrape_configs"][0]["static_configs"][0]["targets"] = json!(targets);
    let queue = json!({ "batch_send_deadline": "100ms", "max_shards": 1 });
    config["remote_write"] = json!([{ "url": format!("http://{receiver}/"), "queue_config": queue }]);
    config
}

/// Copies of the shipped rules without intervals of their own, in the order of their names.
fn copied_rules(tmp: &Path) -> Vec<PathBuf> {
    let copy = |file: &files::File| {
        let lines = file.text.lines().filter(|line| !line.trim_start().starts_with("interval: "));
        let path = tmp.join(file.name.replace('/', "-"));
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("the scratch folder can be written");
        path
    };
    files::shipped(rules::FOLDERS, &["yml"]).iter().map(copy).collect()
}
