//! Fuel: the count of safepoints that a turn may pass, so that no method runs for ever.
//!
//! Luau calls one raw hook at every loop turn, call, return and pattern step. Counting there is
//! deterministic: the same turn burns the same amount on every machine. The hook and its counter are this
//! file's alone; nobody else may set the VM's interrupt.

#![allow(unsafe_code)]

use mlua::{Lua, ffi};
use std::ffi::c_int;

/// What a turn that ran out of fuel says; also how it is recognised.
pub(super) const OUT_OF_FUEL: &str = "out of fuel";

/// The tank of one VM. Lives as long as the VM that it was fitted to.
pub(super) struct Fuel {
    left: *mut i64,
}

impl Fuel {
    /// Fits a tank, empty at first, to a VM.
    pub(super) fn fit(lua: &Lua) -> mlua::Result<Self> {
        let left = Box::into_raw(Box::new(0_i64));
        // SAFETY: the hook of a live state may be set at any time. The counter hangs on the main thread's data,
        // which mlua leaves alone; the `userdata` of the callbacks is mlua's own. `left` stays valid until `drop`
        // (the owner drops the VM before the tank).
        unsafe {
            lua.exec_raw::<()>((), |state| {
                ffi::lua_setthreaddata(ffi::lua_mainthread(state), left.cast());
                (*ffi::lua_callbacks(state)).interrupt = Some(burn);
            })?;
        }
        Ok(Self { left })
    }

    /// What is left; negative once it ran out.
    pub(super) fn left(&self) -> i64 {
        // SAFETY: `left` came from a box that only `drop` frees; the VM runs on this thread only.
        unsafe { *self.left }
    }

    /// Fills or empties the tank.
    pub(super) fn set(&self, amount: i64) {
        // SAFETY: as in `left`.
        unsafe { *self.left = amount }
    }
}

impl Drop for Fuel {
    fn drop(&mut self) {
        // SAFETY: the box of `fit`, freed once; the VM that used it is gone (field order in `Vm`).
        unsafe { drop(Box::from_raw(self.left)) }
    }
}

/// Owns nothing that needs dropping: the error leaves through it as a C++ exception.
unsafe extern "C-unwind" fn burn(state: *mut ffi::lua_State, gc: c_int) {
    if gc >= 0 {
        return; // a safepoint of the garbage collector: when it comes depends on memory, so it isn't counted
    }
    // SAFETY: called by the VM with its own state, whose main thread got the counter before the hook was set.
    unsafe {
        let left = ffi::lua_getthreaddata(ffi::lua_mainthread(state)).cast::<i64>();
        *left -= 1;
        if *left < 0 {
            ffi::luaL_error(state, c"out of fuel".as_ptr());
        }
    }
}
