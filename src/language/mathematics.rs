//! The functions of `math` whose last digits the platform's C library decides otherwise: here they are Rust's `libm`, and come
//! to the same on every machine, so that ticks run again elsewhere end where they ended.
//!
//! They are plain C functions of the VM, without the way through mlua, which takes several times as long. The operator `^` is
//! the VM's own and is not here.

#![allow(unsafe_code)]

use mlua::{Function, Lua, Table, ffi};
use std::ffi::{CStr, c_int};

type CFunction = unsafe extern "C-unwind" fn(*mut ffi::lua_State) -> c_int;

/// Names of `math` that are not the VM's own; the VM may take no short cut past them.
pub(super) const NO_SHORT_CUTS: [&str; 16] = [
    "math.acos",
    "math.asin",
    "math.atan",
    "math.atan2",
    "math.cos",
    "math.cosh",
    "math.exp",
    "math.lerp",
    "math.log",
    "math.log10",
    "math.map",
    "math.pow",
    "math.sin",
    "math.sinh",
    "math.tan",
    "math.tanh",
];

/// A function of one number.
macro_rules! of_one {
    ($($name:ident)*) => { $(
        unsafe extern "C-unwind" fn $name(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by the VM with its own state. What is no number leaves as an error of the VM, past nothing that
            // needs dropping; one value is pushed, for which every C function has room.
            unsafe { ffi::lua_pushnumber(state, libm::$name(ffi::luaL_checknumber(state, 1))) }
            1
        }
    )* };
}

of_one! { acos asin atan cos cosh exp log10 sin sinh tan tanh }

unsafe extern "C-unwind" fn atan2(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `of_one`.
    unsafe { ffi::lua_pushnumber(state, libm::atan2(number(state, 1), number(state, 2))) }
    1
}

unsafe extern "C-unwind" fn pow(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `of_one`.
    unsafe { ffi::lua_pushnumber(state, libm::pow(number(state, 1), number(state, 2))) }
    1
}

unsafe extern "C-unwind" fn log(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `of_one`.
    unsafe {
        let of = number(state, 1);
        let base = if ffi::lua_isnoneornil(state, 2) == 0 { Some(number(state, 2)) } else { None };
        let log = match base {
            None => libm::log(of),
            Some(2.0) => libm::log2(of),
            Some(10.0) => libm::log10(of),
            Some(base) => libm::log(of) / libm::log(base),
        };
        ffi::lua_pushnumber(state, log);
    }
    1
}

/// The VM's own is compiled from C++, where some processors round once instead of twice.
unsafe extern "C-unwind" fn lerp(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `of_one`.
    unsafe {
        let (a, b, t) = (number(state, 1), number(state, 2), number(state, 3));
        ffi::lua_pushnumber(state, if t == 1.0 { b } else { a + (b - a) * t });
    }
    1
}

/// As `lerp`.
unsafe extern "C-unwind" fn map(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `of_one`.
    unsafe {
        let (n, a, b) = (number(state, 1), number(state, 2), number(state, 3));
        let (c, d) = (number(state, 4), number(state, 5));
        ffi::lua_pushnumber(state, c + (n - a) * (d - c) / (b - a));
    }
    1
}

/// # Safety
/// As for `luaL_checknumber`: the state is that of the function which the VM calls.
unsafe fn number(state: *mut ffi::lua_State, place: c_int) -> f64 {
    // SAFETY: the caller's.
    unsafe { ffi::luaL_checknumber(state, place) }
}

/// Puts the functions in the place of the VM's own.
pub(super) fn connect_mathematics(lua: &Lua) -> mlua::Result<()> {
    let functions: [(&CStr, CFunction); 16] = [
        (c"acos", acos),
        (c"asin", asin),
        (c"atan", atan),
        (c"atan2", atan2),
        (c"cos", cos),
        (c"cosh", cosh),
        (c"exp", exp),
        (c"lerp", lerp),
        (c"log", log),
        (c"log10", log10),
        (c"map", map),
        (c"pow", pow),
        (c"sin", sin),
        (c"sinh", sinh),
        (c"tan", tan),
        (c"tanh", tanh),
    ];
    let math: Table = lua.globals().get("math")?;
    for (name, function) in functions {
        // SAFETY: one value is pushed, which `exec_raw` takes; the name lives as long as the program.
        let function: Function =
            unsafe { lua.exec_raw((), |state| ffi::lua_pushcclosurek(state, function, name.as_ptr(), 0, None))? };
        math.raw_set(name.to_string_lossy().as_ref(), function)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::language::vm::compiler;
    use crate::language::{Limits, Vm};

    /// Bits of results that must be the same on every platform.
    #[test]
    fn the_last_digits_are_those_of_libm() {
        let vm = Vm::new(Limits::default()).unwrap();
        let bits = |text: &str| {
            vm.lua.load(format!("return {text}")).set_compiler(compiler()).eval::<f64>().unwrap().to_bits()
        };
        assert_eq!(bits("math.sin(0.5)"), libm::sin(0.5).to_bits());
        assert_eq!(bits("math.pow(1.1, 10.3)"), libm::pow(1.1, 10.3).to_bits());
        assert_eq!(bits("math.log(8, 2)"), 3.0_f64.to_bits());
        assert_eq!(bits("math.log(1000, 10)"), 3.0_f64.to_bits());
        assert_eq!(bits("math.log(7, 3)"), (libm::log(7.0) / libm::log(3.0)).to_bits());
        assert_eq!(bits("math.atan2(-1, -1)"), libm::atan2(-1.0, -1.0).to_bits());
        assert_eq!(bits("math.lerp(1, 3, 0.5)"), 2.0_f64.to_bits());
        assert_eq!(bits("math.map(5, 0, 10, 0, 100)"), 50.0_f64.to_bits());
        // Computed once, and for ever.
        assert_eq!(bits("math.sin(1e6)"), 0xbfd6_664b_2568_d867);
        assert_eq!(bits("math.exp(1.5)"), 0x4011_ed3f_e64f_c541);
    }

    #[test]
    fn what_is_no_number_is_told_as_before() {
        let vm = Vm::new(Limits::default()).unwrap();
        let told = |text: &str| vm.lua.load(text.to_string()).set_compiler(compiler()).exec().unwrap_err().to_string();
        assert!(told("math.sin('x')").contains("invalid argument #1 to 'sin' (number expected, got string)"));
        assert!(told("math.pow(1)").contains("missing argument #2 to 'pow' (number expected)"));
    }
}
