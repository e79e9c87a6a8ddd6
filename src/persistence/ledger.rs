//! What the writing side knows about the log: its end, what is open, what is dirty. Turns appends into a batch.
//!
//! The same figures come about in two ways, by writing and by reading the log again; both pass through here.

use super::Snapshot;
use super::batch::Batch;
use super::message_pack::write_envelope;
use super::record::{self, Kind};
use super::wire_message::{WireAttempt, WireEpoch, WireMeta, WireOfPerson, WireOutcome, WireStep};
use super::wire_object::{WireObject, WireTombstone, write_to};
use super::writer::LogEnd;
use crate::object::{Envelope, ObjectId, Outcome, Tick};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// So many failed messages wait at most; the oldest give way.
pub(super) const SUSPENDED_KEPT: usize = 1_000;
/// So many envelopes that have their outcome may be remembered behind one that has none.
const OPENED_KEPT: usize = 1_024;
/// The newest layout of a world that this program reads.
pub(super) const WORLD_FORMAT: u32 = 2;
/// The layout of a world of which nothing is archived; older programs read it, too.
const UNARCHIVED_FORMAT: u32 = 1;
/// This program's version.
pub(super) const WRITER: &str = env!("CARGO_PKG_VERSION");

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

/// An envelope that has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenMessage {
    position: u64,
    /// Where a person sent it: whether it takes another back.
    reverses: Option<bool>,
}

/// The figures about a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) world_id: Uuid,
    /// Position of the last record.
    pub(super) last: u64,
    /// Chain value of the last record.
    pub(super) chain: u64,
    /// The last record that is archived; 0 where none is.
    pub(super) horizon: LogEnd,
    pub(super) next_sequence: u64,
    /// Envelopes without an outcome, by sequence.
    open: BTreeMap<u64, OpenMessage>,
    /// Positions and sequences of envelopes, in order; the first is without an outcome.
    opened: VecDeque<(u64, u64)>,
    /// Position of the outcome of the newest turn of a person that can be taken back; 0 where there is none.
    pub(super) newest_past: u64,
    /// Failed messages that wait: sequence → positions.
    pub(super) suspended: BTreeMap<u64, Suspension>,
    pub(super) marks: BTreeMap<ObjectId, Mark>,
    pub(super) set_hash: u64,
    /// Changes that no snapshot holds: of each object the first one, and the first one after each set of snapshots that was
    /// handed over since and waits. Never empty for an object.
    dirt: BTreeMap<ObjectId, VecDeque<u64>>,
    firsts: BTreeSet<(u64, ObjectId)>,
    /// Where the newest set of snapshots stands that was handed over.
    handed_over: u64,
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

    /// Notes that the log has an envelope; for `reverses` see [`asked`].
    pub(super) fn note_envelope(&mut self, sequence: u64, position: u64, reverses: Option<bool>) {
        self.note_open(sequence, OpenMessage { position, reverses });
    }

    /// Notes an envelope whose outcome was lost. It is not in the order of the log any more.
    pub(super) fn note_open_again(&mut self, sequence: u64, position: u64) {
        self.note_open(sequence, OpenMessage { position, reverses: None });
        self.opened.make_contiguous().sort_unstable();
    }

    fn note_open(&mut self, sequence: u64, message: OpenMessage) {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.open.insert(sequence, message);
        self.opened.push_back((message.position, sequence));
        // One that stays open for long would keep all after it.
        if self.opened.len() > 2 * self.open.len() + OPENED_KEPT {
            self.opened.retain(|(_, sequence)| self.open.contains_key(sequence));
        }
    }

    /// Whether a message is without an outcome.
    pub(super) fn is_open(&self, sequence: u64) -> bool {
        self.open.contains_key(&sequence)
    }

    /// Notes that the log has the outcome of a message; answers where its envelope stands, if it was open.
    pub(super) fn note_outcome(&mut self, sequence: u64) -> Option<u64> {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        let position = self.open.remove(&sequence).map(|message| message.position);
        while self.opened.front().is_some_and(|(_, first)| !self.open.contains_key(first)) {
            self.opened.pop_front();
        }
        position
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
        let changes = self.dirt.entry(id).or_default();
        match changes.back() {
            Some(newest) if *newest > self.handed_over => return,
            Some(_) => {}
            None => _ = self.firsts.insert((position, id)),
        }
        changes.push_back(position);
    }

    /// Notes that objects were handed over as they stand at the end of the log. What changes from here on is not in their
    /// snapshots, also where these are written later.
    pub(super) fn note_handed_over(&mut self) {
        self.handed_over = self.last;
    }

    /// Notes that the Sapwood holds the object as it stands at a position.
    fn note_snapshot(&mut self, id: ObjectId, position: u64) {
        let Some(changes) = self.dirt.get_mut(&id) else { return };
        self.firsts.remove(&(changes.front().copied().unwrap_or_default(), id));
        while changes.front().is_some_and(|change| *change <= position) {
            changes.pop_front();
        }
        match changes.front() {
            Some(first) => _ = self.firsts.insert((*first, id)),
            None => _ = self.dirt.remove(&id),
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

    fn append(&mut self, kind: Kind, sequence: u64, body: &impl Serialize, batch: &mut Batch) -> Result<u64, String> {
        self.append_body(kind, sequence, |bytes| write_to(bytes, body), batch)
    }

    fn append_body(
        &mut self,
        kind: Kind,
        sequence: u64,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
        batch: &mut Batch,
    ) -> Result<u64, String> {
        let position = self.last + 1;
        let previous = self.chain;
        let (_, chain) = batch.heartwood.push(position, |bytes| {
            record::write(bytes, kind, position, sequence, body, |crc| record::chain(previous, position, crc))
        })?;
        self.last = position;
        self.chain = chain;
        Ok(position)
    }

    /// Appends a message.
    pub(super) fn envelope(&mut self, sequence: u64, envelope: &Envelope, batch: &mut Batch) -> Result<(), String> {
        let body = |bytes: &mut Vec<u8>| write_envelope(bytes, envelope).map_err(|error| error.to_string());
        let position = self.append_body(Kind::Envelope, sequence, body, batch)?;
        self.note_envelope(sequence, position, asked(envelope));
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
        if let Some(OpenMessage { position: envelope, reverses: Some(reverses) }) = self.open.get(&sequence)
            && let Outcome::Completed { changes, .. } = outcome
            && (*reverses || !changes.is_empty())
        {
            wire.of_person = Some(WireOfPerson { envelope: *envelope, earlier: self.newest_past, posts });
            self.newest_past = self.last + 1;
        }
        let position = self.append(Kind::Outcome, sequence, &wire, batch)?;
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
        let position = self.append(Kind::Step, 0, &WireStep { from, ticks, started_at, index }, batch)?;
        self.note_ticks(position, (from + ticks).saturating_sub(1));
        Ok(())
    }

    /// Appends that a message is about to be delivered again.
    pub(super) fn attempt(&mut self, sequence: u64, alone: bool, batch: &mut Batch) -> Result<(), String> {
        self.append(Kind::Attempt, sequence, &WireAttempt { alone }, batch).map(drop)
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
        let epoch = WireEpoch {
            started_at: self.began_at,
            pid: std::process::id(),
            writer: WRITER.to_string(),
            last_position: self.last,
            last_chain: self.chain,
            clean,
        };
        self.append(Kind::Epoch, 0, &epoch, batch).map(drop)
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
            let mut bytes = Vec::new();
            let write = |body: &mut Vec<u8>| match snapshot {
                Snapshot::Object(object) => write_to(body, &WireObject::from(object)),
                Snapshot::Tombstone(tombstone) => write_to(body, &WireTombstone::from(tombstone)),
            };
            let kind = match snapshot {
                Snapshot::Object(_) => Kind::Snapshot,
                Snapshot::Tombstone(_) => Kind::Tombstone,
            };
            let (crc, _) = record::write(&mut bytes, kind, position, 0, write, |_| count)?;
            self.marks.insert(id, Mark { crc, count });
            self.set_hash = self.set_hash.wrapping_add(record::set_share(&key, crc));
            batch.snapshot_bytes += bytes.len();
            value = Some(bytes);
        }
        batch.sapwood.insert(key.to_vec(), value);
        self.note_snapshot(id, position);
        Ok(())
    }

    /// The record about the whole that belongs into the same transaction.
    pub(super) fn meta(&self, clean: bool) -> Result<Vec<u8>, String> {
        let through = self.snapshots_through();
        let open_from = self.opened.front().map_or(u64::MAX, |(position, _)| *position);
        let meta = WireMeta {
            format: if self.horizon.position > 0 { WORLD_FORMAT } else { UNARCHIVED_FORMAT },
            world_id: self.world_id,
            writer: WRITER.to_string(),
            clean,
            set_hash: self.set_hash,
            snapshots_through: through,
            replay_from: open_from.min(through + 1),
            next_sequence: self.next_sequence,
            horizon_position: self.horizon.position,
            horizon_chain: self.horizon.chain,
            ticks: self.ticks,
            newest_past: self.newest_past,
        };
        let mut bytes = Vec::new();
        record::write(&mut bytes, Kind::Meta, self.last, 0, |body| write_to(body, &meta), |_| self.chain)?;
        Ok(bytes)
    }
}
