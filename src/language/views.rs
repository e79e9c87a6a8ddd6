//! The lists and maps of slots on their way: as views into the VM, as edits out of it. `views.luau` is the other half.

use super::crossing::{Shared, raise};
use super::fault::fault_of;
use super::native;
use super::values::{from_view, key_from_lua, no_key, to_view};
use crate::object::{Edit, EditKind, Fault, ObjectId, Objects, Slot, Value, lookup};
use mlua::{Table, Value as LuaValue};

/// Edits of one slot that always cross as such.
const MANY_EDITS: usize = 64;
/// Bytes that each part of a value counts.
const VALUE_PART: usize = 16;

impl Shared {
    /// Brings what changed in a list or map: as edits, or whole where these are many or make another kind of it.
    pub(super) fn bring_edits(&self, view: &Table, id: ObjectId, slot: &str, log: &LuaValue) -> mlua::Result<()> {
        if let LuaValue::Table(log) = log {
            let log: Vec<LuaValue> = log.sequence_values().collect::<mlua::Result<_>>()?;
            let name = native::slot_name(slot).map_err(raise)?;
            let few = self.with(|active| {
                let slot = active.draft.object(id).and_then(|object| object.slots.get(slot));
                let parts = slot.and_then(Slot::as_value).map_or(0, |value| value.bytes() / VALUE_PART);
                log.len() / 4 <= MANY_EDITS.max(parts / 2)
            })?;
            if few {
                let edits = log.chunks_exact(4).map(|entry| self.edit_of(view, entry)).collect::<Result<_, _>>();
                if self.with(|active| active.edit_value(id, &name, edits?))?.map_err(raise)? {
                    return Ok(());
                }
            }
        }
        let value = self.value_within(view, &LuaValue::Table(view.clone())).map_err(raise)?;
        self.store(id, slot, value)
    }

    /// What crosses with a view. Where it is not what it takes itself for, the next turn gets a new one.
    fn value_within(&self, view: &Table, part: &LuaValue) -> Result<Value, Fault> {
        let (value, other_kind) = from_view(part, &self.proxies)?;
        if other_kind {
            self.retire.call::<()>(view).map_err(|error| fault_of(&error))?;
        }
        Ok(value)
    }

    fn edit_of(&self, view: &Table, entry: &[LuaValue]) -> Result<Edit, Fault> {
        let key = |key: &LuaValue| key_from_lua(key, &self.proxies)?.ok_or_else(no_key);
        let path = match &entry[0] {
            LuaValue::Table(path) => path
                .sequence_values::<LuaValue>()
                .map(|step| key(&step.map_err(|error| fault_of(&error))?))
                .collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let place = || entry[2].as_usize().unwrap_or(1) - 1;
        let kind = match entry[1].as_i64() {
            Some(1) => {
                let after = Some(self.value_within(view, &entry[3])?);
                EditKind::Set { key: key(&entry[2])?, before: None, after }
            }
            Some(2) => EditKind::Set { key: key(&entry[2])?, before: None, after: None },
            Some(3) => EditKind::Insert { place: place(), value: self.value_within(view, &entry[3])? },
            _ => EditKind::Remove { place: place(), value: Value::Nil },
        };
        Ok(Edit { path, kind })
    }

    /// A list or map as a view that stands in no slot yet.
    pub(super) fn view(&self, lua: &mlua::Lua, value: &Value) -> mlua::Result<LuaValue> {
        self.fuel.unmetered(|| to_view(value, lua, &self.proxies, &self.wrap))
    }

    /// The view by which `id` reads a slot that it has itself, or shares with `holder` until it changes it.
    pub(super) fn view_of_slot(
        &self,
        lua: &mlua::Lua,
        id: ObjectId,
        holder: ObjectId,
        slot: &str,
        value: &Value,
    ) -> mlua::Result<LuaValue> {
        let state = self.proxies.state(id)?;
        if holder == id {
            return self.stand.call((self.view(lua, value)?, state, slot, false));
        }
        let holders: Table = self.proxies.state(holder)?.raw_get("cache")?;
        let view = match holders.raw_get(slot)? {
            LuaValue::Nil => {
                let view = self.view_of_slot(lua, holder, holder, slot, value)?;
                holders.raw_set(slot, &view)?;
                view
            }
            view => view,
        };
        match self.share.call((view, &state, slot))? {
            LuaValue::Nil => self.stand.call((self.view(lua, value)?, state, slot, true)),
            shared => Ok(shared),
        }
    }

    /// Makes an inherited list or map the object's own, before it changes there.
    pub(super) fn own(&self, id: ObjectId, slot: &str) -> mlua::Result<()> {
        self.flush()?;
        let value = self.with(|active| {
            let found = lookup(&active.draft, id, slot)?;
            found.slot.as_value().cloned()
        })?;
        value.map_or(Ok(()), |value| self.store(id, slot, value))
    }
}
