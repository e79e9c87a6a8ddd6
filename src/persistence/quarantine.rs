//! What awakenings set aside because it was damaged: what it was, and what became of what it belonged to.

use super::batch::Batch;
use super::ledger::Suspension;
use super::reader::{EntryBody, entry_of};
use super::record::{self, Kind, RecordError};
use super::replay::Replay;
use super::source::ReadError;
use super::store::{Databases, StoreError};
use super::wire_message::WireQuarantined;
use super::wire_object::from_bytes;
use crate::object::{Afterwards, ObjectId, Objects, Quarantined, Readable};
use heed::RoTxn;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// So many of the damaged bytes are told.
const HEAD: usize = 512;

/// What is in quarantine, with what `batch` is about to add, beside the world as it wakes. By ascending number.
pub(super) fn entries(
    txn: &RoTxn,
    dbs: &Databases,
    batch: &Batch,
    awake: &Replay,
) -> Result<Vec<Quarantined>, ReadError> {
    let mut kept: BTreeMap<&[u8], &[u8]> = dbs.quarantine.iter(txn)?.collect::<Result<_, _>>()?;
    kept.extend(batch.quarantine.iter().filter_map(|(key, value)| Some((key.as_slice(), value.as_deref()?))));
    let mut entries = Vec::new();
    for (number, (key, value)) in (1..).zip(kept) {
        entries.push(entry(number, key, value, txn, dbs, awake)?);
    }
    let lost_any = entries
        .iter()
        .any(|entry| entry.position.is_some() && tells_of_objects(entry.kind) && entry.now != Afterwards::TakenIn);
    for entry in &mut entries {
        if let Afterwards::Rebuilt { whole, .. } = &mut entry.now {
            *whole = !lost_any;
        }
    }
    Ok(entries)
}

/// Whether a record of a kind says what became of objects; one whose kind is not known may.
fn tells_of_objects(kind: &str) -> bool {
    ![Kind::Attempt, Kind::Epoch, Kind::Lost].map(Kind::word).contains(&kind)
}

fn entry(
    number: u64,
    key: &[u8],
    value: &[u8],
    txn: &RoTxn,
    dbs: &Databases,
    awake: &Replay,
) -> Result<Quarantined, ReadError> {
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
    let (kind, sequence, _) = record::glance(&wire.raw).unwrap_or_default();
    let key_number = <[u8; 8]>::try_from(rest).ok().map(u64::from_be_bytes);
    let position = key_number.filter(|_| database == "heartwood");
    let sequence = if database == "suspended" { key_number.unwrap_or_default() } else { sequence };
    let object = Uuid::from_slice(rest).ok().filter(|_| database == "sapwood").map(ObjectId);
    let readable = position.map(|position| entry_of(position, &wire.raw).body).and_then(|body| match body {
        EntryBody::Envelope(envelope) => Some(Readable::Envelope(Arc::new(*envelope))),
        EntryBody::Outcome(outcome, _) => Some(Readable::Outcome(Arc::new(*outcome))),
        _ => None,
    });
    let is_whole = position.is_some_and(|position| record::decode(&wire.raw, Some(position)).is_ok());
    let waits = sequence > 0 && awake.ledger.suspended.contains_key(&sequence);
    let anew = Afterwards::Rebuilt { at: awake.ledger.last, whole: true };
    let now = match object {
        Some(id) => snapshot_now(txn, dbs, id, awake)?,
        // One that does not follow the record before was left out, however whole it is.
        None if position.is_some() && is_whole && wire.reason != RecordError::Chain.to_string() => Afterwards::TakenIn,
        None if position.is_some() && waits => Afterwards::Waits,
        None if position.is_some() => Afterwards::Lost,
        // A failed message that is rightly on the list, and whose records can't be read.
        None if database == "suspended" && sequence > 0 && Suspension::from_bytes(&wire.raw).is_some() => {
            Afterwards::Lost
        }
        // The figures and the list are made anew with the next commit.
        None if ["suspended", "meta"].contains(&database.as_str()) => anew,
        None => Afterwards::Lost,
    };
    Ok(Quarantined {
        number,
        key: key.to_vec(),
        database,
        reason: wire.reason,
        found_at: wire.found_at,
        writer: wire.writer,
        head: wire.raw.iter().take(HEAD).copied().collect(),
        size: wire.raw.len(),
        kind: kind.map_or("unknown", Kind::word),
        header: record::header(&wire.raw),
        position,
        sequence,
        object,
        readable,
        now,
    })
}

/// How it stands with an object whose snapshot was damaged.
fn snapshot_now(txn: &RoTxn, dbs: &Databases, id: ObjectId, awake: &Replay) -> Result<Afterwards, StoreError> {
    if awake.image.object(id).is_none() && awake.image.tombstone(id).is_none() {
        return Ok(Afterwards::Gone);
    }
    let stored = dbs.sapwood.get(txn, id.0.as_bytes())?.and_then(|bytes| record::decode(bytes, None).ok());
    // Where no whole one is stored yet, the awakening has it from the log, and writes it.
    Ok(Afterwards::Rebuilt { at: stored.map_or(awake.ledger.last, |record| record.position), whole: true })
}
