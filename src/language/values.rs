//! Values between Rust and Luau.

use super::crossing::Proxies;
use crate::object::{Fault, FaultKind, MAX_DEPTH, MapKey, Value};
use mlua::{Lua, Table, Value as LuaValue};
use std::collections::BTreeMap;

/// Elements that one list or map, with all that is nested in it, may have.
const MAX_ELEMENTS: usize = 1_000_000;
/// Bytes of all texts in one value.
const MAX_BYTES: usize = 16 << 20;

fn refused(what: impl Into<String>) -> Fault {
    Fault::new(FaultKind::BadValue, what)
}

/// The value of something in the VM. The fault says why a slot can't hold it.
pub(super) fn from_lua(value: &LuaValue, proxies: &Proxies) -> Result<Value, Fault> {
    convert(value, proxies, 0, &mut Budget::default())
}

/// The same, and what it cost in fuel, also where it failed.
pub(super) fn from_lua_charged(value: &LuaValue, proxies: &Proxies) -> (Result<Value, Fault>, usize) {
    let mut budget = Budget::default();
    let result = convert(value, proxies, 0, &mut budget);
    (result, 8 * (MAX_ELEMENTS - budget.elements) + (MAX_BYTES - budget.bytes) / 16)
}

/// What is left for one value.
struct Budget {
    elements: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { elements: MAX_ELEMENTS, bytes: MAX_BYTES }
    }
}

impl Budget {
    fn element(&mut self) -> Result<(), Fault> {
        let left = self.elements.checked_sub(1);
        self.elements = left.ok_or_else(|| refused("a list or map has at most a million elements"))?;
        Ok(())
    }

    fn text(&mut self, text: &mlua::LuaString) -> Result<String, Fault> {
        let bytes = text.as_bytes();
        let left = self.bytes.checked_sub(bytes.len());
        self.bytes = left.ok_or_else(|| refused(format!("a value has at most {} MiB of text", MAX_BYTES >> 20)))?;
        let text = std::str::from_utf8(&bytes);
        text.map(ToString::to_string).map_err(|_| refused("text must be UTF-8, and this one is not"))
    }
}

fn convert(value: &LuaValue, proxies: &Proxies, depth: usize, budget: &mut Budget) -> Result<Value, Fault> {
    Ok(match value {
        LuaValue::Nil => Value::Nil,
        LuaValue::Boolean(value) => Value::Boolean(*value),
        LuaValue::Integer(value) => Value::Number(*value as f64),
        LuaValue::Number(value) => Value::Number(*value),
        LuaValue::String(text) => Value::Text(budget.text(text)?),
        LuaValue::Table(table) => match proxies.id_of(table) {
            Some(id) => Value::Object(id),
            None => container(table, proxies, depth, budget)?,
        },
        LuaValue::Function(_) => {
            return Err(refused("a function can't be stored or passed; give it a name as a method"));
        }
        other => return Err(refused(format!("a {} can't be stored or passed", other.type_name()))),
    })
}

fn container(table: &Table, proxies: &Proxies, depth: usize, budget: &mut Budget) -> Result<Value, Fault> {
    if depth >= MAX_DEPTH {
        return Err(refused(format!(
            "lists and maps may be nested {MAX_DEPTH} deep; this one is deeper, or holds itself"
        )));
    }
    let length = table.raw_len();
    let mut items = Vec::new();
    let mut entries = BTreeMap::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(|error| refused(error.to_string()))?;
        budget.element()?;
        let value = convert(&value, proxies, depth + 1, budget)?;
        let key = match key {
            LuaValue::Integer(number) => MapKey::number(number as f64),
            LuaValue::Number(number) => MapKey::number(number),
            LuaValue::Boolean(value) => Some(MapKey::Boolean(value)),
            LuaValue::String(text) => Some(MapKey::Text(budget.text(&text)?)),
            LuaValue::Table(table) => proxies.id_of(&table).map(MapKey::Object),
            _ => None,
        };
        let Some(key) = key else {
            return Err(refused("a key of a map is a finite number, a text, a boolean or an object"));
        };
        match &key {
            MapKey::Number(number) if *number == (items.len() + 1) as f64 => items.push(value),
            _ => drop(entries.insert(key, value)),
        }
    }
    if entries.is_empty() {
        return Ok(Value::List(items));
    }
    if length > 0 || !items.is_empty() {
        return list_out_of_order(items, entries);
    }
    Ok(Value::Map(entries))
}

/// Number keys beside a list's: either the VM kept them out of order, or there is a hole, or it is a map.
fn list_out_of_order(items: Vec<Value>, mut entries: BTreeMap<MapKey, Value>) -> Result<Value, Fault> {
    for (index, item) in items.into_iter().enumerate() {
        entries.insert(MapKey::Number((index + 1) as f64), item);
    }
    let dense = (1..=entries.len()).all(|index| entries.contains_key(&MapKey::Number(index as f64)));
    if dense { Ok(Value::List(entries.into_values().collect())) } else { Ok(Value::Map(entries)) }
}

/// A value in the VM. Lists and maps become new tables that nothing else refers to.
pub(super) fn to_lua(value: &Value, lua: &Lua, proxies: &Proxies) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Nil => LuaValue::Nil,
        Value::Boolean(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(*value),
        Value::Text(text) => LuaValue::String(lua.create_string(text)?),
        Value::Object(id) => LuaValue::Table(proxies.proxy(*id)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.iter().enumerate() {
                table.raw_set(index + 1, to_lua(item, lua, proxies)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Map(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (key, item) in entries {
                let key = match key {
                    MapKey::Boolean(value) => LuaValue::Boolean(*value),
                    MapKey::Number(value) => LuaValue::Number(*value),
                    MapKey::Text(text) => LuaValue::String(lua.create_string(text)?),
                    MapKey::Object(id) => LuaValue::Table(proxies.proxy(*id)?),
                };
                table.raw_set(key, to_lua(item, lua, proxies)?)?;
            }
            LuaValue::Table(table)
        }
    })
}
