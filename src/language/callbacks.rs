//! The Rust functions that the VM calls: those of the prelude, the root messages, and the few globals.

use super::crossing::{Shared, Stale, id_from, raise};
use super::native::{Args, NATIVES, slot_name, start_timer};
use super::send::{Kind, Resend, not_a_method};
use super::values::{from_lua_charged, no_key, not_utf8};
use crate::object::{Fault, FaultKind, ObjectId, Objects, shortened};
use mlua::{Lua, LuaString, MultiValue, Table, Value as LuaValue, Variadic};
use std::rc::Rc;

fn id(bytes: &LuaString) -> mlua::Result<ObjectId> {
    let damaged = || raise(Fault::new(FaultKind::Internal, "an object's id was damaged inside the VM"));
    id_from(bytes).ok_or_else(damaged)
}

fn bad_argument(message: impl Into<String>) -> mlua::Error {
    raise(Fault::new(FaultKind::BadArgument, message))
}

/// Hands the prelude its callbacks.
pub(super) fn connect(lua: &Lua, cross: &Table, shared: &Rc<Shared>) -> mlua::Result<()> {
    let s = shared.clone();
    let miss = lua.create_function(move |lua, (cache, key): (Table, LuaValue)| match key {
        LuaValue::String(key) => s.miss(lua, s.id_in(&cache)?, &key.to_string_lossy()),
        _ => Ok(LuaValue::Nil),
    })?;
    cross.set("miss", miss)?;

    let s = shared.clone();
    let forget_heirs = lua.create_function(move |_, (heirs, key): (Table, LuaString)| {
        s.fuel.refund_call();
        let LuaValue::Table(caches) = heirs.raw_get(&key)? else { return Ok(()) };
        heirs.raw_set(&key, LuaValue::Nil)?;
        for pair in caches.pairs::<Table, LuaValue>() {
            let (state, _) = pair?;
            let has =
                |what: &str| Ok::<_, mlua::Error>(!state.raw_get::<Table>(what)?.raw_get::<LuaValue>(&key)?.is_nil());
            if !has("dirty")? && !has("owned")? {
                state.raw_get::<Table>("cache")?.raw_set(&key, LuaValue::Nil)?;
            }
        }
        Ok(())
    })?;
    cross.set("forget_heirs", forget_heirs)?;

    let s = shared.clone();
    let write = lua.create_function(move |_, (object, key, value): (LuaString, LuaValue, LuaValue)| match key {
        LuaValue::String(key) => s.write(id(&object)?, &key.to_string_lossy(), &value),
        other => Err(bad_argument(format!("a slot has a name, and this is a {}", other.type_name()))),
    })?;
    cross.set("write", write)?;

    let s = shared.clone();
    let own = lua.create_function(move |_, (object, slot): (LuaString, LuaString)| {
        s.own(id(&object)?, &slot.to_string_lossy())
    })?;
    cross.set("own", own)?;

    let s = shared.clone();
    let adopt = lua.create_function(move |lua, (value, depth): (LuaValue, usize)| {
        let (value, cost) = from_lua_charged(&value, &s.proxies, depth);
        s.fuel.charge(cost);
        s.view(lua, &value.map_err(raise)?)
    })?;
    cross.set("adopt", adopt)?;

    let s = shared.clone();
    let check_name = lua.create_function(move |_, name: LuaString| {
        s.fuel.refund_call();
        slot_name(&name.to_string_lossy()).map(|_| ()).map_err(raise)
    })?;
    cross.set("check_name", check_name)?;

    let s = shared.clone();
    let check_exists = lua.create_function(move |_, object: LuaString| {
        s.fuel.refund_call();
        let id = id(&object)?;
        s.with(|active| active.draft.object(id).map(drop).ok_or_else(|| active.gone(id)))?.map_err(raise)
    })?;
    cross.set("check_exists", check_exists)?;

    let s = shared.clone();
    let shown = lua.create_function(move |_, value: LuaValue| {
        let (value, cost) = from_lua_charged(&value, &s.proxies, 0);
        s.fuel.charge(cost);
        let told = value.ok();
        s.with(|active| {
            told.map_or_else(|| "a function".into(), |of| shortened(&of.text(&active.draft), 40).into_owned())
        })
    })?;
    cross.set("shown", shown)?;

    let s = shared.clone();
    let check_text = lua.create_function(move |_, text: LuaString| {
        s.fuel.refund_call();
        s.check_text(text)
    })?;
    cross.set("check_text", check_text)?;

    let refuse_key = lua.create_function(|_, _: LuaValue| -> mlua::Result<()> { Err(raise(no_key())) })?;
    cross.set("refuse_key", refuse_key)?;

    let s = shared.clone();
    let title = lua.create_function(move |_, object: LuaString| {
        let object = id(&object)?;
        s.with(|active| active.draft.title(object))
    })?;
    cross.set("title", title)?;

    let s = shared.clone();
    let resend =
        lua.create_function(move |lua, (holder, selector, me, args): (LuaString, String, Table, MultiValue)| {
            s.resend(lua, Resend { holder: id(&holder)?, selector, via: None }, me, args)
        })?;
    cross.set("resend", resend)?;

    let s = shared.clone();
    let resend_via = lua.create_function(
        move |lua, (holder, selector, me, parent, args): (LuaString, String, Table, LuaValue, MultiValue)| {
            let parent = match &parent {
                LuaValue::Table(table) => s.proxies.id_of(table),
                LuaValue::String(name) => s.with(|active| active.draft.named(&name.to_string_lossy()))?,
                _ => None,
            };
            let via = parent.ok_or_else(|| bad_argument("resend_via takes a parent: an object or its name"))?;
            s.resend(lua, Resend { holder: id(&holder)?, selector, via: Some(via) }, me, args)
        },
    )?;
    cross.set("resend_via", resend_via)?;

    let s = shared.clone();
    let unanswered =
        lua.create_function(move |lua, (me, selector, args): (LuaValue, String, MultiValue)| match me {
            LuaValue::Table(me) => s.does_not_understand(lua, s.id_in(&me)?, &selector, args, Kind::Send),
            other => {
                Err(bad_argument(format!("a message needs an object to go to, and this is a {}", other.type_name())))
            }
        })?;
    cross.set("does_not_understand", unanswered)?;

    let s = shared.clone();
    let data = lua.create_function(move |_, (me, name): (Table, String)| -> mlua::Result<()> {
        let id = s.id_in(&me)?;
        Err(raise(s.with(|active| not_a_method(&active.draft, id, &name))?))
    })?;
    cross.set("not_a_method", data)
}

/// The root messages as functions.
pub(super) fn connect_natives(lua: &Lua, shared: &Rc<Shared>) -> mlua::Result<()> {
    for spec in NATIVES {
        // Weak: the functions are kept by what they call.
        let s = Rc::downgrade(shared);
        let function = lua.create_function(move |lua, (me, args): (LuaValue, Variadic<LuaValue>)| {
            let Some(s) = s.upgrade() else { return Ok(LuaValue::Nil) };
            let LuaValue::Table(me) = me else {
                return Err(bad_argument(format!("`{}` needs an object to go to: write o:{0}(…)", spec.selector)));
            };
            let id = s.id_in(&me)?;
            let taken = args.iter().map(|arg| {
                let (value, cost) = from_lua_charged(arg, &s.proxies, 0);
                s.fuel.charge(cost);
                value
            });
            let positional = taken.collect::<Result<_, _>>();
            let args = Args { positional: positional.map_err(raise)?, named: Vec::new() };
            s.call_native(lua, id, spec.selector, args)
        })?;
        shared.natives.borrow_mut().insert(spec.selector, function);
    }
    Ok(())
}

/// `world`, `exists`, `now`, `log`, `print`, `math.random`, `math.randomseed`.
pub(super) fn connect_globals(lua: &Lua, shared: &Rc<Shared>) -> mlua::Result<()> {
    let globals = lua.globals();
    let s = shared.clone();
    let named = lua.create_function(move |_, (_, name): (LuaValue, LuaValue)| {
        let LuaValue::String(name) = name else { return Ok(LuaValue::Nil) };
        match s.with(|active| active.draft.named(&name.to_string_lossy()))? {
            Some(id) => Ok(LuaValue::Table(s.proxies.proxy(id)?)),
            None => Ok(LuaValue::Nil),
        }
    })?;
    let refuse = lua.create_function(|_, ()| -> mlua::Result<()> {
        Err(bad_argument("`world` can't be written; objects are made by clone, copy and create_<prototype>"))
    })?;
    let world = lua.create_table()?;
    let meta = lua.create_table()?;
    meta.set("__index", named)?;
    meta.set("__newindex", refuse)?;
    meta.set("__metatable", "world")?;
    world.set_metatable(Some(meta))?;
    globals.set("world", world)?;

    let s = shared.clone();
    let exists = lua.create_function(move |_, value: LuaValue| match &value {
        LuaValue::Table(table) => match s.proxies.id_of(table) {
            Some(id) => s.with(|active| active.draft.object(id).is_some()),
            None => Ok(false),
        },
        _ => Ok(false),
    })?;
    globals.set("exists", exists)?;

    let s = shared.clone();
    globals.set("now", lua.create_function(move |_, ()| s.with(|active| active.issued_at as f64))?)?;

    for name in ["log", "print"] {
        let s = shared.clone();
        let to_text: mlua::Function = globals.get("tostring")?;
        let log = lua.create_function(move |_, values: Variadic<LuaValue>| {
            let mut line = String::new();
            for value in values.iter() {
                let text: LuaString = to_text.call(value)?;
                let text = text.to_str().map_err(|_| raise(not_utf8()))?;
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(&text);
            }
            s.with(|active| active.say(line))?.map_err(|fault| s.doom(fault))
        })?;
        globals.set(name, log)?;
    }

    let s = shared.clone();
    let post = lua.create_function(move |_, (to, selector, args): (LuaValue, LuaValue, Variadic<LuaValue>)| {
        let post = s.post_of(&to, &selector, &args)?;
        s.with(|active| active.post(post))?.map_err(|fault| s.doom(fault))
    })?;
    globals.set("post", post)?;

    for (name, repeats) in [("after", false), ("every", true)] {
        let s = shared.clone();
        let start = lua.create_function(
            move |_, (seconds, to, selector, args): (LuaValue, LuaValue, LuaValue, Variadic<LuaValue>)| {
                let seconds = match seconds {
                    LuaValue::Number(seconds) => seconds,
                    LuaValue::Integer(seconds) => seconds as f64,
                    other => {
                        let told = format!("{name} takes seconds first, and this is a {}", other.type_name());
                        return Err(bad_argument(told));
                    }
                };
                let post = s.post_of(&to, &selector, &args)?;
                let id = s.with(|active| start_timer(active, seconds, repeats, post))?.map_err(raise)?;
                s.forget(id, &Stale::Everything)?;
                s.proxies.proxy(id)
            },
        )?;
        globals.set(name, start)?;
    }

    let math: Table = globals.get("math")?;
    let s = shared.clone();
    let random = lua.create_function(move |_, bounds: Variadic<LuaValue>| {
        let unit = s.with(|active| active.random())?;
        let bound = |place: usize| match &bounds[place] {
            LuaValue::Integer(value) => Ok(*value as f64),
            LuaValue::Number(value) => Ok(*value),
            other => {
                let kind = other.type_name();
                Err(bad_argument(format!("math.random: invalid argument #{} (number expected, got {kind})", place + 1)))
            }
        };
        let (low, high) = match bounds.len() {
            0 => return Ok(unit),
            1 => (1.0, bound(0)?.floor()),
            2 => (bound(0)?.ceil(), bound(1)?.floor()),
            _ => return Err(bad_argument("math.random: wrong number of arguments; it takes two at most")),
        };
        if high >= low && (high - low).is_finite() {
            Ok((low + (unit * (high - low + 1.0)).floor()).min(high))
        } else {
            Err(bad_argument("math.random: the interval is empty, or has no end"))
        }
    })?;
    math.set("random", random)?;
    math.raw_remove("randomseed")
}
