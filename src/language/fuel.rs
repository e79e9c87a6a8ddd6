//! Fuel: the count of safepoints that a turn may pass, so that no method runs for ever.
//!
//! Luau calls one raw hook at every loop turn, call, return and pattern step. Counting there is
//! deterministic: the same turn burns the same amount on every machine, whatever the caches hold, for what fills
//! them runs unmetered. Some single steps of the VM (comparing and joining long texts, arithmetic on them, looking through a
//! table with much room) can't be charged, nor can filling the caches: against those stands a deadline by the clock, hundreds of times what the fuel lasts otherwise. Outcomes are
//! journaled, so a turn that ended by it ended so for good. The hook and its counter are this file's alone; nobody else may set the VM's interrupt.

#![allow(unsafe_code)]

use mlua::{Lua, ffi};
use std::ffi::c_int;
use std::time::Duration;

/// Bytes that a turn may take in all, also of what it lets go again: a bound of its own, far from what methods need,
/// because it can't be counted to the byte.
const MADE_BYTES: usize = 128 << 20;

/// That bound in words.
pub(super) const TOO_MUCH_MADE: &str = "it took memory again and again, more than a turn may in all";

/// Safepoints between two looks at the clock.
const CLOCK_EVERY: i64 = 64;
/// What the hook is told where the garbage collector has no part in it.
const NO_COLLECTOR: c_int = -1;
/// What the tank shows while something runs unmetered.
const UNMETERED: i64 = i64::MAX;

/// What hangs on the main thread.
struct Meter {
    left: i64,
    /// Bytes that the VM held when the garbage collector was done the last time.
    held: usize,
    /// Bytes that the turn took so far, and may take; outside of turns there is no bound.
    made: usize,
    may_make: usize,
    /// The clock, and what it may say before the turn ends.
    deadline: Option<(fn() -> Duration, Duration)>,
    late: bool,
}

impl Meter {
    const IDLE: Self = Self { left: i64::MAX, held: 0, made: 0, may_make: usize::MAX, deadline: None, late: false };
}

/// The tank of one VM. Lives as long as the VM that it was fitted to.
pub(super) struct Fuel {
    meter: *mut Meter,
}

impl Fuel {
    /// Fits a tank to a VM, which no turn has yet.
    pub(super) fn fit(lua: &Lua) -> mlua::Result<Self> {
        let meter = Box::into_raw(Box::new(Meter::IDLE));
        // SAFETY: the hook of a live state may be set at any time. The counter hangs on the main thread's data,
        // which mlua leaves alone; the `userdata` of the callbacks is mlua's own. `meter` stays valid until `drop`
        // (the owner drops the VM before the tank).
        unsafe {
            lua.exec_raw::<()>((), |state| {
                ffi::lua_setthreaddata(ffi::lua_mainthread(state), meter.cast());
                (*ffi::lua_callbacks(state)).interrupt = Some(burn);
            })?;
        }
        Ok(Self { meter })
    }

    /// What is left; negative once it ran out.
    pub(super) fn left(&self) -> i64 {
        // SAFETY: `meter` came from a box that only `drop` frees; the VM runs on this thread only.
        unsafe { (*self.meter).left }
    }

    /// Whether the last turn ended because it took too long by the clock.
    pub(super) fn was_late(&self) -> bool {
        // SAFETY: as in `left`.
        unsafe { (*self.meter).late }
    }

    /// In words, why the turn must end, if it must.
    pub(super) fn spent(&self) -> Option<&'static str> {
        // SAFETY: as in `left`.
        let too_much = unsafe { (*self.meter).made > (*self.meter).may_make };
        // SAFETY: as in `left`.
        let late = unsafe { (*self.meter).late };
        match self.left() < 0 {
            true if late => Some("it worked for too long in single calls and was stopped (out of time)"),
            true if too_much => Some(TOO_MUCH_MADE),
            true => Some("it ran too long and was stopped (out of fuel)"),
            false => None,
        }
    }

    /// Fills the tank for a turn of a VM that holds so many bytes.
    pub(super) fn start(&self, amount: i64, held: usize, deadline: Option<(fn() -> Duration, Duration)>) {
        // SAFETY: as in `left`.
        unsafe { *self.meter = Meter { left: amount, held, made: 0, may_make: MADE_BYTES, deadline, late: false } }
    }

    /// Ends the turn: what runs now is the program's own, and has no bounds.
    pub(super) fn end(&self) {
        // SAFETY: as in `left`.
        unsafe { *self.meter = Meter { late: (*self.meter).late, ..Meter::IDLE } }
    }

    /// Ends the turn where it is late: for what takes long and must not be charged.
    pub(super) fn look_at_clock(&self) {
        // SAFETY: as in `left`.
        let meter = unsafe { &mut *self.meter };
        if let Some((clock, until)) = meter.deadline
            && meter.left >= 0
            && clock() > until
        {
            meter.late = true;
            meter.left = -1;
        }
    }

    /// Takes a price for work that has no safepoints of its own. What is then lacking ends the turn at the next one.
    pub(super) fn charge(&self, price: usize) {
        self.set(self.left().saturating_sub_unsigned(price as u64));
    }

    /// Gives back what the call of a callback cost that another state of the caches spares.
    pub(super) fn refund_call(&self) {
        let left = self.left();
        if left >= 0 {
            self.set(left.saturating_add(1));
        }
    }

    /// Runs what must not cost a turn fuel, because whether it is needed depends on the caches. An emptied tank stays so.
    pub(super) fn unmetered<R>(&self, run: impl FnOnce() -> R) -> R {
        let left = self.left();
        if left < 0 {
            return run();
        }
        self.set(UNMETERED);
        let result = run();
        if self.left() >= 0 {
            self.set(left);
        }
        result
    }

    /// Fills or empties the tank.
    pub(super) fn set(&self, amount: i64) {
        // SAFETY: as in `left`.
        unsafe { (*self.meter).left = amount }
    }
}

impl Drop for Fuel {
    fn drop(&mut self) {
        // SAFETY: the box of `fit`, freed once; the VM that used it is gone (field order in `Vm`).
        unsafe { drop(Box::from_raw(self.meter)) }
    }
}

/// Charges the turn of a running VM, for C functions, which know nothing but its state.
///
/// # Safety
/// `state` belongs to a VM that a tank was fitted to.
pub(super) unsafe fn charge_in(state: *mut ffi::lua_State, price: usize) {
    // SAFETY: the main thread got the meter when the tank was fitted.
    unsafe {
        let meter = meter_of(state);
        (*meter).left = (*meter).left.saturating_sub_unsigned(price as u64);
    }
}

/// Passes a safepoint, for a C function that stands where a Luau function would return.
///
/// # Safety
/// As for [`charge_in`]; the caller owns nothing that needs dropping, for a turn may end here.
pub(super) unsafe fn safepoint(state: *mut ffi::lua_State) {
    // SAFETY: `burn` asks no more of its caller.
    unsafe { burn(state, NO_COLLECTOR) }
}

/// The meter of a running VM. Methods run on the main thread, which has it at hand; another thread would have none.
///
/// # Safety
/// As for [`charge_in`].
unsafe fn meter_of(state: *mut ffi::lua_State) -> *mut Meter {
    // SAFETY: the main thread got the meter when the tank was fitted, and a new thread begins with null.
    unsafe {
        let own = ffi::lua_getthreaddata(state);
        if own.is_null() { ffi::lua_getthreaddata(ffi::lua_mainthread(state)).cast() } else { own.cast() }
    }
}

/// Owns nothing that needs dropping: the error leaves through it as a C++ exception.
unsafe extern "C-unwind" fn burn(state: *mut ffi::lua_State, gc: c_int) {
    // SAFETY: called by the VM with its own state, whose main thread got the meter before the hook was set.
    unsafe {
        let meter = meter_of(state);
        if gc == NO_COLLECTOR {
            let left = (*meter).left.wrapping_sub(1);
            (*meter).left = left;
            // A send passes two of these, a loop one at each turn: nothing else is asked at most of them.
            if left >= 0 && left % CLOCK_EVERY != 0 {
                return;
            }
        }
        look(state, meter, gc);
    }
}

/// What is asked now and then: the clock, the memory, whether the turn must end.
///
/// # Safety
/// As for `burn`, with the state's own meter.
#[cold]
unsafe fn look(state: *mut ffi::lua_State, meter: *mut Meter, gc: c_int) {
    // SAFETY: as the caller promises.
    unsafe {
        if gc != NO_COLLECTOR {
            // Called before the collector works (0) and after it: what came to be between was made. When it works
            // depends on memory, so it is no safepoint.
            let held = ffi::lua_totalbytes(state, -1);
            (*meter).made = (*meter).made.saturating_add(held.saturating_sub((*meter).held));
            (*meter).held = held;
            if (*meter).made > (*meter).may_make {
                (*meter).left = -1;
            }
            return;
        }
        if (*meter).left % CLOCK_EVERY == 0
            && (*meter).left < UNMETERED / 2
            && let Some((clock, until)) = (*meter).deadline
            && clock() > until
        {
            (*meter).late = true;
            (*meter).left = -1;
        }
        if (*meter).left < 0 {
            ffi::luaL_error(state, c"out of fuel".as_ptr());
        }
    }
}
