//! Archiving: the front of the log moves from the database into segment files, from which it is read on, and the data file gives the
//! room back.
//!
//! A segment is durable and was read back before one commit makes the database forget its records and moves the horizon there. So
//! at each moment every record is in one of the two, or in both. The data file is then written anew without its free
//! pages, under another name, and takes the place of the old one.

use super::archive::{self, Archive, NewSegment, Unpacked};
use super::awakening::{read_error, store_error, went_on};
use super::decoding;
use super::folder::{self, Ground, WorldLock, sync_folder, unusable};
use super::ledger::WORLD_FORMAT;
use super::record::{self, Kind};
use super::source::{Meta, ReadError, Source, read_meta};
use super::storage;
use super::store::{DATA_FILE, MAP_BYTES, Protocol, Store, StoreError};
use super::wire_object::write_to;
use super::writer::LogEnd;
use super::{OpenError, Progress, witness};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A segment ends with the record that fills it up to so many bytes, before they are packed, or to so many records.
const SEGMENT_BYTES: usize = 64 << 20;
const SEGMENT_RECORDS: u64 = 1 << 16;
/// The data file while it is written anew.
pub(super) const COMPACT_FILE: &str = "data.mdb.new";

/// What was archived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archived {
    /// The first and the last record that came to the archive now; `None` where there was nothing to move.
    pub records: Option<(u64, u64)>,
    /// Their bytes in the database, and in the segments that were made.
    pub bytes: (u64, u64),
    /// Records that stay in the database.
    pub kept: u64,
    /// Bytes of the data file before and after.
    pub data_file: (u64, u64),
    /// Why the data file could not give back its room, if it could not.
    pub not_compacted: Option<String>,
}

/// Moves the log below the horizon to the archive of a world that nobody else has open: what no awakening needs, and only messages
/// that were issued before a time (milliseconds since 1970, UTC), where one is given. Nothing is thrown away.
///
/// # Errors
/// [`OpenError`] says what, where, and what to do next. What was archived until then is; the rest is where it was.
pub fn archive_world(
    dir: &Path,
    before_ms: Option<u64>,
    now_ms: u64,
    progress: &Progress,
) -> Result<Archived, OpenError> {
    archive_in(dir, before_ms, now_ms, progress, SEGMENT_RECORDS)
}

/// [`archive_world`] with segments of at most so many records.
pub(super) fn archive_in(
    dir: &Path,
    before_ms: Option<u64>,
    now_ms: u64,
    progress: &Progress,
    segment_records: u64,
) -> Result<Archived, OpenError> {
    match folder::survey(dir)? {
        Ground::World => {}
        Ground::Free => return Err(OpenError::Absent(dir.to_path_buf())),
        Ground::Taken => return Err(OpenError::NotAWorld(dir.to_path_buf())),
    }
    storage::survey(dir, false)?;
    let _lock = WorldLock::take(dir, now_ms)?;
    let fail = |error: io::Error| unusable(dir, &error);
    folder::sync_names(dir).map_err(fail)?;
    let compact = dir.join(COMPACT_FILE);
    let _ = fs::remove_file(&compact);
    let length = || dir.join(DATA_FILE).metadata().map(|data| data.len()).map_err(fail);
    let before = length()?;
    let store = Store::open(dir, MAP_BYTES, Protocol::Plain).map_err(|error| store_error(dir, error))?;
    let moving = Moving { dir, store: &store, before_ms, progress, segment_records };
    let moved = moving.move_all().map_err(|error| read_error(dir, error));
    let written = moved.map(|archived| (archived, write_compact(&store, &compact, before)));
    store.close();
    let (mut archived, written) = written?;
    let placed = written.and_then(|smaller| if smaller { replace(dir, &compact) } else { Ok(()) });
    if let Err(error) = placed {
        archived.not_compacted = Some(error.to_string());
    }
    let _ = fs::remove_file(&compact);
    archived.data_file = (before, length()?);
    Ok(archived)
}

/// Writes the data file anew, if that makes it smaller by a tenth.
fn write_compact(store: &Store, compact: &Path, before: u64) -> Result<bool, StoreError> {
    if store.bytes_in_use()? >= before / 10 * 9 {
        return Ok(false);
    }
    store.compact_to(compact)?;
    Ok(compact.metadata()?.len() < before)
}

/// Puts the new data file in the place of the old one.
fn replace(dir: &Path, compact: &Path) -> Result<(), StoreError> {
    let data = dir.join(DATA_FILE);
    if data.symlink_metadata()?.is_symlink() {
        return Err(StoreError::Io(io::Error::other("it is a link, and stays what it is")));
    }
    fs::rename(compact, data)?;
    Ok(sync_folder(dir)?)
}

/// A log of which the front is moved.
struct Moving<'m> {
    dir: &'m Path,
    store: &'m Store,
    before_ms: Option<u64>,
    progress: &'m Progress,
    segment_records: u64,
}

/// Records that are in a segment.
struct Moved {
    first: u64,
    end: LogEnd,
    /// Their bytes, and those of the segment.
    bytes: u64,
    packed: u64,
}

impl Moving<'_> {
    fn move_all(&self) -> Result<Archived, ReadError> {
        let meta = self.meta()?;
        self.check(&meta)?;
        // The last record proves where the log ends.
        let may = (meta.wire.replay_from.saturating_sub(1)).min(meta.last.saturating_sub(1));
        let mut archived = Archived { kept: meta.last - meta.wire.horizon_position, ..Archived::default() };
        let mut take = |moved: Moved| {
            let (first, _) = archived.records.unwrap_or((moved.first, 0));
            archived.records = Some((first, moved.end.position));
            archived.bytes = (archived.bytes.0 + moved.bytes, archived.bytes.1 + moved.packed);
            archived.kept = meta.last - moved.end.position;
        };
        let until = self.last_linked(meta.horizon(), self.issued_before(meta.wire.horizon_position, may)?)?;
        if until <= meta.wire.horizon_position {
            return Ok(archived);
        }
        let folder = self.prepare_folder(&meta)?;
        let mut horizon = self.adopt(&meta, &folder, may, &mut take)?;
        self.progress.begin_archiving(until.saturating_sub(horizon.position));
        while horizon.position < until {
            let moved = self.make_segment(&folder, horizon, until, meta.wire.world_id)?;
            self.forget(moved.end)?;
            horizon = moved.end;
            take(moved);
        }
        Ok(archived)
    }

    /// Takes over the segments that an attempt left which died before their records were forgotten. Nothing in the folder is ever
    /// taken away. Answers where the archive ends then.
    fn adopt(&self, meta: &Meta, folder: &Path, may: u64, take: &mut impl FnMut(Moved)) -> Result<LogEnd, ReadError> {
        let fail = |error: io::Error| ReadError::Open(unusable(&self.dir.join(archive::FOLDER), &error));
        let mut horizon = meta.horizon();
        for path in archive::behind(self.dir, horizon.position).map_err(fail)? {
            let Some(moved) =
                self.copied(&path, meta.wire.world_id, horizon)?.filter(|moved| moved.end.position <= may)
            else {
                let reason = "it holds what this world has not archived, of another world or of another time of this one; \
                              move it elsewhere: each world needs an archive of its own";
                return Err(ReadError::Open(unusable(&path, &reason)));
            };
            // Who made it may not have come to that.
            fs::File::options().write(true).open(&path).and_then(|segment| segment.sync_all()).map_err(fail)?;
            sync_folder(folder).map_err(fail)?;
            self.forget(moved.end)?;
            horizon = moved.end;
            take(moved);
        }
        Ok(horizon)
    }

    /// A world that no awakening would take over is left as it is: what a repair can still find of it must not be moved.
    fn check(&self, meta: &Meta) -> Result<(), ReadError> {
        let txn = self.store.read()?;
        let last = self.store.dbs.heartwood.last(&txn)?.map(|(key, _)| key.to_vec()).unwrap_or_default();
        if last != meta.last.to_be_bytes() {
            return Err(ReadError::Damaged(format!(
                "its last log record, {}, is missing, or another one is there",
                meta.last
            )));
        }
        let archive = Archive::of_world(self.dir, meta);
        let source = Source::new(&txn, &self.store.dbs, &archive, meta, self.progress);
        let seen = witness::seen(self.dir).filter(|(id, _)| *id == meta.wire.world_id);
        seen.map_or(Ok(()), |(_, seen)| went_on(&source, seen))?;
        if archive.is_missing() {
            let reason = format!(
                "records up to {} are archived, and no segment is there. Bring the folder back, or the disk that a link leads to; \
                 where they are lost, `workbench repair --into` makes a world without them",
                archive.horizon()
            );
            return Err(ReadError::Open(unusable(&self.dir.join(archive::FOLDER), &reason)));
        }
        Ok(())
    }

    /// The folder of the archive, with nothing in it that stands in the way.
    fn prepare_folder(&self, meta: &Meta) -> Result<PathBuf, ReadError> {
        let fail = |error: io::Error| ReadError::Open(unusable(&self.dir.join(archive::FOLDER), &error));
        let folder = archive::make_folder(self.dir).map_err(fail)?;
        // A link may lead to where a sync means nothing.
        storage::survey(&folder.canonicalize().map_err(fail)?, false).map_err(ReadError::Open)?;
        archive::clear_unfinished(self.dir, meta.wire.world_id).map_err(fail)?;
        Ok(folder)
    }

    /// What a segment has, if it begins behind a record and all of it is in the database, too.
    fn copied(&self, path: &Path, world_id: Uuid, before: LogEnd) -> Result<Option<Moved>, ReadError> {
        let Some((segment, header)) = Archive::of_file(path, world_id) else { return Ok(None) };
        let txn = self.store.read()?;
        let mut bytes = 0;
        for parcel in segment.parcels(before.position + 1) {
            let unpacked = parcel.unpack();
            if !matches!(unpacked, Unpacked::Records(_)) {
                return Ok(None);
            }
            for (position, record) in unpacked.records() {
                bytes += record.len() as u64;
                if self.store.dbs.heartwood.get(&txn, &position.to_be_bytes())? != Some(record) {
                    return Ok(None);
                }
            }
        }
        let end = header.end;
        let last = self.store.dbs.heartwood.get(&txn, &end.position.to_be_bytes())?;
        let is_last = last.and_then(record::glance).is_some_and(|(_, _, chain)| chain == end.chain);
        let is_next = header.before == before && is_last && self.last_linked(before, end.position)? == end.position;
        Ok(is_next.then_some(Moved { first: before.position + 1, end, bytes, packed: header.length }))
    }

    /// The last position up to one at which a record is whole and follows the one before it: there its chain value is right for certain.
    fn last_linked(&self, horizon: LogEnd, until: u64) -> Result<u64, ReadError> {
        let txn = self.store.read()?;
        let record = |position: u64| self.store.dbs.heartwood.get(&txn, &position.to_be_bytes());
        let mut position = until;
        while position > horizon.position {
            let before = match position - 1 {
                before if before == horizon.position => Some(horizon.chain),
                before => record(before)?.and_then(record::glance).map(|(_, _, chain)| chain),
            };
            if is_linked(before, position, record(position)?.unwrap_or_default()) {
                break;
            }
            position -= 1;
        }
        Ok(position)
    }

    fn meta(&self) -> Result<Meta, ReadError> {
        let txn = self.store.read()?;
        read_meta(&txn, &self.store.dbs)
    }

    /// The last position up to which every message was issued before the time that was given.
    fn issued_before(&self, horizon: u64, may: u64) -> Result<u64, ReadError> {
        let Some(before_ms) = self.before_ms else { return Ok(may) };
        let txn = self.store.read()?;
        let key = (horizon + 1).to_be_bytes();
        for entry in self.store.dbs.heartwood.range(&txn, &(Bound::Included(&key[..]), Bound::Unbounded))? {
            let (key, bytes) = entry?;
            let position = <[u8; 8]>::try_from(key).map(u64::from_be_bytes).unwrap_or_default();
            let is_later = |(_, envelope): (u64, crate::object::Envelope)| envelope.issued_at >= before_ms;
            if position > may {
                break;
            }
            let is_envelope = record::glance(bytes).is_some_and(|(kind, ..)| kind == Some(Kind::Envelope));
            if is_envelope && decoding::envelope(bytes, position).is_ok_and(is_later) {
                return Ok(position - 1);
            }
        }
        Ok(may)
    }

    /// Copies records behind one into a segment and reads it back.
    fn make_segment(&self, folder: &Path, before: LogEnd, until: u64, world_id: Uuid) -> Result<Moved, ReadError> {
        let txn = self.store.read()?;
        let mut segment = NewSegment::begin(folder, world_id, before).map_err(StoreError::from)?;
        self.store.share_access(segment.file()).map_err(StoreError::from)?;
        let key = (before.position + 1).to_be_bytes();
        let range = (Bound::Included(&key[..]), Bound::Unbounded);
        let (mut end, mut bytes, mut is_full) = (before, 0, false);
        for entry in self.store.dbs.heartwood.range(&txn, &range)? {
            let (key, record) = entry?;
            let position = end.position + 1;
            if key != position.to_be_bytes() {
                return Err(ReadError::Damaged(format!("log record {position} is missing")));
            }
            let linked = is_linked(Some(end.chain), position, record);
            let chain = record::glance(record).map_or(0, |(_, _, chain)| chain);
            segment.push(record, chain).map_err(StoreError::from)?;
            end = LogEnd { position, chain };
            self.progress.note_record();
            bytes += record.len();
            is_full |=
                position == until || position - before.position >= self.segment_records || bytes >= SEGMENT_BYTES;
            if is_full && linked {
                break;
            }
        }
        if !is_full || end.position > until {
            return Err(ReadError::Damaged(format!("log record {} is missing", end.position + 1)));
        }
        let header = segment.finish().map_err(StoreError::from)?;
        self.compare(before, header.end, world_id)?;
        Ok(Moved { first: before.position + 1, end: header.end, bytes: bytes as u64, packed: header.length })
    }

    /// What a segment has must be what the database has.
    fn compare(&self, before: LogEnd, end: LogEnd, world_id: Uuid) -> Result<(), ReadError> {
        let other = |reason: &str| {
            let reason =
                format!("a segment does not read as it was written ({reason}), and its records stay where they are");
            ReadError::Store(StoreError::Io(io::Error::other(reason)))
        };
        let txn = self.store.read()?;
        let mut next = before.position + 1;
        for parcel in Archive::up_to(self.dir, world_id, end).parcels(next) {
            let unpacked = parcel.unpack();
            if let Unpacked::Gap(flaw) | Unpacked::Fault(flaw) = &unpacked {
                return Err(other(&flaw.reason));
            }
            for (position, record) in unpacked.records().filter(|(position, _)| *position > before.position) {
                let stored = self.store.dbs.heartwood.get(&txn, &position.to_be_bytes())?;
                if position != next || stored != Some(record) {
                    return Err(other(&format!("record {position}")));
                }
                next += 1;
            }
        }
        if next == end.position + 1 { Ok(()) } else { Err(other("it ends early")) }
    }

    /// Moves the horizon, and has the database forget what lies before it.
    fn forget(&self, horizon: LogEnd) -> Result<(), ReadError> {
        let Meta { mut wire, last, chain } = self.meta()?;
        wire.format = WORLD_FORMAT;
        (wire.horizon_position, wire.horizon_chain) = (horizon.position, horizon.chain);
        let mut bytes = Vec::new();
        record::write(&mut bytes, Kind::Meta, last, 0, |body| write_to(body, &wire), |_| chain)
            .and_then(|_| self.store.forget(horizon.position, &bytes))
            .map_err(|reason| ReadError::Store(StoreError::Io(io::Error::other(reason))))
    }
}

/// Whether a record is whole and its chain value follows from the one before it.
fn is_linked(before: Option<u64>, position: u64, bytes: &[u8]) -> bool {
    let Ok(record) = record::decode(bytes, Some(position)) else { return false };
    before.is_some_and(|before| record::chain(before, position, record.crc) == record.chain)
}
