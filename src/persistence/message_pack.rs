//! Messages as MessagePack, written field by field: every one goes this way to the log, and by `serde` it takes several times as long.
//!
//! What is written is the serial form of `wire_message`, byte for byte; a test holds both beside each other. It is read
//! back there, and what is not a message is written there, too.

use super::wire_object::canonical;
use crate::object::{Argument, Envelope, Literal, MapKey, Target, Value};
use rmp::encode::{
    ValueWriteError, write_array_len, write_bin, write_bool, write_f64, write_map_len, write_nil, write_str, write_uint,
};
use uuid::Uuid;

type Written = Result<(), ValueWriteError>;

/// Writes the body of a message behind the bytes that are there.
///
/// # Errors
///
/// None: a vector takes what it is given.
pub(super) fn write_envelope(bytes: &mut Vec<u8>, envelope: &Envelope) -> Written {
    let Envelope { message_id, correlation_id, sender_id, target, selector, args, issued_at, retries } = envelope;
    write_map_len(bytes, 8)?;
    write_str(bytes, "message_id")?;
    write_id(bytes, message_id)?;
    write_str(bytes, "correlation_id")?;
    write_optional(bytes, correlation_id.as_ref(), write_id)?;
    write_str(bytes, "sender_id")?;
    write_str(bytes, sender_id)?;
    write_str(bytes, "target")?;
    match target {
        Target::Name(name) => write_variant(bytes, "name", |bytes| write_str(bytes, name))?,
        Target::Id(id) => write_variant(bytes, "id", |bytes| write_id(bytes, &id.0))?,
    }
    write_str(bytes, "selector")?;
    write_str(bytes, selector)?;
    write_str(bytes, "args")?;
    write_list(bytes, args, args.len(), write_argument)?;
    write_str(bytes, "issued_at")?;
    write_uint(bytes, *issued_at)?;
    write_str(bytes, "retries")?;
    write_optional(bytes, retries.as_ref(), |bytes, sequence| write_uint(bytes, *sequence).map(drop))
}

fn write_argument(bytes: &mut Vec<u8>, Argument { name, value }: &Argument) -> Written {
    write_map_len(bytes, 2)?;
    write_str(bytes, "name")?;
    write_optional(bytes, name.as_ref(), |bytes, name| write_str(bytes, name))?;
    write_str(bytes, "value")?;
    write_literal(bytes, value)
}

fn write_literal(bytes: &mut Vec<u8>, literal: &Literal) -> Written {
    match literal {
        Literal::Value(value) => write_variant(bytes, "value", |bytes| write_value(bytes, value)),
        Literal::Named(name) => write_variant(bytes, "named", |bytes| write_str(bytes, name)),
        Literal::List(items) => {
            write_variant(bytes, "list", |bytes| write_list(bytes, items, items.len(), write_literal))
        }
        Literal::Map(entries) => write_variant(bytes, "map", |bytes| {
            write_list(bytes, entries, entries.len(), |bytes, (key, item)| {
                write_key_of_pair(bytes, key)?;
                write_literal(bytes, item)
            })
        }),
    }
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) -> Written {
    match value {
        Value::Nil => write_str(bytes, "nil"),
        Value::Boolean(value) => write_boolean(bytes, *value),
        Value::Number(number) => write_number(bytes, canonical(*number)),
        Value::Text(text) => write_text(bytes, text),
        Value::List(items) => {
            write_variant(bytes, "list", |bytes| write_list(bytes, items.iter(), items.len(), write_value))
        }
        Value::Map(entries) => write_variant(bytes, "map", |bytes| {
            write_list(bytes, entries.iter(), entries.len(), |bytes, (key, value)| {
                write_key_of_pair(bytes, key)?;
                write_value(bytes, value)
            })
        }),
        Value::Object(id) => write_object(bytes, &id.0),
    }
}

/// The head of a pair, and its key.
fn write_key_of_pair(bytes: &mut Vec<u8>, key: &MapKey) -> Written {
    write_array_len(bytes, 2)?;
    match key {
        MapKey::Boolean(value) => write_boolean(bytes, *value),
        MapKey::Number(number) => write_number(bytes, *number),
        MapKey::Text(text) => write_text(bytes, text),
        MapKey::Object(id) => write_object(bytes, &id.0),
    }
}

fn write_boolean(bytes: &mut Vec<u8>, value: bool) -> Written {
    write_variant(bytes, "boolean", |bytes| write_bool(bytes, value).map_err(ValueWriteError::InvalidMarkerWrite))
}

fn write_number(bytes: &mut Vec<u8>, number: f64) -> Written {
    write_variant(bytes, "number", |bytes| write_f64(bytes, number))
}

fn write_text(bytes: &mut Vec<u8>, text: &str) -> Written {
    write_variant(bytes, "text", |bytes| write_str(bytes, text))
}

fn write_object(bytes: &mut Vec<u8>, id: &Uuid) -> Written {
    write_variant(bytes, "object", |bytes| write_id(bytes, id))
}

fn write_id(bytes: &mut Vec<u8>, id: &Uuid) -> Written {
    write_bin(bytes, id.as_bytes())
}

/// A variant of an enumeration with what it holds.
fn write_variant(bytes: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Vec<u8>) -> Written) -> Written {
    write_map_len(bytes, 1)?;
    write_str(bytes, name)?;
    write(bytes)
}

fn write_optional<T>(bytes: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T) -> Written) -> Written {
    match value {
        Some(value) => write(bytes, value),
        None => write_nil(bytes).map_err(ValueWriteError::InvalidMarkerWrite),
    }
}

fn write_list<T>(
    bytes: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    length: usize,
    mut write: impl FnMut(&mut Vec<u8>, T) -> Written,
) -> Written {
    // More than that is longer than a record may be, and is refused for it.
    write_array_len(bytes, length as u32)?;
    items.into_iter().try_for_each(|item| write(bytes, item))
}
