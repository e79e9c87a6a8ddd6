//! Work shared out among threads, its results taken in order. Knows nothing of what the work is.
//!
//! One thread fetches items and takes results; between the two each item is worked on by itself, in chunks, by whichever
//! thread is free, the first one included. So nobody only waits, and with a single processor no thread is started.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use std::collections::VecDeque;
use std::num::NonZero;
use std::thread;

/// More threads than this would wait for the one that takes the results.
const MOST_WORKERS: usize = 7;

/// How work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sharing {
    /// Threads beside the one that fetches and takes.
    pub(super) workers: usize,
    /// A chunk ends with the item that fills it up to so many bytes.
    pub(super) chunk_bytes: usize,
    /// No further chunk is begun while those that were fetched and not taken have so many bytes.
    pub(super) ahead_bytes: usize,
}

impl Sharing {
    /// A thread for each processor. So much is fetched ahead that the others go on while one of them waits for its processor.
    pub(super) fn usual() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self { workers: (processors - 1).min(MOST_WORKERS), chunk_bytes: 64 << 10, ahead_bytes: 4 << 20 }
    }

    /// Works on each item and takes the results, in the order of the items. An item that could not be fetched ends it,
    /// after all before it are taken.
    ///
    /// # Errors
    /// Of the first item that could not be fetched, or whose result was not taken.
    pub(super) fn in_order<T: Send, R: Send, E>(
        self,
        items: impl Iterator<Item = Result<T, E>>,
        bytes_of: impl Fn(&T) -> usize,
        work: impl Fn(T) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.workers == 0 {
            return items.into_iter().try_for_each(|item| take(work(item?)));
        }
        let mut chunks = Chunks { items, bytes_of, most: self.chunk_bytes, failed: None, ended: false };
        let mut next = chunks.next();
        if chunks.ended {
            // Too little to share.
            let items = next.map(|(items, _)| items).unwrap_or_default();
            items.into_iter().try_for_each(|item| take(work(item)))?;
            return chunks.failed.map_or(Ok(()), Err);
        }
        thread::scope(|scope| {
            let (jobs, queue) = unbounded::<Job<T, R>>();
            for _ in 0..self.workers {
                let (queue, work) = (queue.clone(), &work);
                let worker = thread::Builder::new().name("awakening".into());
                // Without it the others do its work.
                let _ = worker.spawn_scoped(scope, move || queue.into_iter().for_each(|job| job.run(work)));
            }
            let (mut under_way, mut bytes_under_way) = (VecDeque::new(), 0);
            loop {
                while let Some((items, bytes)) = next {
                    let (done, results) = bounded(1);
                    let _ = jobs.send(Job { items, done });
                    under_way.push_back((results, bytes));
                    bytes_under_way += bytes;
                    next = if bytes_under_way < self.ahead_bytes { chunks.next() } else { None };
                }
                let Some((results, bytes)) = under_way.pop_front() else { break };
                // None where a worker panicked; then the scope does, too, when it ends.
                let Some(results) = finished(&results, &queue, &work) else { return Ok(()) };
                results.into_iter().try_for_each(&mut take)?;
                bytes_under_way -= bytes;
                next = chunks.next();
            }
            chunks.failed.map_or(Ok(()), Err)
        })
    }
}

/// The results of a chunk. Until they are there, other chunks are worked on.
fn finished<T, R>(results: &Receiver<Vec<R>>, queue: &Receiver<Job<T, R>>, work: &impl Fn(T) -> R) -> Option<Vec<R>> {
    loop {
        match results.try_recv() {
            Ok(results) => return Some(results),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => match queue.try_recv() {
                Ok(job) => job.run(work),
                Err(_) => return results.recv().ok(),
            },
        }
    }
}

/// A chunk on its way to whoever works on it, and the way back.
struct Job<T, R> {
    items: Vec<T>,
    done: Sender<Vec<R>>,
}

impl<T, R> Job<T, R> {
    fn run(self, work: &impl Fn(T) -> R) {
        // Nobody waits for it where something before it was not taken.
        let _ = self.done.send(self.items.into_iter().map(work).collect());
    }
}

/// Items in chunks, up to the first that could not be fetched.
struct Chunks<I, B, E> {
    items: I,
    bytes_of: B,
    most: usize,
    failed: Option<E>,
    ended: bool,
}

impl<T, E, I: Iterator<Item = Result<T, E>>, B: Fn(&T) -> usize> Iterator for Chunks<I, B, E> {
    type Item = (Vec<T>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while !self.ended && bytes < self.most {
            match self.items.next() {
                Some(Ok(item)) => {
                    bytes += (self.bytes_of)(&item).max(1);
                    chunk.push(item);
                }
                Some(Err(error)) => (self.failed, self.ended) = (Some(error), true),
                None => self.ended = true,
            }
        }
        (!chunk.is_empty()).then_some((chunk, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    proptest! {
        #[test]
        fn results_come_in_order_and_end_at_the_first_failure(
            sizes in prop::collection::vec(0_usize..50, 0..200),
            workers in 0_usize..4,
            chunk_bytes in prop::sample::select(vec![1, 2, 30, 10_000]),
            ahead_bytes in prop::sample::select(vec![0, 1, 60, 100_000]),
            unfetched in 0_usize..250,
            untaken in 0_usize..250,
        ) {
            let sharing = Sharing { workers, chunk_bytes, ahead_bytes };
            let items = sizes.iter().copied().enumerate();
            let items = items.map(|item| if item.0 == unfetched { Err("not fetched") } else { Ok(item) });
            let mut taken = Vec::new();
            let end = sharing.in_order(items, |item| item.1, |(at, size)| (at, size * 2), |(at, size)| {
                taken.push(size);
                if at == untaken { Err("not taken") } else { Ok(()) }
            });
            let doubled: Vec<usize> = sizes.iter().map(|size| size * 2).collect();
            let (count, expected) = if untaken < unfetched && untaken < sizes.len() {
                (untaken + 1, Err("not taken"))
            } else if unfetched < sizes.len() {
                (unfetched, Err("not fetched"))
            } else {
                (sizes.len(), Ok(()))
            };
            prop_assert_eq!(end, expected);
            prop_assert_eq!(&taken[..], &doubled[..count]);
        }
    }

    #[test]
    fn what_is_fetched_and_not_taken_is_bounded() {
        let (fetched, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let sharing = Sharing { workers: 2, chunk_bytes: 10, ahead_bytes: 100 };
        let items = (0..10_000).map(|item| {
            let ahead = fetched.fetch_add(1, Ordering::SeqCst) - taken.load(Ordering::SeqCst);
            // A chunk may begin below the bound, and the chunk that is taken was counted out only whole.
            assert!(ahead <= 100 + 10, "{ahead}");
            Ok::<_, ()>(item)
        });
        let take = |_| {
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        sharing.in_order(items, |_| 1, |item: u32| item, take).unwrap();
        assert_eq!(taken.into_inner(), 10_000);
    }

    #[test]
    #[should_panic(expected = "scoped thread panicked")]
    fn a_worker_that_panics_is_not_passed_over() {
        let sharing = Sharing { workers: 1, chunk_bytes: 1, ahead_bytes: 10 };
        let (here, panics) = (thread::current().id(), AtomicBool::new(false));
        let work = |item: u32| {
            if thread::current().id() != here {
                panics.store(true, Ordering::SeqCst);
                panic!("{item}");
            }
            while !panics.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        };
        let _ = sharing.in_order((0..100).map(Ok::<_, ()>), |_| 1, work, Ok);
    }
}
