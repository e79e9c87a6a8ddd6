//! The VM: one Luau state, shut off from everything that a method may not reach.
//!
//! Nothing lives only in it: what it caches comes from the components, and can be dropped at any time. It is dropped, the whole
//! of it, after a turn that left it in doubt: one whose memory or stack ran out, perhaps while the caches were written; one in
//! which the program itself was at fault; one that a panic ended.

use super::callbacks::{connect, connect_globals, connect_natives};
use super::crossing::{Shared, Stale};
use super::fuel::Fuel;
use super::library::connect_library;
use super::mathematics::{self, connect_mathematics};
use super::mirror::connect_mirrors;
use super::values::to_lua;
use super::writes::connect_writes;
use crate::object::{Fault, FaultKind, ObjectId, Value};
use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;

/// Names of Luau's base library that methods don't get: they reach outside a turn or past a proxy.
const REMOVED: [&str; 15] = [
    "_G",
    "loadstring",
    "require",
    "getfenv",
    "setfenv",
    "newproxy",
    "collectgarbage",
    "gcinfo",
    "rawset",
    "rawget",
    "rawlen",
    "setmetatable",
    "getmetatable",
    "typeof",
    "_VERSION",
];

/// Functions that the VM calls like any other. Its short cuts for them are taken or not depending on what the collector and
/// the stack are up to, which would show in the fuel; and `unpack` would not see a view's elements.
const NO_SHORT_CUTS: [&str; 5] = ["string.char", "string.sub", "table.unpack", "tostring", "unpack"];

fn no_short_cuts() -> impl Iterator<Item = &'static str> {
    NO_SHORT_CUTS.into_iter().chain(mathematics::NO_SHORT_CUTS)
}

/// How every text of this VM is compiled.
pub(super) fn compiler() -> Compiler {
    // What `world` names can be another object at the next call; other globals never change. A short cut to a function that
    // was taken away would still lead there.
    let disabled = no_short_cuts().chain(REMOVED);
    Compiler::new().set_mutable_globals(["world"]).set_disabled_builtins(disabled)
}

/// Bytes that a failed turn may leave to the ordinary work of the collector.
const MUCH_GARBAGE: usize = 8 << 20;

/// Bounds of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Safepoints: loop turns, calls, returns, pattern steps.
    pub fuel: i64,
    /// Bytes that a turn may have beyond what the VM holds at its start.
    pub memory_bytes: usize,
    /// A clock for the deadline; without one there is none.
    pub clock: Option<fn() -> Duration>,
    /// How long a turn may take by that clock, whatever its fuel says.
    pub patience: Duration,
}

impl Default for Limits {
    /// About ten milliseconds of running, and 64 MiB; no clock.
    fn default() -> Self {
        Self { fuel: 1_000_000, memory_bytes: 64 << 20, clock: None, patience: Duration::from_secs(2) }
    }
}

/// The VM could not be made.
#[derive(Debug, Error)]
#[error("the language could not be started: {0}")]
pub struct VmError(String);

impl From<std::io::Error> for VmError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<mlua::Error> for VmError {
    fn from(error: mlua::Error) -> Self {
        Self(error.to_string())
    }
}

/// One Luau state with the world's proxies.
pub struct Vm {
    // Dropped in this order: the tank must outlive the state that counts in it.
    pub(super) shared: Rc<Shared>,
    pub(super) lua: Lua,
    _fuel: Rc<Fuel>,
    limits: Limits,
    /// Bytes held when the turn began.
    held: Cell<usize>,
    /// Bytes that it may hold; 0 for as many as there are.
    bound: Cell<usize>,
    /// Whether a turn has begun and has not come to its end, or came to one that leaves doubt.
    pub(super) in_doubt: Cell<bool>,
}

impl Vm {
    /// A VM that has met no object yet.
    pub fn new(limits: Limits) -> Result<Self, VmError> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::BIT;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let fuel = Rc::new(Fuel::fit(&lua)?);
        let globals = lua.globals();

        let (cross, ids) = (lua.create_table()?, lua.create_table()?);
        // An object that nothing refers to any more is not kept by being known.
        let weak = lua.create_table()?;
        weak.set("__mode", "k")?;
        ids.set_metatable(Some(weak))?;
        connect_mathematics(&lua)?;
        let load = |name: &str, text: &'static str| {
            let own = Compiler::new().set_disabled_builtins(no_short_cuts());
            let chunk = lua.load(text).set_compiler(own).set_name(format!("={name}"));
            chunk.set_mode(ChunkMode::Text).into_function()
        };
        let views: Table = load("views", include_str!("views.luau"))?.call((&cross, &ids))?;
        let library: Table = load("library", include_str!("library.luau"))?.call((&cross, &ids, &views))?;
        let prelude: Table = load("prelude", include_str!("prelude.luau"))?.call((
            &cross,
            &ids,
            &views,
            super::syntax::SEND,
            &library,
        ))?;
        let shared = Rc::new(Shared::new(&prelude, &views, ids, fuel.clone())?);
        connect(&lua, &cross, &shared)?;
        connect_library(&lua, &cross, &shared)?;
        connect_writes(&lua, &cross)?;
        connect_natives(&lua, &shared)?;
        for pair in library.get::<Table>("globals")?.pairs::<String, LuaValue>() {
            let (name, function) = pair?;
            globals.set(name, function)?;
        }
        for pair in library.get::<Table>("libraries")?.pairs::<String, Table>() {
            let (name, functions) = pair?;
            let library: Table = globals.get(name)?;
            for function in functions.pairs::<String, LuaValue>() {
                let (name, function) = function?;
                library.set(name, function)?;
            }
        }
        connect_globals(&lua, &shared)?;
        globals.set("send", prelude.get::<LuaValue>("send")?)?;
        connect_mirrors(&lua, &shared)?;
        for name in REMOVED {
            globals.raw_remove(name)?;
        }
        // They walk a table in the order of its addresses.
        for name in ["foreach", "foreachi"] {
            globals.get::<Table>("table")?.raw_remove(name)?;
        }
        answer_sends_of_text(&lua)?;
        lua.sandbox(true)?;
        // The sandbox lets a thread make globals of its own, which would outlive the turn.
        lua.globals().set_readonly(true);
        Ok(Self {
            shared,
            lua,
            _fuel: fuel,
            limits,
            held: Cell::new(0),
            bound: Cell::new(0),
            in_doubt: Cell::new(false),
        })
    }

    /// A VM of which there is no doubt: this one, or a new one in its place.
    ///
    /// # Errors
    /// There is no room for a new one.
    pub(super) fn assure(&mut self) -> Result<(), Fault> {
        if self.in_doubt.get() {
            *self = Self::new(self.limits).map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
        }
        Ok(())
    }

    /// Fills the tank and the allowance for one turn.
    pub(super) fn refuel(&self, fuel: Option<i64>) -> mlua::Result<()> {
        self.held.set(self.lua.used_memory());
        let bound = self.held.get() + self.limits.memory_bytes;
        if self.bound.replace(bound) != bound {
            self.lua.set_memory_limit(bound)?;
        }
        let deadline = self.limits.clock.map(|clock| (clock, clock() + self.limits.patience));
        self.shared.fuel.start(fuel.unwrap_or(self.limits.fuel), self.held.get(), deadline);
        self.shared.begin();
        Ok(())
    }

    /// The turn has failed: what runs now is the program's own.
    pub(super) fn lift_bounds(&self) {
        self.shared.fuel.end();
        self.bound.set(0);
        let _ = self.lua.set_memory_limit(0);
    }

    /// Brings the caches back to the world as it was before a failed turn.
    pub(super) fn take_back(&self, touched: &[ObjectId], made: &[ObjectId]) {
        self.lift_bounds();
        let restored = self
            .shared
            .drop_writes()
            .and_then(|()| touched.iter().try_for_each(|id| self.shared.forget(*id, &Stale::Everything)));
        if restored.is_err() {
            self.in_doubt.set(true);
        }
        self.shared.proxies.let_go(made.iter().copied());
        // A whole collection takes long in a large world: only where the turn left much.
        if self.lua.used_memory() > self.held.get() + MUCH_GARBAGE {
            let _ = self.lua.gc_collect();
        }
    }

    /// Forgets one object: for what changed otherwise than by a turn of this VM.
    pub fn forget_object(&mut self, id: ObjectId) {
        self.shared.fuel.end();
        if self.shared.forget(id, &Stale::Everything).is_err() {
            self.in_doubt.set(true);
        }
    }

    /// Forgets every object: for a VM that next sees another world.
    pub fn forget_all(&mut self) {
        self.shared.fuel.end();
        if self.shared.forget_all().is_err() {
            self.in_doubt.set(true);
        }
    }

    /// Bytes that the VM holds.
    pub fn used_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    pub(super) fn to_lua(&self, value: &Value) -> mlua::Result<LuaValue> {
        to_lua(value, &self.lua, &self.shared.proxies)
    }
}

/// `("x"):upper()` reads `S__upper`: text answers its functions under those names too.
fn answer_sends_of_text(lua: &Lua) -> mlua::Result<()> {
    let string: Table = lua.globals().get("string")?;
    let answers = lua.create_table()?;
    for pair in string.pairs::<String, LuaValue>() {
        let (name, function) = pair?;
        answers.set(format!("{}{name}", super::syntax::SEND), &function)?;
        answers.set(name, function)?;
    }
    answers.set_readonly(true);
    let meta = lua.create_table()?;
    meta.set("__index", answers)?;
    meta.set("__metatable", "text")?;
    meta.set_readonly(true);
    lua.set_type_metatable::<mlua::LuaString>(Some(meta));
    Ok(())
}
