//! The archive: the records of the log up to the horizon, in segment files in a folder of the world. Read like the rest of the log;
//! what of it can't be read is told as a gap, and nothing stands in for it.

mod segment;

use super::folder;
use super::source::Meta;
use super::writer::LogEnd;
use segment::{Block, BlockPlace, Segment, SegmentWriter};
use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The folder of the segments, in that of the world.
pub(super) const FOLDER: &str = "archive";
const SUFFIX: &str = ".segment";
/// So many blocks are kept unpacked, of 256 KiB each if none of their records is long.
const BLOCKS_KEPT: usize = 8;
/// Of a segment that is not whole yet.
const UNFINISHED: &str = ".new";

/// The archived part of a log.
#[derive(Debug)]
pub(super) struct Archive {
    /// Whose segments they are; `None` where nothing tells it.
    world_id: Option<Uuid>,
    horizon: u64,
    /// In order; none begins before the end of the one before it.
    files: Vec<SegmentFile>,
    /// The newest first. Whoever asks for one record soon asks for its neighbours; an outcome and its message may stand in two blocks.
    last_read: RefCell<VecDeque<Block>>,
}

/// A file that says by its name which records it has.
#[derive(Debug)]
struct SegmentFile {
    first: u64,
    last: u64,
    path: PathBuf,
    segment: OnceCell<Result<RefCell<Segment>, String>>,
}

/// Part of an archive in the order of its records, as it is stored.
#[derive(Debug)]
pub(super) enum Parcel {
    /// Records that lie together, packed.
    Packed { place: BlockPlace, stored: Vec<u8>, file: String },
    /// Records that can't be read.
    Gap(Flaw),
    /// Something is wrong, and all records are there.
    Fault(Flaw),
}

/// The same, unpacked.
#[derive(Debug)]
pub(super) enum Unpacked {
    Records(Block),
    Gap(Flaw),
    Fault(Flaw),
}

/// What is wrong with archived records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) reason: String,
}

impl Parcel {
    /// For sharing out the unpacking.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Packed { stored, .. } => stored.len(),
            Self::Gap(_) | Self::Fault(_) => 0,
        }
    }

    pub(super) fn unpack(self) -> Unpacked {
        match self {
            Self::Packed { place, stored, file } => match Block::unpack(&place, &stored) {
                Ok(block) => Unpacked::Records(block),
                Err(reason) => {
                    Unpacked::Gap(Flaw { first: place.first, last: place.last(), reason: format!("{file}: {reason}") })
                }
            },
            Self::Gap(gap) => Unpacked::Gap(gap),
            Self::Fault(fault) => Unpacked::Fault(fault),
        }
    }
}

impl Unpacked {
    /// Its records with their positions, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let block = if let Self::Records(block) = self { Some(block) } else { None };
        block.into_iter().flat_map(Block::records)
    }
}

impl SegmentFile {
    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("`{FOLDER}/{}`", name.to_string_lossy())
    }

    fn segment(&self) -> Result<&RefCell<Segment>, String> {
        let open = || Segment::open(&self.path).map(RefCell::new).map_err(|error| format!("{}: {error}", self.name()));
        self.segment.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    fn flaw(&self, first: u64, last: u64, reason: &str) -> Flaw {
        Flaw { first, last, reason: format!("{}: {reason}", self.name()) }
    }

    /// What it has of its records: each is in a block or in a gap.
    fn pieces(&self, world_id: Option<Uuid>) -> Vec<Result<BlockPlace, Flaw>> {
        let segment = match self.segment() {
            Ok(segment) => segment.borrow(),
            Err(reason) => return vec![Err(Flaw { first: self.first, last: self.last, reason })],
        };
        if let Ok(header) = &segment.header
            && (world_id.is_some_and(|id| id != header.world_id)
                || (header.before.position + 1, header.end.position) != (self.first, self.last))
        {
            return vec![Err(self.flaw(self.first, self.last, "it is of another world, or has another name"))];
        }
        let (mut pieces, mut next) = (Vec::new(), self.first);
        for block in segment.blocks.iter().filter(|block| block.last() <= self.last) {
            if block.first < next {
                continue;
            }
            if block.first > next {
                pieces.push(Err(self.flaw(next, block.first - 1, "the header of a block is damaged")));
            }
            pieces.push(Ok(*block));
            next = block.last() + 1;
        }
        if next <= self.last {
            let reason = segment.header.as_ref().map_or_else(String::as_str, |_| "its last blocks are damaged");
            pieces.push(Err(self.flaw(next, self.last, reason)));
        }
        pieces
    }

    fn fault(&self) -> Option<Flaw> {
        let segment = self.segment().ok()?.borrow();
        let reason = segment.header.as_ref().err()?;
        Some(self.flaw(self.first, self.last, reason))
    }

    fn packed(&self, place: BlockPlace) -> Parcel {
        let read = self
            .segment()
            .and_then(|segment| segment.borrow_mut().read(&place).map_err(|error| format!("{}: {error}", self.name())));
        match read {
            Ok(stored) => Parcel::Packed { place, stored, file: self.name() },
            Err(reason) => Parcel::Gap(Flaw { first: place.first, last: place.last(), reason }),
        }
    }
}

impl Archive {
    /// What the figures about a world say is archived.
    pub(super) fn of_world(dir: &Path, meta: &Meta) -> Self {
        Self::up_to(dir, meta.wire.world_id, meta.wire.horizon_position)
    }

    /// The segments up to a horizon.
    pub(super) fn up_to(dir: &Path, world_id: Uuid, horizon: u64) -> Self {
        Self { world_id: Some(world_id), horizon, files: files(dir, horizon), last_read: RefCell::default() }
    }

    /// Every segment that lies there, also where nothing tells how far the archive goes.
    pub(super) fn found(dir: &Path) -> Self {
        let files = files(dir, u64::MAX);
        let horizon = files.last().map_or(0, |file| file.last);
        Self { world_id: None, horizon, files, last_read: RefCell::default() }
    }

    /// The last position that is archived; 0 where none is.
    pub(super) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Its parts in order, from the one that has the record at a position.
    pub(super) fn parcels(&self, from: u64) -> impl Iterator<Item = Parcel> {
        let missing = |first: u64, last: u64| {
            let reason = format!("no file in the folder `{FOLDER}` has them");
            (first <= last).then_some(Parcel::Gap(Flaw { first, last, reason }))
        };
        let mut next = from.max(1);
        let pieces = self.files.iter().filter(move |file| file.last >= from).flat_map(move |file| {
            let before = missing(next, file.first.saturating_sub(1));
            next = file.last + 1;
            let blocks = file.pieces(self.world_id).into_iter().map(|piece| match piece {
                Ok(place) => (place.last(), Some(place), None),
                Err(gap) => (gap.last, None, Some(gap)),
            });
            let blocks = blocks.filter(move |(last, ..)| *last >= from);
            let parcels = blocks
                .filter_map(|(_, place, gap)| place.map(|place| file.packed(place)).or_else(|| gap.map(Parcel::Gap)));
            before.into_iter().chain(file.fault().map(Parcel::Fault)).chain(parcels)
        });
        let end = self.files.last().map_or(0, |file| file.last);
        pieces.chain(missing(from.max(end + 1), self.horizon))
    }

    /// A record; `None` where it is not archived or can't be read.
    pub(super) fn record(&self, position: u64) -> Option<Vec<u8>> {
        if position == 0 || position > self.horizon {
            return None;
        }
        let mut last_read = self.last_read.borrow_mut();
        if let Some(at) = last_read.iter().position(|block| block.record(position).is_some()) {
            last_read.make_contiguous()[..=at].rotate_right(1);
            return last_read.front().and_then(|block| block.record(position)).map(<[u8]>::to_vec);
        }
        let file = self.files.iter().find(|file| file.first <= position && position <= file.last)?;
        let pieces = file.pieces(self.world_id).into_iter().flatten();
        let place = pieces.into_iter().find(|place| place.first <= position && position <= place.last())?;
        let Unpacked::Records(block) = file.packed(place).unpack() else { return None };
        let record = block.record(position)?.to_vec();
        last_read.push_front(block);
        last_read.truncate(BLOCKS_KEPT);
        Some(record)
    }
}

/// The segments up to the horizon, in order, without those that another one makes useless.
fn files(dir: &Path, horizon: u64) -> Vec<SegmentFile> {
    if horizon == 0 {
        return Vec::new();
    }
    let entries = fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
    let mut files: Vec<SegmentFile> = entries
        .filter_map(|entry| {
            let (first, last) = span_of(&entry.file_name().to_string_lossy())?;
            let segment = OnceCell::new();
            (last <= horizon).then(|| SegmentFile { first, last, path: entry.path(), segment })
        })
        .collect();
    files.sort_by_key(|file| (file.first, std::cmp::Reverse(file.last)));
    let mut next = 1;
    files.retain(|file| {
        let is_next = file.first >= next;
        if is_next {
            next = file.last + 1;
        }
        is_next
    });
    files
}

/// The positions that the name of a segment says.
fn span_of(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last && last < u64::MAX).then_some((first, last))
}

fn name_of(first: u64, last: u64) -> String {
    format!("{first:012}-{last:012}{SUFFIX}")
}

/// Takes away what lies in the folder behind the horizon: segments of an attempt that died before its records were forgotten.
pub(super) fn clear_behind(dir: &Path, horizon: u64) -> io::Result<()> {
    let entries = match fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let (name, path) = entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))?;
        let is_behind = span_of(&name).is_some_and(|(_, last)| last > horizon);
        if is_behind || name.ends_with(&format!("{SUFFIX}{UNFINISHED}")) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A segment that is made: it has its name, and is durable, once it is finished.
#[derive(Debug)]
pub(super) struct NewSegment {
    writer: SegmentWriter,
    folder: PathBuf,
    unfinished: PathBuf,
    first: u64,
}

/// A segment that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) end: LogEnd,
    pub(super) bytes: u64,
}

impl NewSegment {
    /// Begins a segment behind a record, and makes the folder where it is missing.
    pub(super) fn begin(dir: &Path, world_id: Uuid, before: LogEnd) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        if !folder.is_dir() {
            fs::create_dir(&folder)?;
            folder::sync_folder(dir)?;
        }
        let first = before.position + 1;
        let unfinished = folder.join(format!("{first:012}{SUFFIX}{UNFINISHED}"));
        Ok(Self { writer: SegmentWriter::create(&unfinished, world_id, before)?, folder, unfinished, first })
    }

    pub(super) fn file(&self) -> &fs::File {
        self.writer.file()
    }

    /// Appends the next record; `chain` is its chain value.
    pub(super) fn push(&mut self, record: &[u8], chain: u64) -> io::Result<()> {
        self.writer.push(record, chain)
    }

    /// Makes it durable under its name.
    pub(super) fn finish(self) -> io::Result<Made> {
        let header = self.writer.finish()?;
        fs::rename(&self.unfinished, self.folder.join(name_of(self.first, header.end.position)))?;
        folder::sync_folder(&self.folder)?;
        Ok(Made { end: header.end, bytes: header.length })
    }
}

/// Copies the segments up to the horizon of a world to another folder, durably.
pub(super) fn copy(from: &Path, horizon: u64, to: &Path) -> io::Result<()> {
    let files = files(from, horizon);
    if files.is_empty() {
        return Ok(());
    }
    let folder = to.join(FOLDER);
    fs::create_dir(&folder)?;
    for file in files {
        let copy = folder.join(name_of(file.first, file.last));
        fs::copy(&file.path, &copy)?;
        fs::File::options().write(true).open(&copy)?.sync_all()?;
    }
    folder::sync_folder(&folder)?;
    folder::sync_folder(to)
}
