//! Looking at a world without touching it: what is committed, the log, and whether all of it is right.
//!
//! Takes no lock, makes nothing, and works while a workbench has the world open: each question sees one moment.

use super::archive::{Archive, Flaw, Unpacked};
use super::awakening::{read_error, store_error};
use super::batch::Batch;
use super::folder::{self, Ground};
use super::quarantine;
use super::record::{self, Kind};
use super::replay::{Counts, Replay};
use super::source::{ReadError, Source, read_meta};
use super::store::{Store, StoreError};
use super::wire_message::{WireAttempt, WireEnvelope, WireOutcome};
use super::wire_object::from_bytes;
use super::world_hash::serial_form;
use super::{Damage, DamagedPart, OpenError, Progress, Ticker, world_hash};
use crate::object::{Envelope, Image, ObjectId, Objects, Outcome, Problem, Quarantined};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Taken for the size of an object where the comparing of objects is shared out.
const COMPARED_BYTES: usize = 256;

/// A world, opened for looking.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// Gone only while it is dropped.
    store: Option<Store>,
    progress: Progress,
    /// For `log`, which comes back to it.
    archive: RefCell<Option<Archive>>,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the log, from 1, gapless.
    pub position: u64,
    /// The message it concerns; 0 where none.
    pub sequence: u64,
    /// Its kind in a word: `envelope`, `outcome`, `attempt`, `epoch` …
    pub kind: &'static str,
    /// What it holds.
    pub body: EntryBody,
}

/// What a record of the log holds.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryBody {
    /// A message.
    Envelope(Box<Envelope>),
    /// How its turn ended, and the failed messages that no longer wait because of it.
    Outcome(Box<Outcome>, Vec<u64>),
    /// The message was about to be delivered again: alone, or with others.
    Attempt {
        /// Whether nothing else was delivered until it had an outcome.
        alone: bool,
    },
    /// Something about the log itself.
    Other,
    /// It can't be read, for this reason.
    Damaged(String),
}

/// What a check of the whole world found.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyReport {
    /// Identity of the world.
    pub world_id: Uuid,
    /// Records of the log.
    pub records: u64,
    /// Envelopes among them.
    pub envelopes: u64,
    /// Outcomes among them.
    pub outcomes: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Objects.
    pub objects: u64,
    /// Damaged records that earlier awakenings set aside.
    pub quarantined: u64,
    /// The world hash; see [`world_hash`].
    pub world_hash: String,
    /// What is wrong; empty when all is right.
    pub damages: Vec<Damage>,
}

impl Reader {
    /// Opens a world for looking.
    ///
    /// # Errors
    /// [`OpenError`], as for opening it to go on; never because another process has it.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_watched(dir, &Progress::new())
    }

    /// [`open`](Self::open); `progress` tells how far its questions are answered.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_watched(dir: &Path, progress: &Progress) -> Result<Self, OpenError> {
        match folder::survey(dir)? {
            Ground::World => {}
            Ground::Free => return Err(OpenError::Absent(dir.to_path_buf())),
            Ground::Taken => return Err(OpenError::NotAWorld(dir.to_path_buf())),
        }
        let store = Store::open_for_reading(dir).map_err(|error| store_error(dir, error))?;
        let (store, progress) = (Some(store), progress.clone());
        Ok(Self { path: dir.to_path_buf(), store, progress, archive: RefCell::default() })
    }

    /// How far its questions are answered, all of them together.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Every object as it is committed.
    ///
    /// # Errors
    /// The world is damaged, of a newer program, or can't be read.
    pub fn image(&self, ticker: &mut dyn Ticker) -> Result<Image, OpenError> {
        self.look(|source| Ok(Replay::awakening(source, ticker)?.image))
    }

    /// The failed messages that wait, oldest first.
    ///
    /// # Errors
    /// As for [`image`](Self::image).
    pub fn problems(&self, ticker: &mut dyn Ticker) -> Result<Vec<Problem>, OpenError> {
        self.look(|source| Replay::awakening(source, ticker)?.problems(source, &Batch::default()))
    }

    /// What earlier awakenings set aside, by ascending number, and every object as it is committed.
    ///
    /// # Errors
    /// As for [`image`](Self::image).
    pub fn quarantine(&self, ticker: &mut dyn Ticker) -> Result<(Vec<Quarantined>, Image), OpenError> {
        self.look(|source| {
            let awake = Replay::awakening(source, ticker)?;
            Ok((quarantine::entries(source.txn, source.dbs, &Batch::default(), &awake)?, awake.image))
        })
    }

    /// The log from a position on, in order. What is written meanwhile is seen, too.
    pub fn log(&self, from: u64) -> impl Iterator<Item = Result<Entry, OpenError>> + '_ {
        let mut position = from.max(1);
        let mut read: VecDeque<Entry> = VecDeque::new();
        let mut ended = false;
        std::iter::from_fn(move || {
            while read.is_empty() && !ended {
                match self.entries_from(&mut position) {
                    Ok(Some(entries)) => read = entries.into(),
                    Ok(None) => ended = true,
                    Err(error) => {
                        ended = true;
                        return Some(Err(error));
                    }
                }
            }
            read.pop_front().map(Ok)
        })
    }

    /// Some records from a position on, which then stands behind them; `None` at the end of the log. What is archived meanwhile is
    /// found there.
    fn entries_from(&self, position: &mut u64) -> Result<Option<Vec<Entry>>, OpenError> {
        const AT_ONCE: usize = 512;
        self.ask(|store| {
            let txn = store.read()?;
            let meta = read_meta(&txn, &store.dbs)?;
            if *position > meta.wire.horizon_position {
                let key = position.to_be_bytes();
                let range = (Bound::Included(&key[..]), Bound::Unbounded);
                let mut entries = Vec::new();
                for entry in store.dbs.heartwood.range(&txn, &range)?.take(AT_ONCE) {
                    let (key, bytes) = entry?;
                    *position = <[u8; 8]>::try_from(key).map(u64::from_be_bytes).unwrap_or_default();
                    entries.push(entry_of(*position, bytes));
                    *position += 1;
                }
                return Ok((!entries.is_empty()).then_some(entries));
            }
            let mut kept = self.archive.borrow_mut();
            if kept.as_ref().is_none_or(|archive| archive.horizon() != meta.wire.horizon_position) {
                *kept = Some(Archive::of_world(&self.path, &meta));
            }
            let mut entries = Vec::new();
            let from = *position;
            for parcel in kept.iter().flat_map(|archive| archive.parcels(from)) {
                match parcel.unpack() {
                    Unpacked::Gap(Flaw { first, last, reason }) => {
                        let reason = format!("records {first} to {last} of the archive can't be read: {reason}");
                        let body = EntryBody::Damaged(reason);
                        entries.push(Entry { position: first, sequence: 0, kind: "archived", body });
                        *position = last + 1;
                    }
                    unpacked => {
                        let records = unpacked.records().filter(|(position, _)| *position >= from);
                        entries.extend(records.map(|(position, bytes)| entry_of(position, bytes)));
                        *position = entries.last().map_or(from, |last| last.position + 1);
                    }
                }
                if *position > from {
                    break;
                }
            }
            // Every position up to the horizon is in a parcel.
            *position = (*position).max(from + 1);
            Ok(Some(entries))
        })
    }

    /// Reads every record, follows the chain, replays the log from its beginning, and compares the world that comes
    /// out with the one that wakes from the snapshots.
    ///
    /// # Errors
    /// As for [`image`](Self::image): what is damaged beyond reading on is an error, all else is in the report.
    pub fn verify(&self, ticker: &mut dyn Ticker) -> Result<VerifyReport, OpenError> {
        self.look(|source| verify(source, ticker))
    }

    /// Asks about one moment of the world.
    fn look<T>(&self, question: impl FnOnce(&Source<'_>) -> Result<T, ReadError>) -> Result<T, OpenError> {
        self.ask(|store| {
            let txn = store.read()?;
            let meta = read_meta(&txn, &store.dbs)?;
            let archive = Archive::of_world(&self.path, &meta);
            let source = Source::new(&txn, &store.dbs, &archive, &meta, &self.progress);
            source.announce_awakening()?;
            question(&source)
        })
    }

    fn ask<T>(&self, question: impl FnOnce(&Store) -> Result<T, ReadError>) -> Result<T, OpenError> {
        let answer = match &self.store {
            Some(store) => question(store),
            None => Err(StoreError::NoDatabase("heartwood").into()),
        };
        answer.map_err(|error| read_error(&self.path, error))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}

pub(super) fn entry_of(position: u64, bytes: &[u8]) -> Entry {
    let record = match record::decode(bytes, Some(position)) {
        Ok(record) => record,
        Err(error) => {
            let (kind, sequence, _) = record::glance(bytes).unwrap_or_default();
            let kind = kind.map_or("other", Kind::word);
            return Entry { position, sequence, kind, body: EntryBody::Damaged(error.to_string()) };
        }
    };
    let body = match record.kind {
        Kind::Envelope => from_bytes::<WireEnvelope>(record.body)
            .and_then(Envelope::try_from)
            .map(|envelope| EntryBody::Envelope(Box::new(envelope))),
        Kind::Outcome => from_bytes::<WireOutcome>(record.body)
            .and_then(WireOutcome::into_parts)
            .map(|(outcome, resolves)| EntryBody::Outcome(Box::new(outcome), resolves)),
        Kind::Attempt => {
            from_bytes::<WireAttempt>(record.body).map(|attempt| EntryBody::Attempt { alone: attempt.alone })
        }
        _ => Ok(EntryBody::Other),
    };
    let body = body.unwrap_or_else(EntryBody::Damaged);
    Entry { position, sequence: record.sequence, kind: record.kind.word(), body }
}

fn verify(source: &Source<'_>, ticker: &mut dyn Ticker) -> Result<VerifyReport, ReadError> {
    let Source { txn, dbs, meta, .. } = *source;
    source.announce_whole_log();
    let mut awake = Replay::awakening(source, ticker)?;
    let mut whole = Replay::whole_log(source, ticker)?;
    let mut damages: Vec<Damage> = Vec::new();
    awake.problems(source, &Batch::default())?;
    for wound in whole.wounds.drain(..).chain(awake.wounds.drain(..)) {
        if !damages.contains(&wound.damage) {
            damages.push(wound.damage);
        }
    }
    let all_read = damages.is_empty();
    if all_read && meta.wire.newest_past != whole.ledger.newest_past {
        let reason = format!("the outcome {} is not the newest that can be taken back", meta.wire.newest_past);
        damages.push(Damage::new(DamagedPart::Meta, reason));
    }
    if all_read && meta.wire.ticks != whole.ledger.ticks {
        let reason = format!("the world had {} ticks, not {}", whole.ledger.ticks, meta.wire.ticks);
        damages.push(Damage::new(DamagedPart::Meta, reason));
    }
    // What stood in records that are gone nobody can tell.
    if whole.gap.is_none() {
        let differing = differing(source, &awake.image, &whole.image);
        damages.extend(differing.into_iter().map(|(id, reason)| Damage::new(DamagedPart::Sapwood(id), reason)));
        if awake.ledger.suspended != whole.ledger.suspended {
            damages.push(Damage::new(DamagedPart::Suspended, "the list is not the one that the log tells of"));
        }
    }
    if whole.gap.is_none() && meta.wire.next_sequence != whole.ledger.next_sequence {
        let reason = format!("message {} is not the next", meta.wire.next_sequence);
        damages.push(Damage::new(DamagedPart::Meta, reason));
    }
    let Counts { records, envelopes, outcomes, .. } = whole.counts;
    Ok(VerifyReport {
        world_id: meta.wire.world_id,
        records,
        envelopes,
        outcomes,
        snapshots: dbs.sapwood.len(txn)?,
        objects: awake.image.len() as u64,
        quarantined: dbs.quarantine.len(txn)?,
        world_hash: world_hash(&awake.image),
        damages,
    })
}

/// Objects that two images don't agree on.
fn differing(source: &Source<'_>, awake: &Image, whole: &Image) -> Vec<(ObjectId, String)> {
    let ids = |image: &Image| image.ids().into_iter().chain(image.tombstones().into_keys()).collect::<BTreeSet<_>>();
    let ids = (&ids(awake) | &ids(whole)).into_iter().map(Ok::<_, Infallible>);
    let differs = |id| (id, serial_form(awake, id) != serial_form(whole, id));
    let mut differing = Vec::new();
    let end = source.sharing.in_order(
        ids,
        |_| COMPARED_BYTES,
        differs,
        |(id, differs)| {
            differing.extend(differs.then(|| (id, "it is not the object that the log tells of".to_string())));
            Ok(())
        },
    );
    end.map_or_else(|never| match never {}, |()| differing)
}
