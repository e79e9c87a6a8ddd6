//! The border between the VM and a turn: the stage, the proxies of objects, and the way of writes.
//!
//! The stage holds the turn that runs. Every callback takes it for a moment and lets it go before Luau
//! runs again, so that callbacks may nest. What sends and misses do is in `send`.

#![allow(unsafe_code)]

use super::fault::fault_of;
use super::fuel::Fuel;
use super::native;
use super::turn::Active;
use super::values::{from_lua, from_lua_charged};
use crate::object::{Fault, FaultKind, Name, ObjectId, Value};
use mlua::{Function, Table, Value as LuaValue};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;

/// Misses of a turn that cost nothing; beyond them each costs a price.
const FREE_MISSES: usize = 10_000;
/// Safepoints that take about as long as a miss.
const MISS_PRICE: usize = 50;

/// A fault on its way through Luau.
#[derive(Debug)]
pub(super) struct Raised(pub(super) Fault);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Raised {}

pub(super) fn raise(fault: Fault) -> mlua::Error {
    mlua::Error::external(Raised(fault))
}

/// The turn that runs, if one does.
#[derive(Default)]
pub(super) struct Stage(Cell<Option<NonNull<RefCell<Active<'static>>>>>);

impl Stage {
    /// Lets `run` play with `active` on the stage.
    pub(super) fn play<R>(&self, active: &RefCell<Active<'_>>, run: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'a Stage, Option<NonNull<RefCell<Active<'static>>>>);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.0.set(self.1);
            }
        }
        let _leave = Leave(self, self.0.replace(Some(NonNull::from(active).cast())));
        run()
    }

    /// Takes the running turn for a moment.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Active<'_>) -> R) -> Result<R, Fault> {
        let nobody = || Fault::new(FaultKind::Internal, "no turn is running");
        let active = self.0.get().ok_or_else(nobody)?;
        // SAFETY: `play` put the pointer there and takes it away before the cell that it borrows can go; the
        // lifetime is forgotten only as far as this call, whose closure can't keep what it is lent.
        let active = unsafe { active.as_ref() };
        let mut active = active.try_borrow_mut().map_err(|_| nobody())?;
        Ok(act(&mut active))
    }
}

/// One object inside the VM.
#[derive(Clone)]
struct Handle {
    state: Table,
    proxy: Table,
}

/// Every object that the VM has met.
pub(super) struct Proxies {
    handles: RefCell<HashMap<ObjectId, Handle>>,
    make: Function,
    ids: Table,
    fuel: Rc<Fuel>,
}

impl Proxies {
    pub(super) fn new(make: Function, ids: Table, fuel: Rc<Fuel>) -> Self {
        Self { handles: RefCell::default(), make, ids, fuel }
    }

    pub(super) fn id_of(&self, table: &Table) -> Option<ObjectId> {
        match self.ids.raw_get(table).ok()? {
            LuaValue::String(id) => id_from(&id),
            _ => None,
        }
    }

    pub(super) fn proxy(&self, id: ObjectId) -> mlua::Result<Table> {
        self.handle(id).map(|handle| handle.proxy)
    }

    pub(super) fn state(&self, id: ObjectId) -> mlua::Result<Table> {
        self.handle(id).map(|handle| handle.state)
    }

    fn known_state(&self, id: ObjectId) -> Option<Table> {
        self.handles.borrow().get(&id).map(|handle| handle.state.clone())
    }

    fn handle(&self, id: ObjectId) -> mlua::Result<Handle> {
        if let Some(handle) = self.handles.borrow().get(&id) {
            return Ok(handle.clone());
        }
        let id_text = mlua::BString::from(id.0.as_bytes().to_vec());
        let state: Table = self.fuel.unmetered(|| self.make.call(id_text))?;
        let handle = Handle { proxy: state.raw_get("proxy")?, state };
        self.handles.borrow_mut().insert(id, handle.clone());
        Ok(handle)
    }

    fn ids(&self) -> Vec<ObjectId> {
        self.handles.borrow().keys().copied().collect()
    }
}

pub(super) fn id_from(bytes: &mlua::LuaString) -> Option<ObjectId> {
    uuid::Uuid::from_slice(&bytes.as_bytes()).ok().map(ObjectId)
}

/// A list or map that the turn has read: mutating it in place is a write of its slot.
pub(super) struct Opened {
    pub(super) id: ObjectId,
    pub(super) slot: Name,
    pub(super) table: Table,
    pub(super) original: Value,
}

/// Compiled methods by holder and selector, with the text that they were compiled from.
pub(super) type Compiled = HashMap<(ObjectId, Name), (String, Function)>;

/// What the VM's callbacks share.
pub(super) struct Shared {
    pub(super) stage: Stage,
    pub(super) proxies: Proxies,
    pub(super) fuel: Rc<Fuel>,
    take_writes: Function,
    take_back: Function,
    /// Objects written in this turn.
    written: Table,
    forget: Function,
    remember: Function,
    misses: Cell<usize>,
    pub(super) bind: Function,
    pub(super) unanswered: Function,
    pub(super) accessor: Function,
    pub(super) natives: RefCell<HashMap<&'static str, Function>>,
    pub(super) compiled: RefCell<Compiled>,
    pub(super) opened: RefCell<Vec<Opened>>,
}

impl Shared {
    pub(super) fn new(prelude: &Table, ids: Table, fuel: Rc<Fuel>) -> mlua::Result<Self> {
        Ok(Self {
            stage: Stage::default(),
            proxies: Proxies::new(prelude.get("make")?, ids, fuel.clone()),
            fuel,
            take_writes: prelude.get("take_writes")?,
            take_back: prelude.get("take_back")?,
            written: prelude.get("written")?,
            misses: Cell::new(0),
            forget: prelude.get("forget")?,
            remember: prelude.get("remember")?,
            bind: prelude.get("bind")?,
            unanswered: prelude.get("unanswered")?,
            accessor: prelude.get("accessor")?,
            natives: RefCell::default(),
            compiled: RefCell::default(),
            opened: RefCell::default(),
        })
    }

    /// Takes the running turn for a moment.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Active<'_>) -> R) -> mlua::Result<R> {
        self.stage.with(act).map_err(raise)
    }

    /// The object behind a proxy.
    pub(super) fn id_in(&self, table: &Table) -> mlua::Result<ObjectId> {
        let no_object =
            || Fault::new(FaultKind::BadArgument, "a message needs an object to go to, and this is a table");
        self.proxies.id_of(table).ok_or_else(|| raise(no_object()))
    }

    /// Ends the turn, whatever its code catches: as a failed one with this fault.
    pub(super) fn doom(&self, fault: Fault) -> mlua::Error {
        self.fuel.set(-1);
        match self.with(|active| active.doom(fault)) {
            Ok(fault) => raise(fault),
            Err(error) => error,
        }
    }

    /// Brings every write made inside the VM into the draft. A write that can't be stored dooms the turn: the caches hold
    /// it, and the draft does not.
    pub(super) fn flush(&self) -> mlua::Result<()> {
        self.fuel.unmetered(|| self.bring_writes()).map_err(|error| self.doom(fault_of(&error)))
    }

    fn bring_writes(&self) -> mlua::Result<()> {
        let writes: Table = self.take_writes.call(())?;
        if writes.raw_len() > 0 {
            let values: Vec<LuaValue> = writes.sequence_values().collect::<mlua::Result<_>>()?;
            for write in values.chunks_exact(3) {
                let (LuaValue::String(id), LuaValue::String(name)) = (&write[0], &write[1]) else { continue };
                let Some(id) = id_from(id) else { continue };
                let value = from_lua(&write[2], &self.proxies).map_err(raise)?;
                let name = name.to_string_lossy();
                // A list read from the slot before it was written is the method's own from here on.
                self.opened.borrow_mut().retain(|opened| opened.id != id || *opened.slot != *name);
                self.store(id, &name, value)?;
            }
        }
        let mut changed = Vec::new();
        for (index, opened) in self.opened.borrow().iter().enumerate() {
            let now = from_lua(&LuaValue::Table(opened.table.clone()), &self.proxies).map_err(raise)?;
            if !now.same(&opened.original) {
                changed.push((index, now));
            }
        }
        for (index, value) in changed {
            let (id, slot) = {
                let mut opened = self.opened.borrow_mut();
                let opened = &mut opened[index];
                opened.original = value.clone();
                (opened.id, opened.slot.clone())
            };
            self.store(id, &slot, value)?;
            self.forget_heirs_of(id, &slot)?;
        }
        Ok(())
    }

    /// Keeps an answer that was found by asking these objects, in this order.
    pub(super) fn remember(
        &self,
        lua: &mlua::Lua,
        id: ObjectId,
        key: &str,
        value: &LuaValue,
        asked: Vec<ObjectId>,
    ) -> mlua::Result<()> {
        let states = lua.create_table()?;
        for (index, other) in asked.into_iter().enumerate() {
            states.raw_set(index + 1, self.proxies.state(other)?)?;
        }
        self.remember.call((self.proxies.state(id)?, key, value, states))
    }

    /// What the caches lack costs nothing, so that a turn burns the same with empty ones and full ones; as long as it is
    /// no way around the fuel.
    pub(super) fn charge_miss(&self) {
        self.misses.set(self.misses.get() + 1);
        if self.misses.get() > FREE_MISSES {
            self.fuel.charge(MISS_PRICE);
        }
    }

    /// A new turn begins.
    pub(super) fn begin(&self) {
        self.misses.set(0);
    }

    /// The object itself keeps its table, which is the one that was changed.
    fn forget_heirs_of(&self, id: ObjectId, slot: &str) -> mlua::Result<()> {
        let Some(state) = self.proxies.known_state(id) else { return Ok(()) };
        let cache: Table = state.raw_get("cache")?;
        let kept: LuaValue = cache.raw_get(slot)?;
        self.forget.call::<()>((state, slot))?;
        cache.raw_set(slot, kept)
    }

    fn store(&self, id: ObjectId, name: &str, value: Value) -> mlua::Result<()> {
        let name = native::slot_name(name).map_err(raise)?;
        self.with(|active| active.put_value(id, name, value))?.map_err(raise)
    }

    /// A write of nil, a list or a map, which cross at once.
    pub(super) fn write(&self, id: ObjectId, name: &str, value: &LuaValue) -> mlua::Result<()> {
        self.flush()?;
        let (value, cost) = from_lua_charged(value, &self.proxies);
        self.fuel.charge(cost);
        self.store(id, name, value.map_err(raise)?)?;
        self.opened.borrow_mut().retain(|opened| opened.id != id || *opened.slot != *name);
        self.forget(id, Some(name))
    }

    /// Drops what the caches know of an object (or one slot of it) and what others found by asking it.
    pub(super) fn forget(&self, id: ObjectId, slot: Option<&str>) -> mlua::Result<()> {
        match self.proxies.known_state(id) {
            Some(state) => self.fuel.unmetered(|| self.forget.call((state, slot))),
            None => Ok(()),
        }
    }

    /// Drops everything that the caches know.
    pub(super) fn forget_all(&self) -> mlua::Result<()> {
        self.opened.borrow_mut().clear();
        self.take_back.call::<()>(())?;
        for id in self.proxies.ids() {
            self.forget(id, None)?;
        }
        Ok(())
    }

    /// Ends the turn's hold on lists and maps: the next turn gets tables of its own.
    pub(super) fn close_opened(&self) -> mlua::Result<()> {
        for opened in self.opened.take() {
            if let Some(state) = self.proxies.known_state(opened.id) {
                state.raw_get::<Table>("cache")?.raw_set(&*opened.slot, LuaValue::Nil)?;
            }
        }
        Ok(())
    }

    /// The turn's writes stay.
    pub(super) fn settle(&self) -> mlua::Result<()> {
        self.close_opened()?;
        self.written.clear()
    }

    /// Takes back the turn's writes, also those that have crossed.
    pub(super) fn drop_writes(&self) -> mlua::Result<()> {
        self.take_back.call(())
    }
}
