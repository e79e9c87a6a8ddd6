//! The Alembic: the journal thread, the only writer of a world. Group commit: what waits when a commit ends is the next batch.
//!
//! It never runs a turn and never waits for the frame, and the frame never waits for it: requests come in by a
//! queue, answers go out by another. The queue is bounded by admission: envelopes by count and bytes; an outcome or
//! a snapshot only ever follows an envelope that was let in.

use super::Snapshot;
use super::folder::WorldLock;
use super::ledger::{Batch, Ledger};
use super::redelivery::Redelivery;
use super::room::RoomWatch;
use super::witness::Witness;
use super::writer::{Commit, LogEnd, Shelf, Writer};
use crate::object::{Envelope, ObjectId, Outcome, Room, TICKS_A_SECOND, Tick};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, after, select, unbounded};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// Envelopes that may wait for the disk.
const WAITING_ENVELOPES: usize = 8_192;
/// Records in one transaction.
const BATCH_RECORDS: usize = 4_096;
/// Bytes in one transaction, after which no more is added.
const BATCH_BYTES: usize = 1 << 20;
/// How long ticks wait for something else that is written.
const TICKS_WAIT: Duration = Duration::from_secs(1);
/// Bytes of snapshots in one transaction, after which no more is added.
const SNAPSHOT_BYTES: usize = 256 << 10;

/// How long it takes until a disk that refused something is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

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
    /// How much room the disk has: told when that changes. While it is scarce nothing new should be handed over; it is written all
    /// the same.
    Room(Room),
}

enum Request {
    Envelope(u64, Arc<Envelope>),
    Outcome(u64, Arc<Outcome>, Vec<u64>, Vec<(u64, Arc<Envelope>)>),
    Snapshot(Vec<(ObjectId, Option<Snapshot>)>),
    Tick(Tick, Vec<(u64, Arc<Envelope>)>),
    Redeliver,
}

#[derive(Debug, Default)]
struct Admission {
    waiting: AtomicUsize,
    stopped: AtomicBool,
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
    /// Hands over a message. It may be delivered once [`Reply::Durable`] names it. Never blocks.
    ///
    /// # Errors
    /// [`Full`] while 8,192 envelopes wait for the disk, and while the world is read-only.
    pub fn append_envelope(&self, sequence: u64, envelope: impl Into<Arc<Envelope>>) -> Result<(), Full> {
        let full = self.admission.waiting.load(Ordering::Relaxed) >= WAITING_ENVELOPES;
        if full || self.admission.stopped.load(Ordering::Relaxed) {
            return Err(Full);
        }
        self.admission.waiting.fetch_add(1, Ordering::Relaxed);
        self.request(Request::Envelope(sequence, envelope.into()));
        Ok(())
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

/// What the journal thread begins with.
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

/// Starts the journal thread.
pub(super) fn start(beginning: Beginning, wake: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Alembic> {
    let (requests, incoming) = unbounded();
    let (outgoing, replies) = unbounded();
    let admission = Arc::new(Admission::default());
    let Beginning { shelf, ledger, redeliver, snapshots, first, end, witness, room, lock } = beginning;
    let position = ledger.last;
    let mut worker = Worker {
        writer: Writer::new(shelf, end),
        witness,
        room,
        snapshots: VecDeque::from([(snapshots.into(), position)]),
        ticks: None,
        ledger,
        redelivery: Redelivery::of(redeliver),
        incoming,
        backlog: VecDeque::new(),
        outgoing,
        wake,
        admission: admission.clone(),
    };
    let thread = std::thread::Builder::new().name("alembic".into()).spawn(move || {
        let end = catch_unwind(AssertUnwindSafe(|| worker.run(first)));
        if let Some(reason) = end.unwrap_or_else(|_| Some("the journal thread came to an unforeseen end".into())) {
            worker.stop(reason);
        }
        worker.writer.close();
        drop(lock);
    })?;
    Ok(Alembic { requests: Some(requests), replies, admission, thread: Some(thread) })
}

struct Worker {
    writer: Writer<News>,
    witness: Option<Witness>,
    room: Option<RoomWatch>,
    ledger: Ledger,
    redelivery: Redelivery,
    /// Sets of objects that wait for their snapshot, each with the position it stands at.
    snapshots: VecDeque<(VecDeque<(ObjectId, Option<Snapshot>)>, u64)>,
    /// Ticks that are in no record yet: the first, and how many.
    ticks: Option<(Tick, u64)>,
    incoming: Receiver<Request>,
    /// What came while the disk took nothing.
    backlog: VecDeque<Request>,
    outgoing: Sender<Reply>,
    wake: Box<dyn Fn() + Send + Sync>,
    admission: Arc<Admission>,
}

/// What to tell when a batch is on disk.
#[derive(Debug, Default)]
struct News {
    /// Of pending messages.
    again: Vec<u64>,
    envelopes: Vec<u64>,
    outcomes: Vec<u64>,
}

/// Where the next request comes from when none waits.
#[derive(Clone, Copy)]
enum Patience {
    None,
    Until(Duration),
    Endless,
}

impl Worker {
    /// Works until the world is closed (`None`), or until nothing can be written any more.
    fn run(&mut self, first: Batch) -> Option<String> {
        self.work(first).err()
    }

    fn work(&mut self, first: Batch) -> Result<(), String> {
        self.look_at_room();
        self.write(first, News::default())?;
        self.settle()?;
        let mut open = true;
        while open || !self.snapshots.is_empty() || self.ticks.is_some() {
            self.write_one_batch(&mut open)?;
        }
        let meta = self.ledger.meta(true)?;
        let commit = Commit { batch: Batch::default(), meta, end: self.ledger.end(), news: News::default() };
        self.press(|writer| writer.write(commit))?;
        self.settle()?;
        self.bear_witness();
        self.witness.iter().for_each(Witness::sync);
        Ok(())
    }

    fn bear_witness(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.note(self.writer.sure());
        }
    }

    /// The next request: one that waits, or else the first that comes in time.
    fn next(&mut self, patience: Patience) -> Result<Request, TryRecvError> {
        if let Some(request) = self.backlog.pop_front() {
            return Ok(request);
        }
        if !matches!(patience, Patience::None) {
            self.bear_witness();
            self.room.iter_mut().filter(|_| self.incoming.is_empty()).for_each(RoomWatch::make_reserve);
        }
        let longest = self.room.as_ref().map_or(Duration::MAX, RoomWatch::rest);
        let time = match patience {
            Patience::None => return self.incoming.try_recv(),
            Patience::Until(time) => time.min(longest),
            Patience::Endless => longest,
        };
        self.incoming.recv_timeout(time).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Blocks for one request unless there is other work, then takes all that wait, up to the bounds of a batch. With nothing
    /// to write, what was written last is made durable.
    fn write_one_batch(&mut self, open: &mut bool) -> Result<(), String> {
        self.look_at_room();
        let mut batch = Batch::default();
        let mut news = News::default();
        for (sequence, alone) in self.redelivery.due() {
            self.ledger.attempt(sequence, alone, &mut batch)?;
            news.again.push(sequence);
        }
        let busy = !batch.is_empty() || !self.snapshots.is_empty() || !self.writer.is_settled();
        let mut next = self.next(match self.ticks {
            _ if busy => Patience::None,
            None => Patience::Endless,
            Some(_) => Patience::Until(TICKS_WAIT),
        });
        let mut took = false;
        loop {
            match next {
                Ok(request) => {
                    self.take(request, &mut batch, &mut news)?;
                    took = true;
                }
                Err(ended) => {
                    *open &= ended != TryRecvError::Disconnected;
                    break;
                }
            }
            if batch.heartwood.len() >= BATCH_RECORDS || batch.bytes >= BATCH_BYTES {
                break;
            }
            next = self.next(Patience::None);
        }
        if batch.is_empty() && self.snapshots.is_empty() && !self.writer.is_settled() {
            return self.settle();
        }
        // Ticks wait for company, but not longer than it takes for a second of them to gather.
        if !took || !*open || self.ticks.is_some_and(|(_, ticks)| ticks >= u64::from(TICKS_A_SECOND)) {
            self.write_ticks(&mut batch)?;
        }
        let enough = batch.bytes + SNAPSHOT_BYTES;
        while let Some((set, position)) = self.snapshots.front_mut() {
            let position = *position;
            while (batch.bytes < enough || self.ledger.is_ticked_before(position))
                && let Some((id, snapshot)) = set.pop_front()
            {
                self.ledger.snapshot(id, snapshot.as_ref(), position, &mut batch)?;
            }
            if !set.is_empty() {
                break;
            }
            self.ledger.note_snapshot_set(position);
            self.snapshots.pop_front();
        }
        if batch.is_empty() { Ok(()) } else { self.write(batch, news) }
    }

    fn write(&mut self, batch: Batch, news: News) -> Result<(), String> {
        let commit = Commit { batch, meta: self.ledger.meta(false)?, end: self.ledger.end(), news };
        self.press(|writer| writer.write(commit))
    }

    fn settle(&mut self) -> Result<(), String> {
        self.press(Writer::settle)
    }

    /// Writes, and tells what is durable then. Where the disk refuses, nothing else is done until it takes what it owes.
    ///
    /// # Errors
    /// The world was closed before that.
    fn press(&mut self, write: impl FnOnce(&mut Writer<News>) -> Result<Vec<News>, String>) -> Result<(), String> {
        match write(&mut self.writer) {
            Ok(news) => news.into_iter().for_each(|news| self.tell(news)),
            Err(reason) => self.wait_for_the_disk(reason)?,
        }
        Ok(())
    }

    fn wait_for_the_disk(&mut self, mut reason: String) -> Result<(), String> {
        let mut batch = Batch::default();
        self.ledger.epoch_again(&mut batch)?;
        let commit = Commit { batch, meta: self.ledger.meta(false)?, end: self.ledger.end(), news: News::default() };
        self.writer.add_unwritten(commit);
        let mut pause = FIRST_PAUSE;
        let news = loop {
            match self.writer.fence() {
                Ok(news) => break news,
                Err(again) => reason = again,
            }
            if !self.admission.stopped.swap(true, Ordering::Relaxed) {
                self.reply(Reply::ReadOnly(reason.clone()));
            }
            // What was handed over comes to the disk in the room of the reserve, and so does the end.
            if !self.gather_for(pause) && !self.room.as_mut().is_some_and(RoomWatch::give_reserve_up) {
                return Err(reason);
            }
            self.look_at_room();
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        self.admission.stopped.store(false, Ordering::Relaxed);
        self.reply(Reply::Writable(reason));
        news.into_iter().for_each(|news| self.tell(news));
        Ok(())
    }

    fn look_at_room(&mut self) {
        if let Some(room) = self.room.as_mut().and_then(RoomWatch::look) {
            self.reply(Reply::Room(room));
        }
    }

    /// Keeps what comes in for later. Answers whether the world is still open then.
    fn gather_for(&mut self, time: Duration) -> bool {
        let timer = after(time);
        loop {
            select! {
                recv(self.incoming) -> request => match request {
                    Ok(request) => self.backlog.push_back(request),
                    Err(_) => return false,
                },
                recv(timer) -> _ => return true,
            }
        }
    }

    fn take(&mut self, request: Request, batch: &mut Batch, news: &mut News) -> Result<(), String> {
        match request {
            Request::Envelope(sequence, envelope) => {
                news.envelopes.push(sequence);
                self.ledger.envelope(sequence, &envelope, batch)
            }
            Request::Tick(tick, posted) => {
                match &mut self.ticks {
                    Some((first, ticks)) if first.later(*ticks) == tick => *ticks += 1,
                    _ => {
                        self.write_ticks(batch)?;
                        self.ticks = Some((tick, 1));
                    }
                }
                if !posted.is_empty() {
                    self.write_ticks(batch)?;
                }
                for (sequence, envelope) in posted {
                    news.envelopes.push(sequence);
                    self.ledger.envelope(sequence, &envelope, batch)?;
                }
                Ok(())
            }
            Request::Outcome(sequence, outcome, resolves, posted) => {
                self.write_ticks(batch)?;
                news.outcomes.push(sequence);
                self.ledger.outcome(sequence, &outcome, &resolves, posted.len() as u64, batch)?;
                for (sequence, envelope) in posted {
                    news.envelopes.push(sequence);
                    self.ledger.envelope(sequence, &envelope, batch)?;
                }
                Ok(())
            }
            Request::Snapshot(objects) => {
                self.write_ticks(batch)?;
                self.snapshots.push_back((objects.into(), self.ledger.last));
                Ok(())
            }
            Request::Redeliver => {
                self.redelivery.begun = true;
                Ok(())
            }
        }
    }

    fn write_ticks(&mut self, batch: &mut Batch) -> Result<(), String> {
        self.ticks.take().map_or(Ok(()), |(first, ticks)| self.ledger.step(first, ticks, batch))
    }

    fn tell(&mut self, news: News) {
        self.admission.waiting.fetch_sub(news.envelopes.len(), Ordering::Relaxed);
        let envelopes = self.redelivery.release(news.again, news.envelopes, &news.outcomes);
        if !envelopes.is_empty() || !news.outcomes.is_empty() {
            let position = self.ledger.last;
            self.reply(Reply::Durable { envelopes, outcomes: news.outcomes, position });
        }
    }

    fn reply(&self, reply: Reply) {
        // Whoever stopped listening needs no answer.
        let _ = self.outgoing.send(reply);
        (self.wake)();
    }

    /// Says why, and lets go by whatever still comes, until the world is closed.
    fn stop(&mut self, reason: String) {
        self.admission.stopped.store(true, Ordering::Relaxed);
        self.backlog.clear();
        let _ = catch_unwind(AssertUnwindSafe(|| self.reply(Reply::ReadOnly(reason))));
        self.incoming.iter().for_each(drop);
    }
}
