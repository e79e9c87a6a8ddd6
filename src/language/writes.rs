//! The short way of a write: a number or boolean into a slot that was written since the last flush, and that nobody has asked
//! for since.
//!
//! It is a C function, because entering Luau for each write would cost as much again. Every other write goes to `assign` in
//! `prelude.luau`.

#![allow(unsafe_code)]

use super::fuel::safepoint;
use mlua::{Lua, Table, ffi};
use std::ffi::c_int;

/// Gives the prelude `cross.writer(dirty, cache, state, assign)`, which makes an object's `__newindex`.
pub(super) fn connect_writes(lua: &Lua, cross: &Table) -> mlua::Result<()> {
    // SAFETY: the function keeps to the rules of a C function of Luau.
    cross.set("writer", unsafe { lua.create_c_function(writer) }?)
}

const DIRTY: c_int = ffi::lua_upvalueindex(1);
const CACHE: c_int = ffi::lua_upvalueindex(2);
const STATE: c_int = ffi::lua_upvalueindex(3);
const ASSIGN: c_int = ffi::lua_upvalueindex(4);

unsafe extern "C-unwind" fn writer(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the prelude alone, with the four values that `write` knows as its own.
    unsafe { ffi::lua_pushcclosure(state, write, 4) };
    1
}

/// `__newindex(proxy, key, value)`.
unsafe extern "C-unwind" fn write(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by the VM with its own state and three values; two more are pushed, for which every C function has
    // room. Nothing here needs dropping, so that an error may leave through it.
    unsafe {
        if matches!(ffi::lua_type(state, 3), ffi::LUA_TNUMBER | ffi::LUA_TBOOLEAN) {
            ffi::lua_pushvalue(state, 2);
            // ALONE is a boolean, ASKED a text.
            let is_alone = ffi::lua_rawget(state, DIRTY) == ffi::LUA_TBOOLEAN;
            ffi::lua_settop(state, 3);
            if is_alone {
                ffi::lua_rawset(state, CACHE);
                safepoint(state); // what runs otherwise is a function that returns
                return 0;
            }
        }
        ffi::lua_pushvalue(state, STATE);
        ffi::lua_replace(state, 1);
        ffi::lua_pushvalue(state, ASSIGN);
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, 3, 0);
    }
    0
}
