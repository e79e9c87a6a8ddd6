//! One file of archived records: a header, then blocks of records, each compressed and with checksums of its own, so that damage
//! costs a block. `docs/file-format.md` has the layout.

use crate::persistence::record;
use crate::persistence::writer::LogEnd;
use crc32c::crc32c;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use thiserror::Error;
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"HWSEGMNT";
const BLOCK_MAGIC: [u8; 4] = *b"HWBL";
const FORMAT: u32 = 1;
/// Bytes of the header of a segment.
pub(super) const HEADER: usize = 80;
/// Bytes of the header of a block.
pub(super) const BLOCK_HEADER: usize = 32;
/// A block ends with the record that fills it up to so many bytes.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// No block is longer when it is unpacked: it may end with a record of the greatest length.
const LONGEST_BLOCK: usize = BLOCK_BYTES + record::LONGEST + record::HEADER + 8;

/// A disk refuses so many bytes at once.
const SECTOR: usize = 4096;
/// So often the next whole block is sought behind damage, before the rest of the file is given up.
const SEARCHES: usize = 1_024;

/// Why a header tells nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum HeaderError {
    #[error("{0}")]
    Damaged(String),
    #[error("its format is {0}, of a newer workbench")]
    Newer(u32),
}

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::persistence) struct Header {
    pub(super) world_id: Uuid,
    /// The record before the first one, and its chain value.
    pub(in crate::persistence) before: LogEnd,
    pub(in crate::persistence) end: LogEnd,
    /// Bytes of the whole file.
    pub(in crate::persistence) length: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &FORMAT.to_le_bytes());
        put(16, self.world_id.as_bytes());
        put(32, &(self.before.position + 1).to_le_bytes());
        put(40, &self.end.position.to_le_bytes());
        put(48, &self.before.chain.to_le_bytes());
        put(56, &self.end.chain.to_le_bytes());
        put(64, &self.length.to_le_bytes());
        let crc = crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a file.
    ///
    /// # Errors
    /// In words, beginning with "it".
    pub(super) fn read(path: &Path) -> Result<Self, HeaderError> {
        let damaged = |error: io::Error| HeaderError::Damaged(format!("it can't be read: {error}"));
        let mut file = File::open(path).map_err(damaged)?;
        let length = file.metadata().map_err(damaged)?.len();
        let mut bytes = [0; HEADER];
        if length < HEADER as u64 {
            return Err(HeaderError::Damaged("it is cut short".into()));
        }
        file.read_exact(&mut bytes).map_err(damaged)?;
        let header = Self::from_bytes(&bytes)?;
        match header.length.cmp(&length) {
            std::cmp::Ordering::Greater => Err(HeaderError::Damaged("it is cut short".into())),
            std::cmp::Ordering::Equal => Ok(header),
            std::cmp::Ordering::Less => Err(HeaderError::Damaged("it is longer than its header says".into())),
        }
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Result<Self, HeaderError> {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        if bytes[..8] != MAGIC || half(HEADER - 4) != crc32c(&bytes[..HEADER - 4]) {
            return Err(HeaderError::Damaged("its header is damaged".into()));
        }
        if half(8) != FORMAT {
            return Err(HeaderError::Newer(half(8)));
        }
        Ok(Self {
            world_id: Uuid::from_bytes(std::array::from_fn(|byte| bytes[16 + byte])),
            before: LogEnd { position: number(32).saturating_sub(1), chain: number(48) },
            end: LogEnd { position: number(40), chain: number(56) },
            length: number(64),
        })
    }
}

/// A block as it lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::persistence) struct BlockPlace {
    /// Position of its first record.
    pub(super) first: u64,
    /// How many records.
    pub(super) count: u32,
    /// Where its header begins.
    pub(super) at: u64,
    /// Bytes behind the header, and when they are unpacked.
    pub(super) stored: u32,
    pub(super) full: u32,
    crc: u32,
}

impl BlockPlace {
    pub(super) fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    fn to_bytes(self) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0; BLOCK_HEADER];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &BLOCK_MAGIC);
        put(4, &self.stored.to_le_bytes());
        put(8, &self.full.to_le_bytes());
        put(12, &self.count.to_le_bytes());
        put(16, &self.first.to_le_bytes());
        put(24, &self.crc.to_le_bytes());
        let crc = crc32c(&bytes[..BLOCK_HEADER - 4]);
        bytes[BLOCK_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8], at: u64) -> Option<Self> {
        let bytes: &[u8; BLOCK_HEADER] = bytes.try_into().ok()?;
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let is_whole = bytes[..4] == BLOCK_MAGIC && half(BLOCK_HEADER - 4) == crc32c(&bytes[..BLOCK_HEADER - 4]);
        let first = u64::from_le_bytes(std::array::from_fn(|byte| bytes[16 + byte]));
        let place = Self { first, count: half(12), at, stored: half(4), full: half(8), crc: half(24) };
        let is_possible = place.count > 0 && first.checked_add(u64::from(place.count)).is_some();
        (is_whole && is_possible && place.full as usize <= LONGEST_BLOCK).then_some(place)
    }
}

/// A block that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::persistence) struct Block {
    pub(super) first: u64,
    bytes: Vec<u8>,
    /// Where each record ends in it; before it stand its length and itself.
    ends: Vec<usize>,
}

impl Block {
    /// Its records with their positions, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let pieces = begins.zip(&self.ends).filter_map(|(begin, end)| self.bytes.get(begin + 4..*end));
        (self.first..).zip(pieces)
    }

    pub(super) fn record(&self, position: u64) -> Option<&[u8]> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let begin = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(begin + 4..*self.ends.get(index)?)
    }

    /// Unpacks the bytes of a block.
    ///
    /// # Errors
    /// In words.
    pub(super) fn unpack(place: &BlockPlace, stored: &[u8]) -> Result<Self, String> {
        if stored.len() != place.stored as usize || crc32c(stored) != place.crc {
            return Err("their checksum is wrong".into());
        }
        let mut bytes = Vec::new();
        let unpacked = ZlibDecoder::new(stored).take(u64::from(place.full) + 1).read_to_end(&mut bytes);
        if unpacked.is_err() || bytes.len() != place.full as usize {
            return Err("they can't be unpacked".into());
        }
        let (mut ends, mut at) = (Vec::new(), 0_usize);
        while let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            at = at.saturating_add(4).saturating_add(u32::from_le_bytes(*length) as usize);
            ends.push(at);
        }
        if at != bytes.len() || ends.len() != place.count as usize {
            return Err("they are not divided into records".into());
        }
        Ok(Self { first: place.first, bytes, ends })
    }
}

/// A segment that is being written to a file.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    file: File,
    world_id: Uuid,
    before: LogEnd,
    end: LogEnd,
    block: Vec<u8>,
    /// Records in the block that is being filled.
    count: u32,
    length: u64,
}

impl SegmentWriter {
    /// Begins a segment behind a record.
    pub(super) fn create(path: &Path, world_id: Uuid, before: LogEnd) -> io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(&[0; HEADER])?;
        Ok(Self { file, world_id, before, end: before, block: Vec::new(), count: 0, length: HEADER as u64 })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Appends the next record; `chain` is its chain value.
    pub(super) fn push(&mut self, record: &[u8], chain: u64) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        self.block.extend(length.to_le_bytes());
        self.block.extend(record);
        self.count += 1;
        self.end = LogEnd { position: self.end.position + 1, chain };
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&self.block)?;
        let packed = packed.finish()?;
        let place = BlockPlace {
            first: self.end.position + 1 - u64::from(self.count),
            count: self.count,
            at: self.length,
            stored: u32::try_from(packed.len()).map_err(io::Error::other)?,
            full: u32::try_from(self.block.len()).map_err(io::Error::other)?,
            crc: crc32c(&packed),
        };
        self.file.write_all(&place.to_bytes())?;
        self.file.write_all(&packed)?;
        self.length += (BLOCK_HEADER + packed.len()) as u64;
        self.block.clear();
        self.count = 0;
        Ok(())
    }

    /// Ends the segment and makes its bytes durable, under whatever name it has. Answers its header.
    pub(super) fn finish(mut self) -> io::Result<Header> {
        self.end_block()?;
        let header = Header { world_id: self.world_id, before: self.before, end: self.end, length: self.length };
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header.to_bytes())?;
        self.file.sync_all()?;
        Ok(header)
    }
}

/// A segment that is read.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    length: u64,
}

impl Segment {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { length: file.metadata()?.len(), file })
    }

    /// The blocks whose headers are whole, in the order of the file. What the disk refuses is damaged.
    pub(super) fn blocks(&mut self) -> Vec<BlockPlace> {
        let mut blocks = Vec::new();
        let (mut at, mut searches) = (HEADER as u64, 0);
        while self.length.saturating_sub(at) >= BLOCK_HEADER as u64 {
            let bytes = self.read_at(at, BLOCK_HEADER).unwrap_or_default();
            if let Some(place) = self.block(&bytes, at) {
                at += BLOCK_HEADER as u64 + u64::from(place.stored);
                blocks.push(place);
                continue;
            }
            searches += 1;
            match self.next_block(at + 1) {
                Some(next) if searches <= SEARCHES => at = next,
                _ => break,
            }
        }
        blocks
    }

    /// The block whose header this is, if it is whole and the file has all of it.
    fn block(&self, header: &[u8], at: u64) -> Option<BlockPlace> {
        let behind = self.length.checked_sub(at)?.checked_sub(BLOCK_HEADER as u64)?;
        BlockPlace::from_bytes(header, at).filter(|place| u64::from(place.stored) <= behind)
    }

    /// Where the next block begins.
    fn next_block(&mut self, from: u64) -> Option<u64> {
        const WINDOW: usize = 1 << 20;
        let mut base = from;
        loop {
            let rest = usize::try_from(self.length.checked_sub(base)?).unwrap_or(usize::MAX);
            if rest < BLOCK_HEADER {
                return None;
            }
            let window = self.read_at(base, rest.min(WINDOW)).or_else(|_| self.read_at(base, rest.min(SECTOR)));
            let Ok(window) = window else {
                base = (base / SECTOR as u64 + 1) * SECTOR as u64;
                continue;
            };
            let mut begins = window.windows(BLOCK_HEADER).zip(base..);
            let is_block =
                |(bytes, at): &(&[u8], u64)| bytes.starts_with(&BLOCK_MAGIC) && self.block(bytes, *at).is_some();
            if let Some((_, at)) = begins.find(is_block) {
                return Some(at);
            }
            base += (window.len() - BLOCK_HEADER + 1) as u64;
        }
    }

    fn read_at(&mut self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a block, packed as they are stored.
    pub(super) fn read(&mut self, place: &BlockPlace) -> io::Result<Vec<u8>> {
        self.read_at(place.at + BLOCK_HEADER as u64, place.stored as usize)
    }
}
