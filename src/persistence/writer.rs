//! The order of commits, what of them is durable, and the Fence: the way back after a commit or a sync that failed.
//!
//! Two protocols. *Plain*: a commit that returned is durable. *Lagging*: a commit that returned is durable once a later one,
//! or a sync, has returned, so that under load each batch costs one flush of the disk instead of two. LMDB then writes its
//! meta page without waiting for it; the flush of the next commit carries it along. A commit that has no other behind it is plain
//! also where the protocol is lagging. `docs/durability.md` tells why both keep their word.

use super::batch::{Batch, Records};
use std::collections::VecDeque;

/// Where batches go. Tests have one that fails or waits when told to.
pub(super) trait Shelf: Send {
    /// Writes a batch, all of it or nothing. Answers whether it is durable; it is unless it `may_lag`.
    ///
    /// # Errors
    /// In words. What became of the batch is not known then, and nothing may be written before [`Shelf::reopen`].
    fn write(&mut self, batch: &Batch, meta: &[u8], may_lag: bool) -> Result<bool, String>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// As for [`Shelf::write`]. Another sync proves nothing: the system may take the pages for written.
    fn sync(&mut self) -> Result<(), String>;

    /// Closes, and opens anew for the plain protocol. Answers where the log ends there.
    ///
    /// # Errors
    /// In words; it can be tried again.
    fn reopen(&mut self) -> Result<LogEnd, String>;

    /// The end of it.
    fn close(self: Box<Self>);
}

/// The last position of a log, and the chain value there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogEnd {
    pub(super) position: u64,
    pub(super) chain: u64,
}

/// One transaction, and what to tell when it is durable.
#[derive(Debug)]
pub(super) struct Commit<N> {
    pub(super) batch: Batch,
    pub(super) meta: Vec<u8>,
    /// Whether it may become durable by the one behind it.
    pub(super) may_lag: bool,
    /// Where the log ends with it.
    pub(super) end: LogEnd,
    pub(super) news: N,
}

/// Writes commits one after the other.
pub(super) struct Writer<N> {
    shelf: Box<dyn Shelf>,
    /// Where the log ended with the last commit that is durable for certain.
    sure: LogEnd,
    /// Commits after it, in order: at most one, unless something failed.
    unsure: VecDeque<Commit<N>>,
    /// Memory of a commit that is durable.
    spare: Option<Records>,
    /// Whether something failed, and no fence since.
    failed: bool,
}

impl<N> Writer<N> {
    /// A writer to a log that ends so, durably.
    pub(super) fn new(shelf: Box<dyn Shelf>, sure: LogEnd) -> Self {
        Self { shelf, sure, unsure: VecDeque::new(), spare: None, failed: false }
    }

    /// Writes a commit. Answers the news of those that are durable now: this one, or the one before it.
    ///
    /// # Errors
    /// In words. Then only [`Writer::fence`] leads on: what is ordered before is kept for it, and nothing is written.
    pub(super) fn write(&mut self, commit: Commit<N>) -> Result<Vec<N>, String> {
        self.unsure.push_back(commit);
        self.go_on()?;
        let Some(Commit { batch, meta, may_lag, .. }) = self.unsure.back() else { return Ok(Vec::new()) };
        let written = self.shelf.write(batch, meta, *may_lag);
        self.failed = written.is_err();
        Ok(self.release(usize::from(!written?)))
    }

    fn go_on(&self) -> Result<(), String> {
        if self.failed { Err("what came before failed".into()) } else { Ok(()) }
    }

    /// Where the log ended with the last commit that is durable for certain.
    pub(super) fn sure(&self) -> LogEnd {
        self.sure
    }

    /// Whether everything that was written is durable.
    pub(super) fn is_settled(&self) -> bool {
        self.unsure.is_empty()
    }

    /// Makes everything durable, and answers the news of what was not.
    ///
    /// # Errors
    /// As for [`Writer::write`].
    pub(super) fn settle(&mut self) -> Result<Vec<N>, String> {
        self.go_on()?;
        if !self.is_settled() {
            let synced = self.shelf.sync();
            self.failed = synced.is_err();
            synced?;
        }
        Ok(self.release(0))
    }

    /// A commit that belongs behind all others but is not written yet: the next [`Writer::fence`] writes it.
    pub(super) fn add_unwritten(&mut self, commit: Commit<N>) {
        self.unsure.push_back(commit);
    }

    /// After a failure: opens anew, plain, looks what is there, writes what is not, and makes all of it durable. Only then is
    /// anything told. What the system shows after a failed sync may be on no disk; so the last commit must be one that is
    /// written now, by a file that was opened now.
    ///
    /// # Errors
    /// In words. It can be tried again.
    pub(super) fn fence(&mut self) -> Result<Vec<N>, String> {
        let found = self.shelf.reopen()?;
        if found != self.sure && self.unsure.iter().all(|commit| commit.end != found) {
            return Err(format!("the log ends at {} and in no way that it was written", found.position));
        }
        let mut whole = Batch::default();
        self.unsure.iter().for_each(|commit| whole.extend(&commit.batch, found.position));
        if let Some(last) = self.unsure.back() {
            self.shelf.write(&whole, &last.meta, false)?;
            self.shelf.sync()?;
        }
        self.failed = false;
        Ok(self.release(0))
    }

    /// Memory that is not needed any more, empty.
    pub(super) fn take_spare(&mut self) -> Option<Records> {
        let mut spare = self.spare.take()?;
        spare.clear();
        Some(spare)
    }

    /// Closes the shelf.
    pub(super) fn close(self) {
        self.shelf.close();
    }

    fn release(&mut self, but: usize) -> Vec<N> {
        let sure = self.unsure.len().saturating_sub(but);
        self.unsure
            .drain(..sure)
            .map(|Commit { end, news, batch, .. }| {
                self.sure = end;
                self.spare = Some(batch.heartwood);
                news
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A disk that takes what it is told to take.
    #[derive(Default)]
    struct Disk {
        plain: bool,
        /// How the next calls end; afterwards all is well. A failed write may have come to the disk.
        fails: VecDeque<Option<bool>>,
        written: Vec<u64>,
        calls: Vec<&'static str>,
    }

    #[derive(Clone, Default)]
    struct Stub(Arc<Mutex<Disk>>);

    impl Stub {
        fn call(&self, what: &'static str, batch: &[u64]) -> Result<(), String> {
            let mut disk = self.0.lock().unwrap();
            disk.calls.push(what);
            let end = disk.fails.pop_front().flatten();
            if end != Some(false) {
                disk.written.extend(batch);
            }
            if end.is_some() { Err(format!("{what} failed")) } else { Ok(()) }
        }
    }

    impl Shelf for Stub {
        fn write(&mut self, batch: &Batch, _: &[u8], may_lag: bool) -> Result<bool, String> {
            let is_durable = !may_lag || self.0.lock().unwrap().plain;
            self.call("write", &batch.heartwood.iter().map(|(position, _)| position).collect::<Vec<_>>())?;
            Ok(is_durable)
        }

        fn sync(&mut self) -> Result<(), String> {
            self.call("sync", &[])
        }

        fn reopen(&mut self) -> Result<LogEnd, String> {
            self.call("reopen", &[])?;
            let mut disk = self.0.lock().unwrap();
            disk.plain = true;
            Ok(end(disk.written.last().copied().unwrap_or(0)))
        }

        fn close(self: Box<Self>) {}
    }

    fn end(position: u64) -> LogEnd {
        LogEnd { position, chain: position * 7 }
    }

    fn commit(position: u64) -> Commit<u64> {
        let mut batch = Batch::default();
        batch.heartwood.push_bytes(position, &[]);
        Commit { batch, meta: vec![], may_lag: true, end: end(position), news: position }
    }

    fn writer(plain: bool, fails: &[Option<bool>]) -> (Writer<u64>, Stub) {
        let stub = Stub::default();
        *stub.0.lock().unwrap() = Disk { plain, fails: fails.iter().copied().collect(), ..Disk::default() };
        (Writer::new(Box::new(stub.clone()), end(0)), stub)
    }

    #[test]
    fn a_plain_commit_is_told_at_once_and_a_lagging_one_with_the_next() {
        let (mut plain, _) = writer(true, &[]);
        assert_eq!(plain.write(commit(1)), Ok(vec![1]));
        let (mut lagging, stub) = writer(false, &[]);
        assert_eq!(lagging.write(commit(1)), Ok(vec![]));
        assert!(!lagging.is_settled());
        assert_eq!(lagging.write(commit(2)), Ok(vec![1]));
        assert_eq!(lagging.settle(), Ok(vec![2]));
        assert_eq!(lagging.settle(), Ok(vec![]), "nothing is left to sync");
        assert_eq!(stub.0.lock().unwrap().calls, ["write", "write", "sync"]);
    }

    #[test]
    fn a_commit_that_may_not_lag_is_told_at_once_and_takes_the_one_before_along() {
        let (mut writer, stub) = writer(false, &[]);
        assert_eq!(writer.write(commit(1)), Ok(vec![]));
        assert_eq!(writer.write(Commit { may_lag: false, ..commit(2) }), Ok(vec![1, 2]));
        assert!(writer.is_settled());
        assert_eq!(stub.0.lock().unwrap().calls, ["write", "write"]);
    }

    #[test]
    fn after_a_failure_nothing_is_written_before_the_fence() {
        for ordered in [true, false] {
            let (mut writer, stub) = writer(false, &[Some(false)]);
            assert!(writer.write(commit(1)).is_err());
            // It was ordered before anybody heard of the failure.
            assert!(if ordered { writer.write(commit(2)) } else { writer.settle() }.is_err());
            assert_eq!(stub.0.lock().unwrap().calls, ["write"]);
            let told = if ordered { vec![1, 2] } else { vec![1] };
            assert_eq!(writer.fence(), Ok(told.clone()));
            assert_eq!(stub.0.lock().unwrap().written, told);
            assert!(writer.is_settled());
            assert_eq!(writer.write(commit(3)), Ok(vec![3]), "it goes on, plain");
        }
    }

    #[test]
    fn whatever_a_failed_call_left_behind_is_there_once_and_told_after_the_fence() {
        // The third call fails: a write that came to the disk, or did not, or a sync.
        for fail in [Some(true), Some(false)] {
            let (mut writer, stub) = writer(false, &[None, None, fail]);
            assert_eq!(writer.write(commit(1)), Ok(vec![]));
            assert_eq!(writer.write(commit(2)), Ok(vec![1]));
            assert!(writer.write(commit(3)).is_err());
            writer.add_unwritten(commit(4));
            assert_eq!(writer.fence(), Ok(vec![2, 3, 4]));
            assert_eq!(stub.0.lock().unwrap().written, [1, 2, 3, 4]);
            assert_eq!(writer.write(commit(5)), Ok(vec![5]), "plain from here on");
        }
        let (mut writer, stub) = writer(false, &[None, Some(false)]);
        assert_eq!(writer.write(commit(1)), Ok(vec![]));
        assert!(writer.settle().is_err());
        writer.add_unwritten(commit(2));
        assert_eq!(writer.fence(), Ok(vec![1, 2]));
        assert_eq!(stub.0.lock().unwrap().written, [1, 2]);
    }

    #[test]
    fn the_fence_fails_at_each_of_its_steps_and_tells_nothing_until_it_holds() {
        for step in 0..3 {
            let mut fails = vec![None, Some(false)];
            fails.extend(vec![None; step]);
            fails.push(Some(false));
            let (mut writer, stub) = writer(false, &fails);
            assert_eq!(writer.write(commit(1)), Ok(vec![]));
            assert!(writer.write(commit(2)).is_err());
            writer.add_unwritten(commit(3));
            assert!(writer.fence().is_err(), "step {step}");
            assert_eq!(writer.fence(), Ok(vec![1, 2, 3]));
            assert_eq!(stub.0.lock().unwrap().written, [1, 2, 3]);
        }
    }

    #[test]
    fn a_log_that_ends_in_no_known_way_is_not_written() {
        let (mut writer, stub) = writer(false, &[None, Some(false)]);
        assert_eq!(writer.write(commit(1)), Ok(vec![]));
        assert!(writer.write(commit(2)).is_err());
        stub.0.lock().unwrap().written.push(9);
        assert!(writer.fence().is_err());
        assert_eq!(stub.0.lock().unwrap().written, [1, 9]);
    }
}
