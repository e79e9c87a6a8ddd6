//! Values between Rust and Luau.

use super::crossing::Proxies;
use crate::object::{Fault, FaultKind, MAX_DEPTH, MapKey, Value};
use mlua::{Function, Lua, Table, Value as LuaValue};
use std::collections::BTreeMap;

/// Elements that one list or map, with all that is nested in it, may have.
const MAX_ELEMENTS: usize = 1_000_000;
/// Bytes of all texts in one value.
const MAX_BYTES: usize = 16 << 20;

fn refused(what: impl Into<String>) -> Fault {
    Fault::new(FaultKind::BadValue, what)
}

/// The fault of a text that is none.
pub(super) fn not_utf8() -> Fault {
    refused("text must be UTF-8, and this one is not")
}

/// The value of something in the VM. The fault says why a slot can't hold it.
pub(super) fn from_lua(value: &LuaValue, proxies: &Proxies) -> Result<Value, Fault> {
    scalar(value).map_or_else(|| convert(value, proxies, 0, &mut Budget::default()), Ok)
}

/// What can't be refused and has no size.
pub(super) fn scalar(value: &LuaValue) -> Option<Value> {
    match value {
        LuaValue::Nil => Some(Value::Nil),
        LuaValue::Boolean(value) => Some(Value::Boolean(*value)),
        LuaValue::Integer(value) => Some(Value::Number(*value as f64)),
        LuaValue::Number(value) => Some(Value::Number(*value)),
        _ => None,
    }
}

/// The same for what stands so deep in another container, and what it cost in fuel, also where it failed.
pub(super) fn from_lua_charged(value: &LuaValue, proxies: &Proxies, depth: usize) -> (Result<Value, Fault>, usize) {
    let mut budget = Budget::default();
    let result = convert(value, proxies, depth, &mut budget);
    (result, 8 * (MAX_ELEMENTS - budget.elements) + (MAX_BYTES - budget.bytes) / 16)
}

/// The same, and whether a view in it takes itself for the other kind of container.
pub(super) fn from_view(value: &LuaValue, proxies: &Proxies) -> Result<(Value, bool), Fault> {
    let mut budget = Budget::default();
    let value = convert(value, proxies, 0, &mut budget)?;
    Ok((value, budget.other_kind))
}

/// What is left for one value.
struct Budget {
    elements: usize,
    bytes: usize,
    other_kind: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { elements: MAX_ELEMENTS, bytes: MAX_BYTES, other_kind: false }
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
        text.map(ToString::to_string).map_err(|_| not_utf8())
    }
}

fn convert(value: &LuaValue, proxies: &Proxies, depth: usize, budget: &mut Budget) -> Result<Value, Fault> {
    if let Some(scalar) = scalar(value) {
        return Ok(scalar);
    }
    Ok(match value {
        LuaValue::String(text) => Value::Text(budget.text(text)?),
        LuaValue::Table(table) => match proxies.id_of(table) {
            Some(id) => Value::Object(id),
            None => {
                let (table, is_list) = behind(table);
                if let Some(meta) = table.metatable().filter(|_| is_list.is_none()) {
                    if meta.contains_key(super::mirror::MIRRORED).unwrap_or(false) {
                        return Err(refused(
                            "a mirror can't be stored or passed; keep the object, and reflect it again",
                        ));
                    }
                    return Err(refused("`world` is no object, and can't be stored or passed"));
                }
                let value = container(&table, proxies, depth, budget)?;
                budget.other_kind |= is_list.is_some_and(|is_list| is_list != matches!(value, Value::List(_)));
                value
            }
        },
        LuaValue::Function(_) => {
            return Err(refused("a function can't be stored or passed; give it a name as a method"));
        }
        other => return Err(refused(format!("a {} can't be stored or passed", other.type_name()))),
    })
}

/// The table behind a view of a slot's list or map, and whether that takes itself for a list; any other table itself.
fn behind(table: &Table) -> (Table, Option<bool>) {
    let meta = table.metatable().filter(|meta| matches!(meta.raw_get("view"), Ok(true)));
    let parts = meta.and_then(|meta| Some((meta.raw_get("__index").ok()?, meta.raw_get("list").ok())));
    parts.unwrap_or_else(|| (table.clone(), None))
}

/// A key of a map; `None` for what can't be one.
pub(super) fn key_from_lua(key: &LuaValue, proxies: &Proxies) -> Result<Option<MapKey>, Fault> {
    key_within(key, proxies, &mut Budget::default())
}

fn key_within(key: &LuaValue, proxies: &Proxies, budget: &mut Budget) -> Result<Option<MapKey>, Fault> {
    Ok(match key {
        LuaValue::Integer(number) => MapKey::number(*number as f64),
        LuaValue::Number(number) => MapKey::number(*number),
        LuaValue::Boolean(value) => Some(MapKey::Boolean(*value)),
        LuaValue::String(text) => Some(MapKey::Text(budget.text(text)?)),
        LuaValue::Table(table) => proxies.id_of(table).map(MapKey::Object),
        _ => None,
    })
}

/// The fault of a key that no map has.
pub(super) fn no_key() -> Fault {
    refused("a key of a map is a finite number, a text, a boolean or an object")
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
        let key = key_within(&key, proxies, budget)?.ok_or_else(no_key)?;
        match &key {
            MapKey::Number(number) if *number == (items.len() + 1) as f64 => items.push(value),
            _ => drop(entries.insert(key, value)),
        }
    }
    if entries.is_empty() {
        return Ok(Value::List(items.into()));
    }
    if length > 0 || !items.is_empty() {
        return list_out_of_order(items, entries);
    }
    Ok(Value::Map(entries.into()))
}

/// Number keys beside a list's: either the VM kept them out of order, or there is a hole, or it is a map.
fn list_out_of_order(items: Vec<Value>, mut entries: BTreeMap<MapKey, Value>) -> Result<Value, Fault> {
    for (index, item) in items.into_iter().enumerate() {
        entries.insert(MapKey::Number((index + 1) as f64), item);
    }
    Ok(Value::map(entries))
}

/// A list or map in the VM as a view that stands in no slot yet.
pub(super) fn to_view(value: &Value, lua: &Lua, proxies: &Proxies, wrap: &Function) -> mlua::Result<LuaValue> {
    let mut nested = false;
    let mut convert = |item: &Value| {
        nested |= matches!(item, Value::List(_) | Value::Map(_));
        to_view(item, lua, proxies, wrap)
    };
    let (table, is_list) = match value {
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            let mut is_list = true;
            for (index, item) in items.iter().enumerate() {
                is_list &= *item != Value::Nil;
                table.raw_set(index + 1, convert(item)?)?;
            }
            (table, is_list)
        }
        Value::Map(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (key, item) in entries.iter() {
                table.raw_set(key_to_lua(key, lua, proxies)?, convert(item)?)?;
            }
            // Outside of the VM alone an empty map is no empty list.
            (table, entries.is_empty())
        }
        plain => return to_lua(plain, lua, proxies),
    };
    wrap.call((table, is_list, nested))
}

fn key_to_lua(key: &MapKey, lua: &Lua, proxies: &Proxies) -> mlua::Result<LuaValue> {
    Ok(match key {
        MapKey::Boolean(value) => LuaValue::Boolean(*value),
        MapKey::Number(value) => LuaValue::Number(*value),
        MapKey::Text(text) => LuaValue::String(lua.create_string(text)?),
        MapKey::Object(id) => LuaValue::Table(proxies.proxy(*id)?),
    })
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
            for (key, item) in entries.iter() {
                table.raw_set(key_to_lua(key, lua, proxies)?, to_lua(item, lua, proxies)?)?;
            }
            LuaValue::Table(table)
        }
    })
}
