//! One record: a header of 48 bytes with checksum and chain, then the body. `docs/file-format.md` has the layout.

use crate::object::RecordHeader;
use crc32c::{crc32c, crc32c_append};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the header.
pub(super) const HEADER: usize = 48;
/// The header's format; it changes only if the meaning of the header changes.
pub(super) const FORMAT: u8 = 1;
/// The shape of every body that this program writes. It reads those below, too.
const SCHEMA: u16 = 3;
/// No body is longer than this, in bytes.
pub(super) const LONGEST: usize = 1 << 30;
const MAGIC: [u8; 2] = *b"HW";
/// Kinds from here on may be skipped by a program that doesn't know them.
const OPTIONAL: u8 = 128;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message, before its delivery.
    Envelope,
    /// How a turn ended.
    Outcome,
    /// Ticks of the world, one after the other.
    Step,
    /// A message without outcome is about to be delivered again.
    Attempt,
    /// A process took the world over.
    Epoch,
    /// The log was shortened from the front. Not written or understood by this version.
    Horizon,
    /// An object as it stands at a position; only in the Sapwood.
    Snapshot,
    /// What stays of an object that was deleted; only in the Sapwood.
    Tombstone,
    /// The figures about the world; only in `meta`.
    Meta,
    /// Stands in the log of a repaired world where a record could not be salvaged.
    Lost,
    /// Of a later version, and safe to skip.
    Optional(u8),
}

impl Kind {
    /// The byte that stands for it.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Envelope => 1,
            Self::Outcome => 2,
            Self::Step => 3,
            Self::Attempt => 4,
            Self::Epoch => 5,
            Self::Horizon => 6,
            Self::Snapshot => 64,
            Self::Meta => 65,
            Self::Tombstone => 66,
            Self::Lost => OPTIONAL,
            Self::Optional(byte) => byte,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        let known = [
            Self::Envelope,
            Self::Outcome,
            Self::Step,
            Self::Attempt,
            Self::Epoch,
            Self::Horizon,
            Self::Snapshot,
            Self::Meta,
            Self::Tombstone,
            Self::Lost,
        ];
        known
            .into_iter()
            .find(|kind| kind.byte() == byte)
            .or_else(|| (byte >= OPTIONAL).then_some(Self::Optional(byte)))
    }

    /// The word for listings.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Outcome => "outcome",
            Self::Step => "step",
            Self::Attempt => "attempt",
            Self::Epoch => "epoch",
            Self::Horizon => "horizon",
            Self::Snapshot => "snapshot",
            Self::Meta => "meta",
            Self::Tombstone => "tombstone",
            Self::Lost => "lost",
            Self::Optional(_) => "other",
        }
    }
}

/// Why bytes are not a record, in the order of the checks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum RecordError {
    #[error("it has {0} bytes, which is less than a header")]
    Short(usize),
    #[error("it doesn't begin with HW")]
    Magic,
    #[error("it needs record format {0}")]
    Format(u8),
    #[error("its header length is impossible")]
    HeaderLength,
    #[error("it says it is number {0}")]
    Position(u64),
    #[error("its length is not what its header says")]
    Length,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is of the unknown kind {0}")]
    UnknownKind(u8),
    #[error("it uses the unknown flags {0:#04x}")]
    UnknownFlags(u8),
    #[error("its body is of the unknown shape {0}")]
    UnknownSchema(u16),
    #[error("it does not follow the record before it")]
    Chain,
    #[error("its body can't be read: {0}")]
    Body(String),
}

impl RecordError {
    /// Whether it is whole, and only this program too old for it.
    pub(super) fn is_newer(&self) -> bool {
        matches!(self, Self::Format(_) | Self::UnknownKind(_) | Self::UnknownFlags(_) | Self::UnknownSchema(_))
    }
}

/// A record that passed all checks but that of its chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) position: u64,
    /// The message it concerns; 0 where none.
    pub(super) sequence: u64,
    /// Ties it to the record before; the count of snapshots in one of kind `Snapshot`.
    pub(super) chain: u64,
    pub(super) crc: u32,
    pub(super) body: &'a [u8],
}

/// CRC32C over header and body, with the fields `chain` and `crc` taken as zero.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&bytes[..32]), &[0; 12]), &bytes[44..])
}

/// The chain value of a record: XXH3-64 of the previous value, the position and the checksum.
pub(super) fn chain(previous: u64, position: u64, crc: u32) -> u64 {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&previous.to_le_bytes());
    bytes[8..16].copy_from_slice(&position.to_le_bytes());
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    xxh3_64(&bytes)
}

/// The share of one snapshot in the set hash: XXH3-64 of its key and its checksum.
pub(super) fn set_share(key: &[u8; 16], crc: u32) -> u64 {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(key);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    xxh3_64(&bytes)
}

/// Writes a record behind the bytes that are there: `body` writes its body, `link` makes the field `chain` from the checksum.
/// Answers the checksum and the field `chain`.
///
/// # Errors
/// That of `body`; a part of the record may be written then. In words for a body that is too long: what can't be read back would
/// be lost, acknowledged or not.
pub(super) fn write(
    bytes: &mut Vec<u8>,
    kind: Kind,
    position: u64,
    sequence: u64,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
    link: impl FnOnce(u32) -> u64,
) -> Result<(u32, u64), String> {
    let start = bytes.len();
    let mut header = [0; HEADER];
    header[..2].copy_from_slice(&MAGIC);
    header[2..6].copy_from_slice(&[FORMAT, kind.byte(), 0, (HEADER / 8) as u8]);
    header[6..8].copy_from_slice(&SCHEMA.to_le_bytes());
    header[8..16].copy_from_slice(&position.to_le_bytes());
    header[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&header);
    body(bytes)?;
    let record = &mut bytes[start..];
    let length = record.len() - HEADER;
    if length > LONGEST {
        return Err(format!("a record of {length} bytes is too long"));
    }
    let length = (length as u32).to_le_bytes();
    record[24..28].copy_from_slice(&length);
    record[28..32].copy_from_slice(&length);
    let crc = crc32c(record);
    let chain = link(crc);
    record[32..40].copy_from_slice(&chain.to_le_bytes());
    record[40..44].copy_from_slice(&crc.to_le_bytes());
    Ok((crc, chain))
}

/// Reads a record. `position` is the one its key says, where its key is a position.
pub(super) fn decode(bytes: &[u8], position: Option<u64>) -> Result<Record<'_>, RecordError> {
    let field = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let half = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    if bytes.len() < HEADER {
        return Err(RecordError::Short(bytes.len()));
    }
    if bytes[..2] != MAGIC {
        return Err(RecordError::Magic);
    }
    if bytes[2] != FORMAT {
        return Err(RecordError::Format(bytes[2]));
    }
    let header = usize::from(bytes[5]) * 8;
    if header < HEADER || header > bytes.len() {
        return Err(RecordError::HeaderLength);
    }
    if position.is_some_and(|position| position != field(8)) {
        return Err(RecordError::Position(field(8)));
    }
    let (stored, full) = (half(24) as usize, half(28) as usize);
    if stored != bytes.len() - header || full > LONGEST {
        return Err(RecordError::Length);
    }
    let crc = checksum(bytes);
    if crc != half(40) {
        return Err(RecordError::Checksum);
    }
    let kind = Kind::of(bytes[3]).ok_or(RecordError::UnknownKind(bytes[3]))?;
    if !matches!(kind, Kind::Optional(_)) {
        if bytes[4] != 0 {
            return Err(RecordError::UnknownFlags(bytes[4]));
        }
        let schema = u16::from_le_bytes([bytes[6], bytes[7]]);
        if !(1..=SCHEMA).contains(&schema) {
            return Err(RecordError::UnknownSchema(schema));
        }
        if stored != full {
            return Err(RecordError::Length);
        }
    }
    Ok(Record { kind, position: field(8), sequence: field(16), chain: field(32), crc, body: &bytes[header..] })
}

/// Gives a record another place in a chain. No checksum covers the field.
pub(super) fn set_chain(bytes: &mut [u8], chain: u64) {
    if let Some(field) = bytes.get_mut(32..40) {
        field.copy_from_slice(&chain.to_le_bytes());
    }
}

/// How long the record is that may begin here, as its header says; `None` where none begins.
pub(super) fn length(bytes: &[u8]) -> Option<u64> {
    let half = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    if bytes.len() < HEADER || bytes[..2] != MAGIC || bytes[2] != FORMAT {
        return None;
    }
    let (header, stored, full) = (usize::from(bytes[5]) * 8, half(24) as usize, half(28) as usize);
    (header >= HEADER && stored <= LONGEST && full <= LONGEST).then_some((header + stored) as u64)
}

/// The message that a record concerns and its chain value, as its header says, whatever its checksum says.
pub(super) fn glance(bytes: &[u8]) -> Option<(Option<Kind>, u64, u64)> {
    let field = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    Some((Kind::of(*bytes.get(3)?), field(16)?, field(32)?))
}

/// The fields of a header as they stand there, whatever its checksum says.
pub(super) fn header(bytes: &[u8]) -> Option<RecordHeader> {
    let field = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let half = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (position, sequence, body_bytes) = (field(8)?, field(16)?, half(24)?);
    Some(RecordHeader { position, sequence, body_bytes, chain: field(32)?, crc: half(40)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let body = |bytes: &mut Vec<u8>| {
            bytes.extend_from_slice(b"body");
            Ok(())
        };
        write(&mut bytes, Kind::Outcome, 7, 3, body, |crc| chain(9, 7, crc)).unwrap();
        bytes
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = match decode(&flipped, Some(7)) {
                Err(_) => true,
                Ok(record) => record.chain != chain(9, 7, record.crc),
            };
            assert!(found, "bit {bit}");
        }
    }

    #[test]
    fn each_check_has_its_own_reason() {
        let bytes = sample();
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            let crc = checksum(&bytes);
            bytes[40..44].copy_from_slice(&crc.to_le_bytes());
            decode(&bytes, Some(7)).map(|record| record.kind)
        };
        assert_eq!(decode(&bytes[..47], None).map(|_| ()), Err(RecordError::Short(47)));
        assert_eq!(decode(&bytes[..50], None).map(|_| ()), Err(RecordError::Length));
        assert_eq!(decode(&bytes, Some(8)).map(|_| ()), Err(RecordError::Position(7)));
        assert_eq!(changed(0, 0), Err(RecordError::Magic));
        assert_eq!(changed(2, 2), Err(RecordError::Format(2)));
        assert_eq!(changed(3, 9), Err(RecordError::UnknownKind(9)));
        assert_eq!(changed(3, 200), Ok(Kind::Optional(200)));
        assert_eq!(changed(4, 1), Err(RecordError::UnknownFlags(1)));
        assert_eq!(changed(5, 5), Err(RecordError::HeaderLength));
        assert_eq!(changed(6, 1), Ok(Kind::Outcome));
        assert_eq!(changed(6, 2), Ok(Kind::Outcome));
        assert_eq!(changed(6, 4), Err(RecordError::UnknownSchema(4)));
    }

    proptest! {
        #[test]
        fn a_record_reads_back(position: u64, sequence: u64, body: Vec<u8>, previous: u64) {
            let mut bytes = Vec::new();
            let put = |bytes: &mut Vec<u8>| {
                bytes.extend_from_slice(&body);
                Ok(())
            };
            let link = |crc| chain(previous, position, crc);
            let (crc, _) = write(&mut bytes, Kind::Envelope, position, sequence, put, link).unwrap();
            let record = decode(&bytes, Some(position)).unwrap();
            let link = chain(previous, position, crc);
            prop_assert_eq!(record, Record { kind: Kind::Envelope, position, sequence, chain: link, crc, body: &body });
        }
    }
}
