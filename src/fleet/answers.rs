//! Which backend has which earlier answer, by the answer's id: responses that are stored, files, requests in progress.
//!
//! Ids are learnt as they pass, and are kept as keyed hashes, never as text. Memory is fixed, and reading and writing take
//! no lock: an entry is two words, of which the first is the hash mixed with the second, so a reader that sees halves of
//! two entries sees neither (Hyatt and Mann: A lockless transposition-table implementation for parallel search, 2002). An
//! id that is not known is one that was never seen, or long ago, or that others have displaced.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most ids that are known at once.
const ENTRIES: usize = 1 << 16;

/// Entries among which one id may be: where all are taken, the oldest goes.
const WAYS: usize = 8;

/// How long an id is known after it was last seen.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// Bits of the time at which an id was seen, in seconds; the others of the word are of the backend.
const TIME_BITS: u32 = 24;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// The backends of earlier answers.
#[derive(Debug)]
pub(super) struct Answers {
    anchor: Instant,
    keys: RandomState,
    /// Allocated with the first id, so never with one backend.
    entries: OnceLock<Box<[Entry]>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The hash of the id, mixed with the other word.
    check: AtomicU64,
    /// Bits of the hash of the backend's name, above the time. Zero is empty.
    word: AtomicU64,
}

impl Answers {
    pub(super) fn new(anchor: Instant) -> Self {
        Self { anchor, keys: RandomState::new(), entries: OnceLock::new() }
    }

    /// The backend has an answer with this id.
    pub(super) fn learn(&self, id: &[u8], backend: &str, now: Instant) {
        let hash = self.keys.hash_one(id);
        let set = set(self.entries.get_or_init(|| (0..ENTRIES).map(|_| Entry::default()).collect()), hash);
        let time = self.time(now);
        let age = |entry: &Entry| match entry.load() {
            (known, _) if known == hash => u64::MAX,
            (_, 0) => u64::MAX - 1,
            (_, word) => time.wrapping_sub(word) & TIME,
        };
        let Some(entry) = set.iter().max_by_key(|entry| age(entry)) else { return };
        entry.store(hash, self.owner(backend) | time);
    }

    /// Of these backends the one that has the answer with this id.
    pub(super) fn holder<'a>(
        &self,
        id: &[u8],
        mut backends: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> Option<&'a str> {
        let hash = self.keys.hash_one(id);
        let set = set(self.entries.get()?, hash);
        let word = set.iter().map(Entry::load).find(|(known, word)| *known == hash && *word != 0)?.1;
        let is_young = self.time(now).wrapping_sub(word) & TIME <= LIFE.as_secs();
        backends.find(|backend| is_young && self.owner(backend) == word & !TIME)
    }

    /// Seconds since the anchor. They repeat after half a year, when an entry of that age may look young: its backend then
    /// says that it does not know the id.
    fn time(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.anchor).as_secs() & TIME
    }

    /// 40 bits: two of 256 names share them once in 30 million fleets.
    fn owner(&self, backend: &str) -> u64 {
        (self.keys.hash_one(backend) | 1 << TIME_BITS) & !TIME
    }
}

impl Entry {
    /// The hash and the word, which belong together if the hash is the one that is looked for.
    fn load(&self) -> (u64, u64) {
        let word = self.word.load(Ordering::Relaxed);
        (self.check.load(Ordering::Relaxed) ^ word, word)
    }

    fn store(&self, hash: u64, word: u64) {
        self.check.store(hash ^ word, Ordering::Relaxed);
        self.word.store(word, Ordering::Relaxed);
    }
}

fn set(entries: &[Entry], hash: u64) -> &[Entry] {
    let sets = (ENTRIES / WAYS) as u64;
    let first = (hash % sets) as usize * WAYS;
    &entries[first..first + WAYS]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKENDS: [&str; 3] = ["one", "other", "third"];

    fn holder(answers: &Answers, id: &str, now: Instant) -> Option<&'static str> {
        answers.holder(id.as_bytes(), BACKENDS.into_iter(), now)
    }

    #[test]
    fn an_id_is_known_for_an_hour_after_it_was_last_seen() {
        let start = Instant::now();
        let answers = Answers::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(holder(&answers, "resp_1", start), None);
        answers.learn(b"resp_1", "one", start);
        answers.learn(b"resp_2", "other", start);
        assert_eq!(
            ["resp_1", "resp_2", "resp_3"].map(|id| holder(&answers, id, after(3600))),
            [Some("one"), Some("other"), None]
        );
        assert_eq!(holder(&answers, "resp_1", after(3601)), None);
        answers.learn(b"resp_2", "third", after(3000));
        assert_eq!(holder(&answers, "resp_2", after(6600)), Some("third"), "the latest counts");
        assert_eq!(answers.holder(b"resp_2", ["one"].into_iter(), after(3000)), None, "its backend is gone");
    }

    #[test]
    fn an_id_that_is_seen_often_takes_one_place() {
        let start = Instant::now();
        let answers = Answers::new(start);
        (0..100).for_each(|_| answers.learn(b"resp_1", "one", start));
        let taken = answers.entries.get().expect("made").iter().filter(|entry| entry.load().1 != 0).count();
        assert_eq!(taken, 1);
    }

    #[test]
    fn memory_is_fixed_and_the_oldest_ids_go_first() {
        let start = Instant::now();
        let answers = Answers::new(start);
        for number in 0..10 * ENTRIES as u64 {
            let now = start + Duration::from_millis(number);
            answers.learn(format!("resp_{number}").as_bytes(), BACKENDS[number as usize % 3], now);
        }
        let end = start + Duration::from_millis(10 * ENTRIES as u64);
        let known = |number: u64| match holder(&answers, &format!("resp_{number}"), end) {
            Some(backend) => usize::from(backend == BACKENDS[number as usize % 3]),
            None => 0,
        };
        let of = |numbers: std::ops::Range<u64>| numbers.map(known).sum::<usize>();
        let (latest, all) =
            (of(9 * ENTRIES as u64 + ENTRIES as u64 / 2..10 * ENTRIES as u64), of(0..10 * ENTRIES as u64));
        let bytes = answers.entries.get().expect("made").len() * size_of::<Entry>();
        println!("{ENTRIES} ids in {bytes} bytes: of the latest half {latest} are known, of ten times as many {all}");
        assert_eq!(bytes, 1 << 20);
        assert!(latest > ENTRIES / 2 * 9 / 10 && all <= ENTRIES, "{latest} {all}");
    }

    #[test]
    fn threads_that_write_at_once_leave_no_wrong_answer() {
        let start = Instant::now();
        let answers = Answers::new(start);
        std::thread::scope(|scope| {
            for (at, backend) in BACKENDS.into_iter().enumerate() {
                let answers = &answers;
                scope.spawn(move || {
                    for number in 0..100_000 {
                        let id = format!("{at}-{}", number % 5_000);
                        answers.learn(id.as_bytes(), backend, start);
                        let other = format!("{}-{}", number % 3, number % 5_000);
                        let known = holder(answers, &other, start);
                        assert!(known.is_none_or(|known| known == BACKENDS[number % 3]), "{other}: {known:?}");
                    }
                });
            }
        });
    }
}
