//! The jobs that run: each is in a table from its request's head to its end.
//!
//! Promises: the thread that serves a job waits for nobody: where somebody reads the job at this instant, the news are
//! published with the next piece. The number of jobs is bounded; those beyond it are counted as lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;

use super::job::{Job, JobKind, JobState};
use crate::exchange::names::NamedModel;
use crate::exchange::record::{Record, Start};
use crate::exchange::vocabulary::{Progress, TransferStep};

/// Jobs at once. A backend pulls a few.
const MAX_JOBS: usize = 256;

/// The span of the recent rate: between this and twice as long.
const RECENT: Duration = Duration::from_secs(15);

/// The jobs that run. Clones share the table.
#[derive(Clone, Debug, Default)]
pub struct RunningJobs(Arc<Mutex<HashMap<u64, Arc<Entry>>>>);

#[derive(Debug)]
struct Entry {
    id: i64,
    kind: JobKind,
    start: Start,
    /// Milliseconds since the epoch.
    started: i64,
    news: Mutex<News>,
}

/// What is known of a job so far.
#[derive(Clone, Debug, Default)]
struct News {
    backend: Option<Arc<str>>,
    model: Option<NamedModel>,
    /// The backend has shown that there is such a model.
    is_confirmed: bool,
    who: Option<Arc<str>>,
    progress: Option<Progress>,
    step: Option<TransferStep>,
    /// Bytes moved at two instants: the recent rate is since the first.
    marks: [Option<(Instant, u64)>; 2],
}

impl RunningJobs {
    /// A job begins; `None` where too many run.
    pub(in crate::history) fn begin(&self, kind: JobKind, start: &Start) -> Option<RunningJob> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = i64::try_from(now.as_millis()).unwrap_or(i64::MAX >> 20);
        // Beside another process too: its exchanges have other numbers.
        let low = (u64::from(std::process::id()).wrapping_mul(0x9e37_79b9) ^ start.id) & 0xf_ffff;
        let id = started << 20 | i64::try_from(low).unwrap_or(0);
        let news = News { who: start.client.clone(), ..News::default() };
        let entry = Arc::new(Entry { id, kind, start: start.clone(), started, news: Mutex::new(news.clone()) });
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MAX_JOBS {
            return None;
        }
        table.insert(start.id, entry.clone());
        Some(RunningJob { table: self.clone(), entry, news })
    }

    /// Every job that runs, the oldest first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Job> {
        // Only pointers are copied under the lock of the table.
        let entries: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let now = Instant::now();
        let mut jobs: Vec<_> = entries.iter().map(|entry| entry.snapshot(now)).collect();
        jobs.sort_by_key(|job| job.id);
        jobs
    }
}

impl Entry {
    fn snapshot(&self, now: Instant) -> Job {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.job(&news, now)
    }

    fn job(&self, news: &News, now: Instant) -> Job {
        let progress = news.progress;
        Job {
            id: self.id,
            kind: self.kind.as_str().into(),
            state: JobState::Running.as_str().into(),
            backend: news.backend.clone(),
            model: news.model.as_ref().filter(|_| news.is_confirmed).map(|model| (&**model).into()),
            who: news.who.clone(),
            trace: self.start.trace,
            started: self.started,
            ended: None,
            bytes_done: progress.map(|it| it.completed.saturating_add(it.found)),
            bytes_total: progress.map(|it| it.total),
            bytes_moved: progress.map(|it| it.completed),
            rate: news.rate(now),
            step: news.step.map(|step| step.as_str().into()),
            status: None,
            error: None,
        }
    }
}

impl News {
    fn advance(&mut self, progress: Progress, now: Instant) {
        self.progress = Some(progress);
        let mark = Some((now, progress.completed));
        match self.marks {
            [None, _] => self.marks = [mark, mark],
            [_, Some((at, _))] if now.saturating_duration_since(at) >= RECENT => self.marks = [self.marks[1], mark],
            _ => {}
        }
    }

    fn rate(&self, now: Instant) -> Option<u64> {
        let (since, before) = self.marks[0]?;
        let moved = self.progress?.completed.saturating_sub(before);
        per_second(moved, now.saturating_duration_since(since))
    }
}

/// `None` for no time at all.
fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    (!time.is_zero()).then(|| (bytes as f64 / time.as_secs_f64()) as u64)
}

/// A job, for the thread that serves it. Dropping it takes the job out of the table.
#[derive(Debug)]
pub(in crate::history) struct RunningJob {
    table: RunningJobs,
    entry: Arc<Entry>,
    news: News,
}

impl RunningJob {
    /// A backend was chosen.
    pub(in crate::history) fn place(&mut self, backend: &Arc<str>) {
        self.news.backend = Some(backend.clone());
        self.publish();
    }

    /// The backend that was chosen.
    pub(in crate::history) fn backend(&self) -> Option<&Arc<str>> {
        self.news.backend.as_ref()
    }

    /// The request names this model; `is_confirmed` where the backend is known to have it.
    pub(in crate::history) fn name(&mut self, model: &NamedModel, is_confirmed: bool) {
        (self.news.model, self.news.is_confirmed) = (Some(model.clone()), is_confirmed);
        self.publish();
    }

    /// It has come so far.
    pub(in crate::history) fn advance(&mut self, progress: Progress) {
        if self.news.progress != Some(progress) {
            self.news.advance(progress, Instant::now());
            // Layers have sizes only where there is such a model.
            self.news.is_confirmed |= progress.total > 0;
            self.publish();
        }
    }

    /// The backend does something else now.
    pub(in crate::history) fn step(&mut self, step: TransferStep) {
        self.news.step = Some(step);
        self.publish();
    }

    /// The job at its end.
    pub(in crate::history) fn end(&self, record: &Record, model: Option<Arc<str>>) -> Job {
        let state = JobState::at_the_end_of(record);
        let job = self.entry.job(&self.news, self.entry.start.at + record.duration);
        let reason = record.error.map_or(record.outcome.as_str(), |error| error.as_str());
        Job {
            state: state.as_str().into(),
            model: model.or(job.model),
            ended: Some(self.entry.started + i64::try_from(record.duration.as_millis()).unwrap_or(0)),
            rate: job.bytes_moved.and_then(|moved| per_second(moved, record.duration)),
            status: Some(record.status),
            error: (state == JobState::Failed).then(|| reason.into()),
            ..job
        }
    }

    fn publish(&self) {
        if let Ok(mut news) = self.entry.news.try_lock() {
            news.clone_from(&self.news);
        }
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.table.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry.start.id);
    }
}
