//! What awakenings set aside because it was damaged: what it was, and what became of what it belonged to.

use super::reader::{Entry, entry_of};
use super::record::{self, Kind};
use super::replay::Replay;
use super::source::ReadError;
use super::store::{Databases, StoreError};
use super::wire_message::WireQuarantined;
use super::wire_object::from_bytes;
use crate::object::{ObjectId, Objects};
use heed::RoTxn;
use uuid::Uuid;

/// Something damaged that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// Under which it is kept; for [`Alembic::let_go`](super::Alembic::let_go).
    pub key: Vec<u8>,
    /// The database that it was in.
    pub database: String,
    /// What was wrong with it.
    pub reason: String,
    /// When it was found: milliseconds since 1970 (UTC).
    pub found_at: u64,
    /// Version of the program that found it.
    pub writer: String,
    /// The damaged bytes; none where there were none.
    pub raw: Vec<u8>,
    /// Its kind in a word, as its header says, whether that is right or not.
    pub kind: &'static str,
    /// Of a record of the log: its position.
    pub position: Option<u64>,
    /// The message that it concerned; 0 where none.
    pub sequence: u64,
    /// Of a snapshot: the object, and its title as it is now.
    pub object: Option<(ObjectId, String)>,
    /// What can be read of it all the same.
    pub readable: Option<Entry>,
    /// How it stands with what it belonged to.
    pub now: Afterwards,
}

/// What became of what a damaged record belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It was made anew from the log: nothing is lost.
    Rebuilt,
    /// The record is lost. Its message waits among the problems and can be tried again.
    Waits,
    /// The record is lost, and nothing waits for anybody.
    Lost,
}

/// What is in quarantine, beside the world as it wakes.
pub(super) fn entries(txn: &RoTxn, dbs: &Databases, awake: &Replay) -> Result<Vec<Quarantined>, ReadError> {
    let mut entries = Vec::new();
    for entry in dbs.quarantine.iter(txn)? {
        let (key, value) = entry?;
        let (database, rest) = match key.iter().position(|byte| *byte == b'/') {
            Some(at) => (String::from_utf8_lossy(&key[..at]).into_owned(), &key[at + 1..]),
            None => (String::new(), key),
        };
        let wire = from_bytes::<WireQuarantined>(value).unwrap_or_else(|error| WireQuarantined {
            reason: format!("what was kept of it can't be read: {error}"),
            found_at: 0,
            writer: String::new(),
            raw: value.to_vec(),
        });
        let glance = record::glance(&wire.raw);
        let (kind, sequence, _) = glance.unwrap_or_default();
        let number = <[u8; 8]>::try_from(rest).ok().map(u64::from_be_bytes);
        let is_of_log = database == "heartwood";
        let sequence = if database == "suspended" { number.unwrap_or_default() } else { sequence };
        let id = Uuid::from_slice(rest).ok().filter(|_| database == "sapwood").map(ObjectId);
        let waits = sequence > 0 && awake.ledger.suspended.contains_key(&sequence);
        let now = match id {
            Some(id) if is_whole(txn, dbs, id, awake)? => Afterwards::Rebuilt,
            // The figures and the list are made anew with the next commit.
            None if !is_of_log => Afterwards::Rebuilt,
            _ if waits => Afterwards::Waits,
            _ => Afterwards::Lost,
        };
        let position = number.filter(|_| is_of_log);
        let readable = position.map(|position| entry_of(position, &wire.raw));
        entries.push(Quarantined {
            key: key.to_vec(),
            database,
            reason: wire.reason,
            found_at: wire.found_at,
            writer: wire.writer,
            raw: wire.raw,
            kind: kind.map_or("unknown", Kind::word),
            position,
            sequence,
            object: id.map(|id| (id, awake.image.title(id))),
            readable,
            now,
        });
    }
    Ok(entries)
}

/// Whether there is a whole snapshot of an object, or none because nothing is left of it.
fn is_whole(txn: &RoTxn, dbs: &Databases, id: ObjectId, awake: &Replay) -> Result<bool, StoreError> {
    let is_there = awake.image.object(id).is_some() || awake.image.tombstone(id).is_some();
    let stored = dbs.sapwood.get(txn, id.0.as_bytes())?;
    Ok(stored.map_or(!is_there, |bytes| record::decode(bytes, None).is_ok()))
}
