//! The keys of `inferometer top`, pressed on a terminal that util-linux's `script` plays.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{get, unlimited};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::look_until;
use crate::support::program::{Program, command};

const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{\"model\": \"loop\"}";
const TOKEN: &str = "{\"model\":\"loop\",\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":false}\n";

/// Begins each answer and never ends it.
fn endless() -> Backend {
    Backend::start(|connection| {
        let Some(asked) = connection.request() else { return };
        if asked.starts_with(b"POST ") {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.write(format!("{head}{:x}\r\n{TOKEN}\r\n", TOKEN.len()).as_bytes());
            connection.closed();
        } else {
            connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    })
}

/// A terminal with the screen on it.
struct Screen {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    /// `None` on a system that plays no terminal.
    fn open(url: &str) -> Option<Self> {
        let probe = Command::new("script").args(["-qec", "true", "/dev/null"]).stdin(Stdio::null()).output();
        if !probe.is_ok_and(|probe| probe.status.success()) {
            eprintln!("skipped: there is no `script` of util-linux, or no pseudo-terminal, to press keys on");
            return None;
        }
        let program = command();
        let typed = format!("stty cols 110 rows 40; exec {} top --url {url}", program.get_program().display());
        let mut script = Command::new("script");
        script.args(["-qec", &typed, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).env("TERM", "xterm");
        let mut child = script.spawn().expect("it was there");
        let (keys, mut output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let all = shown.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
            }
        });
        Some(Self { child, keys, shown })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("it listens");
    }

    /// Waits until this was drawn at any time since the start.
    fn shows(&self, text: &str) {
        look_until(|| {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = String::from_utf8_lossy(&shown).into_owned();
            if shown.contains(text) { Ok(()) } else { Err(format!("no {text:?} in {shown:?}")) }
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn keys_choose_an_exchange_stop_it_and_end_the_screen() {
    let backend = endless();
    let program = Program::with(backend.address, &["--config", &unlimited()]);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("false}\n\r\n");
    let Some(mut screen) = Screen::open(&format!("http://{}", program.admin)) else { return };
    screen.shows("In flight");
    screen.shows("decode");
    screen.press("js");
    look_until(|| {
        let kept = get(&program, "/dashboard/exchanges?limit=1");
        if kept["exchanges"][0]["error"] == "stopped" { Ok(()) } else { Err(kept.to_string()) }
    });
    screen.press("q");
    let ended = look_until(|| screen.child.try_wait().expect("a child").ok_or("it goes on".to_owned()));
    assert!(ended.success(), "{ended}");
}
