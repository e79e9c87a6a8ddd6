//! The new world: made whole beside its place, checked, and moved there.

use super::{Repair, absolute};
use crate::object::{Change, Envelope, Image, Name, Object, ObjectId, Objects, Outcome, Target, Value};
use crate::persistence::archive::Archive;
use crate::persistence::awakening::{lost_outcome, read_error, store_error};
use crate::persistence::batch::Batch;
use crate::persistence::folder::{self, BuildingSite, Ground, WorldLock, unusable};
use crate::persistence::ledger::{Ledger, Suspension};
use crate::persistence::reader::Reader;
use crate::persistence::record::{self, Kind};
use crate::persistence::replay::Replay;
use crate::persistence::source::{ReadError, Source, read_meta};
use crate::persistence::store::{MAP_BYTES, Protocol, Store};
use crate::persistence::wire_message::WireLost;
use crate::persistence::wire_object::write_to;
use crate::persistence::{OpenError, Snapshot, Ticker, VerifyReport, world_hash};
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of records in one transaction, after which no more is added.
const BATCH_BYTES: usize = 4 << 20;
const SELECTOR: &str = "repair";

/// A world that was made of what was salvaged.
#[derive(Clone, Debug, PartialEq)]
pub struct Repaired {
    /// What a check of the new world said.
    pub report: VerifyReport,
    /// The message at the end of its log that tells of the repair, where records are lost.
    pub message: Option<u64>,
}

impl Repair {
    /// Makes a world of what was salvaged, in a place where nothing is, all of it or nothing. `now_ms` is the time in milliseconds
    /// since 1970 (UTC).
    ///
    /// # Errors
    /// [`OpenError`] says what, where, and what to do next. Nothing is at `to` then.
    pub fn rebuild(&self, to: &Path, now_ms: u64, ticker: &mut dyn Ticker) -> Result<Repaired, OpenError> {
        match folder::survey(to)? {
            Ground::Free => {}
            Ground::World => return Err(OpenError::Taken(to.to_path_buf())),
            Ground::Taken => return Err(OpenError::NotAWorld(to.to_path_buf())),
        }
        if self.log.end == 0 {
            let reason = "no record of its log and no snapshot was found".to_string();
            return Err(OpenError::Damaged { path: self.dir.clone(), reason });
        }
        if absolute(to).starts_with(absolute(&self.dir)) {
            return Err(unusable(to, &"it lies in the folder of the world that is repaired"));
        }
        let site = BuildingSite::beside(to)?;
        let lock = WorldLock::take(site.path(), now_ms)?;
        let store = Store::open(site.path(), MAP_BYTES, Protocol::Plain).map_err(|error| store_error(to, error))?;
        let message = self.write(&store, site.path(), now_ms, ticker);
        store.close();
        self.raw.progress.begin_check();
        let message = message.map_err(|error| read_error(to, error))?;
        let report = Reader::open_watched(site.path(), &self.raw.progress)?.verify(ticker)?;
        let differs = (report.world_hash != self.plan.world_hash).then(|| "its objects are others".to_string());
        if let Some(reason) = report.damages.first().map(ToString::to_string).or(differs) {
            return Err(unusable(to, &format!("the new world was checked and is not right: {reason}")));
        }
        drop(lock);
        site.finish()?;
        Ok(Repaired { report, message })
    }

    fn write(&self, store: &Store, to: &Path, now_ms: u64, ticker: &mut dyn Ticker) -> Result<Option<u64>, ReadError> {
        self.raw.progress.begin_writing(self.log.end);
        self.write_log(store, now_ms).map_err(ReadError::Damaged)?;
        self.raw.progress.begin_check();
        let replay = {
            let txn = store.read()?;
            let meta = read_meta(&txn, &store.dbs)?;
            let archive = Archive::of_world(to, &meta);
            let source = Source::new(&txn, &store.dbs, &archive, &meta, &self.raw.progress);
            source.announce_whole_log();
            Replay::whole_log(&source, ticker)?
        };
        let Replay { mut ledger, mut image, .. } = replay;
        if world_hash(&image) != world_hash(self.images.of_log_alone()) {
            return Err(ReadError::Damaged("the log was read twice, and not the same came of it".into()));
        }
        let mut batch = Batch::default();
        let message = if self.plan.lost_records.is_empty() {
            None
        } else {
            Some(self.tell(&mut ledger, &mut image, now_ms, &mut batch).map_err(ReadError::Damaged)?)
        };
        self.complete(&mut ledger, &image, &mut batch)
            .and_then(|()| ledger.meta(true))
            .and_then(|meta| store.write(&batch, &meta, false))
            .and_then(|_| store.sync())
            .map_err(ReadError::Damaged)?;
        Ok(message)
    }

    /// The log as it was, with a record in each place of which nothing is left. The chain goes on through those.
    fn write_log(&self, store: &Store, now_ms: u64) -> Result<(), String> {
        let mut ledger = Ledger::new(self.plan.world_id);
        let mut batch = Batch::default();
        for position in 1..=self.log.end {
            let previous = ledger.chain;
            ledger.chain = match self.log.records.get(&position) {
                Some(linked) => {
                    let mut record = self.raw.read(linked.at, linked.length);
                    record::decode(&record, Some(position)).map_err(|error| error.to_string())?;
                    let chain = record::chain(previous, position, linked.crc);
                    record::set_chain(&mut record, chain);
                    batch.heartwood.push(position, |bytes| {
                        bytes.extend_from_slice(&record);
                        Ok::<_, String>(chain)
                    })?
                }
                None => batch.heartwood.push(position, |bytes| {
                    let body = |bytes: &mut Vec<u8>| write_to(bytes, &WireLost { repaired_at: now_ms });
                    let link = |crc| record::chain(previous, position, crc);
                    record::write(bytes, Kind::Lost, position, 0, body, link).map(|(_, chain)| chain)
                })?,
            };
            ledger.last = position;
            self.raw.progress.note_record();
            if batch.heartwood.size() >= BATCH_BYTES {
                store.write(&batch, &ledger.meta(false)?, false)?;
                batch.heartwood.clear();
            }
        }
        store.write(&batch, &ledger.meta(false)?, false)?;
        Ok(())
    }

    /// Ends the messages whose outcomes are lost, and brings the objects to what is proven of them.
    fn tell(&self, ledger: &mut Ledger, image: &mut Image, now_ms: u64, batch: &mut Batch) -> Result<u64, String> {
        ledger.epoch(now_ms, false, batch)?;
        for sequence in &self.plan.lost_outcomes {
            ledger.outcome(*sequence, &lost_outcome(), &[], 0, batch)?;
        }
        for sequence in &self.own {
            let nothing = Outcome::Completed { result: Value::Nil, changes: Vec::new(), logs: Vec::new() };
            ledger.outcome(*sequence, &nothing, &[], 0, batch)?;
        }
        let sequence = self.next_sequence.max(ledger.next_sequence);
        let envelope = Envelope {
            message_id: Envelope::id_of(self.plan.world_id, sequence),
            correlation_id: None,
            sender_id: Envelope::GENESIS.to_string(),
            target: Target::Name("proto".to_string()),
            selector: Name::new(SELECTOR).map_err(|error| error.to_string())?,
            args: Vec::new(),
            issued_at: now_ms,
            retries: None,
        };
        // A failed message whose text is lost can't be tried again.
        let is_lost = |(_, of): &(&u64, &Suspension)| !self.log.records.contains_key(&of.envelope);
        let resolves: Vec<u64> = ledger.suspended.iter().filter(is_lost).map(|(sequence, _)| *sequence).collect();
        let changes = changes(image, self.images.truth(), self.images.differing());
        changes.iter().for_each(|change| image.apply(change));
        image.index_names();
        ledger.envelope(sequence, &envelope, batch)?;
        let outcome = Outcome::Completed { result: Value::Nil, changes, logs: Vec::new() };
        ledger.outcome(sequence, &outcome, &resolves, 0, batch)?;
        Ok(sequence)
    }

    /// Everything beside the log.
    fn complete(&self, ledger: &mut Ledger, image: &Image, batch: &mut Batch) -> Result<(), String> {
        let position = ledger.last;
        let alive = image.ids().into_iter().chain(image.tombstones().into_keys());
        for id in alive.chain(ledger.dirty()).collect::<BTreeSet<ObjectId>>() {
            ledger.snapshot(id, Snapshot::of(image, id).as_ref(), position, batch)?;
        }
        ledger.note_snapshot_set(position);
        for (sequence, suspension) in &ledger.suspended {
            batch.suspended.insert(sequence.to_be_bytes().to_vec(), Some(suspension.to_bytes()));
        }
        batch.quarantine.extend(self.quarantine.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        Ok(())
    }
}

/// What makes objects of one image equal to those of another: the old ones go, then the new ones come.
fn changes(from: &Image, to: &Image, ids: Vec<ObjectId>) -> Vec<Change> {
    let (mut gone, mut made) = (Vec::new(), Vec::new());
    for id in ids {
        let (old, new) =
            (from.object(id).map(|object| object.to_object()), to.object(id).map(|object| object.to_object()));
        let (buried, to_bury) = (from.tombstone(id).cloned(), to.tombstone(id).cloned());
        if let Some(old) = old {
            gone.push(Change::Delete(Box::new(old), to_bury));
        } else if new.is_none() {
            // What stays of an object comes and goes only with the object.
            let mut object = Object::new(id);
            object.name = to_bury.as_ref().map(|tombstone| tombstone.name.clone());
            gone.push(Change::Create(Box::new(object.clone()), buried.clone()));
            gone.push(Change::Delete(Box::new(object), to_bury));
        }
        made.extend(new.map(|new| Change::Create(Box::new(new), buried)));
    }
    gone.into_iter().chain(made).collect()
}
