//! Questions are answered beside the traffic, two at a time.

use std::sync::mpsc;

use inferometer::history::query::Filter;
use inferometer::history::readers::{Readers, TooMany};
use inferometer::history::{Directory, Reading};

use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::client::ask;
use crate::support::program::Program;

#[test]
fn two_questions_are_answered_at_once_and_a_bounded_number_waits() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    wait_for_rows(program.state(), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let readers = Readers::start(&Directory::within(program.state())).expect("threads");
        let found = readers.ask(|reading: &Reading| count(reading)).await.expect("few wait");
        assert_eq!(found, 1);

        // Two that do not end until they are let, and as many as may wait behind them.
        let (begun, beginnings) = mpsc::channel();
        let (releases, mut waiting): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (release, released) = mpsc::channel::<()>();
                let (begun, readers) = (begun.clone(), readers.clone());
                let question = async move {
                    readers.ask(move |_| begun.send(()).map(|()| released.recv().is_err())).await.map(drop)
                };
                (release, Box::pin(question) as std::pin::Pin<Box<dyn Future<Output = _>>>)
            })
            .unzip();
        for question in &mut waiting {
            assert!(poll(question.as_mut()).is_none());
            beginnings.recv().expect("it is being answered");
        }
        let mut refused = 0;
        for _ in 0..40 {
            let readers = readers.clone();
            let mut question = Box::pin(async move { readers.ask(|_| ()).await });
            match poll(question.as_mut()) {
                Some(answer) => {
                    assert_eq!(answer, Err(TooMany));
                    refused += 1;
                }
                None => waiting.push(question),
            }
        }
        assert_eq!(refused, 8, "32 wait");
        drop(releases);
        for question in waiting {
            assert_eq!(question.await, Ok(()));
        }
    });
}

fn poll<T>(question: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match question.poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

fn count(reading: &Reading) -> usize {
    let query =
        inferometer::history::query::PageQuery { range: super::EVER, filter: Filter::default(), offset: 0, limit: 10 };
    reading.page(&query).expect("sound").exchanges.len()
}
