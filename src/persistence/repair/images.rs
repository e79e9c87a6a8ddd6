//! What the objects of a world are, by its log and by its snapshots. Where the log has a hole, what lies before it is as the log
//! says; what the hole did is known only from snapshots that stand behind it; and what comes after applies to both.

use super::chain::{Linked, Log};
use super::scan::RawFile;
use crate::object::{Change, Image, ObjectId, Objects, Outcome, Tick};
use crate::persistence::decoding::{self, Body};
use crate::persistence::ledger::{Ledger, Suspension};
use crate::persistence::record;
use crate::persistence::wire_message::WireStep;
use crate::persistence::world_hash::serial_form;
use crate::persistence::{Snapshot, Ticker};
use std::collections::{BTreeMap, BTreeSet};

/// A snapshot, and the position that it stands at.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) snapshot: Snapshot,
    pub(super) position: u64,
}

/// The objects of a world.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// As the log alone tells of them.
    log: Image,
    /// As the snapshots prove them to be, where they are needed.
    proven: Option<Image>,
    /// Whether snapshots and log agree, where both are whole.
    pub(super) agree: bool,
    /// Whether ticks could not run again.
    pub(super) lost_ticks: bool,
    /// Up to where an object is certain whatever the log lacks.
    stands: BTreeMap<ObjectId, u64>,
    through: u64,
    /// Where an object was deleted that is not there any more.
    deleted: BTreeMap<ObjectId, u64>,
    /// Objects that changed and were not there.
    missing: BTreeSet<ObjectId>,
    /// Messages without outcome: where they stand, and the last record that shows them so.
    open: BTreeMap<u64, (u64, u64)>,
    /// Messages of which there is any record.
    known: BTreeSet<u64>,
    /// Counts the failed messages that wait.
    ledger: Ledger,
}

impl Images {
    /// What the log alone tells. Records whose body can't be read are taken out of it.
    pub(super) fn of_log(raw: &RawFile, log: &mut Log, ticker: &mut dyn Ticker) -> Self {
        let mut images = Self { agree: true, ..Self::default() };
        let mut image = Image::default();
        let mut unreadable = Vec::new();
        for (position, linked) in &log.records {
            match read(raw, *position, linked) {
                Some((sequence, body)) => {
                    images.note(*position, sequence, &body);
                    images.apply(&mut image, *position, &body, 0, 0, ticker);
                }
                None => unreadable.push(*position),
            }
        }
        unreadable.iter().for_each(|position| _ = log.records.remove(position));
        image.index_names();
        images.log = image;
        images
    }

    fn note(&mut self, position: u64, sequence: u64, body: &Body) {
        if sequence > 0 {
            self.known.insert(sequence);
        }
        match body {
            Body::Envelope { asked } => {
                self.ledger.note_envelope(sequence, position, *asked);
                self.open.insert(sequence, (position, position));
            }
            Body::Outcome { outcome, resolves, .. } => {
                let envelope = self.ledger.note_outcome(sequence).unwrap_or_default();
                let failed = matches!(outcome, Outcome::Failed(_));
                let failed = failed.then_some(Suspension { outcome: position, envelope });
                self.ledger.note_suspension(sequence, failed, resolves);
                self.open.remove(&sequence);
            }
            Body::Attempt { .. } => {
                self.open.entry(sequence).and_modify(|(_, sign)| *sign = position);
            }
            Body::Step(_) | Body::Other => {}
        }
    }

    /// Applies a record to objects that stand at `floor` at least, and ticks above another.
    fn apply(
        &mut self,
        image: &mut Image,
        position: u64,
        body: &Body,
        floor: u64,
        ticked: u64,
        ticker: &mut dyn Ticker,
    ) {
        match body {
            Body::Outcome { outcome: Outcome::Completed { changes, .. }, .. } => {
                for change in changes {
                    let id = change.id();
                    if position > self.stands.get(&id).map_or(floor, |stands| floor.max(*stands)) {
                        ticker.touched(id);
                        self.note_change(image, change, position);
                        image.apply(change);
                    }
                }
            }
            Body::Step(step) if position > ticked => run(image, step, ticker),
            Body::Step(_) => self.lost_ticks |= position > floor,
            _ => {}
        }
    }

    fn note_change(&mut self, image: &Image, change: &Change, position: u64) {
        let id = change.id();
        match change {
            Change::Create(..) => {
                self.deleted.remove(&id);
                self.missing.remove(&id);
            }
            Change::Delete(..) => {
                self.deleted.insert(id, position);
                self.missing.remove(&id);
            }
            _ if image.object(id).is_none() => _ = self.missing.insert(id),
            _ => {}
        }
    }

    /// The objects by all snapshots of the world, which hold every change up to `through`, and by what the log tells behind them.
    pub(super) fn take_set(
        &mut self,
        raw: &RawFile,
        log: &Log,
        stands: BTreeMap<ObjectId, Stand>,
        through: u64,
        ticker: &mut dyn Ticker,
    ) {
        let mut image = Image::default();
        (self.through, self.lost_ticks) = (through, false);
        self.missing.clear();
        self.put(&mut image, stands, ticker);
        for (position, linked) in log.records.range(through + 1..) {
            if let Some((_, body)) = read(raw, *position, linked) {
                self.apply(&mut image, *position, &body, through, through, ticker);
            }
        }
        image.index_names();
        self.proven = Some(image);
    }

    /// The objects by the log up to its first hole, by the snapshots that stand behind that, and by what the log tells then.
    pub(super) fn take_some(
        &mut self,
        raw: &RawFile,
        log: &Log,
        mut stands: BTreeMap<ObjectId, Stand>,
        hole: u64,
        ticker: &mut dyn Ticker,
    ) {
        stands.retain(|id, stand| {
            stand.position >= hole && self.deleted.get(id).is_none_or(|deleted| *deleted < stand.position)
        });
        let ticked = stands.values().map(|stand| stand.position).max().unwrap_or_default();
        let mut image = Image::default();
        let mut stands = Some(stands);
        self.lost_ticks = false;
        self.missing.clear();
        for (position, linked) in &log.records {
            let is_behind = *position > hole;
            if is_behind && let Some(stands) = stands.take() {
                self.put(&mut image, stands, ticker);
            }
            if let Some((_, body)) = read(raw, *position, linked) {
                let (floor, ticked) = if is_behind { (hole, ticked) } else { (0, 0) };
                self.apply(&mut image, *position, &body, floor, ticked, ticker);
            }
        }
        if let Some(stands) = stands {
            self.put(&mut image, stands, ticker);
        }
        image.index_names();
        self.proven = Some(image);
    }

    fn put(&mut self, image: &mut Image, stands: BTreeMap<ObjectId, Stand>, ticker: &mut dyn Ticker) {
        for (id, Stand { snapshot, position }) in stands {
            ticker.touched(id);
            self.stands.insert(id, position);
            match snapshot {
                Snapshot::Object(object) => image.insert(object),
                Snapshot::Tombstone(tombstone) => image.bury(id, tombstone),
            }
        }
    }

    /// Of a log without holes: it is right, and the snapshots agree or not.
    pub(super) fn compare_with_log(&mut self) {
        self.agree = self.differing().is_empty();
        self.proven = None;
    }

    /// The objects as the new world has them.
    pub(super) fn truth(&self) -> &Image {
        self.proven.as_ref().unwrap_or(&self.log)
    }

    /// The objects as the log alone tells of them.
    pub(super) fn of_log_alone(&self) -> &Image {
        &self.log
    }

    /// Objects that the log alone tells otherwise.
    pub(super) fn differing(&self) -> Vec<ObjectId> {
        let Some(proven) = &self.proven else { return Vec::new() };
        let ids = |image: &Image| {
            let dead = image.tombstones().into_keys();
            image.ids().into_iter().chain(dead).collect::<BTreeSet<_>>()
        };
        let all = &ids(proven) | &ids(&self.log);
        all.into_iter().filter(|id| serial_form(proven, *id) != serial_form(&self.log, *id)).collect()
    }

    /// Objects that a record up to `last_hole` may have changed without a snapshot that shows it.
    pub(super) fn uncertain(&self, last_hole: u64) -> Vec<ObjectId> {
        let stands = |id: &ObjectId| self.stands.get(id).copied().unwrap_or_default().max(self.through);
        self.truth().ids().into_iter().filter(|id| stands(id) < last_hole).collect()
    }

    /// Objects that the log names and that are neither there nor deleted.
    pub(super) fn lost_objects(&self) -> Vec<ObjectId> {
        let is_lost = |id: &ObjectId| self.truth().object(*id).is_none() && self.truth().tombstone(*id).is_none();
        self.missing.iter().copied().filter(is_lost).collect()
    }

    /// Where an object that is gone was deleted.
    pub(super) fn deleted_at(&self, id: ObjectId) -> Option<u64> {
        self.deleted.get(&id).copied()
    }

    /// Messages without outcome of which nothing behind the last hole says that they had none, and where they stand.
    pub(super) fn lost_outcomes(&self, last_hole: u64) -> Vec<(u64, u64)> {
        let is_lost = |(_, (_, sign)): &(&u64, &(u64, u64))| *sign < last_hole;
        self.open.iter().filter(is_lost).map(|(sequence, (position, _))| (*sequence, *position)).collect()
    }

    /// The list of failed messages that wait, as it is stored.
    pub(super) fn suspended(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let entries = self.ledger.suspended.iter();
        entries.map(|(sequence, of)| (sequence.to_be_bytes().to_vec(), of.to_bytes())).collect()
    }

    /// How many messages have no outcome.
    pub(super) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// Whether there is any record of a message.
    pub(super) fn is_known(&self, sequence: u64) -> bool {
        self.known.contains(&sequence)
    }

    /// The number behind those of all messages.
    pub(super) fn next_sequence(&self) -> u64 {
        self.known.last().map_or(1, |last| last + 1)
    }
}

fn run(image: &mut Image, step: &WireStep, ticker: &mut dyn Ticker) {
    let first = Tick { number: step.from, started_at: step.started_at, index: step.index };
    for by in 0..step.ticks {
        for change in ticker.tick(image, first.later(by)) {
            image.apply(&change);
        }
    }
}

/// The message that a record concerns and what it holds.
fn read(raw: &RawFile, position: u64, linked: &Linked) -> Option<(u64, Body)> {
    raw.progress.note_record();
    let bytes = raw.read(linked.at, linked.length);
    let sequence = record::decode(&bytes, Some(position)).ok()?.sequence;
    let body = decoding::log_record(position, &bytes).link.ok()?.body.ok()?;
    Some((sequence, body))
}
