//! What a proxy's cache lacks: lookup along the delegation, root messages, `resend`, unanswered sends.

use super::crossing::{Shared, raise};
use super::fault::fault_of;
use super::native::{self, Args, Call};
use super::syntax::{SEND, parse_method};
use super::values::to_lua;
use super::vm::compiler;
use crate::object::{
    Fault, FaultKind, MethodVersion, Name, ObjectId, Objects, SlotContent, Value, lookup, lookup_in_parents,
    lookup_through, nearest,
};
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, MultiValue, Table, Value as LuaValue};
use std::rc::Rc;

/// The selector that an unanswered send becomes.
pub(super) const HANDLER: &str = "does_not_understand";
/// The message that makes an object.
const CLONE: &str = "clone";
/// What a new object is sent.
const INIT: &str = "init";
/// What a fault of a handler says about the message it was answering.
const HANDLER_ANSWERED: &str = "was answering";

/// Where a resend comes from and, where it is directed, goes to.
pub(super) struct Resend {
    pub(super) holder: ObjectId,
    pub(super) selector: String,
    pub(super) via: Option<ObjectId>,
}

/// How a message came to be unanswered.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Send,
    Resend { holder: ObjectId },
    ResendVia { holder: ObjectId, parent: ObjectId },
}

/// How many objects a lookup asked, and whether the caches keep what it found.
struct Asked {
    objects: usize,
    keeps: bool,
}

/// What a lookup finds, copied out of the draft.
enum Answer {
    Gone(Fault),
    /// With its holder.
    Value(ObjectId, Value),
    Method(ObjectId, String),
    Nothing,
}

impl Shared {
    /// Answers what the cache of `id` lacks, and puts it there where it will hold.
    pub(super) fn miss(&self, lua: &Lua, id: ObjectId, key: &str) -> mlua::Result<LuaValue> {
        self.flush()?;
        let mut asked = Asked { objects: 0, keeps: false };
        let found = self.fuel.unmetered(|| self.find(lua, id, key, &mut asked));
        match asked.keeps {
            true => self.note_filled(asked.objects),
            false => self.charge_miss(asked.objects),
        }
        found
    }

    fn find(&self, lua: &Lua, id: ObjectId, key: &str, told: &mut Asked) -> mlua::Result<LuaValue> {
        let (send, name) = match key.strip_prefix(SEND) {
            Some(selector) => (true, selector),
            None => (false, key),
        };
        if send && native::is_reserved(name) {
            return Ok(self.native(name));
        }
        let (answer, asked) = self.with(|active| {
            if active.draft.object(id).is_none() {
                return (Answer::Gone(active.gone(id)), Vec::new());
            }
            let (found, asked) = lookup_through(&active.draft, id, name);
            let answer = match found {
                Some(found) => match &found.slot.content {
                    SlotContent::Value(value) => Answer::Value(found.holder, value.clone()),
                    SlotContent::Method(method) => Answer::Method(found.holder, method.source.clone()),
                },
                None => Answer::Nothing,
            };
            told.objects = asked.len();
            (answer, asked.into_iter().filter(|other| *other != id).collect())
        })?;
        let value = match answer {
            Answer::Gone(fault) if send => return Err(raise(fault)),
            Answer::Nothing if send => match native::native_spec(name) {
                Some(_) => return Ok(self.native(name)),
                None => {
                    // `send` takes any text.
                    Name::new(name).map_err(|error| raise(Fault::new(FaultKind::BadName, error.to_string())))?;
                    return self.unanswered.call(name);
                }
            },
            Answer::Gone(_) | Answer::Nothing => return Ok(LuaValue::Nil),
            Answer::Value(..) if send => self.accessor.call(name)?,
            Answer::Value(_, Value::Nil) => return Ok(LuaValue::Nil),
            Answer::Value(holder, value @ (Value::List(_) | Value::Map(_))) => {
                self.view_of_slot(lua, id, holder, name, &value)?
            }
            Answer::Value(_, value) => to_lua(&value, lua, &self.proxies)?,
            Answer::Method(holder, source) => LuaValue::Function((*self.compile(lua, holder, name, &source)?).clone()),
        };
        told.keeps = true;
        self.remember(lua, id, key, &value, asked)?;
        Ok(value)
    }

    fn native(&self, selector: &str) -> LuaValue {
        self.natives.borrow().get(selector).map_or(LuaValue::Nil, |function| LuaValue::Function(function.clone()))
    }

    /// The function of a method's text; `holder` and `selector` name it in traces and for `resend`.
    pub(super) fn compile(
        &self,
        lua: &Lua,
        holder: ObjectId,
        selector: &str,
        source: &str,
    ) -> mlua::Result<Rc<Function>> {
        let bad = |message: String| raise(Fault::new(FaultKind::BadMethod, message));
        let name = Name::new(selector).map_err(|error| bad(error.to_string()))?;
        let keeper = self.proxies.handle(holder)?;
        let (known, called, title) = self.with(|active| {
            let called = active.draft.object(holder).and_then(|object| object.name);
            let known = keeper.compiled(selector, source, called);
            (known, called.cloned(), active.draft.title(holder))
        })?;
        if let Some(function) = known {
            return Ok(function);
        }
        let syntax = parse_method(source).map_err(|fault| bad(format!("{title}.{selector}, {fault}")))?;
        if let Some(fault) = syntax.unknown_global() {
            return Err(raise(fault));
        }
        let code = syntax.chunk();
        let chunk =
            lua.load(code).set_compiler(compiler()).set_name(format!("={title}.{selector}")).set_mode(ChunkMode::Text);
        let bound: MultiValue =
            self.fuel.unmetered(|| self.bind.call((id_text(holder), selector, native::takes(&syntax.params))))?;
        let function: Rc<Function> = Rc::new(self.fuel.unmetered(|| chunk.into_function()?.call(bound))?);
        keeper.keep(name, source, called, function.clone());
        Ok(function)
    }

    /// Finds the method that a resend continues with, and calls it with the same `self`.
    pub(super) fn resend(&self, lua: &Lua, from: Resend, me: Table, args: MultiValue) -> mlua::Result<MultiValue> {
        self.flush()?;
        let id = self.id_in(&me)?;
        let (holder, selector) = (from.holder, from.selector.as_str());
        let mut asked = 0;
        let found = self.with(|active| {
            let (found, many) = match from.via {
                None => lookup_in_parents(&active.draft, holder, selector),
                Some(parent) => {
                    let parents = active.draft.object(holder).map(|object| object.parents).unwrap_or_default();
                    if !parents.contains(&parent) {
                        let (holder, parent) = (active.draft.title(holder), active.draft.title(parent));
                        let message = format!("resend_via goes to a parent of {holder}, and {parent} is none");
                        return Err(Fault::new(FaultKind::BadArgument, message));
                    }
                    let (found, seen) = lookup_through(&active.draft, parent, selector);
                    (found, seen.len())
                }
            };
            asked = many;
            Ok(match found {
                Some(found) => match &found.slot.content {
                    SlotContent::Method(method) => Answer::Method(found.holder, method.source.clone()),
                    SlotContent::Value(value) => Answer::Value(found.holder, value.clone()),
                },
                None => Answer::Nothing,
            })
        })?;
        self.charge_path(asked);
        match found.map_err(raise)? {
            Answer::Method(holder, source) => {
                let function = self.compile(lua, holder, selector, &source)?;
                let mut all = args;
                all.push_front(LuaValue::Table(me));
                function.call(all)
            }
            Answer::Value(holder, _) if !args.is_empty() => {
                Err(raise(self.with(|active| not_a_method(&active.draft, holder, selector))?))
            }
            Answer::Value(_, value) => to_lua(&value, lua, &self.proxies).map(|value| MultiValue::from_iter([value])),
            Answer::Gone(_) | Answer::Nothing => match self.native(selector) {
                LuaValue::Function(function) => {
                    let mut all = args;
                    all.push_front(LuaValue::Table(me));
                    function.call(all)
                }
                _ => {
                    let kind = match from.via {
                        None => Kind::Resend { holder },
                        Some(parent) => Kind::ResendVia { holder, parent },
                    };
                    self.does_not_understand(lua, id, selector, args, kind)
                }
            },
        }
    }

    /// An unanswered send: the object's own `does_not_understand`, or the root's answer.
    pub(super) fn does_not_understand(
        &self,
        lua: &Lua,
        id: ObjectId,
        selector: &str,
        args: MultiValue,
        kind: Kind,
    ) -> mlua::Result<MultiValue> {
        self.flush()?;
        let names = vec![None; args.len()];
        if matches!(kind, Kind::Send) && self.write_unanswered(id, selector, &names)? {
            let written = self.with(|active| {
                let found = lookup(&active.draft, id, selector)?;
                Some((found.holder, found.slot.as_method()?.source.clone()))
            })?;
            if let Some((holder, source)) = written {
                let function = self.compile(lua, holder, selector, &source)?;
                let mut all = args;
                all.push_front(LuaValue::Table(self.proxies.proxy(id)?));
                return function.call(all);
            }
        }
        let handler = self.with(|active| {
            let answering = active.unanswered.iter().find(|(object, _)| *object == id);
            if let Some((_, first)) = answering {
                // A handler that resends leaves the message to the root's.
                if selector == HANDLER {
                    return Err(not_understood(&active.draft, id, first, Kind::Send));
                }
                let title = active.draft.title(id);
                let message = format!(
                    "{title} does not understand `{selector}`, sent while its {HANDLER} was answering `{first}`"
                );
                return Err(Fault::new(FaultKind::DoesNotUnderstand, message));
            }
            let method = lookup(&active.draft, id, HANDLER)
                .and_then(|found| Some((found.holder, found.slot.as_method()?.clone())));
            match method {
                Some(method) => {
                    active.unanswered.push((id, selector.to_string()));
                    Ok(method)
                }
                None => Err(not_understood(&active.draft, id, selector, kind)),
            }
        })?;
        let (holder, method) = handler.map_err(raise)?;
        let answer = self.handle_unanswered(lua, id, selector, args, kind, (holder, &method));
        let title = self.with(|active| {
            active.unanswered.pop();
            active.draft.title(id)
        })?;
        answer.map_err(|error| {
            let mut fault = fault_of(&error);
            if fault.kind == FaultKind::Error && !fault.message.contains(HANDLER_ANSWERED) && self.fuel.left() >= 0 {
                fault.message = format!("{}, while {title}'s {HANDLER} {HANDLER_ANSWERED} `{selector}`", fault.message);
                return raise(fault);
            }
            error
        })
    }

    /// A handler takes of selector, arguments and circumstances what it has parameters for.
    fn handle_unanswered(
        &self,
        lua: &Lua,
        id: ObjectId,
        selector: &str,
        args: MultiValue,
        kind: Kind,
        (holder, method): (ObjectId, &MethodVersion),
    ) -> mlua::Result<MultiValue> {
        let function = self.compile(lua, holder, HANDLER, &method.source)?;
        let info = lua.create_table()?;
        let (word, from) = match kind {
            Kind::Send => ("send", None),
            Kind::Resend { holder } => ("resend", Some(holder)),
            Kind::ResendVia { holder, .. } => ("resend_via", Some(holder)),
        };
        info.raw_set("kind", word)?;
        if let Some(from) = from {
            info.raw_set("holder", self.proxies.proxy(from)?)?;
        }
        let mut all = vec![
            LuaValue::Table(self.proxies.proxy(id)?),
            LuaValue::String(lua.create_string(selector)?),
            LuaValue::Table(lua.create_sequence_from(args)?),
            LuaValue::Table(info),
        ];
        if !method.is_variadic() {
            all.truncate(1 + method.params.len());
        }
        function.call(MultiValue::from_iter(all))
    }

    /// Runs a root message.
    pub(super) fn call_native(&self, lua: &Lua, id: ObjectId, selector: &str, args: Args) -> mlua::Result<LuaValue> {
        #[cfg(test)]
        super::tests::strike();
        self.flush()?;
        let Some(spec) = native::native_spec(selector) else { return Ok(LuaValue::Nil) };
        let args = self.with(|active| match active.draft.object(id) {
            None => Err(active.gone(id)),
            Some(object) => args.bind(&object.title(), spec),
        })?;
        let args = args.map_err(raise)?;
        self.fuel.charge(spec.price);
        if selector == "evaluate" {
            return self.evaluate(lua, id, &args);
        }
        let (result, stale, cost) = self.with(|active| {
            let mut call = Call { active, receiver: id, args, stale: Vec::new(), cost: 0 };
            let result = (spec.run)(&mut call);
            let Call { stale, cost, .. } = call;
            (active.check_bounds().map(|()| result), stale, cost)
        })?;
        self.fuel.charge(cost);
        for (id, what) in stale {
            self.forget(id, &what)?;
        }
        let result = result.map_err(|fault| self.doom(fault))?.map_err(raise)?;
        if let (CLONE, Value::Object(new)) = (selector, &result) {
            self.initialise(lua, *new)?;
        }
        to_lua(&result, lua, &self.proxies)
    }

    /// Sends `init` to a new object, where a method answers it.
    pub(super) fn initialise(&self, lua: &Lua, id: ObjectId) -> mlua::Result<()> {
        let found = self.with(|active| {
            let found = lookup(&active.draft, id, INIT)?;
            Some((found.holder, found.slot.as_method()?.source.clone()))
        })?;
        let Some((holder, source)) = found else { return Ok(()) };
        let function = self.compile(lua, holder, INIT, &source)?;
        function.call(self.proxies.proxy(id)?)
    }

    /// Runs a text that is an expression, or else statements.
    fn evaluate(&self, lua: &Lua, id: ObjectId, args: &Args) -> mlua::Result<LuaValue> {
        let source = args.text("source").map_err(raise)?;
        let expression = format!("function(self) return {source}\nend");
        let statements = format!("function(self) {source}\nend");
        // Where a text is neither, its first line says which of the two was meant.
        let meant = match parse_method(&expression) {
            Err(_) if source.contains('\n') || source.contains('=') || parse_method(&statements).is_ok() => statements,
            _ => expression,
        };
        let function = self.compile(lua, id, "evaluate", &meant)?;
        let receiver = self.proxies.handle(id)?;
        receiver.drop_compiled("evaluate");
        function.call(&receiver.proxy)
    }
}

/// An id as the VM keeps it.
pub(super) fn id_text(id: ObjectId) -> mlua::BString {
    mlua::BString::from(id.0.as_bytes().to_vec())
}

/// The root's answer to a message that nothing answers.
fn not_understood(objects: &dyn Objects, id: ObjectId, selector: &str, kind: Kind) -> Fault {
    let told = match kind {
        Kind::Send => None,
        Kind::Resend { holder } => {
            let holder = objects.title(holder);
            Some(format!("{holder}.{selector} resends it, and nothing that {holder} delegates to answers it"))
        }
        Kind::ResendVia { holder, parent } => {
            let (holder, parent) = (objects.title(holder), objects.title(parent));
            Some(format!("{holder}.{selector} resends it to {parent}, which does not answer it"))
        }
    };
    if let Some(told) = told {
        let message = format!("{} does not understand `{selector}`: {told}", objects.title(id));
        return Fault::new(FaultKind::DoesNotUnderstand, message);
    }
    let mut fault = unknown_selector(objects, id, selector);
    let title = objects.title(id);
    let next = format!("reprogram_method {title} instructions=\"…\" selector={selector}");
    fault.message = format!("{}. To have it written: {next}", fault.message);
    fault
}

/// That an object does not understand a selector, with the nearest that it does.
pub(super) fn unknown_selector(objects: &dyn Objects, id: ObjectId, selector: &str) -> Fault {
    let known = native::selectors_of(objects, Some(id));
    let suggestions = nearest(selector, known.iter().map(String::as_str));
    let near = match suggestions.as_slice() {
        [] => String::new(),
        names => format!("; nearest: {}", names.join(", ")),
    };
    let message = format!("{} does not understand `{selector}`{near}", objects.title(id));
    Fault::new(FaultKind::DoesNotUnderstand, message).suggesting(suggestions)
}

/// The fault of a data slot that was sent arguments.
pub(super) fn not_a_method(objects: &dyn Objects, id: ObjectId, name: &str) -> Fault {
    let title = objects.title(id);
    let value = lookup(objects, id, name).and_then(|found| found.slot.as_value());
    let kind = value.map_or("nothing", Value::kind);
    let message = format!("{name} of {title} holds {kind}, not a method; to change it: set {title} {name}=…");
    Fault::new(FaultKind::BadArgument, message)
}
