//! The helper as a process: its privileges, its life and its answers, on real sockets with made-up sources.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SAMPLE: &[u8] = include_bytes!("powermetrics/m3-ultra-macos14.plist");

/// Somebody who owns nothing.
const NOBODY: u32 = 65534;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of one test's own that every user may enter; dropping it removes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("inferometer-helper-it-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        // In place, as the kernel changes what a helper holds open; its owner may have made it read-only.
        let mode = std::fs::metadata(&path).ok().map(|found| found.permissions());
        if mode.is_some() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it can be changed");
        }
        std::fs::write(&path, text).expect("it can be written");
        if let Some(mode) = mode {
            std::fs::set_permissions(&path, mode).expect("it can be changed");
        }
        path
    }

    /// The helper, where everybody can start it: the build's folder may be closed to others.
    fn copied(&self) -> PathBuf {
        let own = self.0.join("helper");
        std::fs::copy(env!("CARGO_BIN_EXE_inferometer-helper"), &own).expect("it can be copied");
        own
    }

    /// A machine with one package, one sensor and pressure. Its counter is for the owner alone, as in the kernel.
    fn machine(&self) -> [String; 4] {
        let zone = "sys/class/powercap/intel-rapl:0";
        self.write(&format!("{zone}/name"), "package-0\n");
        self.write(&format!("{zone}/max_energy_range_uj"), "1000000000\n");
        let counter = self.write(&format!("{zone}/energy_uj"), "1000000\n");
        std::fs::set_permissions(counter, std::fs::Permissions::from_mode(0o400)).expect("it can be changed");
        self.write("sys/class/hwmon/hwmon0/name", "coretemp\n");
        self.write("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
        self.write("sys/class/hwmon/hwmon0/temp1_input", "61500\n");
        self.write("proc/pressure/memory", "some avg10=12.50 avg60=0.00 avg300=0.00 total=5\n");
        let root = |name: &str| self.0.join(name).display().to_string();
        ["--proc".into(), root("proc"), "--sys".into(), root("sys")]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A helper that listens; dropping it ends it.
struct Helper {
    child: Child,
    address: String,
    input: Option<ChildStdin>,
    errors: BufReader<std::process::ChildStderr>,
}

impl Helper {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).expect("text") > 0, "it ended before it listened: {said}");
            if let Some((_, address)) = line.trim_end().split_once("listening on ") {
                break address.to_owned();
            }
            said.push_str(&line);
        };
        let input = child.stdin.take();
        Self { child, address, input, errors }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        let mut answer = String::new();
        if let Some(socket) = self.address.strip_prefix("unix:") {
            let mut stream = UnixStream::connect(socket).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            stream.read_to_string(&mut answer).expect("it answers");
        } else {
            let mut stream = TcpStream::connect(&self.address).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            stream.read_to_string(&mut answer).expect("it answers");
        }
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
    }

    /// The facts, once they are what is waited for.
    fn facts(&self, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.get("/metrics");
            let facts: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            if status == 200 && wanted(&facts) {
                return facts;
            }
            assert!(Instant::now() < until, "{status} {body}");
            std::thread::yield_now();
        }
    }

    /// The line of /proc/PID/status after this key.
    fn status(&self, key: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel tells");
        line.trim().replace('\t', " ")
    }

    /// Neither it nor any of its threads can do what an ordinary user cannot.
    fn has_no_privilege(&self) {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it lives");
        let threads: Vec<_> = threads.map(|thread| thread.expect("a thread").path().join("status")).collect();
        assert!(threads.len() >= 3, "one that reads, one that answers, one that watches: {threads:?}");
        for path in threads {
            let status = std::fs::read_to_string(path).expect("it lives");
            let of =
                |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).expect("told").trim().to_owned();
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(of(set), "0000000000000000", "{set} of {status}");
            }
            assert_eq!(of("NoNewPrivs:"), "1", "{status}");
            assert!(of("Uid:").split_whitespace().all(|uid| uid == NOBODY.to_string()), "{status}");
        }
    }

    /// How it ended, and what it said; one that does not end is ended, so that the test fails.
    fn wait(&mut self) -> (ExitStatus, String) {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > until {
                self.child.kill().expect("it can be ended");
            }
            std::thread::yield_now();
        }
        let mut said = String::new();
        self.errors.read_to_string(&mut said).expect("text");
        (self.child.wait().expect("it can be waited for"), said)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const AT_A_FREE_PORT: [&str; 4] = ["--listen", "127.0.0.1:0", "--interval", "1s"];

fn helper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferometer-helper"));
    command.args(AT_A_FREE_PORT);
    command
}

fn reading_input() -> Helper {
    Helper::start(helper().args(["--source", "-"]).stdin(Stdio::piped()))
}

fn send(helper: &mut Helper, bytes: &[u8]) {
    let input = helper.input.as_mut().expect("it reads its input");
    input.write_all(bytes).and_then(|()| input.flush()).expect("it reads");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn energy(scratch: &Scratch, microjoules: u64) {
    scratch.write("sys/class/powercap/intel-rapl:0/energy_uj", &format!("{microjoules}\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn root_opens_its_counters_and_keeps_no_privilege() {
    if !is_root() {
        eprintln!("left out: needs root");
        return;
    }
    let scratch = Scratch::new("root");
    let helper = Helper::start(helper().args(scratch.machine()));
    let first = helper.facts(|_| true);
    assert_eq!(first["cpu_temperature"], 61.5);
    assert_eq!(first["memory_pressure"], 12.5);
    assert!(first.get("gpu_power").is_none(), "what is unknown has no key: {first}");
    energy(&scratch, 6_000_000);
    let second = helper.facts(|facts| facts.get("cpu_power").is_some_and(|power| power.as_f64() > Some(0.0)));
    assert_eq!(second["cpu_energy_joules"], 5.0, "read after the privileges were gone");
    let nobody = format!("{NOBODY} {NOBODY} {NOBODY} {NOBODY}");
    assert_eq!((helper.status("Uid:"), helper.status("Gid:")), (nobody.clone(), nobody));
    assert_eq!(helper.status("Groups:"), "");
    helper.has_no_privilege();
}

/// As its systemd unit starts it: somebody who owns nothing, with one capability.
#[cfg(target_os = "linux")]
#[test]
fn one_capability_is_enough_to_open_the_counters_and_is_given_up() {
    if !is_root() {
        eprintln!("left out: needs root to give a capability");
        return;
    }
    let scratch = Scratch::new("capability");
    let own = scratch.copied();
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    let capability = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"];
    let mut command = Command::new("setpriv");
    command.args([&user, &group, "--clear-groups"]).args(capability).arg("--").arg(own).args(AT_A_FREE_PORT);
    let helper = Helper::start(command.args(scratch.machine()));
    helper.facts(|_| true);
    energy(&scratch, 6_000_000);
    helper.facts(|facts| facts["cpu_energy_joules"] == 5.0);
    helper.has_no_privilege();
}

/// Finer readings of energy tell what others compute (CVE-2020-8694), so nobody may have them by asking often.
#[cfg(target_os = "linux")]
#[test]
fn however_often_it_is_asked_the_counters_are_read_once_a_second() {
    let scratch = Scratch::new("often");
    let helper = Helper::start(helper().args(scratch.machine()));
    let timestamp = |facts: &serde_json::Value| facts["timestamp"].as_f64().expect("a number");
    let first = timestamp(&helper.facts(|_| true));
    let second = timestamp(&helper.facts(|facts| timestamp(facts) > first));
    let third = timestamp(&helper.facts(|facts| timestamp(facts) > second));
    // It reads a second after the last reading began; when that ended is what it tells.
    assert!(second - first > 0.9 && third - first > 1.9, "{first} {second} {third}");
}

/// A clone may lie below a home that is closed to others.
#[test]
fn what_another_user_runs_lies_outside_the_clone_where_everybody_may_go() {
    let scratch = Scratch::new("open");
    let own = scratch.copied();
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the helper is a folder of it");
    assert!(!own.starts_with(clone), "{}", own.display());
    for folder in own.ancestors().skip(1) {
        let mode = std::fs::metadata(folder).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o001, 0o001, "{} is closed to others", folder.display());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_unprivileged_user_gets_what_is_for_everybody_and_is_told_what_is_not() {
    if !is_root() {
        eprintln!("left out: needs root to become somebody else");
        return;
    }
    let scratch = Scratch::new("user");
    let mut helper = Command::new(scratch.copied());
    let helper = Helper::start(helper.args(AT_A_FREE_PORT).args(scratch.machine()).uid(NOBODY).gid(NOBODY));
    let facts = helper.facts(|_| true);
    assert_eq!((&facts["cpu_temperature"], facts.get("cpu_energy_joules")), (&61.5.into(), None));
}

#[cfg(target_os = "linux")]
#[test]
fn a_counter_that_dies_ends_the_helper_with_1_and_is_named() {
    let scratch = Scratch::new("dies");
    let mut helper = Helper::start(helper().args(scratch.machine()));
    helper.facts(|_| true);
    scratch.write("sys/class/powercap/intel-rapl:0/energy_uj", "gone\n");
    let (status, said) = helper.wait();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("energy_uj"), "{said}");
}

#[test]
fn a_machine_with_nothing_to_read_ends_with_1_and_a_wrong_option_with_2() {
    let scratch = Scratch::new("nothing");
    let none = scratch.0.display().to_string();
    let status = helper().args(["--source", "kernel", "--proc", &none, "--sys", &none]).stderr(Stdio::null()).status();
    assert_eq!(status.expect("it runs").code(), Some(1));
    let status = helper().args(["--listen", "0.0.0.0:8002"]).stderr(Stdio::null()).status();
    assert_eq!(status.expect("it runs").code(), Some(2));
}

#[test]
fn samples_are_answered_as_they_come_in_however_slowly() {
    let mut helper = reading_input();
    assert_eq!(helper.get("/metrics").0, 503, "there are none yet");
    assert_eq!(helper.get("/health").0, 503);
    for byte in SAMPLE {
        send(&mut helper, &[*byte]);
    }
    let facts = helper.facts(|_| true);
    assert_eq!((facts["cpu_power"].as_f64(), facts["gpu_power"].as_f64()), (Some(993.156), Some(476.674)));
    assert_eq!(facts["thermal_pressure"], "Nominal");
    assert_eq!(helper.get("/health"), (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(helper.get("/metrics/json").0, 200);
    assert_eq!(helper.get("/").0, 404);
}

#[test]
fn a_source_that_talks_nonsense_gives_no_facts_and_may_come_to_its_senses() {
    let mut helper = reading_input();
    send(&mut helper, b"powermetrics must be invoked as the superuser\n<<<<>>>>\0\0</plist><plist><dict>");
    assert_eq!(helper.get("/metrics").0, 503);
    send(&mut helper, &[b"\0", SAMPLE].concat());
    helper.facts(|facts| facts["cpu_power"] == 993.156);
}

#[test]
fn a_source_that_lies_is_believed_only_what_can_be() {
    let mut helper = reading_input();
    let sample = std::str::from_utf8(SAMPLE).expect("text");
    let lying = sample.replace(">993.156<", ">1e99<").replace(">0.777314<", ">-3<");
    assert_ne!(lying, sample);
    send(&mut helper, lying.as_bytes());
    let facts = helper.facts(|_| true);
    assert_eq!((facts.get("cpu_power"), facts.get("gpu_utilization")), (None, None), "{facts}");
    assert_eq!(facts["gpu_power"], 476.674, "the rest is believed");
}

#[test]
fn a_source_that_falls_silent_ends_the_helper_with_1() {
    let mut helper = Helper::start(helper().args(["--source", "-", "--silence", "1s"]).stdin(Stdio::piped()));
    send(&mut helper, SAMPLE);
    helper.facts(|_| true);
    let (status, said) = helper.wait();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("said nothing for 1s"), "{said}");
}

#[test]
fn a_source_that_ends_ends_the_helper_with_1() {
    let mut helper = reading_input();
    send(&mut helper, SAMPLE);
    helper.facts(|_| true);
    drop(helper.input.take());
    let (status, said) = helper.wait();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("the source ended"), "{said}");
}

#[test]
fn powermetrics_keeps_its_privileges_alone_and_its_death_ends_the_helper() {
    let scratch = Scratch::new("powermetrics");
    // Says who it is and how it was called, gives one sample, and then waits to be killed.
    let plist = scratch.write("sample.plist", std::str::from_utf8(SAMPLE).expect("text"));
    let known = scratch.0.join("known");
    let script = format!(
        "#!/bin/sh\necho \"$$ $(id -u) $*\" > {known}.new; mv {known}.new {known}; cat {plist}; exec sleep 1000\n",
        known = known.display(),
        plist = plist.display()
    );
    let program = scratch.write("powermetrics", &script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it can be changed");
    let program = program.display().to_string();
    // Whom it becomes must be able to start it again.
    let mut command = Command::new(scratch.copied());
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--interval",
        "3s",
        "--source",
        "powermetrics",
        "--powermetrics",
        &program,
    ]);
    let mut helper = Helper::start(&mut command);
    helper.facts(|facts| facts["cpu_power"] == 993.156);
    let known = std::fs::read_to_string(known).expect("it was called");
    let (pid, rest) = known.trim_end().split_once(' ').expect("its number");
    let (uid, arguments) = rest.split_once(' ').expect("its user");
    assert!(arguments.contains("--format plist") && arguments.contains("--sample-rate 3000"), "{arguments}");
    if is_root() && Path::new("/proc/self/status").exists() {
        assert_eq!(uid, "0", "it keeps its privileges");
        assert!(helper.status("Uid:").starts_with(&NOBODY.to_string()), "the helper has none");
        assert_eq!(helper.status("Groups:"), "");
    }
    let pid = rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
    assert_eq!(helper.wait().0.code(), Some(1));
}

/// Opens more connections than the helper has places, half of them silent and half with a head that never ends, asks
/// properly while each of the latter sends a byte in turn, and goes on with that until all have been closed.
fn is_answered_among_slow_clients<S: Read + Write + Send>(helper: &mut Helper, connect: impl Fn(&str) -> S) {
    const CLIENTS: usize = 100;
    send(helper, SAMPLE);
    helper.facts(|_| true);
    let mut silent: Vec<_> = (0..CLIENTS / 2).map(|_| connect(&helper.address)).collect();
    let mut trickling: Vec<_> = (0..CLIENTS / 2).map(|_| connect(&helper.address)).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let trickle = scope.spawn(move || {
            let mut rounds = 0;
            while !trickling.is_empty() {
                trickling.retain_mut(|client| client.write_all(b"G").is_ok());
                rounds += 1;
                assert!(begun.elapsed() < PATIENCE, "{} trickle still", trickling.len());
                std::thread::sleep(Duration::from_millis(10));
            }
            rounds
        });
        for _ in 0..10 {
            assert_eq!(helper.get("/metrics").0, 200);
        }
        let took = begun.elapsed();
        let rounds = trickle.join().expect("all were closed");
        println!("10 answers in {took:?}, the last that trickled was closed after {rounds} bytes");
        assert!(took < Duration::from_secs(2), "it waited {took:?} for the slow ones");
    });
    for client in &mut silent {
        assert!(matches!(client.read(&mut [0]), Ok(0)), "a silent one is closed and gets nothing");
    }
}

#[test]
fn slow_clients_keep_nobody_waiting_however_many() {
    let mut helper = reading_input();
    is_answered_among_slow_clients(&mut helper, |address| TcpStream::connect(address).expect("it listens"));
}

#[test]
fn slow_clients_of_a_socket_in_the_filesystem_keep_nobody_waiting() {
    let scratch = Scratch::new("slow");
    let listen = format!("--listen=unix:{}", scratch.0.join("helper.sock").display());
    let mut helper = Helper::start(helper().args([&listen, "--source", "-"]).stdin(Stdio::piped()));
    is_answered_among_slow_clients(&mut helper, |address| {
        UnixStream::connect(address.strip_prefix("unix:").expect("a path")).expect("it listens")
    });
}

#[test]
fn slow_clients_keep_nobody_waiting_where_descriptors_run_short() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 16 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_inferometer-helper")]);
    let mut helper = Helper::start(command.args(AT_A_FREE_PORT).args(["--source", "-"]).stdin(Stdio::piped()));
    is_answered_among_slow_clients(&mut helper, |address| TcpStream::connect(address).expect("it listens"));
}

#[test]
fn a_head_is_read_in_whatever_pieces_it_comes_unless_it_is_too_long() {
    let helper = reading_input();
    let status = |pieces: &[&[u8]]| {
        let mut stream = TcpStream::connect(&helper.address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        for piece in pieces {
            stream.write_all(piece).expect("it reads");
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.lines().next().expect("a status").to_owned()
    };
    let whole: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(status(&whole.chunks(1).collect::<Vec<_>>()), "HTTP/1.1 404 Not Found");
    for at in 1..whole.len() {
        assert_eq!(status(&[&whole[..at], &whole[at..]]), "HTTP/1.1 404 Not Found", "cut at {at}");
    }
    assert_eq!(status(&[&[b'G'; (8 << 10) + 1]]), "HTTP/1.1 431 Request Header Fields Too Large");
}

#[test]
fn a_socket_in_the_filesystem_is_served_and_replaces_one_left_behind() {
    let scratch = Scratch::new("socket");
    let socket = scratch.0.join("helper.sock");
    let listen = format!("--listen=unix:{}", socket.display());
    for _ in 0..2 {
        let mut helper = Helper::start(helper().args([&listen, "--source", "-"]).stdin(Stdio::piped()));
        send(&mut helper, SAMPLE);
        helper.facts(|facts| facts["gpu_power"] == 476.674);
        assert!(socket.exists());
    }
    std::fs::remove_file(&socket).expect("it is there");
    std::fs::write(&socket, "somebody's file").expect("it can be written");
    let status = helper().args([&listen, "--source", "-"]).stderr(Stdio::null()).status().expect("it runs");
    assert_eq!(status.code(), Some(1), "what is no socket is not replaced");
    assert_eq!(std::fs::read_to_string(&socket).expect("it is there"), "somebody's file");
}
