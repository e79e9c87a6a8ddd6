//! How a message from outside meets its object: the receiver and the arguments as the line names them, the method, the answer.

use super::active::Active;
use super::crossing::{Handle, raise};
use super::native::{self, Args};
use super::send::{Kind, not_a_method};
use super::values::{from_lua, scalar};
use super::vm::Vm;
use crate::object::{
    Envelope, Fault, FaultKind, Found, MethodVersion, Name, ObjectId, ObjectRef, Objects, SlotContent, Target,
    Tombstone, Value, dangling, digits_of, lookup,
};
use mlua::{Function, MultiValue, Value as LuaValue};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

impl Vm {
    /// Delivers a message in the turn that runs.
    pub(super) fn deliver(&self, active: &RefCell<Active<'_>>, envelope: &Envelope) -> mlua::Result<Value> {
        if let Some(reversal) = envelope.reversal() {
            return self.reverse(active, reversal);
        }
        let selector = envelope.selector.as_str();
        let mut args = Args::default();
        let id = {
            let mut active = active.borrow_mut();
            resolve(envelope, &active.draft, &mut args).map_err(raise)?;
            let id = match &envelope.target {
                Target::Id(id) => *id,
                Target::Name(name) => match (active.draft.meant(name), selector.strip_prefix("create_")) {
                    (Some(id), Some(prototype))
                        if !prototype.is_empty()
                            && lookup(&active.draft, id, selector).is_none()
                            && lookup(&active.draft, id, "does_not_understand").is_none() =>
                    {
                        let message = format!("an object is called `{}` already", active.draft.title(id));
                        return Err(raise(Fault::new(FaultKind::BadName, message)));
                    }
                    (Some(id), _) => id,
                    (None, Some(prototype)) if !prototype.is_empty() => {
                        let id = native::create(&mut active, prototype, name, args).map_err(raise)?;
                        drop(active);
                        self.shared.initialise(&self.lua, id)?;
                        return Ok(Value::Object(id));
                    }
                    (None, _) => return Err(raise(native::unknown_object(&active.draft, name))),
                },
            };
            active.receiver = Some(id);
            id
        };
        let answer = self.send(active, id, selector, args)?;
        match scalar(&answer) {
            Some(value) => Ok(value),
            None => from_lua(&answer, &self.shared.proxies).map_err(raise),
        }
    }

    fn send(&self, active: &RefCell<Active<'_>>, id: ObjectId, selector: &str, args: Args) -> mlua::Result<LuaValue> {
        if native::is_reserved(selector) {
            return self.shared.call_native(&self.lua, id, selector, args);
        }
        enum Answer {
            /// With its arguments in order, its function where it was called before, and its holder where the VM has met it.
            Method(ObjectId, Vec<Value>, Result<Rc<Function>, String>, Option<Rc<Handle>>),
            Value(Value),
            Nothing(Args),
        }
        let found = {
            let active = active.borrow();
            match lookup(&active.draft, id, selector).map(|found| (found, &found.slot.content)) {
                Some((Found { holder, holder_name, .. }, SlotContent::Method(method))) => {
                    let title = || active.draft.title(id);
                    let values = match args.is_empty() {
                        true => Vec::new(),
                        false => in_order(title, selector, method, args).map_err(raise)?,
                    };
                    let keeper = self.shared.proxies.known(holder);
                    let function = keeper.as_ref().and_then(|of| of.compiled(selector, &method.source, holder_name));
                    Answer::Method(holder, values, function.ok_or_else(|| method.source.clone()), keeper)
                }
                Some((_, SlotContent::Value(_))) if !args.is_empty() => {
                    return Err(raise(not_a_method(&active.draft, id, selector)));
                }
                Some((_, SlotContent::Value(value))) => Answer::Value(value.clone()),
                None if active.draft.object(id).is_none() => return Err(raise(active.gone(id))),
                None => Answer::Nothing(args),
            }
        };
        match found {
            Answer::Value(value) => self.to_lua(&value),
            Answer::Method(holder, values, function, keeper) => {
                let function = match function {
                    Ok(function) => function,
                    Err(source) => self.shared.compile(&self.lua, holder, selector, &source)?,
                };
                let receiver = match keeper.filter(|_| holder == id) {
                    Some(keeper) => keeper,
                    None => self.shared.proxies.handle(id)?,
                };
                if values.is_empty() {
                    return function.call(&receiver.proxy);
                }
                let mut all = MultiValue::with_capacity(values.len() + 1);
                for value in values.iter().rev() {
                    all.push_front(self.to_lua(value)?);
                }
                all.push_front(LuaValue::Table(receiver.proxy.clone()));
                function.call(all)
            }
            Answer::Nothing(args) if native::native_spec(selector).is_some() => {
                self.shared.call_native(&self.lua, id, selector, args)
            }
            Answer::Nothing(args) => {
                let by_place = args.positional.iter().map(|_| None);
                let names: Vec<Option<Name>> =
                    by_place.chain(args.named.iter().map(|(name, _)| Some(name.clone()))).collect();
                if self.shared.write_unanswered(id, selector, &names)? {
                    return self.send(active, id, selector, args);
                }
                if let Some((name, _)) = args.named.first()
                    && lookup(&active.borrow().draft, id, "does_not_understand").is_some()
                {
                    let message =
                        format!("nothing says what `{name}` is: does_not_understand takes arguments by place");
                    return Err(raise(Fault::new(FaultKind::BadArgument, message)));
                }
                let positional = args.positional.iter().map(|value| self.to_lua(value));
                let positional = positional.collect::<mlua::Result<MultiValue>>()?;
                let answer = self.shared.does_not_understand(&self.lua, id, selector, positional, Kind::Send)?;
                Ok(answer.into_iter().next().unwrap_or(LuaValue::Nil))
            }
        }
    }
}

/// The arguments of a message, with the objects that they name.
fn resolve(envelope: &Envelope, world: &dyn Objects, args: &mut Args) -> Result<(), Fault> {
    let selector = envelope.selector.as_str();
    for (index, argument) in envelope.args.iter().enumerate() {
        if let Some(name) = &argument.name
            && envelope.args[..index].iter().any(|earlier| earlier.name.as_ref() == Some(name))
        {
            return Err(Fault::new(FaultKind::BadArgument, format!("{selector} got `{name}` twice")));
        }
        let value = argument.value.resolve(world).or_else(|name| match selector {
            "remove_parent" | "replace_references" => argument.value.resolve(&AlsoDeleted(world)),
            _ => Err(name),
        });
        let value = value.map_err(|name| native::unknown_object(world, &name))?;
        match &argument.name {
            Some(name) => args.named.push((name.clone(), value)),
            None => args.positional.push(value),
        }
    }
    Ok(())
}

/// A world in which the digits of a deleted object are known as long as something refers to it.
struct AlsoDeleted<'a>(&'a dyn Objects);

impl Objects for AlsoDeleted<'_> {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        self.0.object(id)
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        self.0.named(name)
    }

    fn ids(&self) -> Vec<ObjectId> {
        self.0.ids()
    }

    fn tombstone(&self, id: ObjectId) -> Option<&Tombstone> {
        self.0.tombstone(id)
    }

    fn tombstones(&self) -> BTreeMap<ObjectId, &Tombstone> {
        self.0.tombstones()
    }

    fn meant(&self, text: &str) -> Option<ObjectId> {
        self.0.meant(text).or_else(|| dangling(self.0, &digits_of(text)?))
    }
}

/// Arguments in the order of the method's parameters; a missing one is nil.
fn in_order(
    title: impl FnOnce() -> String,
    selector: &str,
    method: &MethodVersion,
    args: Args,
) -> Result<Vec<Value>, Fault> {
    if args.positional.len() > method.params.len() && !method.is_variadic() {
        return Err(native::too_many(&title(), selector, &method.params, args.positional.len()));
    }
    let mut values = args.positional;
    for (name, value) in args.named {
        let Some(place) = method.params.iter().position(|param| *param == name) else {
            return Err(native::unknown_parameter(selector, &name, &method.params));
        };
        if place < values.len() && values[place] != Value::Nil {
            let message = format!("{selector} got `{name}` twice");
            return Err(Fault::new(FaultKind::BadArgument, message));
        }
        if values.len() <= place {
            values.resize(place + 1, Value::Nil);
        }
        values[place] = value;
    }
    Ok(values)
}
