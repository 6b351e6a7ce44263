//! Prometheus, Alertmanager and VictoriaMetrics as they are, on ports of their own. Each is ended when dropped.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{authority, client, tools};

/// How long one may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Prometheus with this configuration, of which JSON is a part. `more` are further arguments.
    pub(crate) fn prometheus(address: SocketAddr, config: &str, more: &[&str]) -> Self {
        let folder = authority::folder();
        let file = written(&folder, "prometheus.yml", config);
        let mut command = tools::prometheus();
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={address}")).args(more);
        Self::start(command, address)
    }

    /// Alertmanager, which notifies nobody.
    pub(crate) fn alertmanager(address: SocketAddr) -> Self {
        let folder = authority::folder();
        let file = written(&folder, "alertmanager.yml", "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
        let mut command = tools::alertmanager();
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
        Self::start(command, address)
    }

    /// VictoriaMetrics, which scrapes as this configuration of Prometheus says.
    pub(crate) fn victoria_metrics(config: &str) -> Self {
        Self::victoria_metrics_with(config, &[])
    }

    /// The same with further arguments.
    pub(crate) fn victoria_metrics_with(config: &str, more: &[&str]) -> Self {
        let folder = authority::folder();
        let file = written(&folder, "scrape.yml", config);
        let address = free();
        let mut command = tools::victoria_metrics();
        command.arg(format!("-promscrape.config={}", file.display())).arg("-promscrape.config.strictParse=false");
        command.arg(format!("-storageDataPath={}", folder.join("data").display()));
        command.arg(format!("-httpListenAddr={address}")).args(["-retentionPeriod=1d", "-search.latencyOffset=0s"]);
        command.arg("-promscrape.fileSDCheckInterval=1s").args(more);
        Self::start(command, address)
    }

    /// vmalert with these files of rules, each second, on what VictoriaMetrics has; it tells this Alertmanager.
    pub(crate) fn vmalert(
        address: SocketAddr,
        victoria: SocketAddr,
        alertmanager: SocketAddr,
        rules: &[PathBuf],
    ) -> Self {
        let mut command = tools::vmalert();
        command.args(rules.iter().map(|file| format!("-rule={}", file.display())));
        command.arg(format!("-datasource.url=http://{victoria}")).arg(format!("-remoteWrite.url=http://{victoria}"));
        command.arg(format!("-notifier.url=http://{alertmanager}")).arg(format!("-httpListenAddr={address}"));
        // What was written a moment ago is seen: a test has no minutes of history.
        command.args(["-evaluationInterval=1s", "-datasource.queryTimeAlignment=false"]);
        Self::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run");
        let mut server = Self { address, child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait().expect("it is ours");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{command:?} does not listen: {ended:?}");
            // It sets a pace: nothing tells when another program listens.
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// What a GET or POST is answered, head and body.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.0\r\nHost: a\r\nContent-Type: application/json");
        client::ask(self.address, format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on, and that this process hands out once. The system takes the ports of its own choice
/// from 32,768 on: below, none becomes another test's connection before its server has it.
pub(crate) fn free() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 14_000..32_000;
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    // Two runs of the tests at once begin apart.
    let begin = std::process::id().wrapping_mul(97);
    let ports = std::iter::repeat_with(|| begin.wrapping_add(HANDED_OUT.fetch_add(1, Ordering::Relaxed)));
    let port = |at: u32| u16::try_from(PORTS.start + at % (PORTS.end - PORTS.start)).expect("below 65,536");
    let mut addresses = ports.map(|at| SocketAddr::from(([127, 0, 0, 1], port(at))));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

pub(crate) fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("the folder can be written");
    file
}
