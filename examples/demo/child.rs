//! A program that runs for as long as the demo: started in its own process group, so that Ctrl-C reaches only the
//! demo, and ended with it. Its last words are kept, to show if it fails.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http_client;

/// Lines of output kept.
const KEPT: usize = 12;
/// How long it may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time between two looks at whether it started or ended.
const LOOK: Duration = Duration::from_millis(20);

/// A child process.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    name: String,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts the program.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = program.display().to_string();
        let mut process =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("cannot start {name}: {error}")))?;
        let said = Arc::default();
        listen(process.stdout.take(), &said);
        listen(process.stderr.take(), &said);
        Ok(Self { process, name, said })
    }

    /// Waits until a path of it is answered. Fails with what it said when it ends before, or takes too long.
    pub(crate) async fn answers(&mut self, address: SocketAddr, path: &str, patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.try_wait()? {
                // Its last lines may still be in the pipe.
                tokio::time::sleep(LOOK).await;
                return Err(self.explain(&format!("{} ended at once ({status})", self.name)));
            }
            if http_client::get(address, path).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.explain(&format!("{} does not answer on {address}", self.name)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error with the child's last words below it.
    pub(crate) fn explain(&self, what: &str) -> io::Error {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = said.iter().map(|line| format!("\n    {line}")).collect();
        io::Error::other(format!("{what}{}{lines}", if lines.is_empty() { "" } else { ". It said:" }))
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Asks it to end, waits a little, then insists.
    fn end(&mut self) -> io::Result<()> {
        if self.process.try_wait()?.is_some() {
            return Ok(());
        }
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let until = Instant::now() + PATIENCE;
        while self.process.try_wait()?.is_none() {
            if Instant::now() > until {
                self.process.kill()?;
                self.process.wait()?;
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("demo: {} may still run: {error}", self.name);
        }
    }
}

fn listen(pipe: Option<impl Read + Send + 'static>, said: &Arc<Mutex<VecDeque<String>>>) {
    let (Some(pipe), said) = (pipe, Arc::clone(said)) else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_back(line);
            if said.len() > KEPT {
                said.pop_front();
            }
        }
    });
}
