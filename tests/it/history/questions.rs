//! Questions are answered beside the traffic, two at a time.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use inferometer::history::query::{Filter, PageQuery, TIME_LIMIT, TopQuery};
use inferometer::history::readers::{Readers, TooMany};
use inferometer::history::tops::TopBy;
use inferometer::history::{Directory, Reading, StoreError};
use rustix::process::Signal;

use super::rows::{CHAT, ollama};
use super::{EVER, wait_for_rows};
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
        let readers = Readers::start(&Directory::within(program.state()), None).expect("threads");
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

/// Doubles the rows of the newest day so many times. Their sums stay as they are.
fn double_rows(state: &Path, times: u32) {
    let directory = Directory::within(state);
    let day = directory.days().last().copied().expect("a day");
    let file = rusqlite::Connection::open(directory.day(day)).expect("it can be opened");
    let mut columns = file.prepare("SELECT name FROM pragma_table_info('exchanges')").expect("a table");
    let columns = columns.query_map([], |row| row.get(0)).expect("columns");
    let columns: Vec<String> = columns.map(|name| name.expect("a name")).collect();
    assert_eq!(columns[0], "id");
    let (all, others) = (columns.join(", "), columns[1..].join(", "));
    for time in 0..times {
        let shift = 1_i64 << (20 + time);
        let insert = format!("INSERT INTO exchanges ({all}) SELECT id + {shift}, {others} FROM exchanges");
        file.execute(&insert, []).expect("it can be written");
    }
}

type Question = fn(&Reading) -> Result<usize, StoreError>;

/// Questions that read every row, and find none.
const THOROUGH: [Question; 3] = [
    |reading| {
        let filter = Filter { min_duration_us: Some(1 << 40), ..Filter::default() };
        reading.page(&PageQuery { range: EVER, filter, offset: 0, limit: 10 }).map(|page| page.exchanges.len())
    },
    |reading| {
        let filter = Filter { client: Some("tool".into()), min_duration_us: Some(1 << 40), ..Filter::default() };
        reading.top(&TopQuery { range: EVER, filter, by: TopBy::Tokens, limit: 10 }).map(|found| found.len())
    },
    |reading| {
        let page = PageQuery { range: EVER, filter: Filter::default(), offset: 1 << 40, limit: 10 };
        reading.page(&page).map(|page| page.exchanges.len())
    },
];

#[test]
fn a_question_is_given_up_after_its_time_limit_and_the_next_is_answered() {
    const TIMES: u32 = 16;
    let backend = ollama();
    let mut program = Program::before(backend.address);
    let with_product = CHAT.replacen("Host:", "User-Agent: tool/1.0\r\nHost:", 1);
    ask(program.clients, with_product);
    wait_for_rows(program.state(), 1);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    double_rows(program.state(), TIMES);
    println!("questions to {} rows, with a limit of no time and of {TIME_LIMIT:?}", 1 << TIMES);

    let directory = Directory::within(program.state());
    let (hurried, patient) = (Duration::ZERO, Duration::from_secs(600));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let readers = Readers::with_limit(&directory, None, hurried).expect("threads");
        for question in THOROUGH {
            let answer = readers.ask(question).await.expect("few wait");
            assert!(matches!(answer, Err(StoreError::Interrupted)), "{answer:?}");
            assert_eq!(question(&Reading::new(directory.clone(), patient)).expect("in time"), 0);
            // What reads little is done before the first look at the clock.
            assert_eq!(readers.ask(count).await.expect("few wait"), 10);
        }
    });
}

#[test]
fn a_row_of_a_rush_counts_among_failures_for_all_that_it_stands_for() {
    const EACH: u64 = 7;
    let backend = ollama();
    let mut program = Program::before(backend.address);
    for _ in 0..2 {
        ask(program.clients, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    wait_for_rows(program.state(), 2);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let directory = Directory::within(program.state());
    let day = directory.days().last().copied().expect("a day");
    let file = rusqlite::Connection::open(directory.day(day)).expect("it can be opened");
    file.execute("UPDATE exchanges SET weight = ?", [EACH as i64]).expect("it can be written");
    let newest: i64 = file.query_row("SELECT max(id) FROM exchanges", [], |row| row.get(0)).expect("two rows");
    let reading = Reading::new(directory, TIME_LIMIT);
    let found = reading.failures(EVER, &Filter::default()).expect("sound");
    let found: Vec<_> = found.iter().map(|kind| (kind.count, kind.newest.0)).collect();
    assert_eq!(found, [(2 * EACH, newest)]);
}

fn poll<T>(question: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match question.poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

/// Reads ten rows. By their status nothing is summed, so that no total is looked for.
fn count(reading: &Reading) -> usize {
    let filter = Filter { status: Some(200), ..Filter::default() };
    let query = PageQuery { range: EVER, filter, offset: 0, limit: 10 };
    reading.page(&query).expect("sound").exchanges.len()
}
