//! The serial form of envelopes, outcomes, changes, and of what the log says about itself.
//!
//! The rules of `wire_object` hold: fields may be added, each with a default; nothing else changes. Envelopes are only read here;
//! `message_pack` writes them.

use super::wire_object::{WireKey, WireMethod, WireObject, WireSlot, WireTombstone, WireValue, name, owned, texts};
use crate::object::{
    Argument, Change, Edit, EditKind, Envelope, Fault, FaultKind, Literal, MapKey, MethodVersion, Object, ObjectId,
    Outcome, Slot, Target, Tombstone, Value,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(rename_all = "snake_case")]
enum WireTarget<'a> {
    Name(&'a str),
    Id(Uuid),
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(rename_all = "snake_case")]
enum WireLiteral<'a> {
    #[serde(borrow)]
    Value(WireValue<'a>),
    Named(&'a str),
    #[serde(borrow)]
    List(Vec<WireLiteral<'a>>),
    #[serde(borrow)]
    Map(Vec<(WireKey<'a>, WireLiteral<'a>)>),
}

#[cfg(test)]
impl<'a> From<&'a Literal> for WireLiteral<'a> {
    fn from(literal: &'a Literal) -> Self {
        match literal {
            Literal::Value(value) => Self::Value(value.into()),
            Literal::Named(name) => Self::Named(name),
            Literal::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Literal::Map(entries) => Self::Map(entries.iter().map(|(key, item)| (key.into(), item.into())).collect()),
        }
    }
}

impl TryFrom<WireLiteral<'_>> for Literal {
    type Error = String;
    fn try_from(wire: WireLiteral<'_>) -> Result<Self, String> {
        Ok(match wire {
            WireLiteral::Value(value) => Self::Value(value.try_into()?),
            WireLiteral::Named(name) => Self::Named(name.to_string()),
            WireLiteral::List(items) => Self::List(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            WireLiteral::Map(entries) => {
                let entry =
                    |(key, item): (WireKey<'_>, WireLiteral<'_>)| Ok::<_, String>((key.try_into()?, item.try_into()?));
                Self::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct WireArgument<'a> {
    #[serde(default, borrow)]
    name: Option<&'a str>,
    #[serde(borrow)]
    value: WireLiteral<'a>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub(super) struct WireEnvelope<'a> {
    message_id: Uuid,
    #[serde(default)]
    correlation_id: Option<Uuid>,
    sender_id: &'a str,
    #[serde(borrow)]
    target: WireTarget<'a>,
    selector: &'a str,
    #[serde(default, borrow)]
    args: Vec<WireArgument<'a>>,
    issued_at: u64,
    #[serde(default)]
    retries: Option<u64>,
}

#[cfg(test)]
impl<'a> From<&'a Envelope> for WireEnvelope<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        let argument =
            |argument: &'a Argument| WireArgument { name: argument.name.as_deref(), value: (&argument.value).into() };
        Self {
            message_id: envelope.message_id,
            correlation_id: envelope.correlation_id,
            sender_id: &envelope.sender_id,
            target: match &envelope.target {
                Target::Name(name) => WireTarget::Name(name),
                Target::Id(id) => WireTarget::Id(id.0),
            },
            selector: &envelope.selector,
            args: envelope.args.iter().map(argument).collect(),
            issued_at: envelope.issued_at,
            retries: envelope.retries,
        }
    }
}

impl TryFrom<WireEnvelope<'_>> for Envelope {
    type Error = String;
    fn try_from(wire: WireEnvelope<'_>) -> Result<Self, String> {
        let argument = |WireArgument { name: parameter, value }: WireArgument<'_>| {
            let parameter = parameter.map(name).transpose()?;
            Ok::<_, String>(Argument { name: parameter, value: value.try_into()? })
        };
        Ok(Self {
            message_id: wire.message_id,
            correlation_id: wire.correlation_id,
            sender_id: wire.sender_id.to_string(),
            target: match wire.target {
                WireTarget::Name(name) => Target::Name(name.to_string()),
                WireTarget::Id(id) => Target::Id(ObjectId(id)),
            },
            selector: name(wire.selector)?,
            args: wire.args.into_iter().map(argument).collect::<Result<_, _>>()?,
            issued_at: wire.issued_at,
            retries: wire.retries,
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireEdit<'a> {
    #[serde(default, borrow)]
    path: Vec<WireKey<'a>>,
    #[serde(borrow)]
    kind: WireEditKind<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireEditKind<'a> {
    Set {
        #[serde(borrow)]
        key: WireKey<'a>,
        #[serde(borrow)]
        before: Option<WireValue<'a>>,
        #[serde(borrow)]
        after: Option<WireValue<'a>>,
    },
    Insert {
        place: u64,
        #[serde(borrow)]
        value: WireValue<'a>,
    },
    Remove {
        place: u64,
        #[serde(borrow)]
        value: WireValue<'a>,
    },
}

impl<'a> From<&'a Edit> for WireEdit<'a> {
    fn from(edit: &'a Edit) -> Self {
        let kind = match &edit.kind {
            EditKind::Set { key, before, after } => WireEditKind::Set {
                key: key.into(),
                before: before.as_ref().map(WireValue::from),
                after: after.as_ref().map(WireValue::from),
            },
            EditKind::Insert { place, value } => WireEditKind::Insert { place: *place as u64, value: value.into() },
            EditKind::Remove { place, value } => WireEditKind::Remove { place: *place as u64, value: value.into() },
        };
        Self { path: edit.path.iter().map(WireKey::from).collect(), kind }
    }
}

impl TryFrom<WireEdit<'_>> for Edit {
    type Error = String;
    fn try_from(wire: WireEdit<'_>) -> Result<Self, String> {
        let value = |value: Option<WireValue<'_>>| value.map(Value::try_from).transpose();
        let place = |place: u64| usize::try_from(place).map_err(|error| error.to_string());
        let kind = match wire.kind {
            WireEditKind::Set { key, before, after } => {
                EditKind::Set { key: key.try_into()?, before: value(before)?, after: value(after)? }
            }
            WireEditKind::Insert { place: at, value } => {
                EditKind::Insert { place: place(at)?, value: value.try_into()? }
            }
            WireEditKind::Remove { place: at, value } => {
                EditKind::Remove { place: place(at)?, value: value.try_into()? }
            }
        };
        let path = wire.path.into_iter().map(MapKey::try_from).collect::<Result<_, _>>()?;
        Ok(Self { path, kind })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireChange<'a> {
    Create {
        #[serde(borrow)]
        object: WireObject<'a>,
        #[serde(default, borrow)]
        tombstone: Option<WireTombstone<'a>>,
    },
    Delete {
        #[serde(borrow)]
        object: WireObject<'a>,
        #[serde(default, borrow)]
        tombstone: Option<WireTombstone<'a>>,
    },
    SetSlot {
        id: Uuid,
        slot: &'a str,
        place: u64,
        #[serde(borrow)]
        before: Option<Box<WireSlot<'a>>>,
        #[serde(borrow)]
        after: Option<Box<WireSlot<'a>>>,
    },
    EditSlot {
        id: Uuid,
        slot: &'a str,
        #[serde(borrow)]
        edits: Vec<WireEdit<'a>>,
    },
    AddVersion {
        id: Uuid,
        selector: &'a str,
        #[serde(borrow)]
        version: WireMethod<'a>,
    },
    RemoveVersion {
        id: Uuid,
        selector: &'a str,
        #[serde(borrow)]
        version: WireMethod<'a>,
    },
    Rename {
        id: Uuid,
        #[serde(borrow)]
        before: Option<&'a str>,
        #[serde(borrow)]
        after: Option<&'a str>,
    },
    SetParents {
        id: Uuid,
        before: Vec<Uuid>,
        after: Vec<Uuid>,
    },
}

impl<'a> From<&'a Change> for WireChange<'a> {
    fn from(change: &'a Change) -> Self {
        let ids = |ids: &[ObjectId]| ids.iter().map(|id| id.0).collect();
        let id = change.id().0;
        match change {
            Change::Create(object, tombstone) => {
                Self::Create { object: (&**object).into(), tombstone: tombstone.as_ref().map(WireTombstone::from) }
            }
            Change::Delete(object, tombstone) => {
                Self::Delete { object: (&**object).into(), tombstone: tombstone.as_ref().map(WireTombstone::from) }
            }
            Change::SetSlot { slot, place, before, after, .. } => Self::SetSlot {
                id,
                slot,
                place: *place as u64,
                before: before.as_ref().map(|slot| Box::new(slot.into())),
                after: after.as_ref().map(|slot| Box::new(slot.into())),
            },
            Change::EditSlot { slot, edits, .. } => {
                Self::EditSlot { id, slot, edits: edits.iter().map(WireEdit::from).collect() }
            }
            Change::AddVersion { selector, version, .. } => {
                Self::AddVersion { id, selector, version: (&**version).into() }
            }
            Change::RemoveVersion { selector, version, .. } => {
                Self::RemoveVersion { id, selector, version: (&**version).into() }
            }
            Change::Rename { before, after, .. } => {
                Self::Rename { id, before: before.as_deref(), after: after.as_deref() }
            }
            Change::SetParents { before, after, .. } => Self::SetParents { id, before: ids(before), after: ids(after) },
        }
    }
}

impl TryFrom<WireChange<'_>> for Change {
    type Error = String;
    fn try_from(wire: WireChange<'_>) -> Result<Self, String> {
        let object = |object: WireObject<'_>| Object::try_from(object).map(Box::new);
        let version = |version: WireMethod<'_>| MethodVersion::try_from(version).map(Box::new);
        let slot_of = |slot: Option<Box<WireSlot<'_>>>| slot.map(|slot| Slot::try_from(*slot)).transpose();
        let ids = |ids: Vec<Uuid>| ids.into_iter().map(ObjectId).collect();
        Ok(match wire {
            WireChange::Create { object: made, tombstone } => {
                Self::Create(object(made)?, tombstone.map(Tombstone::try_from).transpose()?)
            }
            WireChange::Delete { object: gone, tombstone } => {
                Self::Delete(object(gone)?, tombstone.map(Tombstone::try_from).transpose()?)
            }
            WireChange::SetSlot { id, slot, place, before, after } => Self::SetSlot {
                id: ObjectId(id),
                slot: name(slot)?,
                place: usize::try_from(place).unwrap_or(usize::MAX),
                before: slot_of(before)?,
                after: slot_of(after)?,
            },
            WireChange::EditSlot { id, slot, edits } => Self::EditSlot {
                id: ObjectId(id),
                slot: name(slot)?,
                edits: edits.into_iter().map(Edit::try_from).collect::<Result<_, _>>()?,
            },
            WireChange::AddVersion { id, selector, version: added } => {
                Self::AddVersion { id: ObjectId(id), selector: name(selector)?, version: version(added)? }
            }
            WireChange::RemoveVersion { id, selector, version: removed } => {
                Self::RemoveVersion { id: ObjectId(id), selector: name(selector)?, version: version(removed)? }
            }
            WireChange::Rename { id, before, after } => Self::Rename {
                id: ObjectId(id),
                before: before.map(name).transpose()?,
                after: after.map(name).transpose()?,
            },
            WireChange::SetParents { id, before, after } => {
                Self::SetParents { id: ObjectId(id), before: ids(before), after: ids(after) }
            }
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireEnd<'a> {
    Completed {
        #[serde(borrow)]
        result: WireValue<'a>,
        #[serde(borrow)]
        changes: Vec<WireChange<'a>>,
        #[serde(default, borrow)]
        logs: Vec<&'a str>,
    },
    Failed {
        kind: &'a str,
        message: &'a str,
        #[serde(default, borrow)]
        suggestions: Vec<&'a str>,
        #[serde(default, borrow)]
        trace: Vec<&'a str>,
        #[serde(default, borrow)]
        logs: Vec<&'a str>,
        #[serde(default)]
        receiver: Option<Uuid>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireOutcome<'a> {
    #[serde(borrow)]
    end: WireEnd<'a>,
    #[serde(default)]
    resolves: Vec<u64>,
    /// Of a turn of a person that can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of_person: Option<WireOfPerson>,
}

/// What leads from a turn of a person that can be taken back to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireOfPerson {
    /// Position of the envelope.
    pub(super) envelope: u64,
    /// Position of the outcome of the turn before; 0 where there is none.
    #[serde(default)]
    pub(super) earlier: u64,
    /// Messages that the turn posted.
    #[serde(default)]
    pub(super) posts: u64,
}

impl<'a> WireOutcome<'a> {
    pub(super) fn new(outcome: &'a Outcome, resolves: &[u64]) -> Self {
        let end = match outcome {
            Outcome::Completed { result, changes, logs } => WireEnd::Completed {
                result: result.into(),
                changes: changes.iter().map(WireChange::from).collect(),
                logs: texts(logs),
            },
            Outcome::Failed(fault) => {
                let Fault { kind, message, suggestions, trace, logs, receiver } = fault;
                WireEnd::Failed {
                    kind: kind.word(),
                    message,
                    suggestions: texts(suggestions),
                    trace: texts(trace),
                    logs: texts(logs),
                    receiver: receiver.map(|id| id.0),
                }
            }
        };
        Self { end, resolves: resolves.to_vec(), of_person: None }
    }

    /// The outcome, and the failed messages that no longer wait because of it.
    pub(super) fn into_parts(self) -> Result<(Outcome, Vec<u64>), String> {
        let outcome = match self.end {
            WireEnd::Completed { result, changes, logs } => Outcome::Completed {
                result: result.try_into()?,
                changes: changes.into_iter().map(Change::try_from).collect::<Result<_, _>>()?,
                logs: owned(&logs),
            },
            WireEnd::Failed { kind, message, suggestions, trace, logs, receiver } => Outcome::Failed(Fault {
                kind: FaultKind::from_word(kind).unwrap_or(FaultKind::Internal),
                message: message.to_string(),
                suggestions: owned(&suggestions),
                trace: owned(&trace),
                logs: owned(&logs),
                receiver: receiver.map(ObjectId),
            }),
        };
        Ok((outcome, self.resolves))
    }
}

/// Body of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireAttempt {
    /// Whether nothing else is delivered until this message has its outcome on disk.
    #[serde(default)]
    pub(super) alone: bool,
}

/// Body of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireStep {
    /// Number of the first tick, among all ticks of the world.
    pub(super) from: u64,
    /// How many, one after the other.
    pub(super) ticks: u64,
    /// When their run began: milliseconds since 1970 (UTC).
    pub(super) started_at: u64,
    /// The first one's place in the run, from 0.
    pub(super) index: u64,
}

/// Body of a record that stands for one that could not be salvaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireLost {
    /// When the world was repaired: milliseconds since 1970 (UTC).
    pub(super) repaired_at: u64,
}

/// Body of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireEpoch {
    /// Milliseconds since 1970 (UTC).
    pub(super) started_at: u64,
    pub(super) pid: u32,
    /// Version of the program.
    pub(super) writer: String,
    /// Last position that was found.
    pub(super) last_position: u64,
    /// Chain value there.
    pub(super) last_chain: u64,
    /// Whether the world had been closed in order.
    #[serde(default)]
    pub(super) clean: bool,
}

/// Body of the one record in `meta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireMeta {
    pub(super) format: u32,
    pub(super) world_id: Uuid,
    pub(super) writer: String,
    #[serde(default)]
    pub(super) clean: bool,
    pub(super) set_hash: u64,
    /// Each object that has no snapshot and was last changed at this position or before is deleted.
    pub(super) snapshots_through: u64,
    /// Awakening reads the log from here.
    pub(super) replay_from: u64,
    pub(super) next_sequence: u64,
    /// The log begins after this position.
    #[serde(default)]
    pub(super) horizon_position: u64,
    #[serde(default)]
    pub(super) horizon_chain: u64,
    /// Ticks that the world has had.
    #[serde(default)]
    pub(super) ticks: u64,
    /// Position of the outcome of the newest turn of a person that can be taken back; 0 where there is none.
    #[serde(default)]
    pub(super) newest_past: u64,
}

/// Value in `quarantine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WireQuarantined {
    pub(super) reason: String,
    /// Milliseconds since 1970 (UTC).
    pub(super) found_at: u64,
    pub(super) writer: String,
    #[serde(with = "bytes")]
    pub(super) raw: Vec<u8>,
}

/// Bytes as MessagePack `bin`, not as a list of numbers.
mod bytes {
    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
