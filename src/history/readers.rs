//! Two threads that answer questions, so that none is answered on a thread that serves.
//!
//! Promises: at most two questions are answered at once, and a bounded number waits; a question is given up after its
//! time limit. A question whose asker has gone is not answered.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::query::{Source, TIME_LIMIT};
use super::store::directory::Directory;
use super::store::postgres::connect::Server;
use super::store::sqlite::read::Reading;
use crate::priority;

/// Questions that are answered at the same time.
const READERS: usize = 2;

/// Questions that may wait.
const MAX_WAITING: usize = 32;

type Question = Box<dyn FnOnce(&Reading) + Send>;

/// Passes questions to the readers. Clones share them; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Readers {
    questions: mpsc::SyncSender<Question>,
    latest: Arc<Mutex<Source>>,
}

/// Too many questions wait, or the readers have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Readers {
    /// Starts the threads, which read this directory, and ask a server where there is one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(directory: &Directory, server: Option<&Server>) -> io::Result<Self> {
        Self::with_limit(directory, server, TIME_LIMIT)
    }

    /// As [`Readers::start`], with another time limit for a question.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn with_limit(directory: &Directory, server: Option<&Server>, limit: Duration) -> io::Result<Self> {
        let (ask, questions) = mpsc::sync_channel::<Question>(MAX_WAITING);
        let questions = Arc::new(Mutex::new(questions));
        let latest = Arc::<Mutex<Source>>::default();
        for reader in 0..READERS {
            let (questions, reading) = (questions.clone(), Reading::new(directory.clone(), limit));
            let reading = match server {
                Some(server) => reading.with_server(server.clone()).noting(latest.clone()),
                None => reading,
            };
            thread::Builder::new().name(format!("history-read-{reader}")).spawn(move || {
                priority::step_back();
                loop {
                    let next = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(question) => question(&reading),
                        Err(_) => return,
                    }
                }
            })?;
        }
        Ok(Self { questions: ask, latest })
    }

    /// Has a question answered on a reader.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> T + Send + 'static,
    ) -> Result<T, TooMany> {
        let (answer, answered) = oneshot::channel();
        let question = move |reading: &Reading| {
            if !answer.is_closed() {
                drop(answer.send(question(reading)));
            }
        };
        self.questions.try_send(Box::new(question)).map_err(|_| TooMany)?;
        answered.await.map_err(|_| TooMany)
    }

    /// Where the latest answers came from: whether PostgreSQL, where it is configured, answers.
    #[must_use]
    pub fn latest_source(&self) -> Source {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Readers::ask`], with where the answer came from.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn ask_with_source<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> T + Send + 'static,
    ) -> Result<(T, Source), TooMany> {
        let asked = self.ask(move |reading| {
            let _of_earlier_questions = reading.take_source();
            (question(reading), reading.take_source())
        });
        asked.await
    }
}
