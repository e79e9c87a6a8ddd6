//! Archiving: the front of the log moves from the database into segment files, from which it is read on, and the data file gives the
//! room back.
//!
//! A segment is durable and was read back before one commit makes the database forget its records and moves the horizon there. So
//! at each moment every record is in one of the two, or in both. The data file is then written anew without its free
//! pages, under another name, and takes the place of the old one.

use super::archive::{self, Archive, Made, NewSegment, Unpacked};
use super::awakening::{read_error, store_error};
use super::decoding;
use super::folder::{self, Ground, WorldLock, sync_folder, unusable};
use super::ledger::WORLD_FORMAT;
use super::record::{self, Kind};
use super::source::{Meta, ReadError, read_meta};
use super::storage;
use super::store::{DATA_FILE, MAP_BYTES, Protocol, Store, StoreError};
use super::wire_object::write_to;
use super::writer::LogEnd;
use super::{OpenError, Progress};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;

/// A segment ends with the record that fills it up to so many bytes, before they are packed, or to so many records.
const SEGMENT_BYTES: usize = 64 << 20;
const SEGMENT_RECORDS: u64 = 1 << 16;
/// The data file while it is written anew.
const COMPACT_FILE: &str = "data.mdb.new";

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
    let length = || dir.join(DATA_FILE).metadata().map(|data| data.len()).map_err(fail);
    let before = length()?;
    let store = Store::open(dir, MAP_BYTES, Protocol::Plain).map_err(|error| store_error(dir, error))?;
    let moving = Moving { dir, store: &store, before_ms, progress, segment_records };
    let moved = moving.move_all().map_err(|error| read_error(dir, error));
    let compact = dir.join(COMPACT_FILE);
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

/// Writes the data file anew, if that makes it smaller.
fn write_compact(store: &Store, compact: &Path, before: u64) -> Result<bool, StoreError> {
    store.compact_to(compact)?;
    Ok(compact.metadata()?.len() < before)
}

/// Puts the new data file in the place of the old one.
fn replace(dir: &Path, compact: &Path) -> Result<(), StoreError> {
    fs::rename(compact, dir.join(DATA_FILE))?;
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

impl Moving<'_> {
    fn move_all(&self) -> Result<Archived, ReadError> {
        let meta = self.meta()?;
        archive::clear_behind(self.dir, meta.wire.horizon_position).map_err(StoreError::from)?;
        // The last record proves where the log ends.
        let may = (meta.wire.replay_from.saturating_sub(1)).min(meta.last.saturating_sub(1));
        let until = self.issued_before(meta.wire.horizon_position, may)?;
        let first = meta.wire.horizon_position + 1;
        self.progress.begin_archiving((until + 1).saturating_sub(first));
        let mut archived = Archived::default();
        let mut horizon = meta.horizon();
        while horizon.position < until {
            let (made, bytes) = self.make_segment(horizon, until, meta.wire.world_id)?;
            self.forget(made.end)?;
            horizon = made.end;
            archived.records = Some((first, horizon.position));
            archived.bytes = (archived.bytes.0 + bytes, archived.bytes.1 + made.bytes);
        }
        archived.kept = meta.last - horizon.position;
        Ok(archived)
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

    /// Copies records behind one into a segment and reads it back. Answers also how many bytes they have.
    fn make_segment(&self, before: LogEnd, until: u64, world_id: uuid::Uuid) -> Result<(Made, u64), ReadError> {
        let txn = self.store.read()?;
        let mut segment = NewSegment::begin(self.dir, world_id, before).map_err(StoreError::from)?;
        self.store.share_access(segment.file()).map_err(StoreError::from)?;
        let key = (before.position + 1).to_be_bytes();
        let range = (Bound::Included(&key[..]), Bound::Unbounded);
        let (mut position, mut bytes) = (before.position, 0);
        for entry in self.store.dbs.heartwood.range(&txn, &range)? {
            let (key, record) = entry?;
            position += 1;
            if key != position.to_be_bytes() {
                return Err(ReadError::Damaged(format!("log record {position} is missing")));
            }
            let chain = record::glance(record).map_or(0, |(_, _, chain)| chain);
            segment.push(record, chain).map_err(StoreError::from)?;
            self.progress.note_record();
            bytes += record.len();
            if position == until || position - before.position == self.segment_records || bytes >= SEGMENT_BYTES {
                break;
            }
        }
        let made = segment.finish().map_err(StoreError::from)?;
        self.compare(before, made.end, world_id)?;
        Ok((made, bytes as u64))
    }

    /// What a segment has must be what the database has.
    fn compare(&self, before: LogEnd, end: LogEnd, world_id: uuid::Uuid) -> Result<(), ReadError> {
        let other = |reason: &str| {
            let reason =
                format!("a segment does not read as it was written ({reason}), and its records stay where they are");
            ReadError::Store(StoreError::Io(io::Error::other(reason)))
        };
        let txn = self.store.read()?;
        let mut next = before.position + 1;
        for parcel in Archive::up_to(self.dir, world_id, end.position).parcels(next) {
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
