//! The Alembic: the only way to write a world. Requests go in by a queue, answers come out by another.
//!
//! Two threads work behind it, and neither runs a turn or waits for the frame, as the frame never waits for them: the scribe makes
//! batches of what comes in, and the writer commits one while the next is made. The queue is bounded by admission: envelopes by
//! their count; an outcome or a snapshot only ever follows an envelope that was let in.

use super::Snapshot;
use super::batch::Batch;
use super::folder::WorldLock;
use super::ledger::Ledger;
use super::room::RoomWatch;
use super::scribe::{BATCH_RECORDS, Scribe};
use super::witness::Witness;
use super::writer::{LogEnd, Shelf};
#[cfg(doc)]
use crate::object::Quarantined;
use crate::object::{Envelope, ObjectId, Outcome, Room, Tick};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use thiserror::Error;

/// Envelopes that may wait for the disk: three full batches, one that is encoded, one that is written, and one that is written but
/// not durable before the next is.
const WAITING_ENVELOPES: usize = 3 * BATCH_RECORDS;

/// The disk is slow, or the world is read-only: try again in a later frame.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("busy: the disk is slow")]
pub struct Full;

/// What the Alembic tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A commit is on disk.
    Durable {
        /// Messages that may be delivered now, in this order. Pending messages of the awakening are among them.
        envelopes: Vec<u64>,
        /// Messages whose outcomes are on disk.
        outcomes: Vec<u64>,
        /// The last position of the log that is on disk.
        position: u64,
    },
    /// Nothing can be written; the reason is in words. What was handed over and is not durable waits, and is tried again
    /// until [`Reply::Writable`] comes or the world is closed.
    ReadOnly(String),
    /// The disk refused something, for this reason, and was looked at anew: all that was handed over until then and that
    /// counts is there, and everything goes on.
    Writable(String),
    /// What was in quarantine under these keys is not kept any longer, durably.
    LetGo(Vec<Vec<u8>>),
    /// How much room the disk has: told when that changes. While it is scarce nothing new should be handed over; it is written all
    /// the same.
    Room(Room),
}

/// What is handed over.
pub(super) enum Request {
    Envelopes(Vec<(u64, Arc<Envelope>)>),
    Outcome(u64, Arc<Outcome>, Vec<u64>, Vec<(u64, Arc<Envelope>)>),
    Snapshot(Vec<(ObjectId, Option<Snapshot>)>),
    Tick(Tick, Vec<(u64, Arc<Envelope>)>),
    LetGo(Vec<u8>),
    Redeliver,
}

/// What decides whether a message is let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// Messages that were let in and are not on disk.
    pub(super) waiting: AtomicUsize,
    /// Whether nothing can be written.
    pub(super) stopped: AtomicBool,
}

/// The way to the journal thread. Dropping it is closing it.
#[derive(Debug)]
pub struct Alembic {
    requests: Option<Sender<Request>>,
    replies: Receiver<Reply>,
    admission: Arc<Admission>,
    thread: Option<JoinHandle<()>>,
}

impl Alembic {
    /// How many more messages are let in now: 12,288 less those that wait for the disk, and none while the world is read-only.
    pub fn room(&self) -> usize {
        if self.admission.stopped.load(Ordering::Relaxed) {
            return 0;
        }
        WAITING_ENVELOPES.saturating_sub(self.admission.waiting.load(Ordering::Relaxed))
    }

    /// Hands over messages, in order, each with its number: all at once, so that they come to the disk together. One may be
    /// delivered once [`Reply::Durable`] names it. Never blocks.
    ///
    /// # Errors
    /// [`Full`] where they are more than there is [room](Self::room) for; then none was handed over.
    pub fn append_envelopes(&self, envelopes: Vec<(u64, Arc<Envelope>)>) -> Result<(), Full> {
        if envelopes.len() > self.room() {
            return Err(Full);
        }
        if !envelopes.is_empty() {
            self.admission.waiting.fetch_add(envelopes.len(), Ordering::Relaxed);
            self.request(Request::Envelopes(envelopes));
        }
        Ok(())
    }

    /// Hands over one message.
    ///
    /// # Errors
    /// As for [`append_envelopes`](Self::append_envelopes).
    pub fn append_envelope(&self, sequence: u64, envelope: impl Into<Arc<Envelope>>) -> Result<(), Full> {
        self.append_envelopes(vec![(sequence, envelope.into())])
    }

    /// Hands over how the turn of a message ended, and the failed messages that no longer wait because of it.
    /// Outcomes come in the order in which they were applied. The messages that the turn posted are on disk with its
    /// outcome or not at all. Never blocks.
    pub fn append_outcome(
        &self,
        sequence: u64,
        outcome: impl Into<Arc<Outcome>>,
        resolves: Vec<u64>,
        posted: Vec<(u64, Arc<Envelope>)>,
    ) {
        self.admission.waiting.fetch_add(posted.len(), Ordering::Relaxed);
        self.request(Request::Outcome(sequence, outcome.into(), resolves, posted));
    }

    /// Hands over a tick, and the messages that objects posted in it. It comes to disk before every outcome that is handed
    /// over later, and about a second later when there is none. Never blocks.
    pub fn append_tick(&self, tick: Tick, posted: Vec<(u64, Arc<Envelope>)>) {
        self.admission.waiting.fetch_add(posted.len(), Ordering::Relaxed);
        self.request(Request::Tick(tick, posted));
    }

    /// Hands over objects as they stand after every outcome handed over so far; `None` for one of which nothing stays.
    ///
    /// They reach the Sapwood in the background. Which changes are covered is worked out here: a changed object
    /// that is never handed over only makes awakening longer. Never blocks.
    pub fn snapshot(&self, objects: Vec<(ObjectId, Option<Snapshot>)>) {
        self.request(Request::Snapshot(objects));
    }

    /// Hands over that what is in quarantine under a key ([`Quarantined::key`]) is not kept any longer;
    /// [`Reply::LetGo`] names it once that is durable. Never blocks.
    pub fn let_go(&self, key: Vec<u8>) {
        self.request(Request::LetGo(key));
    }

    /// Lets the pending messages of the awakening go, one after the other. Until then none is on record as tried again, so
    /// that a process which dies while it starts tells nothing against a message.
    pub fn redeliver(&self) {
        self.request(Request::Redeliver);
    }

    /// The answers. The `wake` given to `open` is called after each.
    pub fn replies(&self) -> &Receiver<Reply> {
        &self.replies
    }

    /// Writes what was handed over, notes that the world was closed in order, and waits until all of it is on disk.
    pub fn close(self) {
        drop(self);
    }

    fn request(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // A thread that is gone has told why.
            let _ = requests.send(request);
        }
    }
}

impl Drop for Alembic {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the journal begins with.
pub(super) struct Beginning {
    pub(super) shelf: Box<dyn Shelf>,
    pub(super) ledger: Ledger,
    /// Pending messages in order, and whether each is to be delivered alone.
    pub(super) redeliver: VecDeque<(u64, bool)>,
    /// Objects to snapshot as they stand at the end of the log.
    pub(super) snapshots: Vec<(ObjectId, Option<Snapshot>)>,
    /// What the awakening itself writes, before anything else. The ledger has it already; the log ends at `end` without it.
    pub(super) first: Batch,
    pub(super) end: LogEnd,
    pub(super) witness: Option<Witness>,
    pub(super) room: Option<RoomWatch>,
    pub(super) lock: Option<WorldLock>,
}

/// Starts the journal's threads.
pub(super) fn start(beginning: Beginning, wake: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Alembic> {
    let (requests, incoming) = unbounded();
    let (outgoing, replies) = unbounded();
    let admission = Arc::new(Admission::default());
    let mut scribe = Scribe::begin(beginning, incoming, outgoing, wake, admission.clone())?;
    let thread = std::thread::Builder::new().name("alembic".into()).spawn(move || {
        let end = catch_unwind(AssertUnwindSafe(|| scribe.run()));
        if let Some(reason) = end.unwrap_or_else(|_| Some("the journal thread came to an unforeseen end".into())) {
            scribe.stop(reason);
        }
    })?;
    Ok(Alembic { requests: Some(requests), replies, admission, thread: Some(thread) })
}
