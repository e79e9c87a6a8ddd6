//! How far the reading of a world is: counted by whoever reads it, shown by whoever waits for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a world is read. It can be looked at from another thread, while [`open_watched`](super::open_watched) or a
/// [`Reader`](super::Reader) counts.
#[derive(Debug, Default)]
pub struct Progress {
    records: Counter,
    ticks: Counter,
}

#[derive(Debug, Default)]
struct Counter {
    done: AtomicU64,
    /// May grow: how many ticks run again shows when the first of them is met.
    of: AtomicU64,
}

impl Counter {
    fn expect(&self, more: u64) {
        self.of.fetch_add(more, Ordering::Relaxed);
    }

    fn note(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }
}

impl Progress {
    /// Of a reading that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Snapshots and log records that are read, and how many there are to read.
    pub fn records(&self) -> (u64, u64) {
        self.records.get()
    }

    /// Ticks that ran again, and how many are to; none before the first is met.
    pub fn ticks(&self) -> (u64, u64) {
        self.ticks.get()
    }

    pub(super) fn expect_records(&self, more: u64) {
        self.records.expect(more);
    }

    pub(super) fn note_record(&self) {
        self.records.note();
    }

    pub(super) fn expect_ticks(&self, more: u64) {
        self.ticks.expect(more);
    }

    pub(super) fn note_tick(&self) {
        self.ticks.note();
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((read, of), (ticks, of_ticks)) = (self.records(), self.ticks());
        write!(f, "{read} of {of} records")?;
        if of_ticks > 0 { write!(f, ", {ticks} of {of_ticks} ticks run again") } else { Ok(()) }
    }
}
