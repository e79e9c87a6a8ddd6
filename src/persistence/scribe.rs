//! The scribe: makes batches of what is handed over, and tells what is on disk. Group commit: what comes in while one batch is
//! written is the next.

mod refusal;

use super::Snapshot;
use super::alembic::{Admission, Beginning, Reply, Request};
use super::batch::{Batch, Records};
use super::folder::WorldLock;
use super::ledger::Ledger;
use super::redelivery::Redelivery;
use super::room::RoomWatch;
use super::witness::Witness;
use super::writer::{Commit, LogEnd, Writer};
use super::writer_thread::{Answer, Order, WriterThread};
use crate::object::{Envelope, ObjectId, TICKS_A_SECOND, Tick};
use crossbeam_channel::{Receiver, Sender, TryRecvError, after, never, select, tick};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Records in one transaction.
pub(super) const BATCH_RECORDS: usize = 4_096;
/// Bytes of records in one transaction, after which no more is added.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of snapshots in one transaction, after which no more is added.
const SNAPSHOT_BYTES: usize = 256 << 10;
/// Up to so many records are written without the writer's thread: to wake it takes longer than to encode the records that come in
/// meanwhile.
const FEW_RECORDS: usize = 64;
/// The same where there was nothing to do before they came: mostly nothing comes in meanwhile.
const FEW_RECORDS_ALONE: usize = 256;
/// How long ticks wait for something else that is written.
const TICKS_WAIT: Duration = Duration::from_secs(1);
/// How often it is noted at most how far the log is durable.
const WITNESS_EVERY: Duration = Duration::from_millis(100);

/// Works on a thread of its own until the world is closed.
pub(super) struct Scribe {
    writer: WriterThread<News>,
    witness: Option<Witness>,
    room: Option<RoomWatch>,
    witness_due: Receiver<Instant>,
    ledger: Ledger,
    redelivery: Redelivery,
    /// The batch that gathers, and what to tell when it is on disk.
    batch: Batch,
    news: News,
    /// Sets of objects that wait for their snapshot, each with the position it stands at.
    snapshots: VecDeque<(VecDeque<(ObjectId, Option<Snapshot>)>, u64)>,
    /// Ticks that are in no record yet: the first, and how many; and when they are written at the latest.
    ticks: Option<(Tick, u64)>,
    ticks_due: Receiver<Instant>,
    incoming: Receiver<Request>,
    /// Whether more can come in.
    is_open: bool,
    /// What came while the disk took nothing.
    backlog: VecDeque<Request>,
    outgoing: Sender<Reply>,
    wake: Box<dyn Fn() + Send + Sync>,
    admission: Arc<Admission>,
    /// Whether the disk refused something since this was last looked at.
    fenced: bool,
    /// Memory of a batch that is durable, for the next one.
    spare: Option<Records>,
    /// Whether the batch that was written last was a large one.
    comes_in_bulk: bool,
    /// Whether the batch was waited for, with nothing else to do.
    was_idle: bool,
    /// Where the log ended with the last commit that is durable for certain, and whether that was the last of all.
    sure: LogEnd,
    is_settled: bool,
    /// Let go after the writer, which is closed when it goes.
    _lock: Option<WorldLock>,
}

/// What to tell when a batch is on disk.
#[derive(Debug, Default)]
struct News {
    /// Of pending messages.
    again: Vec<u64>,
    envelopes: Vec<u64>,
    outcomes: Vec<u64>,
    /// Keys of the quarantine.
    let_go: Vec<Vec<u8>>,
}

impl Scribe {
    /// Is ready to run.
    pub(super) fn begin(
        beginning: Beginning,
        incoming: Receiver<Request>,
        outgoing: Sender<Reply>,
        wake: Box<dyn Fn() + Send + Sync>,
        admission: Arc<Admission>,
    ) -> std::io::Result<Self> {
        let Beginning { shelf, mut ledger, redeliver, snapshots, first, end, witness, room, lock } = beginning;
        ledger.note_handed_over();
        Ok(Self {
            writer: WriterThread::start(Writer::new(shelf, end))?,
            witness,
            room,
            witness_due: tick(WITNESS_EVERY),
            redelivery: Redelivery::of(redeliver),
            batch: first,
            news: News::default(),
            snapshots: VecDeque::from([(snapshots.into(), ledger.last)]),
            ticks: None,
            ticks_due: never(),
            ledger,
            incoming,
            is_open: true,
            backlog: VecDeque::new(),
            outgoing,
            wake,
            admission,
            fenced: false,
            spare: None,
            comes_in_bulk: false,
            was_idle: true,
            sure: end,
            is_settled: true,
            _lock: lock,
        })
    }

    /// Works until the world is closed (`None`), or until nothing can be written any more.
    pub(super) fn run(&mut self) -> Option<String> {
        self.work().err()
    }

    fn work(&mut self) -> Result<(), String> {
        self.look_at_room();
        // What the awakening wrote is on disk before anything else is.
        self.write_batch(false)?;
        self.hear_all()?;
        loop {
            self.look_at_room();
            self.gather()?;
            if self.writer.is_busy() {
                // A full batch grows no more by waiting.
                if self.is_full() && !self.writer.is_full() {
                    let commit = self.commit(false)?;
                    self.writer.order(Order::Write(commit));
                } else {
                    self.wait()?;
                }
            } else if !self.batch.is_empty() {
                self.write_batch(false)?;
            } else if !self.is_settled {
                self.carry_out(Order::Settle)?;
            } else if self.is_open {
                self.wait()?;
            } else {
                break;
            }
        }
        // What a fence writes behind it does not say that this is the end.
        loop {
            self.fenced = false;
            self.write_batch(true)?;
            self.hear_all()?;
            if !self.fenced {
                break;
            }
        }
        self.bear_witness();
        self.witness.iter().for_each(Witness::sync);
        Ok(())
    }

    /// Takes in what waits, up to the bounds of a batch, and never waits for more.
    fn gather(&mut self) -> Result<(), String> {
        while !self.is_full() {
            let next = self.backlog.pop_front().map_or_else(|| self.incoming.try_recv(), Ok);
            match next {
                Ok(request) => self.take(request)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.is_open = false;
                    self.write_ticks()?;
                    break;
                }
            }
        }
        for (sequence, alone) in self.redelivery.due() {
            self.ledger.attempt(sequence, alone, &mut self.batch)?;
            self.news.again.push(sequence);
        }
        self.add_snapshots()
    }

    fn is_full(&self) -> bool {
        self.batch.heartwood.len() >= BATCH_RECORDS || self.batch.heartwood.size() >= BATCH_BYTES
    }

    fn add_snapshots(&mut self) -> Result<(), String> {
        while let Some((set, position)) = self.snapshots.front_mut() {
            let position = *position;
            while (self.batch.snapshot_bytes < SNAPSHOT_BYTES || self.ledger.is_ticked_before(position))
                && let Some((id, snapshot)) = set.pop_front()
            {
                self.ledger.snapshot(id, snapshot.as_ref(), position, &mut self.batch)?;
            }
            if !set.is_empty() {
                break;
            }
            self.ledger.note_snapshot_set(position);
            self.snapshots.pop_front();
        }
        Ok(())
    }

    /// Waits for the next request, for the answer of the writer, or until ticks have waited long enough.
    fn wait(&mut self) -> Result<(), String> {
        if self.witness_due.try_recv().is_ok() {
            self.bear_witness();
        }
        if !self.writer.is_busy() {
            self.was_idle = true;
            if self.incoming.is_empty() {
                self.room.iter_mut().for_each(RoomWatch::make_reserve);
            }
        }
        let rest = self.room.as_ref().map_or(Duration::MAX, RoomWatch::rest);
        let is_behind = self.witness.as_ref().is_some_and(|witness| !witness.has_seen(self.sure));
        let longest = if is_behind { WITNESS_EVERY.min(rest) } else { rest };
        let nothing = never();
        let is_deaf = !self.is_open || self.is_full() || !self.backlog.is_empty();
        let incoming = if is_deaf { &nothing } else { &self.incoming };
        select! {
            recv(incoming) -> request => match request {
                Ok(request) => self.take(request),
                Err(_) => {
                    self.is_open = false;
                    self.write_ticks()
                }
            },
            recv(self.writer.answers()) -> answer => {
                let answer = self.writer.heard(answer)?;
                self.hear(answer)
            }
            recv(self.ticks_due) -> _ => self.write_ticks(),
            default(longest) => Ok(()),
        }
    }

    fn look_at_room(&mut self) {
        if let Some(room) = self.room.as_mut().and_then(RoomWatch::look) {
            self.reply(Reply::Room(room));
        }
    }

    fn bear_witness(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.note(self.sure);
        }
    }

    /// Writes the batch, or hands it over to be written.
    fn write_batch(&mut self, clean: bool) -> Result<(), String> {
        let few = if self.was_idle { FEW_RECORDS_ALONE } else { FEW_RECORDS };
        self.comes_in_bulk = self.batch.heartwood.len() > few || !self.snapshots.is_empty();
        let commit = self.commit(clean)?;
        self.carry_out(Order::Write(commit))
    }

    /// Has an order carried out by the writer's thread where much comes in, which is encoded meanwhile, else here and now.
    fn carry_out(&mut self, order: Order<News>) -> Result<(), String> {
        if !self.comes_in_bulk {
            return self.do_now(order);
        }
        self.writer.order(order);
        Ok(())
    }

    fn do_now(&mut self, order: Order<News>) -> Result<(), String> {
        let answer = self.writer.do_now(order)?;
        self.hear(answer)
    }

    fn commit(&mut self, clean: bool) -> Result<Commit<News>, String> {
        let next = Batch { heartwood: self.spare.take().unwrap_or_default(), ..Batch::default() };
        let (batch, news) = (std::mem::replace(&mut self.batch, next), std::mem::take(&mut self.news));
        // What came in while another batch was written will have one behind it, too.
        let may_lag = !std::mem::take(&mut self.was_idle);
        Ok(Commit { batch, meta: self.ledger.meta(clean)?, may_lag, end: self.ledger.end(), news })
    }

    /// Waits until the writer has answered and everything is durable.
    fn hear_all(&mut self) -> Result<(), String> {
        loop {
            if !self.writer.is_busy() {
                if self.is_settled {
                    return Ok(());
                }
                self.do_now(Order::Settle)?;
                continue;
            }
            let answer = self.writer.answer()?;
            self.hear(answer)?;
        }
    }

    /// Tells what is durable now. Where the disk refused, nothing else is done until it takes what it owes.
    ///
    /// # Errors
    /// The world was closed before that.
    fn hear(&mut self, answer: Answer<News>) -> Result<(), String> {
        self.sure = answer.sure;
        self.is_settled = answer.is_settled;
        self.spare = answer.spare.or(self.spare.take());
        match answer.result {
            Ok(news) => news.into_iter().for_each(|news| self.tell(news)),
            Err(reason) => self.wait_for_the_disk(reason)?,
        }
        Ok(())
    }

    fn take(&mut self, request: Request) -> Result<(), String> {
        match request {
            Request::Envelopes(envelopes) => self.take_envelopes(&envelopes),
            Request::Tick(tick, posted) => {
                match &mut self.ticks {
                    Some((first, ticks)) if first.later(*ticks) == tick => *ticks += 1,
                    _ => {
                        self.write_ticks()?;
                        self.ticks = Some((tick, 1));
                        self.ticks_due = after(TICKS_WAIT);
                    }
                }
                if !posted.is_empty() || self.ticks.is_some_and(|(_, ticks)| ticks >= u64::from(TICKS_A_SECOND)) {
                    self.write_ticks()?;
                }
                self.take_envelopes(&posted)
            }
            Request::Outcome(sequence, outcome, resolves, posted) => {
                self.write_ticks()?;
                self.news.outcomes.push(sequence);
                self.ledger.outcome(sequence, &outcome, &resolves, posted.len() as u64, &mut self.batch)?;
                self.take_envelopes(&posted)
            }
            Request::Snapshot(objects) => {
                self.write_ticks()?;
                self.snapshots.push_back((objects.into(), self.ledger.last));
                self.ledger.note_handed_over();
                Ok(())
            }
            Request::LetGo(key) => {
                self.batch.quarantine.insert(key.clone(), None);
                self.news.let_go.push(key);
                Ok(())
            }
            Request::Redeliver => {
                self.redelivery.begun = true;
                Ok(())
            }
        }
    }

    fn take_envelopes(&mut self, envelopes: &[(u64, Arc<Envelope>)]) -> Result<(), String> {
        for (sequence, envelope) in envelopes {
            self.news.envelopes.push(*sequence);
            self.ledger.envelope(*sequence, envelope, &mut self.batch)?;
        }
        Ok(())
    }

    fn write_ticks(&mut self) -> Result<(), String> {
        self.ticks_due = never();
        self.ticks.take().map_or(Ok(()), |(first, ticks)| self.ledger.step(first, ticks, &mut self.batch))
    }

    fn tell(&mut self, news: News) {
        self.admission.waiting.fetch_sub(news.envelopes.len(), Ordering::Relaxed);
        let envelopes = self.redelivery.release(news.again, news.envelopes, &news.outcomes);
        if !envelopes.is_empty() || !news.outcomes.is_empty() {
            self.reply(Reply::Durable { envelopes, outcomes: news.outcomes, position: self.sure.position });
        }
        if !news.let_go.is_empty() {
            self.reply(Reply::LetGo(news.let_go));
        }
    }

    fn reply(&self, reply: Reply) {
        // Whoever stopped listening needs no answer.
        let _ = self.outgoing.send(reply);
        (self.wake)();
    }

    /// Says why, and lets go by whatever still comes, until the world is closed.
    pub(super) fn stop(&mut self, reason: String) {
        self.admission.stopped.store(true, Ordering::Relaxed);
        self.backlog.clear();
        let _ = catch_unwind(AssertUnwindSafe(|| self.reply(Reply::ReadOnly(reason))));
        self.incoming.iter().for_each(drop);
    }
}
