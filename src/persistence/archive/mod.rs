//! The archive: the records of the log up to the horizon, in segment files in a folder of the world. Read like the rest of the log;
//! what of it can't be read is told as a gap, and nothing stands in for it.

mod segment;

use super::folder;
use super::source::Meta;
use super::writer::LogEnd;
use segment::{Block, BlockPlace, Header, HeaderError, Segment, SegmentWriter};
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
    horizon: u64,
    /// In order; none begins before the end of the one before it.
    files: Vec<SegmentFile>,
    /// Why the folder can't be looked through, if it can't.
    hidden: Option<String>,
    /// The newest first. Whoever asks for one record soon asks for its neighbours; an outcome and its message may stand in two blocks.
    last_read: RefCell<VecDeque<Block>>,
}

/// A file that says by its name which records it has.
#[derive(Debug)]
struct SegmentFile {
    first: u64,
    last: u64,
    path: PathBuf,
    header: Result<Header, HeaderError>,
    /// Why none of it counts, though it may be whole.
    refused: Option<String>,
    /// Found when they are first needed.
    blocks: OnceCell<Vec<BlockPlace>>,
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
    /// Bytes when it is unpacked, for sharing that out.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Packed { place, .. } => place.full as usize,
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
    fn at(path: PathBuf, (first, last): (u64, u64)) -> Self {
        let header = Header::read(&path);
        let refused = match &header {
            Ok(header) if (header.before.position + 1, header.end.position) != (first, last) => {
                Some("it has another name than it was given".to_string())
            }
            Err(newer @ HeaderError::Newer(_)) => Some(newer.to_string()),
            _ => None,
        };
        Self { first, last, path, header, refused, blocks: OnceCell::new() }
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("`{FOLDER}/{}`", name.to_string_lossy())
    }

    fn flaw(&self, first: u64, last: u64, reason: &dyn std::fmt::Display) -> Flaw {
        Flaw { first, last, reason: format!("{}: {reason}", self.name()) }
    }

    /// Its blocks. No file stays open: there may be more segments than a process may open files.
    fn blocks(&self) -> io::Result<&[BlockPlace]> {
        if let Some(blocks) = self.blocks.get() {
            return Ok(blocks);
        }
        let blocks = Segment::open(&self.path)?.blocks();
        Ok(self.blocks.get_or_init(|| blocks))
    }

    /// What it has of its records: each is in a block or in a gap.
    fn pieces(&self) -> Vec<Result<BlockPlace, Flaw>> {
        if let Some(reason) = &self.refused {
            return vec![Err(self.flaw(self.first, self.last, reason))];
        }
        let blocks = match self.blocks() {
            Ok(blocks) => blocks,
            Err(error) => return vec![Err(self.flaw(self.first, self.last, &error))],
        };
        let (mut pieces, mut next) = (Vec::new(), self.first);
        for block in blocks.iter().filter(|block| block.last() <= self.last) {
            if block.first < next {
                continue;
            }
            if block.first > next {
                pieces.push(Err(self.flaw(next, block.first - 1, &"the header of a block is damaged")));
            }
            pieces.push(Ok(*block));
            next = block.last() + 1;
        }
        if next <= self.last {
            let gap = match &self.header {
                Ok(_) => self.flaw(next, self.last, &"its last blocks are damaged"),
                Err(reason) => self.flaw(next, self.last, reason),
            };
            pieces.push(Err(gap));
        }
        pieces
    }

    fn fault(&self) -> Option<Flaw> {
        let reason = self.header.as_ref().err().filter(|_| self.refused.is_none())?;
        Some(self.flaw(self.first, self.last, reason))
    }

    fn packed(&self, place: BlockPlace) -> Parcel {
        match Segment::open(&self.path).and_then(|mut segment| segment.read(&place)) {
            Ok(stored) => Parcel::Packed { place, stored, file: self.name() },
            Err(error) => Parcel::Gap(self.flaw(place.first, place.last(), &error)),
        }
    }
}

/// The segments that make up the archive, in order, none beginning before the end of the one before it. One that is not of this log is
/// refused: it is of another world, or not what the next one says comes before it; it keeps a place only where nothing else has it. What
/// follows the last one is known where `after` tells it.
fn chosen(mut found: Vec<SegmentFile>, is_of_world: impl Fn(Uuid) -> bool, after: Option<LogEnd>) -> Vec<SegmentFile> {
    for file in found.iter_mut().filter(|file| file.refused.is_none()) {
        if file.header.as_ref().is_ok_and(|header| !is_of_world(header.world_id)) {
            file.refused = Some("it is of another world".into());
        }
    }
    found.sort_by_key(|file| (file.refused.is_some(), file.first, std::cmp::Reverse(file.last)));
    let mut files: Vec<SegmentFile> = Vec::new();
    for file in found {
        if files.iter().all(|other| file.last < other.first || other.last < file.first) {
            files.push(file);
        }
    }
    files.sort_by_key(|file| file.first);
    let mut after = after;
    for file in files.iter_mut().rev().filter(|file| file.refused.is_none()) {
        let Ok(header) = &file.header else {
            after = None;
            continue;
        };
        let leads_on = after.is_none_or(|after| after.position != header.end.position || after == header.end);
        if leads_on {
            after = Some(header.before);
        } else {
            file.refused = Some("it is of another log than what follows it".into());
        }
    }
    files
}

impl Archive {
    /// What the figures about a world say is archived.
    pub(super) fn of_world(dir: &Path, meta: &Meta) -> Self {
        Self::up_to(dir, meta.wire.world_id, meta.horizon())
    }

    /// The segments up to a horizon.
    pub(super) fn up_to(dir: &Path, world_id: Uuid, horizon: LogEnd) -> Self {
        let found = if horizon.position > 0 { files(dir, horizon.position) } else { Ok(Vec::new()) };
        let hidden = found.as_ref().err().map(ToString::to_string);
        let files = chosen(found.unwrap_or_default(), |id| id == world_id, Some(horizon));
        Self { horizon: horizon.position, files, hidden, last_read: RefCell::default() }
    }

    /// Every segment that lies there and may be of this world, also where nothing tells how far the archive goes.
    pub(super) fn found(dir: &Path, is_of_world: impl Fn(Uuid) -> bool) -> Self {
        let found = files(dir, u64::MAX);
        let hidden = found.as_ref().err().map(ToString::to_string);
        let files = chosen(found.unwrap_or_default(), is_of_world, None);
        let horizon = files.last().map_or(0, |file| file.last);
        Self { horizon, files, hidden, last_read: RefCell::default() }
    }

    /// A segment of a world alone, and what its header says; `None` where it is no whole one.
    pub(super) fn of_file(path: &Path, world_id: Uuid) -> Option<(Self, Header)> {
        let name = path.file_name()?.to_string_lossy();
        let file = SegmentFile::at(path.to_path_buf(), span_of(&name)?);
        let header = file.header.clone().ok().filter(|header| header.world_id == world_id)?;
        let horizon = file.last;
        Some((Self { horizon, files: vec![file], hidden: None, last_read: RefCell::default() }, header))
    }

    /// Whether nothing of it is there.
    pub(super) fn is_missing(&self) -> bool {
        self.horizon > 0 && self.files.iter().all(|file| file.refused.is_some())
    }

    /// The last position that is archived; 0 where none is.
    pub(super) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Its parts in order, from the one that has the record at a position.
    pub(super) fn parcels(&self, from: u64) -> impl Iterator<Item = Parcel> {
        let missing = |first: u64, last: u64| {
            let reason = match &self.hidden {
                Some(error) => format!("the folder `{FOLDER}` can't be read: {error}"),
                None => format!("no file in the folder `{FOLDER}` has them"),
            };
            (first <= last).then_some(Parcel::Gap(Flaw { first, last, reason }))
        };
        let mut next = from.max(1);
        let pieces = self.files.iter().filter(move |file| file.last >= from).flat_map(move |file| {
            let before = missing(next, file.first.saturating_sub(1));
            next = file.last + 1;
            let blocks = file.pieces().into_iter().map(|piece| match piece {
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
        let pieces = file.pieces().into_iter().flatten();
        let place = pieces.into_iter().find(|place| place.first <= position && position <= place.last())?;
        let Unpacked::Records(block) = file.packed(place).unpack() else { return None };
        let record = block.record(position)?.to_vec();
        last_read.push_front(block);
        last_read.truncate(BLOCKS_KEPT);
        Some(record)
    }
}

/// The segments up to the horizon.
fn files(dir: &Path, horizon: u64) -> io::Result<Vec<SegmentFile>> {
    let spans = spans(dir)?.into_iter().filter(|((_, last), _)| *last <= horizon);
    Ok(spans.map(|(span, path)| SegmentFile::at(path, span)).collect())
}

/// The segments that lie in the folder, by their names.
fn spans(dir: &Path) -> io::Result<Vec<((u64, u64), PathBuf)>> {
    let mut spans = Vec::new();
    for path in paths(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        spans.extend(span_of(&name).map(|span| (span, path)));
    }
    Ok(spans)
}

/// What lies in the folder; nothing where it is missing.
fn paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
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

/// Finished segments behind the horizon, in order: of an attempt that died before its records were forgotten, or of nobody knows whom.
pub(super) fn behind(dir: &Path, horizon: u64) -> io::Result<Vec<PathBuf>> {
    let mut spans = spans(dir)?;
    spans.retain(|((_, last), _)| *last > horizon);
    spans.sort();
    Ok(spans.into_iter().map(|(_, path)| path).collect())
}

/// Takes away segments that this world began and never finished.
pub(super) fn clear_unfinished(dir: &Path, world_id: Uuid) -> io::Result<()> {
    let is_unfinished = |path: &PathBuf| path.to_string_lossy().ends_with(&unfinished_suffix(world_id));
    paths(dir)?.into_iter().filter(is_unfinished).try_for_each(fs::remove_file)
}

/// What the name of a segment ends with while it is not whole. Another world may share the folder by mistake.
fn unfinished_suffix(world_id: Uuid) -> String {
    format!(".{}{UNFINISHED}", world_id.simple())
}

/// Makes the folder where it is missing, and its name durable.
pub(super) fn make_folder(dir: &Path) -> io::Result<PathBuf> {
    let folder = dir.join(FOLDER);
    if !folder.is_dir() {
        fs::create_dir(&folder)?;
    }
    folder::sync_folder(dir)?;
    // It may be a link to a folder elsewhere.
    folder::sync_names(&folder.canonicalize()?)?;
    Ok(folder)
}

/// A segment that is made: it has its name, and is durable, once it is finished.
#[derive(Debug)]
pub(super) struct NewSegment {
    writer: SegmentWriter,
    folder: PathBuf,
    unfinished: PathBuf,
    first: u64,
}

impl NewSegment {
    /// Begins a segment behind a record, in the folder of the archive.
    pub(super) fn begin(folder: &Path, world_id: Uuid, before: LogEnd) -> io::Result<Self> {
        let first = before.position + 1;
        let unfinished = folder.join(format!("{first:012}-{}{}", std::process::id(), unfinished_suffix(world_id)));
        let writer = SegmentWriter::create(&unfinished, world_id, before)?;
        Ok(Self { writer, folder: folder.to_path_buf(), unfinished, first })
    }

    pub(super) fn file(&self) -> &fs::File {
        self.writer.file()
    }

    /// Appends the next record; `chain` is its chain value.
    pub(super) fn push(&mut self, record: &[u8], chain: u64) -> io::Result<()> {
        self.writer.push(record, chain)
    }

    /// Makes it durable under its name.
    pub(super) fn finish(self) -> io::Result<Header> {
        let header = self.writer.finish()?;
        let name = self.folder.join(name_of(self.first, header.end.position));
        if name.exists() {
            return Err(io::Error::other(format!("{} is there already", name.display())));
        }
        fs::rename(&self.unfinished, name)?;
        folder::sync_folder(&self.folder)?;
        Ok(header)
    }
}

/// Copies the segments up to the horizon of a world to another folder, durably.
pub(super) fn copy(from: &Path, horizon: u64, to: &Path) -> io::Result<()> {
    let files = if horizon > 0 { files(from, horizon)? } else { Vec::new() };
    if files.is_empty() {
        return Ok(());
    }
    let folder = to.join(FOLDER);
    fs::create_dir(&folder)?;
    for file in files {
        // Not by `fs::copy`: of a file that may not be written it makes one that may not be synced.
        let mut copy = fs::File::create(folder.join(name_of(file.first, file.last)))?;
        let mut original = fs::File::open(&file.path)?;
        io::copy(&mut original, &mut copy)?;
        copy.set_permissions(original.metadata()?.permissions())?;
        copy.sync_all()?;
    }
    folder::sync_folder(&folder)?;
    folder::sync_folder(to)
}
