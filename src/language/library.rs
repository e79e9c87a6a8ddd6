//! The library's functions that answer in Rust: what was caught, what is charged, a search, and the order of keys.
//!
//! `library.luau` is their other half.

#![allow(unsafe_code)]

use super::crossing::{Shared, raise};
use super::fault::{as_written, bound_in, fault_of};
use super::fuel::charge_in;
use super::values::key_from_lua;
use crate::object::{Fault, FaultKind, MapKey};
use mlua::{Lua, LuaString, Table, Value as LuaValue, ffi};
use std::ffi::c_int;
use std::rc::Rc;

/// Keys that are looked at in the time of one safepoint.
const KEYS_A_UNIT: usize = 4;

/// Hands the library its callbacks.
pub(super) fn connect_library(lua: &Lua, cross: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    let s = shared.clone();
    let caught = lua.create_function(move |lua, fault: LuaValue| {
        let told = match &fault {
            LuaValue::Error(error) => fault_of(error).message,
            LuaValue::String(text) => as_written(&text.to_string_lossy()),
            _ => String::new(),
        };
        if let Some(doom) = s.with(|active| active.doomed().cloned())? {
            return Err(raise(doom));
        }
        match (bound_in(&told, s.fuel.spent()), fault) {
            (Some(bound), _) => Err(s.doom(Fault::new(FaultKind::Bound, bound))),
            (None, LuaValue::Error(_) | LuaValue::String(_)) => Ok(LuaValue::String(lua.create_string(told)?)),
            (None, fault) => Ok(fault),
        }
    })?;
    cross.set("caught", caught)?;

    let s = shared.clone();
    let charge = lua.create_function(move |_, price: f64| {
        s.fuel.charge(price.clamp(0.0, 1e12) as usize); // NaN becomes 0
        Ok(())
    })?;
    cross.set("charge", charge)?;

    let s = shared.clone();
    let find = lua.create_function(move |_, args: (LuaString, LuaString, Option<f64>, Option<bool>)| {
        let (text, pattern, init, plain) = args;
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        if plain != Some(true) && pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
            return Ok((LuaValue::Boolean(false), LuaValue::Nil));
        }
        s.fuel.charge((text.len() + pattern.len()) / 16);
        let length = text.len() as f64;
        let from = match init.unwrap_or(1.0).trunc() {
            from if from < 0.0 => (length + from).max(0.0),
            from => (from - 1.0).max(0.0),
        };
        if from.is_nan() || from > length {
            return Ok((LuaValue::Nil, LuaValue::Nil));
        }
        let from = from as usize;
        Ok(match memchr::memmem::find(&text[from..], &pattern) {
            Some(place) => {
                let first = (from + place + 1) as f64;
                (LuaValue::Number(first), LuaValue::Number(first + pattern.len() as f64 - 1.0))
            }
            None => (LuaValue::Nil, LuaValue::Nil),
        })
    })?;
    cross.set("find", find)?;

    // SAFETY: the function keeps to the rules of a C function of Luau.
    cross.set("has_object_keys", unsafe { lua.create_c_function(has_object_keys) }?)?;
    let s = shared.clone();
    let keys_in_order = lua.create_function(move |lua, keyed: Table| {
        let mut keys = Vec::new();
        for pair in keyed.pairs::<LuaValue, LuaValue>() {
            let (key, _) = pair?;
            keys.push((key_rank(&key, &s)?, key));
        }
        s.fuel.charge(keys.len() * 8);
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        lua.create_sequence_from(keys.into_iter().map(|(_, key)| key))
    })?;
    cross.set("keys_in_order", keys_in_order)?;

    let s = shared.clone();
    let key_after = lua.create_function(move |_, (keyed, key): (Table, LuaValue)| {
        let last = if key.is_nil() { None } else { Some(key_rank(&key, &s)?) };
        let (mut count, mut next): (usize, Option<(MapKey, LuaValue)>) = (0, None);
        for pair in keyed.pairs::<LuaValue, LuaValue>() {
            let (key, _) = pair?;
            count += 1;
            let rank = key_rank(&key, &s)?;
            if last.as_ref().is_none_or(|last| rank > *last) && next.as_ref().is_none_or(|(next, _)| rank < *next) {
                next = Some((rank, key));
            }
        }
        s.fuel.charge(count * 4);
        Ok(next.map_or(LuaValue::Nil, |(_, key)| key))
    })?;
    cross.set("key_after", key_after)
}

/// Where a key stands in the order of all keys. What has no place in it tells apart only by its address, which differs from
/// run to run.
fn key_rank(key: &LuaValue, shared: &Shared) -> mlua::Result<MapKey> {
    let no_order = || {
        let told = "a table with functions or tables for keys has no order in which it could be walked";
        raise(Fault::new(FaultKind::BadValue, told))
    };
    match key {
        LuaValue::Number(value) if value.is_infinite() => Ok(MapKey::Number(*value)),
        key => key_from_lua(key, &shared.proxies).map_err(raise)?.ok_or_else(no_order),
    }
}

/// Whether one of the keys of the table at the first place is known by its address.
unsafe extern "C-unwind" fn has_object_keys(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the VM with its own state and a table at the first place; two values are pushed for each key, for
    // which every C function has room, and popped again.
    unsafe {
        // A length of Luau never passes the array's part (`luaH_getn`): what it counts are numbers, and passed over.
        let length = c_int::try_from(ffi::lua_objlen(state, 1)).unwrap_or(c_int::MAX);
        let (mut iter, mut seen, mut found) = (length, 0, false);
        while !found {
            iter = ffi::lua_rawiter(state, 1, iter);
            if iter < 0 {
                break;
            }
            seen += 1;
            found = ffi::lua_type(state, -2) >= ffi::LUA_TTABLE;
            ffi::lua_pop(state, 2);
        }
        charge_in(state, seen / KEYS_A_UNIT);
        ffi::lua_pushboolean(state, c_int::from(found));
    }
    1
}
