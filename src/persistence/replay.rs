//! Reading a world back: snapshots, then the log above them; or the whole log from its beginning.
//!
//! A change concerns an object only if it stands above the object's snapshot and above the position through which
//! all snapshots are whole. A record that can't be read is set aside; the others go on. Records are decoded by several
//! threads, and taken in by one, in order.

use super::archive::{Flaw, Parcel, Unpacked};
use super::decoding::{self, Body, Link, LogRecord, Stored};
use super::ledger::{Ledger, Suspension};
use super::record::{self, Kind, RecordError};
use super::source::{Meta, ReadError, Source};
use super::store::{Databases, META_KEY};
use super::wire_message::WireStep;
use super::{Damage, DamagedPart, Snapshot, Ticker};
use crate::object::{Envelope, Image, ObjectId, Objects, Outcome, Tick};
use foldhash::fast::RandomState;
use heed::RoTxn;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use uuid::Uuid;

/// A damaged record with what was left of it.
#[derive(Clone, Debug)]
pub(super) struct Wound {
    pub(super) damage: Damage,
    pub(super) key: Vec<u8>,
    pub(super) raw: Vec<u8>,
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
    /// The first archived records that were to be read and can't be.
    pub(super) gap: Option<Flaw>,
    /// Where the messages stand that have no outcome yet.
    waiting: BTreeMap<u64, u64>,
    /// The first and the last change of each object that no snapshot holds.
    changed: HashMap<ObjectId, (u64, u64), RandomState>,
    /// Chain value of the record before; none after a damaged one.
    previous: Option<u64>,
    /// Snapshots hold every change up to here.
    through: u64,
    /// Where the snapshots stand that are loaded.
    stands: BTreeMap<ObjectId, u64>,
    /// Whether failed messages are counted from the log, rather than taken from their list.
    counts_suspended: bool,
    /// Whether a tick ran again.
    ticked: bool,
}

impl Replay {
    /// The world as it wakes: from snapshots and the log above them. One wrong snapshot, and the whole log is read.
    pub(super) fn awakening(source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<Self, ReadError> {
        let Source { txn, dbs, meta, .. } = *source;
        ticker.begin(meta.wire.world_id);
        let mut replay = Self::beginning(meta);
        replay.load_snapshots(source)?;
        replay.load_suspended(txn, dbs)?;
        if replay.wounds.is_empty() {
            replay.through = meta.wire.snapshots_through;
            replay.start_at(source)?;
        } else {
            source.progress.expect_records(meta.wire.replay_from.saturating_sub(1));
            let (wounds, marks) = (std::mem::take(&mut replay.wounds), std::mem::take(&mut replay.ledger.marks));
            let set_hash = replay.ledger.set_hash;
            replay = Self::beginning(meta);
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
        replay.read_log(source, ticker)?;
        if let Some(Flaw { first, last, reason }) = &replay.gap {
            // What stood in them nobody knows: the world would be another one.
            let found = replay.wounds.first().map(|wound| wound.damage.to_string()).unwrap_or_default();
            let reason = format!(
                "{found}; and archived records {first} to {last}, which are needed now, can't be read: {reason}"
            );
            return Err(ReadError::Damaged(reason));
        }
        replay.finish(source)
    }

    /// The world as the log alone tells it.
    pub(super) fn whole_log(source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<Self, ReadError> {
        ticker.begin(source.meta.wire.world_id);
        let mut replay = Self::beginning(source.meta);
        replay.counts_suspended = true;
        replay.from_log_alone = true;
        replay.read_log(source, ticker)?;
        replay.finish(source)
    }

    fn beginning(meta: &Meta) -> Self {
        let mut ledger = Ledger::new(meta.wire.world_id);
        ledger.horizon = meta.horizon();
        Self { ledger, previous: Some(0), ..Self::default() }
    }

    fn load_snapshots(&mut self, source: &Source<'_>) -> Result<(), ReadError> {
        let Source { txn, dbs, meta, sharing, progress, .. } = *source;
        let entries = dbs.sapwood.iter(txn)?.map(|entry| {
            let (key, bytes) = entry?;
            let id = Uuid::from_slice(key).map(ObjectId);
            let id = id.map_err(|_| ReadError::Damaged("a snapshot has an impossible key".into()))?;
            Ok((id, bytes))
        });
        // Keys ascend: maps that are made from the whole are made without a search for each.
        let (mut objects, mut marks, mut stands) = (Vec::new(), Vec::new(), Vec::new());
        let decode = |(id, bytes)| decoding::stored(id, bytes, meta.last);
        sharing.in_order(
            entries,
            |(_, bytes)| bytes.len(),
            decode,
            |stored: Stored<'_>| {
                progress.note_record();
                let Stored { id, bytes, mark, share, snapshot } = stored;
                marks.push((id, mark));
                self.ledger.set_hash = self.ledger.set_hash.wrapping_add(share);
                match snapshot {
                    Ok((snapshot, position)) => {
                        stands.push((id, position));
                        match snapshot {
                            Snapshot::Object(object) => objects.push(object),
                            Snapshot::Tombstone(tombstone) => self.image.bury(id, tombstone),
                        }
                    }
                    Err(error) if error.is_newer() => return Err(ReadError::Newer(error.to_string())),
                    Err(error) => self.wound(DamagedPart::Sapwood(id), error.to_string(), id.0.as_bytes(), bytes),
                }
                Ok(())
            },
        )?;
        self.counts.snapshots = objects.len() as u64;
        self.image.extend(objects);
        (self.ledger.marks, self.stands) = (marks.into_iter().collect(), stands.into_iter().collect());
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
    fn start_at(&mut self, source: &Source<'_>) -> Result<(), ReadError> {
        let meta = source.meta;
        let before = meta.wire.replay_from.saturating_sub(1);
        self.ledger.last = before;
        if before > 0 {
            let known = [meta.end(), meta.horizon()].into_iter().find(|end| end.position == before);
            let chain = match known {
                Some(end) => end.chain,
                None => {
                    let record = source.record(before)?;
                    let glance = record.as_deref().and_then(record::glance);
                    glance.ok_or_else(|| ReadError::Damaged(format!("log record {before} is missing")))?.2
                }
            };
            self.ledger.chain = chain;
            self.previous = Some(chain);
        }
        Ok(())
    }

    fn read_log(&mut self, source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<(), ReadError> {
        let Source { txn, dbs, meta, sharing, progress, .. } = *source;
        self.ledger.ticks = if self.from_log_alone { 0 } else { meta.wire.ticks };
        self.read_archive(source, ticker)?;
        let from = (self.ledger.last + 1).to_be_bytes();
        let range = (Bound::Included(&from[..]), Bound::Unbounded);
        let mut position = self.ledger.last;
        let entries = dbs.heartwood.range(txn, &range)?.map(|entry| {
            let (key, bytes) = entry?;
            position += 1;
            if key == position.to_be_bytes() {
                Ok((position, bytes))
            } else {
                Err(ReadError::Damaged(format!("log record {position} is missing")))
            }
        });
        let decode = |(position, bytes)| decoding::log_record(position, bytes);
        sharing.in_order(
            entries,
            |(_, bytes)| bytes.len(),
            decode,
            |record| {
                progress.note_record();
                self.feed(record, source, ticker)
            },
        )?;
        self.find_envelopes_of_lost(source)
    }

    /// Takes in the archived records that are to be read.
    fn read_archive(&mut self, source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<(), ReadError> {
        let from = self.ledger.last + 1;
        if from > source.archive.horizon() {
            return Ok(());
        }
        let unpack = |parcel: Parcel| {
            let unpacked = parcel.unpack();
            let records = unpacked.records().filter(|(position, _)| *position >= from);
            let links: Vec<_> = records.map(|(position, bytes)| decoding::log_record(position, bytes).link).collect();
            (unpacked, links)
        };
        let parcels = source.archive.parcels(from).map(Ok);
        source.sharing.in_order(parcels, Parcel::bytes, unpack, |(unpacked, links)| {
            let records = unpacked.records().filter(|(position, _)| *position >= from);
            for ((position, bytes), link) in records.zip(links) {
                source.progress.note_record();
                self.feed(LogRecord { position, bytes, link }, source, ticker)?;
            }
            match unpacked {
                Unpacked::Records(_) => {}
                Unpacked::Gap(gap) => self.pass_over(gap),
                Unpacked::Fault(Flaw { first, last, reason }) => {
                    self.wound(DamagedPart::Archive(first, last), reason, &first.to_be_bytes(), &[]);
                }
            }
            Ok(())
        })
    }

    /// Goes on behind records that can't be read.
    fn pass_over(&mut self, gap: Flaw) {
        self.counts.records += gap.last + 1 - self.ledger.last.max(gap.first - 1) - 1;
        self.ledger.last = gap.last;
        self.previous = None;
        let part = DamagedPart::Archive(gap.first, gap.last);
        self.wound(part, gap.reason.clone(), &gap.first.to_be_bytes(), &[]);
        self.gap.get_or_insert(gap);
    }

    /// Takes in the next record.
    fn feed(&mut self, record: LogRecord<'_>, source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<(), ReadError> {
        let LogRecord { position, bytes, link } = record;
        self.counts.records += 1;
        self.ledger.last = position;
        let link = link.and_then(|link| self.check_chain(position, bytes, link, source));
        match link.and_then(|(sequence, chain, body)| Ok((sequence, chain, body?))) {
            Ok((sequence, chain, body)) => {
                self.take_in(position, sequence, body, source, ticker);
                self.ledger.chain = chain;
                self.previous = Some(chain);
                Ok(())
            }
            Err(error) if error.is_newer() => Err(ReadError::Newer(format!("log record {position}: {error}"))),
            Err(error) => {
                let (kind, sequence, chain) = record::glance(bytes).unwrap_or_default();
                if kind == Some(Kind::Outcome) {
                    self.waiting.remove(&sequence);
                    self.lost.push(sequence);
                }
                self.ledger.chain = chain;
                self.previous = None;
                self.wound(DamagedPart::Heartwood(position), error.to_string(), &position.to_be_bytes(), bytes);
                Ok(())
            }
        }
    }

    /// Answers the chain value that the record has by right, and what it holds.
    fn check_chain(
        &mut self,
        position: u64,
        bytes: &[u8],
        link: Link,
        source: &Source<'_>,
    ) -> Result<(u64, u64, Result<Body, RecordError>), RecordError> {
        let chain = match self.previous {
            Some(previous) => record::chain(previous, position, link.crc),
            None if position == source.meta.last => {
                // Where the log ends is known. It ends so, or it does if the field of the record before is right, or nothing proves this one.
                let by_field = record::chain(self.ledger.chain, position, link.crc);
                if ![link.chain, by_field].contains(&source.meta.chain) {
                    return Err(RecordError::Chain);
                }
                source.meta.chain
            }
            None => link.chain,
        };
        if link.chain != chain {
            // Where the next record follows the right value, only the field that holds it is damaged here.
            if !source.follows(position + 1, chain) {
                return Err(RecordError::Chain);
            }
            let reason = "its chain value is wrong; all else in it is whole".to_string();
            self.wound(DamagedPart::Heartwood(position), reason, &position.to_be_bytes(), bytes);
        }
        Ok((link.sequence, chain, link.body))
    }

    fn take_in(&mut self, position: u64, sequence: u64, body: Body, source: &Source<'_>, ticker: &mut dyn Ticker) {
        match body {
            Body::Envelope { asked } => {
                self.ledger.note_envelope(sequence, position, asked);
                self.waiting.insert(sequence, position);
                self.counts.envelopes += 1;
            }
            Body::Outcome { outcome, resolves, is_past } => {
                if is_past {
                    self.ledger.newest_past = position;
                }
                self.settle(sequence, position, &outcome, &resolves, ticker);
                self.counts.outcomes += 1;
            }
            Body::Attempt { alone } => {
                let attempts = self.attempts.entry(sequence).or_default();
                attempts.all += 1;
                attempts.alone += u32::from(alone);
            }
            Body::Step(step) => self.tick(position, &step, source, ticker),
            Body::Other => {}
        }
    }

    /// Ticks above the snapshots are run again.
    fn tick(&mut self, position: u64, step: &WireStep, source: &Source<'_>, ticker: &mut dyn Ticker) {
        let first = Tick { number: step.from, started_at: step.started_at, index: step.index };
        self.ledger.ticks = self.ledger.ticks.max(first.later(step.ticks).number.saturating_sub(1));
        if position <= self.through {
            return;
        }
        self.ledger.note_ticks(position, self.ledger.ticks);
        if !std::mem::replace(&mut self.ticked, true) {
            source.progress.expect_ticks((source.meta.wire.ticks + 1).saturating_sub(step.from));
        }
        for by in 0..step.ticks {
            source.progress.note_tick();
            for change in ticker.tick(&self.image, first.later(by)) {
                self.note_change(change.id(), position);
                self.image.apply(&change);
            }
        }
    }

    /// A message whose outcome is damaged is open again. Its envelope may stand before the part that was read.
    fn find_envelopes_of_lost(&mut self, source: &Source<'_>) -> Result<(), ReadError> {
        for sequence in std::mem::take(&mut self.lost) {
            if !self.ledger.is_open(sequence)
                && let Some(position) = source.envelope_of(sequence)?
            {
                self.ledger.note_open_again(sequence, position);
            }
            if self.ledger.is_open(sequence) {
                self.lost.push(sequence);
            }
        }
        Ok(())
    }

    fn settle(&mut self, sequence: u64, position: u64, outcome: &Outcome, resolves: &[u64], ticker: &mut dyn Ticker) {
        let envelope = self.ledger.note_outcome(sequence).unwrap_or_default();
        self.waiting.remove(&sequence);
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
                self.note_change(id, position);
            }
        }
    }

    fn note_change(&mut self, id: ObjectId, position: u64) {
        self.changed.entry(id).or_insert((position, position)).1 = position;
    }

    fn finish(mut self, source: &Source<'_>) -> Result<Self, ReadError> {
        let meta = source.meta;
        if self.ledger.last != meta.last {
            let found = self.ledger.last;
            return Err(ReadError::Damaged(format!("its log ends at record {found}, not at {}", meta.last)));
        }
        if self.ledger.chain != meta.chain && self.previous.is_some() {
            return Err(ReadError::Damaged("the end of its log is not the one that was written last".into()));
        }
        for (sequence, position) in std::mem::take(&mut self.waiting) {
            let bytes = source.record(position)?.unwrap_or_default();
            let (_, envelope) = decoding::envelope(&bytes, position).map_err(ReadError::Damaged)?;
            self.pending.insert(sequence, envelope);
        }
        let changed: BTreeMap<ObjectId, (u64, u64)> = std::mem::take(&mut self.changed).into_iter().collect();
        for (id, (first, last)) in changed {
            self.ledger.note_change(id, first);
            self.ledger.note_change(id, last);
        }
        // Objects came in at different positions, so a name may have passed from one to another in between.
        self.image.index_names();
        Ok(self)
    }

    pub(super) fn wound(&mut self, part: DamagedPart, reason: String, key: &[u8], raw: &[u8]) {
        self.wounds.push(Wound { damage: Damage::new(part, reason), key: key.to_vec(), raw: raw.to_vec() });
    }
}

/// Ids that are in the Sapwood and of which nothing is left in the world, and those that changed above their snapshots.
pub(super) fn stale(replay: &Replay) -> BTreeSet<ObjectId> {
    let is_gone = |id: &&ObjectId| replay.image.object(**id).is_none() && replay.image.tombstone(**id).is_none();
    let gone = replay.ledger.marks.keys().filter(is_gone);
    gone.copied().chain(replay.ledger.dirty()).collect()
}
