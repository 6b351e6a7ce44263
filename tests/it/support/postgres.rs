//! A PostgreSQL server of its own, in a directory that is removed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use inferometer::history::Server;
use inferometer::history::settings::Target;
use inferometer::tls::{Identity, client};
use rustix::process::{Pid, Signal, kill_process};

use super::look_until;

/// The user that it runs as where the tests are root's, which PostgreSQL refuses.
const NOBODY: u32 = 65_534;

/// The password in its URL, which it does not ask for.
pub(crate) const PASSWORD: &str = "never-shown";

/// The server. Dropping it ends it.
pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut server = Self::create();
        server.again();
        server
    }

    /// One that encrypts with this certificate, and refuses whoever does not.
    pub(crate) fn start_with_tls(identity: &Identity) -> Self {
        let mut server = Self::create();
        let data = server.data();
        for (from, name) in [(&identity.cert_file, "server.crt"), (&identity.key_file, "server.key")] {
            let to = data.join(name);
            std::fs::copy(from, &to).expect("it can be copied");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).expect("it can be set");
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(&to, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        // Without encryption only over its socket in the folder, for the tests.
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all all trust\nlocal all all trust\n").expect("a file");
        let settings = data.join("postgresql.auto.conf");
        std::fs::write(settings, "ssl = on\n").expect("it can be written");
        server.again();
        server
    }

    fn create() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Another user must be able to reach it, which a home may not allow.
        let name = format!("inferometer-postgres-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("it can be created");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let server = Self { folder, port, child: None };
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=inferometer", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("-D").arg(server.data()).output().expect("initdb runs: `make setup` has it installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = as_anybody(find(program));
        command.current_dir(&self.folder);
        if let Ok(paths) = std::env::join_paths(libraries()) {
            command.env("LD_LIBRARY_PATH", paths);
        }
        command
    }

    /// Starts it again after its end, and waits until it answers.
    pub(crate) fn again(&mut self) {
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        server.args(["-p", &self.port.to_string(), "-h", "127.0.0.1,127.0.0.2", "-F", "-c", "max_connections=50"]);
        let log = std::fs::File::create(self.folder.join("log")).expect("it can be created");
        self.child = Some(server.stdout(Stdio::null()).stderr(log).spawn().expect("postgres runs"));
        look_until(|| {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            self.try_client().map(drop).map_err(|error| format!("{error}: {}", log()))
        });
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn crash(&mut self) {
        let mut child = self.child.take().expect("it runs");
        kill_process(Pid::from_child(&child), Signal::QUIT).expect("it lives");
        child.wait().expect("it ends");
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://inferometer:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn server(&self) -> Server {
        server_at(&self.url())
    }

    fn try_client(&self) -> Result<postgres::Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config.host_path(&self.folder).port(self.port).user("inferometer").dbname("postgres");
        config.connect(postgres::NoTls)
    }

    pub(crate) fn execute(&self, statement: &str) {
        self.try_client().and_then(|mut client| client.batch_execute(statement)).expect("a valid statement");
    }

    /// Stops it, with the processes of all connections.
    pub(crate) fn stop(&self) -> Stopped {
        let mut client = self.try_client().expect("it answers");
        let select = "SELECT pid FROM pg_stat_activity WHERE application_name = 'inferometer'";
        let found = client.query(select, &[]).expect("a valid query");
        let mut processes: Vec<_> = found.iter().filter_map(|row| Pid::from_raw(row.get(0))).collect();
        processes.extend(self.child.as_ref().map(Pid::from_child));
        for process in &processes {
            kill_process(*process, Signal::STOP).expect("it lives");
        }
        Stopped(processes)
    }

    /// A transaction that has run a statement, and goes on until it is dropped.
    pub(crate) fn begin(&self, statement: &str) -> postgres::Client {
        let mut client = self.try_client().expect("it answers");
        client.batch_execute(&format!("BEGIN; {statement}")).expect("a valid statement");
        client
    }

    /// Waits until so many exchanges have been copied.
    pub(crate) fn wait_for_rows(&self, rows: i64) {
        look_until(|| {
            let exists = self.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'inferometer'") > 0;
            let found = if exists { self.number("SELECT count(*) FROM inferometer.exchanges") } else { 0 };
            if found == rows { Ok(()) } else { Err(format!("{found} of {rows} rows were copied")) }
        });
    }

    /// Every row of every table of the copy, as text.
    pub(crate) fn text(&self) -> String {
        let mut client = self.try_client().expect("it answers");
        let tables =
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'inferometer'::regnamespace";
        let tables = client.query(tables, &[]).expect("a valid query");
        let rows = tables.iter().flat_map(|table| {
            let select = format!("SELECT t::text FROM inferometer.{:?} t", table.get::<_, String>(0));
            client.query(&select, &[]).expect("a valid query")
        });
        rows.map(|row| row.get::<_, String>(0) + "\n").collect()
    }

    /// The one number that a query answers.
    pub(crate) fn number(&self, query: &str) -> i64 {
        let mut client = self.try_client().expect("it answers");
        client.query_one(query, &[]).expect("a valid query").get(0)
    }
}

/// Whatever is at this URL.
pub(crate) fn server_at(url: &str) -> Server {
    let tls = Arc::new(|_: &_| Ok(client::encrypting()));
    Server { target: Target::Url(url.into()), tls }
}

/// Processes that do nothing until this is dropped.
pub(crate) struct Stopped(Vec<Pid>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            let _gone = kill_process(*process, Signal::CONT);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.crash();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// This program, as an unprivileged user where the tests are root's. It may go everywhere to read: what `make setup` has
/// unpacked can lie below a home that is closed to others.
fn as_anybody(program: PathBuf) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).arg("--clear-groups");
    command.args(["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--"]).arg(program);
    command
}

/// Where `make setup` unpacks it.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgresql")
}

/// The program on the `PATH`, else Debian's, which keeps each version in a folder of its own, else that which was unpacked.
fn find(program: &str) -> PathBuf {
    let versions = |root: &Path| {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).into_iter().flatten().flatten();
        versions.map(|version| version.path().join("bin")).collect::<Vec<_>>()
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(versions(Path::new("/"))).chain(versions(&unpacked()));
    let found = places.map(|folder| folder.join(program)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{program} is not there: `make setup` unpacks it on Debian and Ubuntu"))
}

/// Libraries that were unpacked with it.
fn libraries() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(unpacked().join("usr/lib")).into_iter().flatten().flatten();
    folders.map(|folder| folder.path()).filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect()
}
