//! From stored bytes to the vocabulary, one record by itself: its checksum and its body, not its place in the chain.
//!
//! Nothing here knows what came before, so that records can be decoded by several threads at once.

use super::Snapshot;
use super::ledger::{self, Mark, Suspension};
use super::record::{self, Kind, RecordError};
use super::wire_message::{WireAttempt, WireEnvelope, WireOfPerson, WireOutcome, WireStep};
use super::wire_object::{WireObject, WireTombstone, from_bytes};
use crate::object::{Envelope, Object, ObjectId, Outcome, Problem};
use std::sync::Arc;

/// A record of the log, decoded as far as it goes without its neighbours.
pub(super) struct LogRecord<'t> {
    pub(super) position: u64,
    /// As it is stored.
    pub(super) bytes: &'t [u8],
    pub(super) link: Result<Link, RecordError>,
}

/// What ties a record to the one before, and what it holds. A body that can't be read counts only where the chain is right.
pub(super) struct Link {
    pub(super) sequence: u64,
    pub(super) chain: u64,
    pub(super) crc: u32,
    pub(super) body: Result<Body, RecordError>,
}

/// What a record of the log holds.
pub(super) enum Body {
    /// It can be read, and is read again if it is still without outcome at the end: few are.
    Envelope {
        /// See [`asked`](super::ledger::asked).
        asked: Option<bool>,
    },
    Outcome {
        outcome: Outcome,
        resolves: Vec<u64>,
        /// Whether it is of a turn of a person that can be taken back.
        is_past: bool,
    },
    Attempt {
        alone: bool,
    },
    Step(WireStep),
    /// Nothing that concerns the world.
    Other,
}

/// Decodes a record of the log.
pub(super) fn log_record(position: u64, bytes: &[u8]) -> LogRecord<'_> {
    let link = record::decode(bytes, Some(position)).map(|record| Link {
        sequence: record.sequence,
        chain: record.chain,
        crc: record.crc,
        body: body_of(record.kind, record.body),
    });
    LogRecord { position, bytes, link }
}

fn body_of(kind: Kind, bytes: &[u8]) -> Result<Body, RecordError> {
    let body = match kind {
        Kind::Envelope => from_bytes::<WireEnvelope>(bytes)
            .and_then(Envelope::try_from)
            .map(|envelope| Body::Envelope { asked: ledger::asked(&envelope) }),
        Kind::Outcome => from_bytes::<WireOutcome>(bytes).and_then(|wire| {
            let is_past = wire.of_person.is_some();
            let (outcome, resolves) = wire.into_parts()?;
            Ok(Body::Outcome { outcome, resolves, is_past })
        }),
        Kind::Attempt => from_bytes::<WireAttempt>(bytes).map(|wire| Body::Attempt { alone: wire.alone }),
        Kind::Step => from_bytes(bytes).map(Body::Step),
        Kind::Epoch | Kind::Lost | Kind::Optional(_) => Ok(Body::Other),
        Kind::Horizon | Kind::Snapshot | Kind::Tombstone | Kind::Meta => {
            return Err(RecordError::UnknownKind(kind.byte()));
        }
    };
    body.map_err(RecordError::Body)
}

/// A snapshot, and the position at which it stands.
pub(super) struct Stored<'t> {
    pub(super) id: ObjectId,
    /// As it is stored.
    pub(super) bytes: &'t [u8],
    /// Known also of one that is wrong: what is written over it must be counted out of the set hash.
    pub(super) mark: Mark,
    pub(super) share: u64,
    pub(super) snapshot: Result<(Snapshot, u64), RecordError>,
}

/// Decodes a snapshot of a world whose log ends at `last`.
pub(super) fn stored(id: ObjectId, bytes: &[u8], last: u64) -> Stored<'_> {
    let record = record::decode(bytes, None);
    let (crc, count) = record.as_ref().map(|record| (record.crc, record.chain)).unwrap_or_default();
    let share = record::set_share(id.0.as_bytes(), crc);
    let snapshot = record.and_then(|record| snapshot_of(id, &record, last));
    Stored { id, bytes, mark: Mark { crc, count }, share, snapshot }
}

fn snapshot_of(id: ObjectId, record: &record::Record<'_>, last: u64) -> Result<(Snapshot, u64), RecordError> {
    if !matches!(record.kind, Kind::Snapshot | Kind::Tombstone) {
        return Err(RecordError::Body(format!("it is of the kind `{}`", record.kind.word())));
    }
    if record.position > last {
        return Err(RecordError::Position(record.position));
    }
    if record.kind == Kind::Tombstone {
        let wire: WireTombstone = from_bytes(record.body).map_err(RecordError::Body)?;
        let tombstone = wire.try_into().map_err(RecordError::Body)?;
        return Ok((Snapshot::Tombstone(tombstone), record.position));
    }
    let wire: WireObject = from_bytes(record.body).map_err(RecordError::Body)?;
    let object = Object::try_from(wire).map_err(RecordError::Body)?;
    if object.id != id {
        return Err(RecordError::Body(format!("it is of the object {}", object.id)));
    }
    Ok((Snapshot::Object(object), record.position))
}

/// The outcome of a turn of a person that can be taken back.
pub(super) fn past_outcome(bytes: &[u8], position: u64) -> Result<(Outcome, WireOfPerson), String> {
    let record = record::decode(bytes, Some(position)).map_err(|error| error.to_string())?;
    let wire: WireOutcome = from_bytes(record.body)?;
    let of = wire.of_person.ok_or("it is no turn of a person")?;
    Ok((wire.into_parts()?.0, of))
}

/// A message, with its number.
pub(super) fn envelope(bytes: &[u8], position: u64) -> Result<(u64, Envelope), String> {
    let record = record::decode(bytes, Some(position)).map_err(|error| error.to_string())?;
    Ok((record.sequence, from_bytes::<WireEnvelope>(record.body)?.try_into()?))
}

/// A failed message that waits.
pub(super) fn problem(
    sequence: u64,
    suspension: Suspension,
    outcome: &[u8],
    envelope: &[u8],
) -> Result<Problem, String> {
    let outcome: WireOutcome = from_bytes(body_at(outcome, suspension.outcome, Kind::Outcome, sequence)?)?;
    let envelope: WireEnvelope = from_bytes(body_at(envelope, suspension.envelope, Kind::Envelope, sequence)?)?;
    match outcome.into_parts()?.0 {
        Outcome::Failed(fault) => Ok(Problem { sequence, envelope: Arc::new(envelope.try_into()?), fault }),
        Outcome::Completed { .. } => Err("it points to a message that did not fail".to_string()),
    }
}

fn body_at(bytes: &[u8], position: u64, kind: Kind, sequence: u64) -> Result<&[u8], String> {
    match record::decode(bytes, Some(position)) {
        Ok(record) if record.kind == kind && record.sequence == sequence => Ok(record.body),
        Ok(_) => Err("it points to a record of something else".to_string()),
        Err(error) => Err(error.to_string()),
    }
}
