//! The serial form of values, slots and objects: MessagePack maps by field name.
//!
//! Fields may be added, each with a default; none is renamed, removed or given another meaning. Unknown fields are
//! passed over. The vocabulary itself is not serialised: it may change, this may not. Text is borrowed, from the
//! vocabulary on the way out and from the record on the way in.

use crate::object::{
    MapKey, MethodVersion, Name, Object, ObjectId, ObjectRef, Origin, Slot, SlotContent, Slots, Tombstone, Value,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Writes a serial form behind the bytes that are there.
pub(super) fn write_to<T: Serialize>(bytes: &mut Vec<u8>, wire: &T) -> Result<(), String> {
    rmp_serde::encode::write_named(bytes, wire).map_err(|error| error.to_string())
}

/// The bytes of a serial form.
pub(super) fn to_bytes<T: Serialize>(wire: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, wire)?;
    Ok(bytes)
}

/// The serial form in these bytes.
pub(super) fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

pub(super) fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub(super) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// Every NaN is the same NaN.
pub(super) fn canonical(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireValue<'a> {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(&'a str),
    #[serde(borrow)]
    List(Vec<WireValue<'a>>),
    #[serde(borrow)]
    Map(Vec<(WireKey<'a>, WireValue<'a>)>),
    Object(Uuid),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireKey<'a> {
    Boolean(bool),
    Number(f64),
    Text(&'a str),
    Object(Uuid),
}

impl<'a> From<&'a MapKey> for WireKey<'a> {
    fn from(key: &'a MapKey) -> Self {
        match key {
            MapKey::Boolean(value) => Self::Boolean(*value),
            MapKey::Number(number) => Self::Number(*number),
            MapKey::Text(text) => Self::Text(text),
            MapKey::Object(id) => Self::Object(id.0),
        }
    }
}

impl TryFrom<WireKey<'_>> for MapKey {
    type Error = String;
    fn try_from(key: WireKey<'_>) -> Result<Self, String> {
        Ok(match key {
            WireKey::Boolean(value) => Self::Boolean(value),
            WireKey::Number(number) => Self::number(number).ok_or("a map key is not a finite number")?,
            WireKey::Text(text) => Self::Text(text.to_string()),
            WireKey::Object(id) => Self::Object(ObjectId(id)),
        })
    }
}

impl<'a> From<&'a Value> for WireValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(canonical(*number)),
            Value::Text(text) => Self::Text(text),
            Value::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Map(entries) => Self::Map(entries.iter().map(|(key, value)| (key.into(), value.into())).collect()),
            Value::Object(id) => Self::Object(id.0),
        }
    }
}

impl TryFrom<WireValue<'_>> for Value {
    type Error = String;
    fn try_from(value: WireValue<'_>) -> Result<Self, String> {
        Ok(match value {
            WireValue::Nil => Self::Nil,
            WireValue::Boolean(value) => Self::Boolean(value),
            WireValue::Number(number) => Self::Number(number),
            WireValue::Text(text) => Self::Text(text.to_string()),
            WireValue::List(items) => Self::List(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            WireValue::Map(entries) => {
                let entry =
                    |(key, value): (WireKey<'_>, WireValue<'_>)| Ok::<_, String>((key.try_into()?, value.try_into()?));
                Self::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            WireValue::Object(id) => Self::Object(ObjectId(id)),
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireMethod<'a> {
    number: u32,
    #[serde(default)]
    follows: u32,
    #[serde(default, borrow)]
    params: Vec<&'a str>,
    source: &'a str,
    #[serde(default)]
    doc: &'a str,
    #[serde(default)]
    author: &'a str,
    #[serde(default)]
    instruction: &'a str,
    #[serde(default, borrow)]
    contract: Vec<&'a str>,
    #[serde(default, borrow)]
    verdicts: Vec<&'a str>,
    #[serde(default)]
    sequence: u64,
}

impl<'a> From<&'a MethodVersion> for WireMethod<'a> {
    fn from(version: &'a MethodVersion) -> Self {
        let MethodVersion { number, follows, params, source, doc, origin } = version;
        let Origin { author, instruction, contract, verdicts, sequence } = origin;
        Self {
            number: *number,
            follows: *follows,
            params: params.iter().map(Name::as_str).collect(),
            source,
            doc,
            author,
            instruction,
            contract: texts(contract),
            verdicts: texts(verdicts),
            sequence: *sequence,
        }
    }
}

impl TryFrom<WireMethod<'_>> for MethodVersion {
    type Error = String;
    fn try_from(wire: WireMethod<'_>) -> Result<Self, String> {
        let WireMethod { number, follows, params, source, doc, author, instruction, contract, verdicts, sequence } =
            wire;
        let origin = Origin {
            author: author.to_string(),
            instruction: instruction.to_string(),
            contract: owned(&contract),
            verdicts: owned(&verdicts),
            sequence,
        };
        let params = params.into_iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { number, follows, params, source: source.to_string(), doc: doc.to_string(), origin })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireContent<'a> {
    #[serde(borrow)]
    Value(WireValue<'a>),
    #[serde(borrow)]
    Method(WireMethod<'a>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireSlot<'a> {
    #[serde(borrow)]
    content: WireContent<'a>,
    #[serde(default)]
    doc: &'a str,
}

impl<'a> From<&'a Slot> for WireSlot<'a> {
    fn from(slot: &'a Slot) -> Self {
        let content = match &slot.content {
            SlotContent::Value(value) => WireContent::Value(value.into()),
            SlotContent::Method(method) => WireContent::Method((&**method).into()),
        };
        Self { content, doc: &slot.doc }
    }
}

impl TryFrom<WireSlot<'_>> for Slot {
    type Error = String;
    fn try_from(wire: WireSlot<'_>) -> Result<Self, String> {
        let content = match wire.content {
            WireContent::Value(value) => SlotContent::Value(value.try_into()?),
            WireContent::Method(method) => SlotContent::Method(Box::new(method.try_into()?)),
        };
        Ok(Self { content, doc: wire.doc.to_string() })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireNamedSlot<'a> {
    name: &'a str,
    #[serde(borrow)]
    slot: WireSlot<'a>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireVersions<'a> {
    selector: &'a str,
    #[serde(borrow)]
    versions: Vec<WireMethod<'a>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireObject<'a> {
    id: Uuid,
    #[serde(default, borrow)]
    name: Option<&'a str>,
    #[serde(default)]
    parents: Vec<Uuid>,
    #[serde(default, borrow)]
    slots: Vec<WireNamedSlot<'a>>,
    #[serde(default, borrow)]
    versions: Vec<WireVersions<'a>>,
}

/// What stays of a deleted object, wherever its id is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireTombstone<'a> {
    name: &'a str,
    /// Milliseconds since 1970 (UTC).
    deleted_at: u64,
    #[serde(default)]
    message: u64,
}

impl<'a> From<&'a Tombstone> for WireTombstone<'a> {
    fn from(tombstone: &'a Tombstone) -> Self {
        let Tombstone { name, deleted_at, message } = tombstone;
        Self { name: name.as_str(), deleted_at: *deleted_at, message: *message }
    }
}

impl TryFrom<WireTombstone<'_>> for Tombstone {
    type Error = String;
    fn try_from(wire: WireTombstone<'_>) -> Result<Self, String> {
        let WireTombstone { name: last, deleted_at, message } = wire;
        Ok(Self { name: name(last)?, deleted_at, message })
    }
}

impl<'a> From<&'a Object> for WireObject<'a> {
    fn from(object: &'a Object) -> Self {
        object.as_ref().into()
    }
}

impl<'a> From<ObjectRef<'a>> for WireObject<'a> {
    fn from(object: ObjectRef<'a>) -> Self {
        Self {
            id: object.id.0,
            name: object.name.map(Name::as_str),
            parents: object.parents.iter().map(|id| id.0).collect(),
            slots: object.slots.iter().map(|(name, slot)| WireNamedSlot { name, slot: slot.into() }).collect(),
            versions: object
                .versions
                .iter()
                .map(|(selector, versions)| WireVersions {
                    selector,
                    versions: versions.iter().map(WireMethod::from).collect(),
                })
                .collect(),
        }
    }
}

impl TryFrom<WireObject<'_>> for Object {
    type Error = String;
    fn try_from(wire: WireObject<'_>) -> Result<Self, String> {
        let mut slots = Slots::default();
        for WireNamedSlot { name: slot_name, slot } in wire.slots {
            slots.push(name(slot_name)?, slot.try_into()?);
        }
        let versions = |WireVersions { selector, versions }: WireVersions<'_>| {
            let versions = versions.into_iter().map(MethodVersion::try_from).collect::<Result<_, _>>()?;
            Ok::<_, String>((name(selector)?, versions))
        };
        Ok(Self {
            id: ObjectId(wire.id),
            name: wire.name.map(name).transpose()?,
            parents: wire.parents.into_iter().map(ObjectId).collect(),
            slots,
            versions: wire.versions.into_iter().map(versions).collect::<Result<_, _>>()?,
        })
    }
}
