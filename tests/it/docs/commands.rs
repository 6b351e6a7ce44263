//! Every command of the pages is run before a simulated Ollama, or says what it needs that a test has not.
//!
//! A block of code names its language. One in `sh` is run, in an empty folder with copies of what people copy, and all of
//! its lines must succeed; with `needs=` behind `sh` it is only read by the shell:
//!
//! ```text
//! ```sh needs=docker
//! docker compose -f examples/compose.yaml up --build
//! ```
//! ```

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{pages, read, root};
use crate::support::authority::folder;
use crate::support::simulator::Simulator;

/// What a command may need.
const NEEDS: [(&str, &str); 7] = [
    ("build", "the sources and minutes of compiling"),
    ("docker", "Docker, or another engine for containers"),
    ("macos", "macOS"),
    ("package", "a package that `make dist` has made"),
    ("root", "root, and the machine's own settings"),
    ("systemd", "systemd as the machine's service manager, and root"),
    ("tool", "a program that no other test needs"),
];

/// The languages of blocks that hold no command.
const OTHER_LANGUAGES: [&str; 10] = ["ini", "json", "promql", "python", "rust", "text", "toml", "tsx", "xml", "yaml"];

/// A block of code on a page.
struct Fence {
    page: PathBuf,
    /// From 1.
    line: usize,
    /// What stands behind the backquotes: the language, and what it needs.
    info: String,
    text: String,
}

impl Fence {
    fn all() -> Vec<Self> {
        pages().into_iter().flat_map(|page| Self::of(&page, &read(&page))).collect()
    }

    fn of(page: &Path, text: &str) -> Vec<Self> {
        let mut fences: Vec<Self> = Vec::new();
        let mut is_open = false;
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(info) = line.trim_start().strip_prefix("```") {
                is_open = !is_open;
                if is_open {
                    let info = info.trim().to_owned();
                    fences.push(Self { page: page.to_owned(), line: number, info, text: String::new() });
                }
            } else if is_open {
                let fence = fences.last_mut().expect("one is open");
                fence.text += line;
                fence.text += "\n";
            }
        }
        fences
    }

    fn is_shell(&self) -> bool {
        self.info.split(' ').next() == Some("sh")
    }

    /// `None` where it is to be run.
    fn needs(&self) -> Option<&str> {
        self.info.split_once(' ').map(|(_, needs)| needs.trim())
    }

    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }

    /// What is wrong with its first line.
    fn fault(&self) -> Option<String> {
        let language = self.info.split(' ').next().unwrap_or_default();
        let place = self.place();
        match self.needs() {
            _ if language.is_empty() => Some(format!("{place}: which language is it? A command is `sh`, else `text`")),
            None if language == "sh" || OTHER_LANGUAGES.contains(&language) => None,
            None => Some(format!("{place}: `{language}` is in neither list: commands are `sh`")),
            Some(needs) if language == "sh" => {
                let known = |need: &str| NEEDS.iter().any(|(name, _)| *name == need);
                let is_known = needs.strip_prefix("needs=").is_some_and(|needs| needs.split(',').all(known));
                let names: Vec<_> = NEEDS.iter().map(|(name, what)| format!("{name} ({what})")).collect();
                (!is_known).then(|| format!("{place}: `{needs}` is not needs= and some of {}", names.join(", ")))
            }
            Some(_) => Some(format!("{place}: only `sh` is run, and can need something")),
        }
    }
}

#[test]
fn every_block_of_code_names_its_language_and_what_its_commands_need() {
    let fences = Fence::all();
    let faults: Vec<_> = fences.iter().filter_map(Fence::fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for fence in fences.iter().filter(|fence| fence.is_shell()) {
        let output = Command::new("sh").args(["-n", "-c", &fence.text]).output().expect("there is a shell");
        assert!(output.status.success(), "{}: {}", fence.place(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_block_that_says_nothing_of_itself_is_found() {
    let text = "```\nls\n```\n```bash\nls\n```\n```sh needs=luck\nls\n```\n  ```sh needs=root,docker\n  ls\n  ```\n```sh\nls\n```\n";
    let fences = Fence::of(Path::new("page.md"), text);
    let faults: Vec<_> =
        fences.iter().filter_map(Fence::fault).map(|fault| fault.chars().take(9).collect::<String>()).collect();
    assert_eq!(faults, ["page.md:1", "page.md:4", "page.md:7"].map(str::to_owned));
    let needs: Vec<_> = fences.iter().map(Fence::needs).collect();
    assert_eq!(needs[3..], [Some("needs=root,docker"), None]);
}

#[test]
fn every_command_of_the_pages_is_run_or_needs_what_a_test_has_not() {
    let fences = Fence::all();
    let shell = || fences.iter().filter(|fence| fence.is_shell());
    let mut run = 0;
    for fence in shell().filter(|fence| fence.needs().is_none()) {
        let bench = Bench::new(&fence.text);
        let output = bench.run(&fence.text);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{}{said}", fence.place(), fence.text);
        run += 1;
    }
    println!("{run} blocks of commands were run, {} need something", shell().count() - run);
    assert!(run >= 5, "only {run} blocks were run");
}

/// A folder, programs on the `PATH`, and a simulated Ollama, for the commands of one block.
struct Bench {
    folder: PathBuf,
    clients: SocketAddr,
    admin: SocketAddr,
    server: Simulator,
    /// Another address for the clients, where the server's usual one becomes theirs.
    swaps: bool,
}

/// Serves beside the rest of the block; whatever ends by itself is as typed.
const INFEROMETER: &str = r#"#!/bin/sh
for word; do
    case $word in
    health | doctor | history | key | top | snapshot | completions | man | --*-config | --version | --help) exec PROGRAM "$@" ;;
    esac
done
PROGRAM "$@" >>"$HOME/log" 2>&1 &
echo $! >>"$HOME/pids"
tries=0
until PROGRAM health "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { cat "$HOME/log" >&2; exit 1; }
    sleep 0.1
done
"#;

/// The simulated one serves already; any other command must reach it by the address that it is given.
const OLLAMA: &str = r#"#!/bin/sh
[ "$1" = serve ] || exec curl --silent --show-error --fail "http://${OLLAMA_HOST#http://}/api/version"
"#;

impl Bench {
    fn new(text: &str) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        let bench = Self {
            folder: folder(),
            clients: free(),
            admin: free(),
            server: Simulator::start(),
            swaps: text.contains(":21434"),
        };
        for name in ["examples", "prometheus"] {
            let copied = Command::new("cp").arg("-r").arg(root().join(name)).arg(&bench.folder).status();
            assert!(copied.expect("there is cp").success(), "{name}");
        }
        std::fs::create_dir(bench.folder.join("bin")).expect("a folder");
        bench.program("inferometer", &INFEROMETER.replace("PROGRAM", env!("CARGO_BIN_EXE_inferometer")));
        bench.program("ollama", OLLAMA);
        bench
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.folder.join("bin").join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }

    /// The commands with the ports that are free here, and machines of examples as this one.
    fn here(&self, text: &str) -> String {
        let (usual, moved) =
            if self.swaps { (self.clients, self.server.address) } else { (self.server.address, self.clients) };
        let ports = [(":11435", self.clients), (":8001", self.admin), (":11434", usual), (":21434", moved)];
        let here = text.replace("gpu-box", "127.0.0.1").replace("0.0.0.0", "127.0.0.1");
        ports.iter().fold(here, |text, (port, here)| text.replace(port, &format!(":{}", here.port())))
    }

    /// Runs them in one shell. Where none of them starts the proxy, it runs already.
    fn run(&self, text: &str) -> Output {
        let serves = |line: &str| {
            let words: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            words.first() == Some(&"inferometer") && words.get(1).is_none_or(|next| next.starts_with("--listen"))
        };
        let first = if text.lines().any(serves) { "" } else { "inferometer\n" };
        Command::new("sh")
            .args(["-euc", &format!("{first}{}", self.here(text))])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.folder.display()))
            .env("HOME", &self.folder)
            .env("INFEROMETER_LISTEN", self.clients.to_string())
            .env("INFEROMETER_ADMIN_LISTEN", self.admin.to_string())
            .env("INFEROMETER_BACKEND", self.server.address.to_string())
            .output()
            .expect("there is a shell")
    }
}

impl Drop for Bench {
    /// Ends what the block has started, and nothing else.
    fn drop(&mut self) {
        let pids = std::fs::read_to_string(self.folder.join("pids")).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter_map(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A file of settings that is shown is one that can be used.
#[test]
fn every_file_of_settings_on_a_page_is_accepted() {
    let mut count = 0;
    for fence in Fence::all().iter().filter(|fence| fence.info == "toml") {
        let folder = folder();
        let file = folder.join("config.toml");
        std::fs::write(&file, &fence.text).expect("a file");
        let mut command = crate::support::program::command();
        let output = command.args(["--print-config", "--config"]).arg(&file).output().expect("it runs");
        assert!(output.status.success(), "{}: {}", fence.place(), String::from_utf8_lossy(&output.stderr));
        std::fs::remove_dir_all(folder).expect("it was made above");
        count += 1;
    }
    assert!(count >= 5, "{count} files");
}
