//! What one transaction writes: records at the end of the log, and entries of the other databases.

use super::ledger::WRITER;
use super::wire_message::WireQuarantined;
use super::wire_object::to_bytes;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Records of the log, one position after the other, in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Position of the first.
    first: u64,
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Records {
    /// Appends the record that `write` puts behind the bytes of those before. After an error nothing is appended.
    pub(super) fn push<T, E>(
        &mut self,
        position: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = self.bytes.len();
        let answer = write(&mut self.bytes).inspect_err(|_| self.bytes.truncate(before))?;
        if self.ends.is_empty() {
            self.first = position;
        }
        debug_assert_eq!(position, self.first + self.ends.len() as u64, "positions have no gaps");
        self.ends.push(self.bytes.len());
        Ok(answer)
    }

    /// Appends a record as it stands.
    pub(super) fn push_bytes(&mut self, position: u64, record: &[u8]) {
        let copied = self.push(position, |bytes| {
            bytes.extend_from_slice(record);
            Ok::<_, Infallible>(())
        });
        match copied {
            Ok(()) => {}
        }
    }

    /// Positions and records.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).zip(self.first..).map(|((start, end), position)| (position, &self.bytes[start..*end]))
    }

    /// The record at a position, if it is one of these.
    pub(super) fn get(&self, position: u64) -> Option<&[u8]> {
        let at = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or_default());
        self.ends.get(at).map(|end| &self.bytes[start..*end])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Size of all, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Takes all out; the memory stays.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// What one transaction writes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) heartwood: Records,
    /// Snapshots to put, or to take away.
    pub(super) sapwood: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Entries of failed messages to put, or to take away.
    pub(super) suspended: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Damaged records to keep.
    pub(super) quarantine: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Size of all snapshots, in bytes.
    pub(super) snapshot_bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.heartwood.is_empty() && self.sapwood.is_empty() && self.suspended.is_empty() && self.quarantine.is_empty()
    }

    /// Adds what a later batch writes, without the records of a log that ends at `position` already.
    pub(super) fn extend(&mut self, later: &Self, position: u64) {
        for (of, record) in later.heartwood.iter().filter(|(of, _)| *of > position) {
            self.heartwood.push_bytes(of, record);
        }
        self.sapwood.extend(later.sapwood.clone());
        self.suspended.extend(later.suspended.clone());
        self.quarantine.extend(later.quarantine.clone());
        self.snapshot_bytes += later.snapshot_bytes;
    }

    /// Keeps the bytes of a damaged record. The key is the name of its database and its key there.
    pub(super) fn quarantine(
        &mut self,
        part: &str,
        key: &[u8],
        reason: &str,
        raw: &[u8],
        now_ms: u64,
    ) -> Result<(), String> {
        let (reason, writer) = (reason.to_string(), WRITER.to_string());
        let value = to_bytes(&WireQuarantined { reason, found_at: now_ms, writer, raw: raw.to_vec() })?;
        self.quarantine.insert([part.as_bytes(), b"/", key].concat(), Some(value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_by_their_positions_and_a_failed_one_leaves_nothing() {
        let mut records = Records::default();
        let mut push = |position, text: &[u8], ends: Result<(), &'static str>| {
            records.push(position, |bytes| {
                bytes.extend_from_slice(text);
                ends
            })
        };
        push(7, b"seven", Ok(())).unwrap();
        assert_eq!(push(8, b"broken", Err("broken")), Err("broken"));
        push(8, b"", Ok(())).unwrap();
        push(9, b"nine", Ok(())).unwrap();
        let all: [(u64, &[u8]); 3] = [(7, b"seven"), (8, b""), (9, b"nine")];
        assert_eq!(records.iter().collect::<Vec<_>>(), all);
        assert_eq!((records.len(), records.size()), (3, 9));
        assert_eq!(
            (6..=10).map(|position| records.get(position)).collect::<Vec<_>>(),
            [None, Some(&b"seven"[..]), Some(b""), Some(b"nine"), None]
        );
        records.clear();
        assert!(records.is_empty() && records.get(7).is_none());
    }

    #[test]
    fn what_a_log_holds_already_is_not_added_again() {
        let batch = |positions: std::ops::RangeInclusive<u64>| {
            let mut batch = Batch::default();
            for position in positions {
                batch.heartwood.push_bytes(position, &[position as u8]);
            }
            batch
        };
        let mut whole = Batch::default();
        whole.extend(&batch(1..=3), 2);
        whole.extend(&batch(4..=5), 2);
        assert_eq!(whole.heartwood, batch(3..=5).heartwood);
    }
}
