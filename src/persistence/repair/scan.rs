//! Records wherever they lie in a data file. A small value lies in a leaf page and a long one in pages that belong together, so
//! a record is always in one piece; old ones lie in free pages, too. Only the checksum says what is a record. Those of the archive
//! come from its segments.

use crate::object::{Object, ObjectId};
use crate::persistence::Progress;
use crate::persistence::archive::{Archive, Flaw, Unpacked};
use crate::persistence::record::{self, Kind, Record, RecordError};
use crate::persistence::store::DATA_FILE;
use crate::persistence::wire_object::{WireObject, from_bytes};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use uuid::Uuid;

/// Read at once.
const WINDOW: u64 = 1 << 20;
/// Where that fails, so much is read at once, and what can't be read counts as zeros.
const SECTOR: u64 = 512;
/// Of a node of a leaf page, before its key: the length of the value, flags, the length of the key.
const NODE: u64 = 8;

/// A record that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Find {
    /// Where it begins in the file.
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) kind: Kind,
    pub(super) position: u64,
    pub(super) sequence: u64,
    pub(super) chain: u64,
    pub(super) crc: u32,
    /// Of a snapshot or tombstone: the object.
    pub(super) id: Option<ObjectId>,
}

impl Find {
    pub(super) fn of(at: u64, record: &Record<'_>, length: u64, id: Option<ObjectId>) -> Self {
        let Record { kind, position, sequence, chain, crc, .. } = *record;
        Self { at, length, kind, position, sequence, chain, crc, id }
    }
}

/// A file that is read piece by piece, whatever is wrong with it.
#[derive(Debug)]
pub(super) struct RawFile {
    file: RefCell<File>,
    pub(super) length: u64,
    archive: Archive,
    /// How far the work on it is.
    pub(super) progress: Progress,
}

/// The place of an archived record: this, and its position.
const ARCHIVED: u64 = 1 << 63;

impl RawFile {
    /// Opens the data file of a world, and the archive beside it.
    pub(super) fn open(dir: &Path, progress: &Progress) -> io::Result<Self> {
        let file = File::open(dir.join(DATA_FILE))?;
        let length = file.metadata()?.len();
        let archive = Archive::found(dir, |_| true);
        Ok(Self { file: RefCell::new(file), length, archive, progress: progress.clone() })
    }

    /// Leaves the segments of other worlds in the archive out.
    pub(super) fn find_archive(&mut self, dir: &Path, is_of_world: impl Fn(Uuid) -> bool) {
        self.archive = Archive::found(dir, is_of_world);
    }

    /// The bytes of a piece, as far as the file reaches. What the disk refuses counts as zeros.
    pub(super) fn read(&self, at: u64, length: u64) -> Vec<u8> {
        if at & ARCHIVED != 0 {
            return self.archive.record(at ^ ARCHIVED).unwrap_or_default();
        }
        let length = length.min(self.length.saturating_sub(at));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        if self.fill(at, &mut bytes).is_err() {
            let mut at = at;
            for sector in bytes.chunks_mut(SECTOR as usize) {
                sector.fill(0);
                if self.fill(at, sector).is_err() {
                    sector.fill(0);
                }
                at += SECTOR;
            }
        }
        bytes
    }

    fn fill(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }

    /// Every record in the file, in the order of their places.
    ///
    /// # Errors
    /// A record is whole, and this program too old for it.
    pub(super) fn records(&self) -> Result<Vec<Find>, String> {
        self.progress.begin_search(self.length);
        let mut finds = Vec::new();
        let mut base = 0;
        while base < self.length {
            let window = self.read(base, WINDOW + record::HEADER as u64);
            let last = window.len().min(WINDOW as usize);
            let mut next = base + last as u64;
            let mut from = 0;
            while let Some(found) = window[from..last].iter().position(|byte| *byte == b'H') {
                let place = from + found;
                let at = base + place as u64;
                match record::length(&window[place..]) {
                    Some(length) if at + length <= self.length => {
                        let end = place + length as usize;
                        let bytes = match window.get(place..end) {
                            Some(bytes) => bytes.to_vec(),
                            None => self.read(at, length),
                        };
                        if let Some(find) = self.find(at, &bytes)? {
                            finds.push(find);
                            // What lies in it is part of it.
                            from = end;
                            if from >= last {
                                next = at + length;
                                break;
                            }
                            continue;
                        }
                        from = place + 1;
                    }
                    _ => from = place + 1,
                }
            }
            self.progress.note_searched(next - base);
            base = next;
        }
        Ok(finds)
    }

    /// Every record in the archive, in order, and what is wrong with it in words.
    ///
    /// # Errors
    /// As for [`records`](Self::records).
    pub(super) fn archived(&self) -> Result<(Vec<Find>, Vec<String>), String> {
        let (mut finds, mut faults) = (Vec::new(), Vec::new());
        for parcel in self.archive.parcels(1) {
            let unpacked = parcel.unpack();
            for (position, bytes) in unpacked.records() {
                finds.extend(self.find(ARCHIVED | position, bytes)?);
            }
            if let Unpacked::Gap(Flaw { first, last, reason }) | Unpacked::Fault(Flaw { first, last, reason }) =
                unpacked
            {
                faults.push(format!("archived records {first} to {last}: {reason}"));
            }
        }
        Ok((finds, faults))
    }

    fn find(&self, at: u64, bytes: &[u8]) -> Result<Option<Find>, String> {
        let record = match record::decode(bytes, None) {
            Ok(record) if record.kind == Kind::Horizon => return Err("a shortened log".into()),
            Ok(record) => record,
            // These are told only where the checksum is right.
            Err(
                error @ (RecordError::UnknownKind(_) | RecordError::UnknownFlags(_) | RecordError::UnknownSchema(_)),
            ) => return Err(error.to_string()),
            Err(_) => return Ok(None),
        };
        let id = match record.kind {
            Kind::Snapshot => {
                let object = from_bytes::<WireObject>(record.body).and_then(Object::try_from);
                let Ok(object) = object else { return Ok(None) };
                Some(object.id)
            }
            Kind::Tombstone => {
                let Some(id) = self.key_before(at, bytes.len()) else { return Ok(None) };
                Some(id)
            }
            _ => None,
        };
        Ok(Some(Find::of(at, &record, bytes.len() as u64, id)))
    }

    /// The key of a node, where the value that begins here is in one.
    fn key_before(&self, at: u64, length: usize) -> Option<ObjectId> {
        let bytes = self.read(at.checked_sub(NODE + 16)?, NODE + 16);
        let (node, key) = bytes.split_at_checked(NODE as usize)?;
        let is_node = node[..4] == u32::try_from(length).ok()?.to_le_bytes() && node[4..] == [0, 0, 16, 0];
        is_node.then(|| Uuid::from_slice(key).ok().map(ObjectId)).flatten()
    }
}
