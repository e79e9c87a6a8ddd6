//! Mirrors: what `reflect(o)` answers, for looking at an object without running anything of it.
//!
//! A mirror is an empty, frozen table that Rust answers for. It shows the world as it is at the moment of asking, in copies
//! that nothing else has, and can't be stored. Lists are in the order of identities, then of slots, so that they are
//! the same each time. What looks through the whole world is charged as the root messages are that do.

use super::crossing::{Shared, id_from, raise};
use super::native::{SCAN, Scan, scan_price};
use super::send::id_text;
use super::sends::selectors_sent;
use super::syntax::SEND;
use super::values::to_lua;
use crate::object::{
    Fault, FaultKind, MethodVersion, Name, ObjectId, Objects, Slot, SlotContent, Value, children, lookup_report,
    referrers,
};
use mlua::{Function, Lua, Table, Value as LuaValue};
use std::rc::Rc;

/// Where a mirror's metatable keeps the identity of the object.
pub(super) const MIRRORED: &str = "mirrored";

/// What a mirror answers when it is asked something.
pub const MIRROR_MESSAGES: [&str; 5] = ["implementors", "lookup", "references", "senders", "slot"];

/// A slot and the object that has it.
type Place = (ObjectId, Name);

/// `reflect`.
pub(super) fn connect_mirrors(lua: &Lua, shared: &Rc<Shared>) -> mlua::Result<()> {
    let questions = lua.create_table()?;
    for question in MIRROR_MESSAGES {
        let s = shared.clone();
        let ask = lua.create_function(move |lua, (mirror, about): (LuaValue, LuaValue)| {
            let id = mirrored(&mirror).ok_or_else(|| {
                bad_argument(format!("`{question}` is asked of a mirror, as in: reflect(o):{question}(…)"))
            })?;
            let about = match (&about, question) {
                (LuaValue::String(text), _) => text.to_string_lossy(),
                (_, "references") => String::new(),
                (other, _) => {
                    let kind = kind_of(other);
                    return Err(bad_argument(format!("`{question}` takes the name of a slot, and this is {kind}")));
                }
            };
            s.flush()?;
            s.with(|active| active.draft.object(id).map(drop).ok_or_else(|| active.gone(id)))?.map_err(raise)?;
            s.answer(lua, id, question, &about)
        })?;
        questions.raw_set(question, ask)?;
    }
    let s = shared.clone();
    let look = lua.create_function(move |lua, (mirror, key): (Table, LuaValue)| {
        let (Some(id), LuaValue::String(key)) = (mirrored(&LuaValue::Table(mirror)), &key) else {
            return Ok(LuaValue::Nil);
        };
        let key = key.to_string_lossy();
        let question = key.strip_prefix(SEND).unwrap_or(&key);
        match questions.raw_get::<Option<Function>>(question)? {
            Some(ask) => Ok(LuaValue::Function(ask)),
            None if question != key => {
                let known = MIRROR_MESSAGES.join(", ");
                Err(bad_argument(format!("a mirror does not understand `{question}`; it answers {known}")))
            }
            None => s.show(lua, id, &key),
        }
    })?;
    let refuse = lua.create_function(|_, _: LuaValue| -> mlua::Result<()> {
        Err(bad_argument("a mirror only shows; what changes an object are messages to the object itself"))
    })?;
    let s = shared.clone();
    let reflect = lua.create_function(move |lua, object: LuaValue| {
        let id = match &object {
            LuaValue::Table(table) => s.proxies.id_of(table),
            _ => None,
        };
        let id = id.ok_or_else(|| {
            bad_argument(format!(
                "reflect takes an object, as in reflect(world.proto), and this is {}",
                kind_of(&object)
            ))
        })?;
        let meta = lua.create_table()?;
        meta.raw_set("__index", &look)?;
        meta.raw_set("__newindex", &refuse)?;
        meta.raw_set("__metatable", "mirror")?;
        meta.raw_set(MIRRORED, id_text(id))?;
        let mirror = lua.create_table()?;
        mirror.set_metatable(Some(meta))?;
        mirror.set_readonly(true);
        Ok(mirror)
    })?;
    lua.globals().set("reflect", reflect)
}

fn bad_argument(message: impl Into<String>) -> mlua::Error {
    raise(Fault::new(FaultKind::BadArgument, message))
}

fn kind_of(value: &LuaValue) -> &'static str {
    match value {
        LuaValue::Nil => "nil",
        LuaValue::Boolean(_) => "a boolean",
        LuaValue::Integer(_) | LuaValue::Number(_) => "a number",
        LuaValue::String(_) => "a text",
        LuaValue::Function(_) => "a function",
        value if mirrored(value).is_some() => "a mirror",
        _ => "a table",
    }
}

/// The object that a mirror shows.
fn mirrored(mirror: &LuaValue) -> Option<ObjectId> {
    let LuaValue::Table(mirror) = mirror else { return None };
    id_from(&mirror.metatable()?.raw_get(MIRRORED).ok()?)
}

impl Shared {
    /// A field of a mirror: nil for what there is not.
    fn show(&self, lua: &Lua, id: ObjectId, field: &str) -> mlua::Result<LuaValue> {
        self.flush()?;
        let (value, price) = self
            .with(|active| {
                let price = if field == "children" { scan_price(active, Scan::Objects) } else { 0 };
                let draft = &active.draft;
                let Some(object) = draft.object(id) else { return Err(active.gone(id)) };
                let objects = |ids: &[ObjectId]| Value::List(ids.iter().copied().map(Value::Object).collect());
                let text = |text: &str| Value::Text(text.to_string());
                let value = match field {
                    "id" => text(&id.to_string()),
                    "name" => object.name.map_or(Value::Nil, |name| text(name)),
                    "parents" => objects(object.parents),
                    "children" => objects(&children(draft, id)),
                    "slots" => Value::List(object.slots.iter().map(|(name, _)| text(name)).collect()),
                    _ => Value::Nil,
                };
                Ok((value, price))
            })?
            .map_err(raise)?;
        self.fuel.charge(price);
        self.plain(lua, &value)
    }

    /// What a mirror answers.
    fn answer(&self, lua: &Lua, id: ObjectId, question: &str, about: &str) -> mlua::Result<LuaValue> {
        match question {
            "slot" => {
                let slot = self.with(|active| active.draft.object(id)?.slots.get(about).cloned())?;
                slot.map_or(Ok(LuaValue::Nil), |slot| self.slot(lua, about, &slot).map(LuaValue::Table))
            }
            "lookup" => self.way(lua, id, about),
            "references" => {
                let (found, price) = self.with(|active| {
                    let price = scan_price(active, Scan::Values);
                    (referrers(&active.draft, id), price)
                })?;
                self.fuel.charge(price);
                self.places(lua, found)
            }
            _ => {
                let (found, price) = self.with(|active| {
                    let price = scan_price(active, if question == "senders" { Scan::Methods } else { Scan::Slots });
                    let sends = |method: &MethodVersion| selectors_sent(&method.source).contains(&about);
                    let found = if question == "senders" {
                        methods(&active.draft, |_, method| sends(method))
                    } else {
                        methods(&active.draft, |name, _| **name == *about)
                    };
                    (found, price)
                })?;
                self.fuel.charge(price);
                self.places(lua, found)
            }
        }
    }

    /// `{holder, slot, path, hidden}` of the slot that a lookup finds.
    fn way(&self, lua: &Lua, id: ObjectId, name: &str) -> mlua::Result<LuaValue> {
        let found = self.with(|active| {
            let report = lookup_report(&active.draft, id, name)?;
            let holder = report.holder()?;
            let slot = active.draft.object(holder)?.slots.get(name)?.clone();
            Some((report, holder, slot))
        })?;
        let Some((report, holder, slot)) = found else { return Ok(LuaValue::Nil) };
        self.fuel.charge(SCAN * report.looked_at);
        let way = lua.create_table()?;
        way.raw_set("holder", self.proxies.proxy(holder)?)?;
        way.raw_set("slot", self.slot(lua, name, &slot)?)?;
        let path = report.path.iter().map(|id| self.proxies.proxy(*id)).collect::<mlua::Result<Vec<Table>>>()?;
        way.raw_set("path", lua.create_sequence_from(path)?)?;
        let hidden = lua.create_table()?;
        for beside in &report.hidden {
            let Some(holder) = beside.holder() else { continue };
            let entry = self.place(lua, holder, name)?;
            entry.raw_set("too_late", beside.too_late)?;
            hidden.raw_push(entry)?;
        }
        way.raw_set("hidden", hidden)?;
        Ok(LuaValue::Table(way))
    }

    /// `{name, doc, kind, …}`: of a value `value`, of a method `source`, `params`, `version` and `author`.
    fn slot(&self, lua: &Lua, name: &str, slot: &Slot) -> mlua::Result<Table> {
        let told = lua.create_table()?;
        told.raw_set("name", name)?;
        told.raw_set("doc", slot.doc.as_str())?;
        match &slot.content {
            SlotContent::Value(value) => {
                told.raw_set("kind", "value")?;
                told.raw_set("value", self.plain(lua, value)?)?;
            }
            SlotContent::Method(method) => {
                self.fuel.charge(method.source.len() / 16);
                told.raw_set("kind", "method")?;
                told.raw_set("source", method.source.as_str())?;
                told.raw_set("params", lua.create_sequence_from(method.params.iter().map(Name::as_str))?)?;
                told.raw_set("version", method.number)?;
                told.raw_set("author", method.origin.author.as_str())?;
            }
        }
        Ok(told)
    }

    fn places(&self, lua: &Lua, places: Vec<Place>) -> mlua::Result<LuaValue> {
        self.fuel.charge(8 * places.len());
        let list = lua.create_table_with_capacity(places.len(), 0)?;
        for (holder, name) in places {
            list.raw_push(self.place(lua, holder, &name)?)?;
        }
        Ok(LuaValue::Table(list))
    }

    fn place(&self, lua: &Lua, holder: ObjectId, name: &str) -> mlua::Result<Table> {
        let place = lua.create_table()?;
        place.raw_set("object", self.proxies.proxy(holder)?)?;
        place.raw_set("slot", name)?;
        Ok(place)
    }

    /// A copy of a value in plain tables.
    fn plain(&self, lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
        self.fuel.charge(value.bytes() / 4);
        to_lua(value, lua, &self.proxies)
    }
}

/// Methods of which something holds, by ascending object, then in the object's order.
fn methods(objects: &dyn Objects, holds: impl Fn(&Name, &MethodVersion) -> bool) -> Vec<Place> {
    let mut found = Vec::new();
    for id in objects.ids() {
        let Some(object) = objects.object(id) else { continue };
        let slots =
            object.slots.iter().filter(|(name, slot)| slot.as_method().is_some_and(|method| holds(name, method)));
        found.extend(slots.map(|(name, _)| (id, name.clone())));
    }
    found
}
