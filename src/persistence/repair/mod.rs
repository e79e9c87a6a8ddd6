//! Repair: what can still be read of a damaged world, and a new world made of it. The damaged one is only read, by plain reads of
//! its files, and stays as it is.
//!
//! The records are found by their checksums wherever they lie in the data file ([`scan`]); LMDB's pages are looked at beside that
//! ([`tree`]), and never trusted with a record. [`chain`] puts the log together, [`images`] says what the objects are, and
//! [`rebuild`] writes the new world: the log as it was, with a record of the kind `lost` in each place that nothing fits, and
//! behind it a message that brings the objects to what their snapshots prove.

mod chain;
mod images;
mod rebuild;
mod scan;
mod tree;

use super::folder::{self, Ground, unusable};
use super::wire_message::WireMeta;
use super::wire_object::from_bytes;
use super::witness;
use super::writer::LogEnd;
use super::{OpenError, Progress, Ticker, decoding, record, world_hash};
use crate::object::{Envelope, Image, ObjectId, Objects};
use chain::{Linked, Log};
use images::{Images, Stand};
use scan::{Find, RawFile};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use tree::Trees;
use uuid::Uuid;

pub use rebuild::Repaired;

/// Where the last record may stand at most behind those that were found: a log with a wider gap is none.
const WIDEST_GAP: u64 = 1 << 24;

/// From the first to the last of numbers that follow one another.
pub type Span = (u64, u64);

/// What a repair of a world finds, and what the new world would have.
#[derive(Clone, Debug, PartialEq)]
pub struct RepairPlan {
    /// Identity of the world.
    pub world_id: Uuid,
    /// Whether no place told the identity, so that it has a new one.
    pub is_new_id: bool,
    /// What is wrong with the database, in words; empty where only its records have to be looked at.
    pub faults: Vec<String>,
    /// Records that the log had.
    pub records: u64,
    /// Those of them that are not to be found.
    pub lost_records: Vec<Span>,
    /// Positions that are there, and whose place in the chain nothing confirms.
    pub unlinked: Vec<u64>,
    /// Messages of which nothing is left.
    pub lost_messages: Vec<Span>,
    /// Messages whose outcomes may be lost: each gets a failed one and waits among the problems.
    pub lost_outcomes: Vec<u64>,
    /// Messages that go on waiting for their delivery.
    pub pending: u64,
    /// Objects that the new world has.
    pub objects: u64,
    /// Objects, with their titles, that stand as their snapshots say: the log alone does not tell of them any more.
    pub from_snapshots: Vec<(ObjectId, String)>,
    /// Objects that may lack changes, or may have been deleted: no snapshot of them stands behind what is lost.
    pub uncertain: Vec<(ObjectId, String)>,
    /// Objects that the log still names and of which nothing else is left.
    pub lost_objects: Vec<ObjectId>,
    /// Snapshots that were found.
    pub snapshots: u64,
    /// Whether they are all that the world had: then they say what the lost records did.
    pub snapshots_are_whole: bool,
    /// Ticks that could not run again, because objects of one moment are lost.
    pub lost_ticks: bool,
    /// The world hash of the new world.
    pub world_hash: String,
}

impl RepairPlan {
    /// Whether there is anything to repair.
    pub fn is_needed(&self) -> bool {
        !self.faults.is_empty() || !self.lost_records.is_empty() || self.is_new_id
    }

    /// How many records are lost.
    pub fn lost(&self) -> u64 {
        self.lost_records.iter().map(|(first, last)| last - first + 1).sum()
    }
}

/// A world that was read for a repair. It is locked as long as this lives, where it has a lock.
#[derive(Debug)]
pub struct Repair {
    /// What was found.
    pub plan: RepairPlan,
    dir: PathBuf,
    raw: RawFile,
    log: Log,
    images: Images,
    next_sequence: u64,
    /// Messages of the world itself whose outcomes are lost: nobody can send them again.
    own: Vec<u64>,
    quarantine: BTreeMap<Vec<u8>, Vec<u8>>,
    _lock: Option<File>,
}

impl Repair {
    /// Reads a world, whatever is wrong with it, and says what a repair would make of it. Nothing is changed.
    ///
    /// # Errors
    /// There is no world, another process has it, it is of a newer program, or its file can't be read at all.
    pub fn survey(dir: &Path, ticker: &mut dyn Ticker) -> Result<Self, OpenError> {
        Self::survey_watched(dir, ticker, &Progress::new())
    }

    /// [`survey`](Self::survey), while `progress` tells how far it is; later it tells the same of [`rebuild`](Self::rebuild).
    ///
    /// # Errors
    /// As for [`survey`](Self::survey).
    pub fn survey_watched(dir: &Path, ticker: &mut dyn Ticker, progress: &Progress) -> Result<Self, OpenError> {
        match folder::survey(dir)? {
            Ground::World => {}
            Ground::Free => return Err(OpenError::Absent(dir.to_path_buf())),
            Ground::Taken => return Err(OpenError::NotAWorld(dir.to_path_buf())),
        }
        let lock = lock(dir)?;
        let mut raw = RawFile::open(dir, progress).map_err(|error| unusable(dir, &error))?;
        let newer = |needs: String| OpenError::Newer { path: dir.to_path_buf(), needs };
        let mut finds = raw.records().map_err(newer)?;
        let mut metas = metas(&raw, &mut finds).map_err(newer)?;
        let is_of_world = |id: &Uuid| metas.is_empty() || metas.iter().any(|meta| meta.wire.world_id == *id);
        let seen = witness::seen(dir).filter(|(id, _)| is_of_world(id));
        raw.find_archive(dir, |id| is_of_world(&id) && (!metas.is_empty() || seen.is_none_or(|(seen, _)| seen == id)));
        let (archived, archive_faults) = raw.archived().map_err(newer)?;
        finds.extend(archived);
        progress.begin_joining(finds.len() as u64);
        let trees = Trees::read(&raw);

        let known_end = known_end(&trees, &metas);
        let sight = seen.map(|(_, end)| end);
        let mut log = Log::of(&finds, known_end, sight, &metas.iter().map(Meta::end).collect::<Vec<_>>());
        metas.retain(|meta| !log.is_foreign(meta.end()));
        let told = metas.iter().map(|meta| meta.position).filter(|at| known_end.is_none_or(|end| *at <= end.position));
        // Without the rest a snapshot still says how far the log came.
        let stands = finds.iter().filter(|find| metas.is_empty() && find.id.is_some()).map(|find| find.position);
        let seen_end = sight.map(|end| end.position);
        let end = told.chain(seen_end).chain(stands).chain([log.last()]).max().unwrap_or_default();
        if end > log.last() + WIDEST_GAP || log.is_too_wide(WIDEST_GAP) {
            let reason = format!("its log is said to end at record {end}, and nothing like that is to be found");
            return Err(OpenError::Damaged { path: dir.to_path_buf(), reason });
        }
        log.end = end;

        let meta = metas.iter().filter(|meta| meta.position <= end).max_by_key(|meta| meta.position);
        let told_id = meta.map(|meta| meta.wire.world_id).or(seen.map(|(id, _)| id));
        let world_id = told_id.unwrap_or_else(|| identity_of(&finds));
        let snapshots = snapshots(&finds, end);
        progress.begin_joining(log.records.len() as u64);
        ticker.begin(world_id);
        let mut images = Images::of_log(&raw, &mut log, ticker);
        let holes = log.lost();
        let whole_set = whole_set(&raw, &trees, &metas, &snapshots, &images, end);
        let is_whole_set = whole_set.is_some();
        if !holes.is_empty() || is_whole_set {
            let from = whole_set.as_ref().map_or(0, |(_, through)| through + 1);
            progress.expect_records(log.records.range(from..).count() as u64);
            ticker.begin(world_id);
            match whole_set {
                Some((stands, through)) => images.take_set(&raw, &log, stands, through, ticker),
                None => images.take_some(&raw, &log, load(&raw, &snapshots), holes[0].0, ticker),
            }
        }
        if holes.is_empty() {
            images.compare_with_log();
        }

        let behind = sight.map_or(0, |end| end.position).max(log.last());
        let after_meta = meta.map_or(0, |meta| behind.saturating_sub(meta.position));
        let next = meta.map_or(1, |meta| meta.wire.next_sequence).max(images.next_sequence());
        let next_sequence =
            if holes.is_empty() { images.next_sequence() } else { next + after_meta.min(log.count_lost()) };
        let last_hole = holes.last().map_or(0, |(_, last)| *last);
        let lost_outcomes = images.lost_outcomes(last_hole);
        let pending = images.open() - lost_outcomes.len() as u64;
        let is_own = |(_, position): &(u64, u64)| log.records.get(position).is_some_and(|linked| is_own(&raw, linked));
        let (own, lost_outcomes): (Vec<_>, Vec<_>) = lost_outcomes.into_iter().partition(is_own);
        let numbers = |of: Vec<(u64, u64)>| of.into_iter().map(|(sequence, _)| sequence).collect::<Vec<u64>>();
        let (own, lost_outcomes) = (numbers(own), numbers(lost_outcomes));
        let mut faults = [trees.faults.clone(), archive_faults].concat();
        let horizon = meta.map_or(0, |meta| meta.wire.horizon_position);
        faults.extend(trees.differences(&raw, &log, horizon, &snapshots_found(&finds)));
        if !images.agree {
            faults.push("the snapshots are not what the log tells of".into());
        }
        if holes.is_empty() && trees.suspended(&raw).is_some_and(|list| list != images.suspended()) {
            faults.push("the list of waiting problems is not the one that the log tells of".into());
        }
        if known_end.is_some_and(|known| known.position < end) {
            faults.push("its log ends before a record that was seen to be on disk".into());
        }
        let snapshots = snapshots.len() as u64;
        let plan = RepairPlan {
            world_id,
            is_new_id: told_id.is_none(),
            faults,
            records: end,
            unlinked: log.unlinked.iter().copied().collect(),
            lost_messages: spans((1..next).filter(|sequence| !images.is_known(*sequence))),
            pending,
            lost_outcomes,
            objects: images.truth().len() as u64,
            from_snapshots: titled(images.truth(), images.differing()),
            uncertain: titled(images.truth(), images.uncertain(last_hole)),
            lost_objects: images.lost_objects(),
            snapshots,
            snapshots_are_whole: is_whole_set,
            lost_ticks: images.lost_ticks,
            world_hash: world_hash(images.truth()),
            lost_records: holes,
        };
        let quarantine = trees.quarantine(&raw);
        Ok(Self { plan, dir: dir.to_path_buf(), raw, log, images, next_sequence, own, quarantine, _lock: lock })
    }
}

/// Sees to it that no process writes the world meanwhile, without writing anything.
fn lock(dir: &Path) -> Result<Option<File>, OpenError> {
    let Ok(file) = File::open(dir.join(folder::LOCK_FILE)) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(folder::locked(dir)),
        // A disk without locks has no writer either: a world is not opened there.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Figures about the world that were found.
#[derive(Clone, Debug)]
struct Meta {
    position: u64,
    chain: u64,
    at: u64,
    wire: WireMeta,
}

impl Meta {
    fn end(&self) -> LogEnd {
        LogEnd { position: self.position, chain: self.chain }
    }
}

fn metas(raw: &RawFile, finds: &mut [Find]) -> Result<Vec<Meta>, String> {
    let mut metas = Vec::new();
    for find in finds.iter().filter(|find| find.kind == record::Kind::Meta) {
        let bytes = raw.read(find.at, find.length);
        let Ok(wire) = record::decode(&bytes, None)
            .map_err(|error| error.to_string())
            .and_then(|record| from_bytes::<WireMeta>(record.body))
        else {
            continue;
        };
        if wire.format > super::ledger::WORLD_FORMAT {
            return Err(format!("version {}, world format {}", wire.writer, wire.format));
        }
        metas.push(Meta { position: find.position, chain: find.chain, at: find.at, wire });
    }
    Ok(metas)
}

/// Whether a message is one that the world itself began with, or that tells of a repair.
fn is_own(raw: &RawFile, linked: &Linked) -> bool {
    let bytes = raw.read(linked.at, linked.length);
    let position = record::decode(&bytes, None).map_or(0, |record| record.position);
    decoding::envelope(&bytes, position).is_ok_and(|(_, envelope)| envelope.sender_id == Envelope::GENESIS)
}

/// The end of the log as the database itself tells it, where its pages lead to that.
fn known_end(trees: &Trees, metas: &[Meta]) -> Option<LogEnd> {
    let entry = trees.of("meta")?.first()?;
    metas.iter().find(|meta| meta.at == entry.at).map(Meta::end)
}

/// An identity for a world of which no place tells it: always the same for the same records.
fn identity_of(finds: &[Find]) -> Uuid {
    let first = finds.iter().filter(|find| find.kind == record::Kind::Envelope).min_by_key(|find| find.position);
    let crc = first.map_or(0, |find| find.crc);
    Uuid::new_v5(&Uuid::nil(), &crc.to_le_bytes())
}

/// Of each object the newest snapshot that does not stand behind the end of the log.
fn snapshots(finds: &[Find], end: u64) -> BTreeMap<ObjectId, Find> {
    let mut newest: BTreeMap<ObjectId, Find> = BTreeMap::new();
    for find in finds.iter().filter(|find| find.position <= end) {
        let Some(id) = find.id else { continue };
        let is_newer = |old: &Find| (old.position, old.chain) < (find.position, find.chain);
        if newest.get(&id).is_none_or(is_newer) {
            newest.insert(id, find.clone());
        }
    }
    newest
}

/// Places at which a whole snapshot lies.
fn snapshots_found(finds: &[Find]) -> BTreeSet<u64> {
    finds.iter().filter(|find| find.id.is_some()).map(|find| find.at).collect()
}

fn load<'a>(raw: &RawFile, finds: impl IntoIterator<Item = (&'a ObjectId, &'a Find)>) -> BTreeMap<ObjectId, Stand> {
    let mut stands = BTreeMap::new();
    for (id, find) in finds {
        let bytes = raw.read(find.at, find.length);
        if let Ok((snapshot, position)) = decoding::stored(*id, &bytes, u64::MAX).snapshot {
            stands.insert(*id, Stand { snapshot, position });
        }
    }
    stands
}

/// All snapshots that the world had, and the position through which they hold every change, where the figures prove it.
fn whole_set(
    raw: &RawFile,
    trees: &Trees,
    metas: &[Meta],
    snapshots: &BTreeMap<ObjectId, Find>,
    images: &Images,
    end: u64,
) -> Option<(BTreeMap<ObjectId, Stand>, u64)> {
    let hash = |of: &BTreeMap<ObjectId, Find>| {
        let shares = of.iter().map(|(id, find)| record::set_share(id.0.as_bytes(), find.crc));
        shares.fold(0, u64::wrapping_add)
    };
    let kept = |(id, find): &(&ObjectId, &Find)| images.deleted_at(**id).is_none_or(|at| at <= find.position);
    let without = snapshots.iter().filter(kept).map(|(id, find)| (*id, find.clone())).collect();
    let mut sets = vec![snapshots.clone(), without];
    if let Some(entries) = trees.of("sapwood") {
        let of_tree = entries.iter().filter_map(|entry| {
            let id = ObjectId(Uuid::from_slice(&entry.key).ok()?);
            let bytes = raw.read(entry.at, entry.length);
            let record = record::decode(&bytes, None).ok()?;
            Some((id, Find::of(entry.at, &record, entry.length, Some(id))))
        });
        sets.insert(0, of_tree.collect());
    }
    let newest = metas.iter().map(|meta| meta.position).filter(|at| *at <= end).max()?;
    for set in sets {
        let fits = |meta: &&Meta| meta.position == newest && meta.wire.set_hash == hash(&set);
        if let Some(meta) = metas.iter().find(fits) {
            let stands = load(raw, &set);
            return (stands.len() == set.len()).then_some((stands, meta.wire.snapshots_through));
        }
    }
    None
}

fn titled(image: &Image, ids: impl IntoIterator<Item = ObjectId>) -> Vec<(ObjectId, String)> {
    ids.into_iter().map(|id| (id, image.title(id))).collect()
}

/// Numbers that ascend, as spans.
fn spans(numbers: impl IntoIterator<Item = u64>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    spans
}

/// A path as the system has it, also where its end is not there yet.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let whole = there.and_then(|(ancestor, real)| Some(real.join(path.strip_prefix(ancestor).ok()?)));
    whole.unwrap_or(path)
}
