//! What the writing side knows about the log: its end, what is open, what is dirty. Turns appends into a batch.
//!
//! The same figures come about in two ways, by writing and by reading the log again; both pass through here.

use super::Snapshot;
use super::record::{self, Kind};
use super::wire_message::{
    WireAttempt, WireEnvelope, WireEpoch, WireMeta, WireOfPerson, WireOutcome, WireQuarantined, WireStep,
};
use super::wire_object::{WireObject, WireTombstone, to_bytes};
use super::writer::LogEnd;
use crate::object::{Envelope, ObjectId, Outcome, Tick};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// So many failed messages wait at most; the oldest give way.
pub(super) const SUSPENDED_KEPT: usize = 1_000;
/// The layout of a world that this program writes, and the newest that it reads.
pub(super) const WORLD_FORMAT: u32 = 1;
/// This program's version.
pub(super) const WRITER: &str = env!("CARGO_PKG_VERSION");

/// What one transaction writes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Positions and records to append.
    pub(super) heartwood: Vec<(u64, Vec<u8>)>,
    /// Snapshots to put, or to take away.
    pub(super) sapwood: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Entries of failed messages to put, or to take away.
    pub(super) suspended: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Damaged records to keep.
    pub(super) quarantine: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Size of all records, in bytes.
    pub(super) bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.heartwood.is_empty() && self.sapwood.is_empty() && self.suspended.is_empty() && self.quarantine.is_empty()
    }

    /// Adds what a later batch writes, without the records of a log that ends at `position` already.
    pub(super) fn extend(&mut self, later: &Self, position: u64) {
        self.heartwood.extend(later.heartwood.iter().filter(|(of, _)| *of > position).cloned());
        self.sapwood.extend(later.sapwood.clone());
        self.suspended.extend(later.suspended.clone());
        self.quarantine.extend(later.quarantine.clone());
        self.bytes = self.bytes.saturating_add(later.bytes);
    }

    /// Keeps the bytes of a damaged record. The key is the name of its database and its key there.
    pub(super) fn quarantine(
        &mut self,
        part: &str,
        key: &[u8],
        reason: &str,
        raw: &[u8],
        now_ms: u64,
    ) -> Result<(), String> {
        let (reason, writer) = (reason.to_string(), WRITER.to_string());
        let value = to_bytes(&WireQuarantined { reason, found_at: now_ms, writer, raw: raw.to_vec() })?;
        self.quarantine.insert([part.as_bytes(), b"/", key].concat(), Some(value));
        Ok(())
    }
}

/// Where a failed message that waits stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    /// Position of its outcome.
    pub(super) outcome: u64,
    /// Position of its envelope.
    pub(super) envelope: u64,
}

impl Suspension {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.outcome.to_be_bytes(), self.envelope.to_be_bytes()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (outcome, envelope) = bytes.split_first_chunk::<8>()?;
        let envelope = envelope.try_into().ok()?;
        Some(Self { outcome: u64::from_be_bytes(*outcome), envelope: u64::from_be_bytes(envelope) })
    }
}

/// The snapshot of an object as it stands in the Sapwood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) crc: u32,
    /// How many snapshots of the object were taken.
    pub(super) count: u64,
}

/// The positions of an object's changes that no snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dirt {
    /// At or before the first.
    first: u64,
    last: u64,
}

/// The figures about a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) world_id: Uuid,
    /// Position of the last record.
    pub(super) last: u64,
    /// Chain value of the last record.
    pub(super) chain: u64,
    pub(super) next_sequence: u64,
    /// Envelopes without an outcome: sequence → position.
    pub(super) open: BTreeMap<u64, u64>,
    /// Those of them that persons sent, and whether each takes another back.
    asked: BTreeMap<u64, bool>,
    /// Position of the outcome of the newest turn of a person that can be taken back; 0 where there is none.
    pub(super) newest_past: u64,
    /// Failed messages that wait: sequence → positions.
    pub(super) suspended: BTreeMap<u64, Suspension>,
    pub(super) marks: BTreeMap<ObjectId, Mark>,
    pub(super) set_hash: u64,
    dirt: BTreeMap<ObjectId, Dirt>,
    firsts: BTreeSet<(u64, ObjectId)>,
    /// Ticks that the world has had.
    pub(super) ticks: u64,
    /// Positions of ticks that are in no whole set of snapshots: what they changed nobody lists.
    unkept_ticks: BTreeSet<u64>,
    /// When this process took the world over, in milliseconds since 1970 (UTC).
    began_at: u64,
}

/// Of a message that a person sent, whether it takes another back.
pub(super) fn asked(envelope: &Envelope) -> Option<bool> {
    envelope.is_of_person().then(|| envelope.reversal().is_some())
}

impl Ledger {
    pub(super) fn new(world_id: Uuid) -> Self {
        Self { world_id, next_sequence: 1, ..Self::default() }
    }

    /// Notes that the log has an envelope.
    pub(super) fn note_envelope(&mut self, sequence: u64, position: u64) {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.open.insert(sequence, position);
    }

    /// Notes who sent a message that has no outcome yet: see [`asked`].
    pub(super) fn note_sender(&mut self, sequence: u64, asked: Option<bool>) {
        if let Some(reverses) = asked {
            self.asked.insert(sequence, reverses);
        }
    }

    /// Notes that the log has the outcome of a message; answers where its envelope stands, if it was open.
    pub(super) fn note_outcome(&mut self, sequence: u64) -> Option<u64> {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.asked.remove(&sequence);
        self.open.remove(&sequence)
    }

    /// Notes what an outcome does to the failed messages that wait: first it resolves, then its own may join.
    /// Answers the entries that changed.
    pub(super) fn note_suspension(
        &mut self,
        sequence: u64,
        failed: Option<Suspension>,
        resolves: &[u64],
    ) -> Vec<(u64, Option<Suspension>)> {
        let mut changed: Vec<(u64, Option<Suspension>)> = Vec::new();
        for resolved in resolves {
            if self.suspended.remove(resolved).is_some() {
                changed.push((*resolved, None));
            }
        }
        if let Some(suspension) = failed {
            self.suspended.insert(sequence, suspension);
            changed.push((sequence, Some(suspension)));
        }
        while self.suspended.len() > SUSPENDED_KEPT {
            changed.extend(self.suspended.pop_first().map(|(oldest, _)| (oldest, None)));
        }
        changed
    }

    /// Notes that an object changed at a position.
    pub(super) fn note_change(&mut self, id: ObjectId, position: u64) {
        self.dirt.entry(id).and_modify(|dirt| dirt.last = dirt.last.max(position)).or_insert_with(|| {
            self.firsts.insert((position, id));
            Dirt { first: position, last: position }
        });
    }

    /// Notes that the Sapwood holds the object as it stands at a position.
    fn note_snapshot(&mut self, id: ObjectId, position: u64) {
        let Some(dirt) = self.dirt.get_mut(&id) else { return };
        self.firsts.remove(&(dirt.first, id));
        if dirt.last <= position {
            self.dirt.remove(&id);
        } else {
            dirt.first = dirt.first.max(position + 1);
            self.firsts.insert((dirt.first, id));
        }
    }

    /// Objects with changes that no snapshot holds.
    pub(super) fn dirty(&self) -> impl Iterator<Item = ObjectId> {
        self.dirt.keys().copied()
    }

    /// The snapshots hold every change up to this position.
    pub(super) fn snapshots_through(&self) -> u64 {
        let first = self.firsts.first().map(|(first, _)| *first).into_iter().chain(self.unkept_ticks.first().copied());
        first.min().map_or(self.last, |first| first - 1)
    }

    /// Notes that ticks stand at a position.
    pub(super) fn note_ticks(&mut self, position: u64, last: u64) {
        self.unkept_ticks.insert(position);
        self.ticks = self.ticks.max(last);
    }

    /// Whether the snapshots that stand at a position must come to the Sapwood all at once: ticks run again only on a
    /// world as it was at one position.
    pub(super) fn is_ticked_before(&self, position: u64) -> bool {
        self.unkept_ticks.first().is_some_and(|first| *first <= position)
    }

    /// Notes that the Sapwood holds every object that was not as its snapshot, as it stands at a position.
    pub(super) fn note_snapshot_set(&mut self, position: u64) {
        self.unkept_ticks = self.unkept_ticks.split_off(&(position + 1));
    }

    /// Every message up to this number has its outcome in the log.
    pub(super) fn settled_through(&self) -> u64 {
        self.open.keys().next().copied().unwrap_or(self.next_sequence).saturating_sub(1)
    }

    /// Where the log ends.
    pub(super) fn end(&self) -> LogEnd {
        LogEnd { position: self.last, chain: self.chain }
    }

    fn append(&mut self, kind: Kind, sequence: u64, body: &[u8], batch: &mut Batch) -> u64 {
        let position = self.last + 1;
        let previous = self.chain;
        let (bytes, crc) = record::encode(kind, position, sequence, body, |crc| record::chain(previous, position, crc));
        self.last = position;
        self.chain = record::chain(previous, position, crc);
        batch.bytes += bytes.len();
        batch.heartwood.push((position, bytes));
        position
    }

    /// Appends a message.
    pub(super) fn envelope(&mut self, sequence: u64, envelope: &Envelope, batch: &mut Batch) -> Result<(), String> {
        let body = to_bytes(&WireEnvelope::from(envelope))?;
        let position = self.append(Kind::Envelope, sequence, &body, batch);
        self.note_envelope(sequence, position);
        self.note_sender(sequence, asked(envelope));
        Ok(())
    }

    /// Appends how a turn ended, which posted so many messages.
    pub(super) fn outcome(
        &mut self,
        sequence: u64,
        outcome: &Outcome,
        resolves: &[u64],
        posts: u64,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let mut wire = WireOutcome::new(outcome, resolves);
        // What `PastTurn::of` says of it.
        if let (Some(envelope), Some(reverses)) = (self.open.get(&sequence), self.asked.get(&sequence))
            && let Outcome::Completed { changes, .. } = outcome
            && (*reverses || !changes.is_empty())
        {
            wire.of_person = Some(WireOfPerson { envelope: *envelope, earlier: self.newest_past, posts });
            self.newest_past = self.last + 1;
        }
        let body = to_bytes(&wire)?;
        let position = self.append(Kind::Outcome, sequence, &body, batch);
        let envelope = self.note_outcome(sequence).unwrap_or_default();
        let failed = matches!(outcome, Outcome::Failed(_)).then_some(Suspension { outcome: position, envelope });
        for (sequence, entry) in self.note_suspension(sequence, failed, resolves) {
            batch.suspended.insert(sequence.to_be_bytes().to_vec(), entry.map(Suspension::to_bytes));
        }
        if let Outcome::Completed { changes, .. } = outcome {
            for change in changes {
                self.note_change(change.id(), position);
            }
        }
        Ok(())
    }

    /// Appends ticks: the first, and how many.
    pub(super) fn step(&mut self, first: Tick, ticks: u64, batch: &mut Batch) -> Result<(), String> {
        let Tick { number: from, started_at, index } = first;
        let body = to_bytes(&WireStep { from, ticks, started_at, index })?;
        let position = self.append(Kind::Step, 0, &body, batch);
        self.note_ticks(position, (from + ticks).saturating_sub(1));
        Ok(())
    }

    /// Appends that a message is about to be delivered again.
    pub(super) fn attempt(&mut self, sequence: u64, alone: bool, batch: &mut Batch) -> Result<(), String> {
        let body = to_bytes(&WireAttempt { alone })?;
        self.append(Kind::Attempt, sequence, &body, batch);
        Ok(())
    }

    /// Appends that this process took the world over.
    pub(super) fn epoch(&mut self, now_ms: u64, clean: bool, batch: &mut Batch) -> Result<(), String> {
        self.began_at = now_ms;
        self.write_epoch(clean, batch)
    }

    /// Appends that this process goes on after the disk refused something.
    pub(super) fn epoch_again(&mut self, batch: &mut Batch) -> Result<(), String> {
        self.write_epoch(false, batch)
    }

    fn write_epoch(&mut self, clean: bool, batch: &mut Batch) -> Result<(), String> {
        let body = to_bytes(&WireEpoch {
            started_at: self.began_at,
            pid: std::process::id(),
            writer: WRITER.to_string(),
            last_position: self.last,
            last_chain: self.chain,
            clean,
        })?;
        self.append(Kind::Epoch, 0, &body, batch);
        Ok(())
    }

    /// Puts what is kept of an object as it stands at a position; `None` for one of which nothing stays.
    pub(super) fn snapshot(
        &mut self,
        id: ObjectId,
        snapshot: Option<&Snapshot>,
        position: u64,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let key = *id.0.as_bytes();
        let old = self.marks.remove(&id);
        if let Some(old) = old {
            self.set_hash = self.set_hash.wrapping_sub(record::set_share(&key, old.crc));
        }
        let mut value = None;
        if let Some(snapshot) = snapshot {
            let count = old.map_or(0, |old| old.count) + 1;
            let (kind, body) = match snapshot {
                Snapshot::Object(object) => (Kind::Snapshot, to_bytes(&WireObject::from(object))?),
                Snapshot::Tombstone(tombstone) => (Kind::Tombstone, to_bytes(&WireTombstone::from(tombstone))?),
            };
            let (bytes, crc) = record::encode(kind, position, 0, &body, |_| count);
            self.marks.insert(id, Mark { crc, count });
            self.set_hash = self.set_hash.wrapping_add(record::set_share(&key, crc));
            batch.bytes += bytes.len();
            value = Some(bytes);
        }
        batch.sapwood.insert(key.to_vec(), value);
        self.note_snapshot(id, position);
        Ok(())
    }

    /// The record about the whole that belongs into the same transaction.
    pub(super) fn meta(&self, clean: bool) -> Result<Vec<u8>, String> {
        let through = self.snapshots_through();
        let open_from = self.open.values().min().copied().unwrap_or(u64::MAX);
        let body = to_bytes(&WireMeta {
            format: WORLD_FORMAT,
            world_id: self.world_id,
            writer: WRITER.to_string(),
            clean,
            set_hash: self.set_hash,
            snapshots_through: through,
            replay_from: open_from.min(through + 1),
            next_sequence: self.next_sequence,
            horizon_position: 0,
            horizon_chain: 0,
            ticks: self.ticks,
            newest_past: self.newest_past,
        })?;
        Ok(record::encode(Kind::Meta, self.last, 0, &body, |_| self.chain).0)
    }
}
