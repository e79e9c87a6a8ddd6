//! Reading a world back: snapshots, then the log above them; or the whole log from its beginning.
//!
//! A change concerns an object only if it stands above the object's snapshot and above the position through which
//! all snapshots are whole. A record that can't be read is set aside; the others go on.

use super::batch::Batch;
use super::ledger::{Ledger, Mark, Suspension, WORLD_FORMAT};
use super::record::{self, Kind, RecordError};
use super::store::{Databases, META_KEY, StoreError};
use super::wire_message::{WireAttempt, WireEnvelope, WireMeta, WireOfPerson, WireOutcome, WireStep};
use super::wire_object::{WireObject, WireTombstone, from_bytes};
use super::{Damage, DamagedPart, Snapshot, Ticker};
use crate::object::{Envelope, Image, Object, ObjectId, Objects, Outcome, PastTurn, PastTurns, Problem, Tick};
use heed::RoTxn;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// Why a world can't be read at all.
#[derive(Debug, Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Newer(String),
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Open(super::OpenError),
    #[error("it went back in time, from record {seen} to {found}")]
    WentBack { found: u64, seen: u64 },
}

impl From<heed::Error> for ReadError {
    fn from(error: heed::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A damaged record with what was left of it.
#[derive(Clone, Debug)]
pub(super) struct Wound {
    pub(super) damage: Damage,
    pub(super) key: Vec<u8>,
    pub(super) raw: Vec<u8>,
}

/// The figures about the whole, and the end of the log that they tell of.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) wire: WireMeta,
    pub(super) last: u64,
    pub(super) chain: u64,
}

/// Attempts to deliver a message again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    pub(super) all: u32,
    /// In which nothing else was delivered: only these prove anything.
    pub(super) alone: u32,
}

/// Counts of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) envelopes: u64,
    pub(super) outcomes: u64,
    pub(super) snapshots: u64,
}

/// A world while it is read.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) ledger: Ledger,
    pub(super) image: Image,
    pub(super) pending: BTreeMap<u64, Envelope>,
    pub(super) attempts: BTreeMap<u64, Attempts>,
    /// Messages whose outcome can't be read.
    pub(super) lost: Vec<u64>,
    pub(super) wounds: Vec<Wound>,
    pub(super) counts: Counts,
    /// Whether the snapshots were left aside because not all of them are right.
    pub(super) from_log_alone: bool,
    /// Chain value of the record before; none after a damaged one.
    previous: Option<u64>,
    /// Snapshots hold every change up to here.
    through: u64,
    /// Where the snapshots stand that are loaded.
    stands: BTreeMap<ObjectId, u64>,
    /// Whether failed messages are counted from the log, rather than taken from their list.
    counts_suspended: bool,
}

/// Reads the record about the whole.
pub(super) fn read_meta(txn: &RoTxn, dbs: &Databases) -> Result<Meta, ReadError> {
    let bytes =
        dbs.meta.get(txn, META_KEY)?.ok_or_else(|| ReadError::Damaged("its `meta` record is missing".into()))?;
    let record = record::decode(bytes, None).map_err(|error| match error {
        error if error.is_newer() => ReadError::Newer(error.to_string()),
        error => ReadError::Damaged(format!("its `meta` record: {error}")),
    })?;
    let damaged = |reason: String| ReadError::Damaged(format!("its `meta` record: {reason}"));
    let wire: WireMeta = from_bytes(record.body).map_err(damaged)?;
    if wire.format > WORLD_FORMAT {
        return Err(ReadError::Newer(format!("version {}, world format {}", wire.writer, wire.format)));
    }
    Ok(Meta { wire, last: record.position, chain: record.chain })
}

impl Replay {
    /// The world as it wakes: from snapshots and the log above them. One wrong snapshot, and the whole log is read.
    pub(super) fn awakening(
        txn: &RoTxn,
        dbs: &Databases,
        meta: &Meta,
        ticker: &mut dyn Ticker,
    ) -> Result<Self, ReadError> {
        ticker.begin(meta.wire.world_id);
        let mut replay = Self::beginning(meta.wire.world_id);
        replay.load_snapshots(txn, dbs, meta)?;
        replay.load_suspended(txn, dbs)?;
        if replay.wounds.is_empty() {
            replay.through = meta.wire.snapshots_through;
            replay.start_at(txn, dbs, meta)?;
        } else {
            let (wounds, marks) = (std::mem::take(&mut replay.wounds), std::mem::take(&mut replay.ledger.marks));
            let set_hash = replay.ledger.set_hash;
            replay = Self::beginning(meta.wire.world_id);
            replay.wounds = wounds;
            replay.ledger.marks = marks;
            replay.ledger.set_hash = set_hash;
            replay.from_log_alone = true;
            replay.counts_suspended = true;
        }
        replay.ledger.next_sequence = meta.wire.next_sequence;
        if !replay.from_log_alone {
            replay.ledger.newest_past = meta.wire.newest_past;
        }
        replay.read_log(txn, dbs, meta, ticker)?;
        replay.finish(meta)
    }

    /// The world as the log alone tells it.
    pub(super) fn whole_log(
        txn: &RoTxn,
        dbs: &Databases,
        meta: &Meta,
        ticker: &mut dyn Ticker,
    ) -> Result<Self, ReadError> {
        ticker.begin(meta.wire.world_id);
        let mut replay = Self::beginning(meta.wire.world_id);
        replay.counts_suspended = true;
        replay.from_log_alone = true;
        replay.read_log(txn, dbs, meta, ticker)?;
        replay.finish(meta)
    }

    fn beginning(world_id: Uuid) -> Self {
        Self { ledger: Ledger::new(world_id), previous: Some(0), ..Self::default() }
    }

    fn load_snapshots(&mut self, txn: &RoTxn, dbs: &Databases, meta: &Meta) -> Result<(), ReadError> {
        for entry in dbs.sapwood.iter(txn)? {
            let (key, bytes) = entry?;
            let Ok(id) = Uuid::from_slice(key).map(ObjectId) else {
                return Err(ReadError::Damaged("a snapshot has an impossible key".into()));
            };
            // The mark is kept also for a wrong one: what is written over it must be counted out of the set hash.
            let share = record::decode(bytes, None).map(|record| (record.crc, record.chain)).unwrap_or_default();
            self.ledger.marks.insert(id, Mark { crc: share.0, count: share.1 });
            self.ledger.set_hash = self.ledger.set_hash.wrapping_add(record::set_share(id.0.as_bytes(), share.0));
            match read_snapshot(id, bytes, meta.last) {
                Ok((snapshot, position)) => {
                    self.stands.insert(id, position);
                    match snapshot {
                        Snapshot::Object(object) => {
                            self.image.insert(object);
                            self.counts.snapshots += 1;
                        }
                        Snapshot::Tombstone(tombstone) => self.image.bury(id, tombstone),
                    }
                }
                Err(error) if error.is_newer() => return Err(ReadError::Newer(error.to_string())),
                Err(error) => self.wound(DamagedPart::Sapwood(id), error.to_string(), key, bytes),
            }
        }
        if self.wounds.is_empty() && self.ledger.set_hash != meta.wire.set_hash {
            let reason = "the snapshots are not the ones that were written last";
            self.wound(DamagedPart::Meta, reason.into(), META_KEY, &[]);
        }
        Ok(())
    }

    fn load_suspended(&mut self, txn: &RoTxn, dbs: &Databases) -> Result<(), ReadError> {
        for entry in dbs.suspended.iter(txn)? {
            let (key, bytes) = entry?;
            match (<[u8; 8]>::try_from(key), Suspension::from_bytes(bytes)) {
                (Ok(sequence), Some(suspension)) => {
                    self.ledger.suspended.insert(u64::from_be_bytes(sequence), suspension);
                }
                _ => self.wound(DamagedPart::Suspended, "an entry has an impossible form".into(), key, bytes),
            }
        }
        Ok(())
    }

    /// Begins in the middle of the log, with the chain value that the record before has.
    fn start_at(&mut self, txn: &RoTxn, dbs: &Databases, meta: &Meta) -> Result<(), ReadError> {
        let before = meta.wire.replay_from.saturating_sub(1);
        self.ledger.last = before;
        if before > 0 {
            let record = dbs.heartwood.get(txn, &before.to_be_bytes())?;
            let (_, _, chain) = record
                .and_then(record::glance)
                .ok_or_else(|| ReadError::Damaged(format!("log record {before} is missing")))?;
            self.ledger.chain = if before == meta.last { meta.chain } else { chain };
            self.previous = Some(self.ledger.chain);
        }
        Ok(())
    }

    fn read_log(
        &mut self,
        txn: &RoTxn,
        dbs: &Databases,
        meta: &Meta,
        ticker: &mut dyn Ticker,
    ) -> Result<(), ReadError> {
        self.ledger.ticks = if self.from_log_alone { 0 } else { meta.wire.ticks };
        let from = (self.ledger.last + 1).to_be_bytes();
        let range = (Bound::Included(&from[..]), Bound::Unbounded);
        let mut entries = dbs.heartwood.range(txn, &range)?;
        let mut next = entries.next().transpose()?;
        while let Some((key, bytes)) = next {
            next = entries.next().transpose()?;
            let position = self.ledger.last + 1;
            if key != position.to_be_bytes() {
                return Err(ReadError::Damaged(format!("log record {position} is missing")));
            }
            let follows = |chain: u64| match next {
                Some((_, bytes)) => record::decode(bytes, Some(position + 1))
                    .is_ok_and(|record| record.chain == record::chain(chain, position + 1, record.crc)),
                None => chain == meta.chain,
            };
            self.feed(position, bytes, follows, ticker)?;
        }
        self.find_envelopes_of_lost(txn, dbs)
    }

    /// Takes in the next record. `follows` tells whether what comes after it follows a chain value.
    fn feed(
        &mut self,
        position: u64,
        bytes: &[u8],
        follows: impl Fn(u64) -> bool,
        ticker: &mut dyn Ticker,
    ) -> Result<(), ReadError> {
        self.counts.records += 1;
        self.ledger.last = position;
        match self.try_feed(position, bytes, follows, ticker) {
            Ok(chain) => {
                self.ledger.chain = chain;
                self.previous = Some(chain);
                Ok(())
            }
            Err(error) if error.is_newer() => Err(ReadError::Newer(format!("log record {position}: {error}"))),
            Err(error) => {
                let (kind, sequence, chain) = record::glance(bytes).unwrap_or_default();
                if kind == Some(Kind::Outcome) {
                    self.pending.remove(&sequence);
                    self.lost.push(sequence);
                }
                self.ledger.chain = chain;
                self.previous = None;
                self.wound(DamagedPart::Heartwood(position), error.to_string(), &position.to_be_bytes(), bytes);
                Ok(())
            }
        }
    }

    /// Answers the chain value of the record.
    fn try_feed(
        &mut self,
        position: u64,
        bytes: &[u8],
        follows: impl Fn(u64) -> bool,
        ticker: &mut dyn Ticker,
    ) -> Result<u64, RecordError> {
        let record = record::decode(bytes, Some(position))?;
        let chain = self.previous.map_or(record.chain, |previous| record::chain(previous, position, record.crc));
        if record.chain != chain {
            // Where the next record follows the right value, only the field that holds it is damaged here.
            if !follows(chain) {
                return Err(RecordError::Chain);
            }
            let reason = "its chain value is wrong; all else in it is whole".to_string();
            self.wound(DamagedPart::Heartwood(position), reason, &position.to_be_bytes(), bytes);
        }
        match record.kind {
            Kind::Envelope => {
                let wire: WireEnvelope = from_bytes(record.body).map_err(RecordError::Body)?;
                let envelope: Envelope = wire.try_into().map_err(RecordError::Body)?;
                self.ledger.note_envelope(record.sequence, position, &envelope);
                self.pending.insert(record.sequence, envelope);
                self.counts.envelopes += 1;
            }
            Kind::Outcome => {
                let wire: WireOutcome = from_bytes(record.body).map_err(RecordError::Body)?;
                let is_past = wire.of_person.is_some();
                let (outcome, resolves) = wire.into_parts().map_err(RecordError::Body)?;
                if is_past {
                    self.ledger.newest_past = position;
                }
                self.settle(record.sequence, position, &outcome, &resolves, ticker);
                self.counts.outcomes += 1;
            }
            Kind::Attempt => {
                let wire: WireAttempt = from_bytes(record.body).map_err(RecordError::Body)?;
                let attempts = self.attempts.entry(record.sequence).or_default();
                attempts.all += 1;
                attempts.alone += u32::from(wire.alone);
            }
            Kind::Step => {
                let wire: WireStep = from_bytes(record.body).map_err(RecordError::Body)?;
                self.tick(position, &wire, ticker);
            }
            Kind::Epoch | Kind::Optional(_) => {}
            Kind::Horizon | Kind::Snapshot | Kind::Tombstone | Kind::Meta => {
                return Err(RecordError::UnknownKind(record.kind.byte()));
            }
        }
        Ok(chain)
    }

    /// Ticks above the snapshots are run again.
    fn tick(&mut self, position: u64, step: &WireStep, ticker: &mut dyn Ticker) {
        let first = Tick { number: step.from, started_at: step.started_at, index: step.index };
        self.ledger.ticks = self.ledger.ticks.max(first.later(step.ticks).number.saturating_sub(1));
        if position <= self.through {
            return;
        }
        self.ledger.note_ticks(position, self.ledger.ticks);
        for by in 0..step.ticks {
            for change in ticker.tick(&self.image, first.later(by)) {
                self.ledger.note_change(change.id(), position);
                self.image.apply(&change);
            }
        }
    }

    /// A message whose outcome is damaged is open again. Its envelope may stand before the part that was read.
    fn find_envelopes_of_lost(&mut self, txn: &RoTxn, dbs: &Databases) -> Result<(), ReadError> {
        for sequence in std::mem::take(&mut self.lost) {
            if !self.ledger.is_open(sequence) {
                for entry in dbs.heartwood.rev_iter(txn)? {
                    let (key, bytes) = entry?;
                    let Ok(position) = <[u8; 8]>::try_from(key).map(u64::from_be_bytes) else { continue };
                    let envelope = record::decode(bytes, Some(position))
                        .is_ok_and(|record| record.kind == Kind::Envelope && record.sequence == sequence);
                    if envelope {
                        self.ledger.note_open_again(sequence, position);
                        break;
                    }
                }
            }
            if self.ledger.is_open(sequence) {
                self.lost.push(sequence);
            }
        }
        Ok(())
    }

    fn settle(&mut self, sequence: u64, position: u64, outcome: &Outcome, resolves: &[u64], ticker: &mut dyn Ticker) {
        let envelope = self.ledger.note_outcome(sequence).unwrap_or_default();
        self.pending.remove(&sequence);
        self.attempts.remove(&sequence);
        self.lost.retain(|lost| *lost != sequence);
        if self.counts_suspended {
            let failed = matches!(outcome, Outcome::Failed(_)).then_some(Suspension { outcome: position, envelope });
            self.ledger.note_suspension(sequence, failed, resolves);
        }
        let Outcome::Completed { changes, .. } = outcome else { return };
        for change in changes {
            let id = change.id();
            let floor = self.stands.get(&id).map_or(self.through, |stands| self.through.max(*stands));
            if position > floor {
                ticker.touched(id);
                self.image.apply(change);
                self.ledger.note_change(id, position);
            }
        }
    }

    fn finish(mut self, meta: &Meta) -> Result<Self, ReadError> {
        if self.ledger.last != meta.last {
            let found = self.ledger.last;
            return Err(ReadError::Damaged(format!("its log ends at record {found}, not at {}", meta.last)));
        }
        if self.ledger.chain != meta.chain && self.previous.is_some() {
            return Err(ReadError::Damaged("the end of its log is not the one that was written last".into()));
        }
        // Objects came in at different positions, so a name may have passed from one to another in between.
        let mut image = Image::default();
        let (objects, tombstones) = std::mem::take(&mut self.image).into_parts();
        objects.for_each(|object| image.insert(object));
        tombstones.into_iter().for_each(|(id, tombstone)| image.bury(id, tombstone));
        self.image = image;
        Ok(self)
    }

    /// The failed messages that wait. One whose records can't be read is left out, with a wound. Records that are
    /// in no database yet are found in `batch`.
    pub(super) fn problems(&mut self, txn: &RoTxn, dbs: &Databases, batch: &Batch) -> Result<Vec<Problem>, ReadError> {
        let mut problems = Vec::new();
        for (sequence, suspension) in self.ledger.suspended.clone() {
            let stored = |position: u64| -> Result<Vec<u8>, ReadError> {
                let bytes = match batch.heartwood.get(position) {
                    Some(bytes) => bytes,
                    None => dbs.heartwood.get(txn, &position.to_be_bytes())?.unwrap_or_default(),
                };
                Ok(bytes.to_vec())
            };
            match problem(sequence, suspension, &stored(suspension.outcome)?, &stored(suspension.envelope)?) {
                Ok(problem) => problems.push(problem),
                Err(reason) => {
                    let reason = format!("message {sequence}: {reason}");
                    self.wound(DamagedPart::Suspended, reason, &sequence.to_be_bytes(), &suspension.to_bytes());
                }
            }
        }
        Ok(problems)
    }

    /// The newest turns of persons that can be taken back: each leads to the one before. They end at one whose records
    /// can't be read.
    pub(super) fn past_turns(&self, txn: &RoTxn, dbs: &Databases) -> Result<PastTurns, ReadError> {
        let mut past = PastTurns::default();
        let mut position = self.ledger.newest_past;
        while position > 0 {
            let stored = |position: u64| dbs.heartwood.get(txn, &position.to_be_bytes());
            let Ok((outcome, of)) = past_outcome(stored(position)?.unwrap_or_default(), position) else { break };
            let envelope = past_envelope(stored(of.envelope)?.unwrap_or_default(), of.envelope);
            let Ok((sequence, envelope)) = envelope else { break };
            let turn = PastTurn::of(sequence, &envelope, &Arc::new(outcome), of.posts);
            if of.earlier >= position || turn.is_some_and(|turn| !past.push_older(turn)) {
                break;
            }
            position = of.earlier;
        }
        Ok(past)
    }

    fn wound(&mut self, part: DamagedPart, reason: String, key: &[u8], raw: &[u8]) {
        self.wounds.push(Wound { damage: Damage::new(part, reason), key: key.to_vec(), raw: raw.to_vec() });
    }
}

fn read_snapshot(id: ObjectId, bytes: &[u8], last: u64) -> Result<(Snapshot, u64), RecordError> {
    let record = record::decode(bytes, None)?;
    if !matches!(record.kind, Kind::Snapshot | Kind::Tombstone) {
        return Err(RecordError::Body(format!("it is of the kind `{}`", record.kind.word())));
    }
    if record.position > last {
        return Err(RecordError::Position(record.position));
    }
    if record.kind == Kind::Tombstone {
        let wire: WireTombstone = from_bytes(record.body).map_err(RecordError::Body)?;
        let tombstone = wire.try_into().map_err(RecordError::Body)?;
        return Ok((Snapshot::Tombstone(tombstone), record.position));
    }
    let wire: WireObject = from_bytes(record.body).map_err(RecordError::Body)?;
    let object = Object::try_from(wire).map_err(RecordError::Body)?;
    if object.id != id {
        return Err(RecordError::Body(format!("it is of the object {}", object.id)));
    }
    Ok((Snapshot::Object(object), record.position))
}

fn past_outcome(bytes: &[u8], position: u64) -> Result<(Outcome, WireOfPerson), String> {
    let record = record::decode(bytes, Some(position)).map_err(|error| error.to_string())?;
    let wire: WireOutcome = from_bytes(record.body)?;
    let of = wire.of_person.ok_or("it is no turn of a person")?;
    Ok((wire.into_parts()?.0, of))
}

fn past_envelope(bytes: &[u8], position: u64) -> Result<(u64, Envelope), String> {
    let record = record::decode(bytes, Some(position)).map_err(|error| error.to_string())?;
    Ok((record.sequence, from_bytes::<WireEnvelope>(record.body)?.try_into()?))
}

fn problem(sequence: u64, suspension: Suspension, outcome: &[u8], envelope: &[u8]) -> Result<Problem, String> {
    let outcome: WireOutcome = from_bytes(body(outcome, suspension.outcome, Kind::Outcome, sequence)?)?;
    let envelope: WireEnvelope = from_bytes(body(envelope, suspension.envelope, Kind::Envelope, sequence)?)?;
    match outcome.into_parts()?.0 {
        Outcome::Failed(fault) => Ok(Problem { sequence, envelope: Arc::new(envelope.try_into()?), fault }),
        Outcome::Completed { .. } => Err("it points to a message that did not fail".to_string()),
    }
}

fn body(bytes: &[u8], position: u64, kind: Kind, sequence: u64) -> Result<&[u8], String> {
    match record::decode(bytes, Some(position)) {
        Ok(record) if record.kind == kind && record.sequence == sequence => Ok(record.body),
        Ok(_) => Err("it points to a record of something else".to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Ids that are in the Sapwood and of which nothing is left in the world, and those that changed above their snapshots.
pub(super) fn stale(replay: &Replay) -> BTreeSet<ObjectId> {
    let objects: BTreeSet<ObjectId> = replay.image.iter().map(|object| object.id).collect();
    let is_gone = |id: &&ObjectId| !objects.contains(id) && replay.image.tombstone(**id).is_none();
    let gone = replay.ledger.marks.keys().filter(is_gone);
    gone.copied().chain(replay.ledger.dirty()).collect()
}
