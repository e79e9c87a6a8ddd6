//! How far work on a whole world is: counted by whoever does it, shown by whoever waits for it.

use crate::object::bytes_in_words;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far work on a whole world is. Clones count the same. It can be looked at from another thread, while
/// [`open_watched`](super::open_watched), a [`Reader`](super::Reader), a copy or a repair counts.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    task: Mutex<Task>,
    /// Records, or bytes.
    steps: Counter,
    ticks: Counter,
    gate: AtomicU8,
}

/// Nobody asked yet whether a world that was read is taken over, nor that it is not.
const OPEN: u8 = 0;
const STOPPED: u8 = 1;
const PASSED: u8 = 2;

/// What is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Task {
    /// Records are read.
    #[default]
    Reading,
    /// A file grows to a size.
    Copying(PathBuf),
    /// A file is searched for records, byte by byte.
    Searching,
    /// Records are put together.
    Joining,
    /// Records are compared with what the database leads to.
    Comparing,
    /// Records are written.
    Writing,
    /// Records move to the archive.
    Archiving,
    /// What was made is read and compared.
    Checking,
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

    fn note(&self, more: u64) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }

    fn begin(&self, of: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }
}

impl Progress {
    /// Of work that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of what is done now is done, of how much: snapshots and log records, or bytes.
    pub fn steps(&self) -> (u64, u64) {
        let (done, of) = self.0.steps.get();
        match &*self.task() {
            Task::Copying(file) => (file.metadata().map_or(0, |file| file.len()).min(of), of),
            _ => (done, of),
        }
    }

    /// Ticks that ran again, and how many are to; none before the first is met.
    pub fn ticks(&self) -> (u64, u64) {
        self.0.ticks.get()
    }

    /// Asks that a world which is being opened is not taken over. Answers whether that came in time; where it did not, the world is
    /// open in a moment.
    pub fn stop(&self) -> bool {
        self.leave_gate(STOPPED)
    }

    /// Whether a world that was read may be taken over; from here on it can't be stopped.
    pub(super) fn pass(&self) -> bool {
        self.leave_gate(PASSED)
    }

    fn leave_gate(&self, to: u8) -> bool {
        let left = self.0.gate.compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire);
        left.map_or_else(|stands| stands == to, |_| true)
    }

    pub(super) fn expect_records(&self, more: u64) {
        self.0.steps.expect(more);
    }

    pub(super) fn note_record(&self) {
        self.0.steps.note(1);
    }

    pub(super) fn expect_ticks(&self, more: u64) {
        self.0.ticks.expect(more);
    }

    pub(super) fn note_tick(&self) {
        self.0.ticks.note(1);
    }

    /// From here on a file grows to so many bytes.
    pub(super) fn begin_copy(&self, to: &Path, bytes: u64) {
        self.begin(Task::Copying(to.to_path_buf()), bytes);
    }

    /// From here on so many bytes are searched.
    pub(super) fn begin_search(&self, bytes: u64) {
        self.begin(Task::Searching, bytes);
    }

    /// So many bytes more were searched.
    pub(super) fn note_searched(&self, bytes: u64) {
        self.0.steps.note(bytes);
    }

    /// From here on so many records are put together.
    pub(super) fn begin_joining(&self, records: u64) {
        self.begin(Task::Joining, records);
    }

    /// From here on so many records are compared with what the database leads to.
    pub(super) fn begin_comparing(&self, records: u64) {
        self.begin(Task::Comparing, records);
    }

    /// From here on so many records are written.
    pub(super) fn begin_writing(&self, records: u64) {
        self.begin(Task::Writing, records);
    }

    /// From here on so many records move to the archive.
    pub(super) fn begin_archiving(&self, records: u64) {
        self.begin(Task::Archiving, records);
    }

    /// From here on what was made is read and compared.
    pub(super) fn begin_check(&self) {
        self.begin(Task::Checking, 0);
    }

    fn begin(&self, task: Task, of: u64) {
        *self.task() = task;
        self.0.steps.begin(of);
        self.0.ticks.begin(0);
    }

    fn task(&self) -> MutexGuard<'_, Task> {
        self.0.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((done, of), (ticks, of_ticks)) = (self.steps(), self.ticks());
        let task = self.task().clone();
        match task {
            Task::Copying(_) | Task::Searching => {
                let what = if task == Task::Searching { "the file is searched" } else { "the world is copied" };
                return write!(f, "{what}: {} of {}", bytes_in_words(done), bytes_in_words(of));
            }
            Task::Reading => f.write_str("the world is read")?,
            Task::Joining => f.write_str("what was found is put together")?,
            Task::Comparing => f.write_str("what was found is compared with the database")?,
            Task::Archiving => f.write_str("the log is archived")?,
            Task::Writing => f.write_str("the new world is written")?,
            Task::Checking => f.write_str("what was made is checked")?,
        }
        write!(f, ": {done} of {of} records")?;
        if of_ticks > 0 { write!(f, ", {ticks} of {of_ticks} ticks run again") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_stopped_or_taken_over_whichever_comes_first() {
        let [stopped, passed] = [Progress::new(), Progress::new()];
        assert!(stopped.stop() && stopped.stop() && !stopped.clone().pass());
        assert!(passed.pass() && !passed.stop());
    }

    #[test]
    fn each_task_is_told_in_its_own_words_and_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy");
        let progress = Progress::new();
        progress.expect_records(9);
        progress.note_record();
        progress.expect_ticks(2);
        assert_eq!(progress.to_string(), "the world is read: 1 of 9 records, 0 of 2 ticks run again");
        progress.begin_copy(&file, 8_000);
        assert_eq!(progress.to_string(), "the world is copied: 0 bytes of 7 KiB");
        std::fs::write(&file, [0; 5_000]).unwrap();
        assert_eq!(progress.to_string(), "the world is copied: 4 KiB of 7 KiB");
        progress.begin_search(9_000);
        progress.clone().note_searched(6_000);
        assert_eq!(progress.to_string(), "the file is searched: 5 KiB of 8 KiB");
        progress.begin_check();
        progress.expect_records(3);
        assert_eq!(progress.to_string(), "what was made is checked: 0 of 3 records");
    }
}
