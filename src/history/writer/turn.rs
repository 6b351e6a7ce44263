//! One turn: take, open if need be, write, merge, and look for what is too old.

use std::path::Path;
use std::time::Instant;

use super::moment::Moment;
use super::waiting::Waiting;
use super::{MAX_ROWS, MAX_WAITING, Writer};
use crate::history::day::Day;
use crate::history::journal::event::{Event, EventKind};
use crate::history::rollup::Step;
use crate::history::row::Entry;
use crate::history::state::{Activity, Dropped, Pause};
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::writer::{Store, put_aside};
use crate::history::tops::{Candidate, TopBy};

/// How far the wall clock may go back without notice, in milliseconds: a correction, not a jump.
const JUMP: i64 = 1_000;

impl Writer {
    pub(super) fn turn(&mut self, is_last: bool) {
        let is_due = self.due.retry <= Instant::now() || is_last;
        // Opening takes its time: rows that come meanwhile are taken below, and written in this turn.
        let opened = if is_due { self.open(self.moment().wall) } else { Ok(()) };
        let moment = self.moment();
        let Moment { now, wall } = moment;
        self.went_back |= wall < std::mem::replace(&mut self.last_wall, wall) - JUMP;
        // Before rows of the new time get ids.
        if is_due
            && self.went_back
            && let Err(error) = self.follow_clock(wall)
        {
            self.fail(error, now, wall);
        }
        self.take(moment);
        self.sample(now);
        self.take_journal(moment);
        self.last_turn = now;
        if is_due && let Err(error) = opened.and_then(|()| self.write(now, wall, is_last)) {
            self.fail(error, now, wall);
        }
        self.shed();
        self.state.set_waiting(self.ring.len() + self.waiting.len());
    }

    /// After the clock has gone back: finishes what has the old time, and takes another number.
    fn follow_clock(&mut self, wall: i64) -> Result<(), StoreError> {
        self.insert(wall)?;
        self.merge(wall)?;
        if let Some(store) = &mut self.store {
            store.renumber(wall)?;
            tracing::warn!("the clock of this machine went back, and the history follows it");
        }
        self.went_back = false;
        Ok(())
    }

    /// Writes the last rows and sums, and closes the account.
    pub(super) fn close(mut self) {
        if let Some(store) = self.store.take().filter(|_| self.waiting.is_empty() && self.rollups.is_empty())
            && let Err(error) = store.close()
        {
            tracing::warn!(%error, "the history was not closed; the next start looks through what was written last");
        }
    }

    fn write(&mut self, now: Instant, wall: i64, is_last: bool) -> Result<(), StoreError> {
        self.insert(wall)?;
        self.write_journal()?;
        if !self.state.is_paused() {
            // The first look for what is too old takes longer.
            self.state.set_activity(Activity::Writing);
        }
        self.look_at_settling()?;
        if is_last || self.due.merge <= now {
            self.due.merge = now + self.pace.merge;
            self.merge(wall)?;
        }
        if is_last {
            self.merge_machine()?;
        }
        if self.due.retain <= now && !is_last {
            self.due.retain = now + self.pace.retain;
            self.merge_machine()?;
            self.retain(wall)?;
            self.state.set_removes(wall + i64::try_from(self.pace.retain.as_millis()).unwrap_or(0));
            self.doubted = None;
        }
        let was_paused = self.state.is_paused();
        if self.state.set_activity(Activity::Writing) && was_paused {
            tracing::info!("finished exchanges are being written to the history again");
            self.note(wall, Event::new(EventKind::HistoryResumed));
            self.write_journal()?;
        }
        Ok(())
    }

    fn open(&mut self, wall: i64) -> Result<(), StoreError> {
        if self.store.is_some() {
            return Ok(());
        }
        let none = || StoreError::Paused(Pause::NoDirectory, "set data_dir: no directory is known".to_owned());
        let directory = Directory::within(self.settings.directory.as_deref().ok_or_else(none)?);
        self.store = Some(Store::open(directory, self.ring.names.clone(), wall)?);
        self.ran = [i64::MIN; 2];
        Ok(())
    }

    /// Looks for what has become of the accounts of processes that died.
    fn look_at_settling(&mut self) -> Result<(), StoreError> {
        let why = match self.store.as_mut().and_then(Store::settled) {
            None => return Ok(()),
            Some(Ok(rows)) => {
                if rows > 0 {
                    tracing::info!(rows, "a run of the program ended unexpectedly: its last exchanges were summed");
                }
                None
            }
            Some(Err(error @ StoreError::Damaged(..))) => return Err(error),
            Some(Err(error)) => Some(error.to_string()),
        };
        // It is tried again with the next look for what is too old.
        if let Some(why) = why.as_ref().filter(|_| self.unsettled != why) {
            tracing::warn!(why, "the last exchanges of a run that ended unexpectedly cannot be summed for now");
        }
        self.unsettled = why;
        Ok(())
    }

    /// Inserts everything that waits, at most [`MAX_ROWS`] of one day at a time.
    fn insert(&mut self, wall: i64) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        store.restore()?;
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_ROWS);
            let ids: Vec<_> = self.waiting.iter().take(count).map(|waiting| store.next_id(waiting.ended)).collect();
            let day = Day::of(ids[0].millis());
            let same_day = ids.iter().take_while(|id| Day::of(id.millis()) == day).count();
            let batch: Vec<_> = ids.iter().zip(&self.waiting).take(same_day).collect();
            let rows: Vec<_> =
                batch.iter().map(|(id, it)| Entry { id: **id, weight: it.weight, row: it.row }).collect();
            store.insert(day, &rows)?;
            for (id, waiting) in batch {
                self.candidates.extend(candidates(*id, waiting));
            }
            self.waiting.drain(..same_day);
            self.state.committed(same_day as u64, wall);
        }
        Ok(())
    }

    /// Adds the sums to those in the file; notes that the program ran.
    fn merge(&mut self, wall: i64) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let ran = Step::ALL.map(|step| step.begin(wall));
        if self.rollups.is_empty() && self.candidates.is_empty() && ran == self.ran {
            return Ok(());
        }
        store.merge(&self.rollups, &self.candidates, ran)?;
        self.ran = ran;
        self.rollups.clear();
        self.candidates.clear();
        Ok(())
    }

    /// Pauses, or puts a damaged file aside.
    fn fail(&mut self, error: StoreError, now: Instant, wall: i64) {
        let text = error.to_string();
        let (pause, text) = match error {
            StoreError::Paused(pause, _) => (pause, text),
            StoreError::Interrupted => (Pause::Busy, text),
            StoreError::Damaged(path, _) => match self.replace_damaged(&path, &text, wall) {
                Ok(()) => return,
                Err(text) => (Pause::Failing, text),
            },
        };
        let text: Box<str> = text.into();
        self.due.retry = now + self.pace.retry;
        if self.state.set_activity(Activity::Paused(pause, text.clone())) {
            self.note(wall, Event::new(EventKind::HistoryPaused).about(pause.as_str()));
            tracing::error!(
                reason = pause.as_str(),
                %text,
                "the history is paused, and everything else goes on: exchanges are lost to it once more wait than can be kept"
            );
        }
    }

    /// Puts a damaged file aside. One that every check finds sound is opened once more, as another process may have replaced
    /// it; after that it is left alone. Returns why it could not be replaced.
    fn replace_damaged(&mut self, path: &Path, text: &str, wall: i64) -> Result<(), String> {
        let is_main = path.ends_with("main.db");
        let aside = put_aside(path, wall).map_err(|error| format!("{text}; it could not be put aside: {error}"))?;
        self.forget_file(path, is_main);
        if let Some(aside) = aside {
            self.doubted = None;
            self.state.damaged();
            let file = if is_main { "main.db" } else { "exchanges" };
            self.note(wall, Event::new(EventKind::HistoryDamaged).about(file));
            let aside = aside.display();
            tracing::error!(%text, %aside, "a file of the history is damaged: it was put aside, and a new one begins");
            return Ok(());
        }
        if self.doubted.as_deref() == Some(path) {
            return Err(format!(
                "{text}; no check finds the damage, so the file stays: rename it, and a new one begins"
            ));
        }
        self.doubted = Some(path.to_owned());
        Ok(())
    }

    /// Lets go of a file that was put aside. With `main.db` goes the account of this process.
    fn forget_file(&mut self, path: &Path, is_main: bool) {
        if is_main {
            self.store = None;
        } else if let Some(store) = &mut self.store {
            store.forget_day(path);
        }
    }

    /// Drops the oldest rows beyond what may wait.
    fn shed(&mut self) {
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        if excess > 0 {
            self.waiting.drain(..excess);
            self.state.dropped(Dropped::Paused, excess as u64);
        }
    }
}

fn candidates(id: crate::history::id::RowId, waiting: &Waiting) -> impl Iterator<Item = Candidate> {
    let hour = Step::Hour.begin(id.millis());
    let of = move |(by, value): (TopBy, Option<i64>)| value.map(|value| Candidate { hour, by, value, id });
    TopBy::ALL.into_iter().zip(waiting.tops).filter_map(of)
}
