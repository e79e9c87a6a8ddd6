//! The serial form of values, slots and objects: MessagePack maps by field name.
//!
//! Fields may be added, each with a default; none is renamed, removed or given another meaning. Unknown fields are
//! passed over. The vocabulary itself is not serialised: it may change, this may not.

use crate::object::{
    MapKey, MethodVersion, Name, Object, ObjectId, Origin, Slot, SlotContent, Slots, Tombstone, Value,
};
use serde::de::DeserializeOwned;
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
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

/// Every NaN is the same NaN.
fn canonical(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireValue {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(String),
    List(Vec<WireValue>),
    Map(Vec<(WireKey, WireValue)>),
    Object(Uuid),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireKey {
    Boolean(bool),
    Number(f64),
    Text(String),
    Object(Uuid),
}

impl From<&MapKey> for WireKey {
    fn from(key: &MapKey) -> Self {
        match key {
            MapKey::Boolean(value) => Self::Boolean(*value),
            MapKey::Number(number) => Self::Number(*number),
            MapKey::Text(text) => Self::Text(text.clone()),
            MapKey::Object(id) => Self::Object(id.0),
        }
    }
}

impl TryFrom<WireKey> for MapKey {
    type Error = String;
    fn try_from(key: WireKey) -> Result<Self, String> {
        Ok(match key {
            WireKey::Boolean(value) => Self::Boolean(value),
            WireKey::Number(number) => Self::number(number).ok_or("a map key is not a finite number")?,
            WireKey::Text(text) => Self::Text(text),
            WireKey::Object(id) => Self::Object(ObjectId(id)),
        })
    }
}

impl From<&Value> for WireValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(canonical(*number)),
            Value::Text(text) => Self::Text(text.clone()),
            Value::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Map(entries) => Self::Map(entries.iter().map(|(key, value)| (key.into(), value.into())).collect()),
            Value::Object(id) => Self::Object(id.0),
        }
    }
}

impl TryFrom<WireValue> for Value {
    type Error = String;
    fn try_from(value: WireValue) -> Result<Self, String> {
        Ok(match value {
            WireValue::Nil => Self::Nil,
            WireValue::Boolean(value) => Self::Boolean(value),
            WireValue::Number(number) => Self::Number(number),
            WireValue::Text(text) => Self::Text(text),
            WireValue::List(items) => Self::List(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            WireValue::Map(entries) => {
                let entry = |(key, value): (WireKey, WireValue)| Ok::<_, String>((key.try_into()?, value.try_into()?));
                Self::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            WireValue::Object(id) => Self::Object(ObjectId(id)),
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireMethod {
    number: u32,
    #[serde(default)]
    follows: u32,
    #[serde(default)]
    params: Vec<String>,
    source: String,
    #[serde(default)]
    doc: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    instruction: String,
    #[serde(default)]
    contract: Vec<String>,
    #[serde(default)]
    verdicts: Vec<String>,
    #[serde(default)]
    sequence: u64,
}

impl From<&MethodVersion> for WireMethod {
    fn from(version: &MethodVersion) -> Self {
        let MethodVersion { number, follows, params, source, doc, origin } = version.clone();
        let Origin { author, instruction, contract, verdicts, sequence } = origin;
        let params = params.iter().map(Name::to_string).collect();
        Self { number, follows, params, source, doc, author, instruction, contract, verdicts, sequence }
    }
}

impl TryFrom<WireMethod> for MethodVersion {
    type Error = String;
    fn try_from(wire: WireMethod) -> Result<Self, String> {
        let WireMethod { number, follows, params, source, doc, author, instruction, contract, verdicts, sequence } =
            wire;
        let params = params.iter().map(|param| name(param)).collect::<Result<_, _>>()?;
        let origin = Origin { author, instruction, contract, verdicts, sequence };
        Ok(Self { number, follows, params, source, doc, origin })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireContent {
    Value(WireValue),
    Method(WireMethod),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireSlot {
    content: WireContent,
    #[serde(default)]
    doc: String,
}

impl From<&Slot> for WireSlot {
    fn from(slot: &Slot) -> Self {
        let content = match &slot.content {
            SlotContent::Value(value) => WireContent::Value(value.into()),
            SlotContent::Method(method) => WireContent::Method((&**method).into()),
        };
        Self { content, doc: slot.doc.clone() }
    }
}

impl TryFrom<WireSlot> for Slot {
    type Error = String;
    fn try_from(wire: WireSlot) -> Result<Self, String> {
        let content = match wire.content {
            WireContent::Value(value) => SlotContent::Value(value.try_into()?),
            WireContent::Method(method) => SlotContent::Method(Box::new(method.try_into()?)),
        };
        Ok(Self { content, doc: wire.doc })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireNamedSlot {
    name: String,
    slot: WireSlot,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WireVersions {
    selector: String,
    versions: Vec<WireMethod>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireObject {
    id: Uuid,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parents: Vec<Uuid>,
    #[serde(default)]
    slots: Vec<WireNamedSlot>,
    #[serde(default)]
    versions: Vec<WireVersions>,
}

/// What stays of a deleted object, wherever its id is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WireTombstone {
    name: String,
    /// Milliseconds since 1970 (UTC).
    deleted_at: u64,
    #[serde(default)]
    message: u64,
}

impl From<&Tombstone> for WireTombstone {
    fn from(tombstone: &Tombstone) -> Self {
        let Tombstone { name, deleted_at, message } = tombstone;
        Self { name: name.to_string(), deleted_at: *deleted_at, message: *message }
    }
}

impl TryFrom<WireTombstone> for Tombstone {
    type Error = String;
    fn try_from(wire: WireTombstone) -> Result<Self, String> {
        let WireTombstone { name: last, deleted_at, message } = wire;
        Ok(Self { name: name(&last)?, deleted_at, message })
    }
}

impl From<&Object> for WireObject {
    fn from(object: &Object) -> Self {
        let versions = |(selector, versions): (&Name, &Vec<MethodVersion>)| WireVersions {
            selector: selector.to_string(),
            versions: versions.iter().map(WireMethod::from).collect(),
        };
        Self {
            id: object.id.0,
            name: object.name.as_ref().map(Name::to_string),
            parents: object.parents.iter().map(|id| id.0).collect(),
            slots: object
                .slots
                .iter()
                .map(|(name, slot)| WireNamedSlot { name: name.to_string(), slot: slot.into() })
                .collect(),
            versions: object.versions.iter().map(versions).collect(),
        }
    }
}

impl TryFrom<WireObject> for Object {
    type Error = String;
    fn try_from(wire: WireObject) -> Result<Self, String> {
        let mut slots = Slots::default();
        for WireNamedSlot { name: slot_name, slot } in wire.slots {
            slots.push(name(&slot_name)?, slot.try_into()?);
        }
        let versions = |WireVersions { selector, versions }: WireVersions| {
            let versions = versions.into_iter().map(MethodVersion::try_from).collect::<Result<_, _>>()?;
            Ok::<_, String>((name(&selector)?, versions))
        };
        Ok(Self {
            id: ObjectId(wire.id),
            name: wire.name.as_deref().map(name).transpose()?,
            parents: wire.parents.into_iter().map(ObjectId).collect(),
            slots,
            versions: wire.versions.into_iter().map(versions).collect::<Result<_, _>>()?,
        })
    }
}
