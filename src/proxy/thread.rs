//! A worker thread's main loop. It serves each client that it receives in a task of its own, until its channel is
//! closed and the last connection has ended.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::admission::{Accepted, Life, WorkerMessage};
use super::http1;
use super::polls::Polls;
use super::settings::Settings;
use super::stop::StopMessage;
use super::worker::{Task, Worker, WorkerParts};

/// Starts a worker thread. It ends when its channel is closed and its last connection has ended, or when it is killed.
///
/// # Errors
/// When the system cannot create a thread or a poller.
pub(super) fn spawn(
    index: usize,
    parts: WorkerParts,
    life: watch::Receiver<Life>,
    messages: (mpsc::UnboundedReceiver<WorkerMessage>, mpsc::UnboundedReceiver<StopMessage>),
) -> io::Result<JoinHandle<()>> {
    let (started, starting) = std::sync::mpsc::sync_channel(1);
    let thread =
        std::thread::Builder::new().name(format!("proxy-{index}")).spawn(
            move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    drop(started.send(Ok(())));
                    let settings = parts.settings.clone();
                    runtime.block_on(run(Worker::new(parts, life), messages, settings));
                }
                Err(error) => drop(started.send(Err(error))),
            },
        )?;
    starting.recv().map_err(|_| io::Error::other("a proxy thread died while it started"))??;
    Ok(thread)
}

/// Serves the clients that it receives until the channel is closed and the last connection has ended.
async fn run(
    mut worker: Rc<Worker>,
    (mut clients, stops): (mpsc::UnboundedReceiver<WorkerMessage>, mpsc::UnboundedReceiver<StopMessage>),
    mut settings: watch::Receiver<Settings>,
) {
    let follower = tokio::task::spawn_local(follow_life(worker.clone()));
    let stopper = tokio::task::spawn_local(stop_exchanges(worker.clone(), stops));
    while let Some(handed) = clients.recv().await {
        match handed {
            WorkerMessage::Clients(batch) => {
                if settings.has_changed().unwrap_or(false) {
                    worker = worker.with(settings.borrow_and_update().clone());
                }
                batch.into_iter().for_each(|accepted| serve(&worker, accepted));
            }
            WorkerMessage::Wake(number) => {
                worker.thread.tasks.borrow().get(&number).into_iter().flatten().for_each(Task::wake);
            }
        }
    }
    worker.thread.pools.clear();
    while !worker.thread.tasks.borrow().is_empty() {
        worker.thread.idle.notified().await;
    }
    follower.abort();
    stopper.abort();
}

/// Ends the exchanges that are to end, for as long as the worker has any.
async fn stop_exchanges(worker: Rc<Worker>, mut stops: mpsc::UnboundedReceiver<StopMessage>) {
    while let Some((exchange, found)) = stops.recv().await {
        if worker.thread.stop(exchange) {
            // Whoever asked may have left.
            let _ = found.send(());
        }
    }
}

/// Serves one client in a task of its own.
fn serve(worker: &Rc<Worker>, Accepted { stream, ticket, admission }: Accepted) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let guard = TaskGuard::take(worker, admission.seat.number);
    // Boxed here, as spawning a task and completing it moves its future.
    tokio::task::spawn_local(Box::pin(async move {
        let polls = Rc::<Polls>::default();
        let serving = pin!(http1::serve(guard.worker.clone(), polls.clone(), stream, admission));
        guard.attend(&polls, serving).await;
        drop(ticket);
    }));
}

/// Wakes every connection when the process enters another phase.
async fn follow_life(worker: Rc<Worker>) {
    let mut life = worker.life.clone();
    // If the sender is dropped, the phase stays as it is.
    while life.changed().await.is_ok() {
        worker.thread.life.set(*life.borrow_and_update());
        worker.thread.tasks.borrow().values().flatten().for_each(Task::wake);
    }
}

/// Registers a connection's task with its worker, and removes it on drop, also after a panic.
struct TaskGuard {
    worker: Rc<Worker>,
    number: u64,
}

impl TaskGuard {
    fn take(worker: &Rc<Worker>, number: u64) -> Self {
        worker.thread.tasks.borrow_mut().insert(number, None);
        Self { worker: worker.clone(), number }
    }

    /// Serves the connection to its end, or until the process is killed or its exchange is stopped.
    async fn attend(self, polls: &Rc<Polls>, mut serving: Pin<&mut impl Future<Output = ()>>) {
        let mut known = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut known, true) {
                let task = Task { waker: cx.waker().clone(), polls: polls.clone() };
                self.worker.thread.tasks.borrow_mut().insert(self.number, Some(task));
            }
            self.worker.thread.decoding.begin_turn(polls.begin());
            let served = serving.as_mut().poll(cx);
            polls.end();
            // An exchange that could not end by itself, such as a tunnel, ends with its connection.
            if self.worker.life() == Life::Killed || polls.is_stopped() { Poll::Ready(()) } else { served }
        })
        .await;
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.worker.thread.tasks.borrow_mut().remove(&self.number);
        self.worker.thread.idle.notify_one();
    }
}
