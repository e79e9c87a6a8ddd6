//! The border between the VM and a turn: the stage, the proxies of objects, and the way of writes.
//!
//! The stage holds the turn that runs. Every callback takes it for a moment and lets it go before Luau
//! runs again, so that callbacks may nest. What sends and misses do is in `send`.

#![allow(unsafe_code)]

use super::active::Active;
use super::fault::{bounded, fault_of};
use super::fuel::Fuel;
use super::native;
use super::values::{from_lua, from_lua_charged};
use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, Post, Value};
use foldhash::fast::RandomState;
use mlua::{Function, Table, Value as LuaValue};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;

/// Lookups in vain of a turn that cost nothing; beyond them each costs a price.
const FREE_MISSES: usize = 10_000;
/// Safepoints that take about as long as a lookup in vain.
const MISS_PRICE: usize = 50;
/// Objects that every lookup may ask, and safepoints that take about as long as asking one more.
const SHORT_PATH: usize = 8;
const ASKED_PRICE: usize = 2;
/// Answers that the caches lacked between two looks at the clock.
const CLOCK_EVERY: usize = 64;

/// Texts of a turn that are not looked at twice: so many, of so many bytes at most, for they are kept until it ends.
const KNOWN_TEXTS: usize = 1_000;
const SHORT_TEXT: usize = 64;

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
pub(super) struct Handle {
    state: Table,
    pub(super) proxy: Table,
    methods: RefCell<HashMap<Name, Compiled, RandomState>>,
}

/// A compiled method, with what it was compiled from.
struct Compiled {
    source: String,
    /// How its holder was called: errors name the method by it, also those that a method catches and stores.
    holder: Option<Name>,
    function: Rc<Function>,
}

impl Handle {
    /// The function of an own method, if it was compiled from this text while its holder was called so.
    pub(super) fn compiled(&self, selector: &str, source: &str, called: Option<&Name>) -> Option<Rc<Function>> {
        let methods = self.methods.borrow();
        let known = methods.get(selector)?;
        (known.source == source && known.holder.as_ref() == called).then(|| known.function.clone())
    }

    /// Keeps a compiled method.
    pub(super) fn keep(&self, selector: Name, source: &str, called: Option<Name>, function: Rc<Function>) {
        let compiled = Compiled { source: source.to_string(), holder: called, function };
        self.methods.borrow_mut().insert(selector, compiled);
    }

    /// Keeps the compiled method of this selector no longer.
    pub(super) fn drop_compiled(&self, selector: &str) {
        self.methods.borrow_mut().remove(selector);
    }
}

/// Every object that the VM has met.
pub(super) struct Proxies {
    handles: RefCell<HashMap<ObjectId, Rc<Handle>, RandomState>>,
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
        self.handle(id).map(|handle| handle.proxy.clone())
    }

    pub(super) fn state(&self, id: ObjectId) -> mlua::Result<Table> {
        self.handle(id).map(|handle| handle.state.clone())
    }

    /// An object that the VM has met.
    pub(super) fn known(&self, id: ObjectId) -> Option<Rc<Handle>> {
        self.handles.borrow().get(&id).cloned()
    }

    pub(super) fn handle(&self, id: ObjectId) -> mlua::Result<Rc<Handle>> {
        if let Some(handle) = self.known(id) {
            return Ok(handle);
        }
        let id_text = mlua::BString::from(id.0.as_bytes().to_vec());
        let state: Table = self.fuel.unmetered(|| self.make.call(id_text))?;
        let handle = Rc::new(Handle { proxy: state.raw_get("proxy")?, state, methods: RefCell::default() });
        self.handles.borrow_mut().insert(id, handle.clone());
        Ok(handle)
    }

    /// Keeps these objects no longer: they are not in the world.
    pub(super) fn let_go(&self, ids: impl Iterator<Item = ObjectId>) {
        let mut handles = self.handles.borrow_mut();
        ids.for_each(|id| drop(handles.remove(&id)));
    }

    fn ids(&self) -> Vec<ObjectId> {
        self.handles.borrow().keys().copied().collect()
    }
}

pub(super) fn id_from(bytes: &mlua::LuaString) -> Option<ObjectId> {
    uuid::Uuid::from_slice(&bytes.as_bytes()).ok().map(ObjectId)
}

/// What of an object the caches must forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// One slot was set or taken away.
    Slot(String),
    /// Its parents or its name are others; its own slots are what they were.
    Delegation,
    /// It came to be or is gone.
    Everything,
}

/// What the VM's callbacks share.
pub(super) struct Shared {
    pub(super) stage: Stage,
    pub(super) proxies: Proxies,
    pub(super) fuel: Rc<Fuel>,
    /// Objects that were written since the last flush, their lists and maps included.
    touched: Table,
    take_writes: Function,
    wrote: Cell<bool>,
    take_back: Function,
    settle: Function,
    forget: Function,
    forget_object: Function,
    remember: Function,
    pub(super) wrap: Function,
    pub(super) stand: Function,
    pub(super) share: Function,
    pub(super) retire: Function,
    misses: Cell<usize>,
    /// Answers that the caches lacked in this turn, and keep now.
    filled: Cell<usize>,
    /// Texts of the turn that a slot can hold, and how many.
    texts: Table,
    known_texts: Cell<usize>,
    pub(super) send_step: Function,
    pub(super) bind: Function,
    pub(super) unanswered: Function,
    pub(super) accessor: Function,
    pub(super) natives: RefCell<HashMap<&'static str, Function>>,
}

impl Shared {
    pub(super) fn new(prelude: &Table, views: &Table, ids: Table, fuel: Rc<Fuel>) -> mlua::Result<Self> {
        Ok(Self {
            stage: Stage::default(),
            proxies: Proxies::new(prelude.get("make")?, ids, fuel.clone()),
            fuel,
            touched: prelude.get("touched")?,
            wrote: Cell::new(false),
            take_writes: prelude.get("take_writes")?,
            take_back: prelude.get("take_back")?,
            settle: prelude.get("settle")?,
            misses: Cell::new(0),
            filled: Cell::new(0),
            texts: views.get("texts")?,
            known_texts: Cell::new(0),
            forget: prelude.get("forget")?,
            forget_object: prelude.get("forget_object")?,
            wrap: views.get("wrap")?,
            stand: views.get("stand")?,
            share: views.get("share")?,
            retire: views.get("retire")?,
            remember: prelude.get("remember")?,
            send_step: prelude.get("send_step")?,
            bind: prelude.get("bind")?,
            unanswered: prelude.get("unanswered")?,
            accessor: prelude.get("accessor")?,
            natives: RefCell::default(),
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

    /// The object that a value stands for, by itself or by its name.
    pub(super) fn object_in(&self, value: &LuaValue) -> mlua::Result<Option<ObjectId>> {
        match value {
            LuaValue::Table(table) => Ok(self.proxies.id_of(table)),
            LuaValue::String(name) => self.with(|active| active.draft.named(&name.to_string_lossy())),
            _ => Ok(None),
        }
    }

    /// A message in the making: `to` and `selector` as code gives them.
    pub(super) fn post_of(&self, to: &LuaValue, selector: &LuaValue, args: &[LuaValue]) -> mlua::Result<Post> {
        let bad = |message: &str| raise(Fault::new(FaultKind::BadArgument, message));
        let target = self.object_in(to)?.ok_or_else(|| bad("a message goes to an object, or to its name"))?;
        let LuaValue::String(selector) = selector else {
            return Err(bad("a message has a selector: a text, as in post(other, \"move_by\", 1, 2)"));
        };
        let selector = Name::new(&selector.to_string_lossy())
            .map_err(|error| raise(Fault::new(FaultKind::BadName, error.to_string())))?;
        let taken = args.iter().map(|arg| {
            let (value, cost) = from_lua_charged(arg, &self.proxies, 0);
            self.fuel.charge(cost);
            value.map_err(raise)
        });
        Ok(Post { target, selector, args: taken.collect::<mlua::Result<_>>()? })
    }

    /// Ends the turn, whatever its code catches: as a failed one with this fault.
    pub(super) fn doom(&self, fault: Fault) -> mlua::Error {
        self.doom_by(fault, |active, fault| active.doom(fault))
    }

    fn doom_by(&self, fault: Fault, doom: fn(&mut Active<'_>, Fault) -> Fault) -> mlua::Error {
        let fault = bounded(fault, self.fuel.spent());
        self.fuel.set(-1);
        match self.with(|active| doom(active, fault)) {
            Ok(fault) => raise(fault),
            Err(error) => error,
        }
    }

    /// Brings every write made inside the VM into the draft. A write that can't be stored dooms the turn: the caches hold
    /// it, and the draft does not.
    pub(super) fn flush(&self) -> mlua::Result<()> {
        if self.touched.raw_len() == 0 {
            return Ok(());
        }
        self.wrote.set(true);
        self.fuel
            .unmetered(|| self.bring_writes())
            .map_err(|error| self.doom_by(fault_of(&error), |active, fault| active.doom_by_write(fault)))
    }

    fn bring_writes(&self) -> mlua::Result<()> {
        let (writes, edits): (Table, Table) = self.take_writes.call(())?;
        if writes.raw_len() > 0 {
            let values: Vec<LuaValue> = writes.sequence_values().collect::<mlua::Result<_>>()?;
            for write in values.chunks_exact(3) {
                let (LuaValue::String(id), LuaValue::String(name)) = (&write[0], &write[1]) else { continue };
                let Some(id) = id_from(id) else { continue };
                let value = from_lua(&write[2], &self.proxies).map_err(raise)?;
                self.store(id, &name.to_string_lossy(), value)?;
            }
        }
        if edits.raw_len() > 0 {
            let values: Vec<LuaValue> = edits.sequence_values().collect::<mlua::Result<_>>()?;
            for edit in values.chunks_exact(4) {
                let (LuaValue::Table(view), LuaValue::String(id), LuaValue::String(slot)) =
                    (&edit[0], &edit[1], &edit[2])
                else {
                    continue;
                };
                let Some(id) = id_from(id) else { continue };
                self.bring_edits(view, id, &slot.to_string_lossy(), &edit[3])?;
            }
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

    /// A lookup in vain, which asked so many objects: the caches keep nothing of it, so it costs the same whatever they hold.
    pub(super) fn charge_miss(&self, asked: usize) {
        self.misses.set(self.misses.get() + 1);
        if self.misses.get() > FREE_MISSES {
            self.fuel.charge(MISS_PRICE);
        }
        self.charge_path(asked);
    }

    /// A lookup past the caches, which asked so many objects.
    pub(super) fn charge_path(&self, asked: usize) {
        self.fuel.charge(ASKED_PRICE * asked.saturating_sub(SHORT_PATH));
    }

    /// An answer that the caches lacked and keep now costs nothing, so that a turn burns the same with empty ones and full
    /// ones. The clock alone stands against a turn that empties them over and over.
    pub(super) fn note_filled(&self, asked: usize) {
        self.filled.set(self.filled.get() + 1);
        if asked > CLOCK_EVERY || self.filled.get().is_multiple_of(CLOCK_EVERY) {
            self.fuel.look_at_clock();
        }
    }

    /// A new turn begins.
    pub(super) fn begin(&self) {
        self.misses.set(0);
        self.filled.set(0);
        self.known_texts.set(0);
        self.wrote.set(false);
    }

    /// Ends the turn for a text that no slot can hold.
    pub(super) fn check_text(&self, text: mlua::LuaString) -> mlua::Result<()> {
        let (bytes, known) = (text.as_bytes().len(), self.known_texts.get());
        from_lua(&LuaValue::String(text.clone()), &self.proxies).map_err(|fault| self.doom(fault))?;
        if bytes <= SHORT_TEXT && known < KNOWN_TEXTS {
            self.known_texts.set(known + 1);
            self.texts.raw_set(text, true)?;
        }
        Ok(())
    }

    pub(super) fn store(&self, id: ObjectId, name: &str, value: Value) -> mlua::Result<()> {
        let name = native::slot_name(name).map_err(raise)?;
        self.with(|active| active.put_value(id, name, value))?.map_err(raise)
    }

    /// A write of nil, a list or a map, which cross at once.
    pub(super) fn write(&self, id: ObjectId, name: &str, value: &LuaValue) -> mlua::Result<()> {
        self.flush()?;
        let (value, cost) = from_lua_charged(value, &self.proxies, 0);
        self.fuel.charge(cost);
        self.store(id, name, value.map_err(raise)?)?;
        self.forget(id, &Stale::Slot(name.to_string()))
    }

    /// Drops what the caches know of an object, as far as it is stale, and what others found by asking it.
    pub(super) fn forget(&self, id: ObjectId, what: &Stale) -> mlua::Result<()> {
        let Some(handle) = self.proxies.known(id) else { return Ok(()) };
        let state = &handle.state;
        self.fuel.unmetered(|| match what {
            Stale::Slot(slot) => self.forget.call((state, slot.as_str())),
            Stale::Delegation => self.forget_object.call((state, true)),
            Stale::Everything => self.forget_object.call((state, false)),
        })
    }

    /// Drops everything that the caches know.
    pub(super) fn forget_all(&self) -> mlua::Result<()> {
        self.take_back.call::<()>(())?;
        for id in self.proxies.ids() {
            self.forget(id, &Stale::Everything)?;
            if let Some(handle) = self.proxies.known(id) {
                handle.methods.borrow_mut().clear();
            }
        }
        Ok(())
    }

    /// Whether the turn wrote anything inside the VM.
    pub(super) fn wrote(&self) -> bool {
        self.wrote.get()
    }

    /// The turn's writes stay.
    pub(super) fn settle(&self) -> mlua::Result<()> {
        if !self.wrote() {
            return Ok(());
        }
        self.fuel.unmetered(|| self.settle.call(()))
    }

    /// Takes back the turn's writes, also those that have crossed.
    pub(super) fn drop_writes(&self) -> mlua::Result<()> {
        self.take_back.call(())
    }
}
