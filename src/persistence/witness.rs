//! The witness: how far the log reached when it was last seen, in a file of its own. It tells a world that silently went back in
//! time: an older file put in its place, or a newest page that is gone.
//!
//! It is written after the log, without waiting for the disk, so it may lag behind and never runs ahead. Losing it is harmless.

use super::OpenError;
use super::folder::unusable;
use super::writer::LogEnd;
use crc32c::crc32c;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use uuid::Uuid;

/// Its file in the folder of a world.
pub(super) const WITNESS_FILE: &str = "world.seen";
const MAGIC: [u8; 4] = *b"SEEN";
/// Bytes of one slot; there are two, written in turn, so that a torn one leaves the other.
const SLOT: usize = 64;

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    world_id: Uuid,
    /// How many came before it.
    count: u64,
    end: LogEnd,
}

impl Sight {
    fn to_bytes(self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(self.world_id.as_bytes());
        bytes[24..32].copy_from_slice(&self.count.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.end.position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.end.chain.to_le_bytes());
        let crc = crc32c(&bytes[..SLOT - 4]);
        bytes[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(bytes.get(SLOT - 4..SLOT)?.try_into().ok()?);
        let is_whole = bytes[..4] == MAGIC && crc == crc32c(&bytes[..SLOT - 4]);
        is_whole.then_some(Self {
            world_id: Uuid::from_slice(&bytes[8..24]).ok()?,
            count: number(24)?,
            end: LogEnd { position: number(32)?, chain: number(40)? },
        })
    }
}

/// The newest sight in the folder of a world, of whatever world it is: its identity, and how far its log reached.
pub(super) fn seen(dir: &Path) -> Option<(Uuid, LogEnd)> {
    let mut bytes = Vec::new();
    File::open(dir.join(WITNESS_FILE)).ok()?.take(2 * SLOT as u64).read_to_end(&mut bytes).ok()?;
    let newest = bytes.chunks(SLOT).filter_map(Sight::from_bytes).max_by_key(|sight| sight.count)?;
    Some((newest.world_id, newest.end))
}

/// The file, open for what is seen next.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    last: Sight,
}

impl Witness {
    /// Opens the witness of a world, and answers how far its log reached when it was last seen, if that is known.
    ///
    /// # Errors
    /// The file can't be made or read.
    pub(super) fn open(dir: &Path, world_id: Uuid) -> Result<(Self, Option<LogEnd>), OpenError> {
        let path = dir.join(WITNESS_FILE);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(|error| unusable(dir, &error))?;
        let mut bytes = Vec::new();
        (&mut file).take(2 * SLOT as u64).read_to_end(&mut bytes).map_err(|error| unusable(dir, &error))?;
        let sights = bytes.chunks(SLOT).filter_map(Sight::from_bytes).filter(|sight| sight.world_id == world_id);
        let seen = sights.max_by_key(|sight| sight.count);
        let nothing = Sight { world_id, count: 0, end: LogEnd { position: 0, chain: 0 } };
        Ok((Self { file, last: seen.unwrap_or(nothing) }, seen.map(|sight| sight.end)))
    }

    /// Whether this is what was noted last.
    pub(super) fn has_seen(&self, end: LogEnd) -> bool {
        self.last.end == end
    }

    /// Notes that the log is durable up to here. What can't be written is left: the log is what counts.
    pub(super) fn note(&mut self, end: LogEnd) {
        if self.has_seen(end) {
            return;
        }
        self.last = Sight { count: self.last.count + 1, end, ..self.last };
        let place = SeekFrom::Start(self.last.count % 2 * SLOT as u64);
        let _ = self.file.seek(place).and_then(|_| self.file.write_all(&self.last.to_bytes()));
    }

    /// Makes what was noted durable.
    pub(super) fn sync(&self) {
        let _ = self.file.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: Uuid = Uuid::from_u128(7);

    fn end(position: u64) -> LogEnd {
        LogEnd { position, chain: position + 1 }
    }

    #[test]
    fn the_newest_whole_sight_of_this_world_counts() {
        let dir = tempfile::tempdir().unwrap();
        let open = |world| Witness::open(dir.path(), world).unwrap();
        let (mut witness, seen) = open(WORLD);
        assert_eq!(seen, None);
        (1..=5).for_each(|position| witness.note(end(position)));
        drop(witness);
        assert_eq!(open(WORLD).1, Some(end(5)));
        assert_eq!(open(Uuid::from_u128(8)).1, None, "another world's");
        let path = dir.path().join(WITNESS_FILE);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            // The slot that is hit does not count; the fifth sight stands in the second.
            let left = if bit / 8 < SLOT { end(5) } else { end(4) };
            assert_eq!(open(WORLD).1, Some(left), "bit {bit}");
        }
        std::fs::write(&path, &whole[..SLOT + 9]).unwrap();
        assert_eq!(open(WORLD).1, Some(end(4)));
    }
}
