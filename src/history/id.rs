//! The ids of stored exchanges: when one ended, which process wrote it, and a number within the millisecond.
//!
//! Promises: unique in a directory however many processes write to it; ascending for each process number, so that a
//! cursor for each number misses nothing; as close to the wall clock as that allows.

/// An id: the milliseconds since the epoch above bit 20, the process number in 4 bits, a sequence in 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub i64);

/// Bits below the milliseconds.
const MILLIS_SHIFT: u32 = 20;
/// Bits below the process number.
const PROCESS_SHIFT: u32 = 16;

/// How many processes may write to one directory at the same time.
pub const MAX_PROCESSES: u8 = 16;

/// The number of a process among those that write to one directory, below [`MAX_PROCESSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessNumber(pub u8);

impl RowId {
    /// The lowest id of a millisecond.
    #[must_use]
    pub const fn first_of(millis: i64) -> Self {
        Self(millis << MILLIS_SHIFT)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0 >> MILLIS_SHIFT
    }

    /// The process that wrote it.
    #[must_use]
    pub const fn process(self) -> ProcessNumber {
        ProcessNumber((self.0 >> PROCESS_SHIFT & 15) as u8)
    }
}

/// Makes the ids of one process.
#[derive(Debug)]
pub(super) struct IdSource {
    process: ProcessNumber,
    last: RowId,
}

impl IdSource {
    /// Makes ids above `last`.
    pub(super) fn after(process: ProcessNumber, last: RowId) -> Self {
        Self { process, last }
    }

    /// The id of an exchange that ended at this time: where the clock has gone back, or a millisecond is full, the id
    /// after the last.
    pub(super) fn next(&mut self, millis: i64) -> RowId {
        let process = i64::from(self.process.0) << PROCESS_SHIFT;
        let wanted = RowId(RowId::first_of(millis).0 | process);
        let following = match self.last.0 & 0xffff {
            0xffff => RowId::first_of(self.last.millis() + 1).0 | process,
            _ if self.last.process() == self.process => self.last.0 + 1,
            _ => RowId::first_of(self.last.millis() + 1).0 | process,
        };
        self.last = if wanted > self.last { wanted } else { RowId(following) };
        self.last
    }

    pub(super) fn last(&self) -> RowId {
        self.last
    }

    pub(super) fn process(&self) -> ProcessNumber {
        self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut ids = IdSource::after(ProcessNumber(3), RowId(0));
        let all: Vec<_> = [5_000, 5_000, 5_001, 1_000, 1_001, 5_002].map(|millis| ids.next(millis)).into();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!(all.iter().map(|id| id.millis()).collect::<Vec<_>>(), [5_000, 5_000, 5_001, 5_001, 5_001, 5_002]);
        assert!(all.iter().all(|id| id.process() == ProcessNumber(3)));
    }

    #[test]
    fn a_full_millisecond_goes_on_in_the_next() {
        let mut ids = IdSource::after(ProcessNumber(15), RowId(0));
        let all: Vec<_> = (0..70_000).map(|_| ids.next(9)).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(all.last().map(|id| (id.millis(), id.process())), Some((10, ProcessNumber(15))));
    }

    #[test]
    fn processes_never_make_the_same_id() {
        let mut one = IdSource::after(ProcessNumber(0), RowId(0));
        let mut other = IdSource::after(ProcessNumber(1), RowId(0));
        let ids: std::collections::BTreeSet<_> = (0..1_000).flat_map(|_| [one.next(7), other.next(7)]).collect();
        assert_eq!(ids.len(), 2_000);
        // Also where one follows the ids of the other.
        let mut third = IdSource::after(ProcessNumber(2), other.last());
        assert!(third.next(7).process() == ProcessNumber(2) && !ids.contains(&third.last()));
    }
}
