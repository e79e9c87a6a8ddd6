//! `set`, `get`, `remove_slot`.

use super::{Call, slot_name};
use crate::language::crossing::Stale;
use crate::language::syntax::SEND;
use crate::object::{Fault, FaultKind, MapKey, Name, Objects, Slot, SlotContent, Value, inherited, lookup, nearest};

/// `set x=5 y=6`; from code also `set("x", 5)` or `set({ x = 5 })`.
pub(super) fn set(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let mut slots: Vec<(String, Value)> = Vec::new();
    match call.args.positional.as_slice() {
        [] => {}
        [Value::Map(entries)] => {
            for (key, value) in entries.iter() {
                let MapKey::Text(name) = key else { return Err(shape()) };
                slots.push((name.clone(), value.clone()));
            }
        }
        pairs if pairs.len().is_multiple_of(2) => {
            for pair in pairs.chunks_exact(2) {
                let Value::Text(name) = &pair[0] else { return Err(shape()) };
                slots.push((name.clone(), pair[1].clone()));
            }
        }
        _ => return Err(shape()),
    }
    slots.extend(call.args.named.iter().map(|(name, value)| (name.to_string(), value.clone())));
    if slots.is_empty() {
        return Err(shape());
    }
    let receiver = call.receiver;
    for (name, value) in slots {
        let name = slot_name(&name)?;
        call.stale.push((receiver, Stale::Slot(name.to_string())));
        call.active.put_value(receiver, name, value)?;
    }
    Ok(Value::Object(receiver))
}

fn shape() -> Fault {
    Fault::new(FaultKind::BadArgument, "set takes slots and their values, as in: set point x=5 y=6")
}

/// `get slot=x`: the value, own or inherited.
pub(super) fn get(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let name = call.args.text("slot")?;
    let draft = &call.active.draft;
    if let Some(found) = lookup(draft, call.receiver, &name) {
        return match &found.slot.content {
            SlotContent::Value(value) => Ok(value.clone()),
            SlotContent::Method(method) => Ok(Value::Text(method.source.clone())),
        };
    }
    let own = draft.object(call.receiver).map(|object| object.slots.iter().map(|(name, _)| name.clone()));
    let mut names: Vec<Name> = own.into_iter().flatten().collect();
    names.extend(inherited(draft, call.receiver).into_iter().map(|(name, _)| name));
    let near = nearest(&name, names.iter().map(Name::as_str));
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!("{} has no slot `{}`", call.title(), shown.trim_start_matches(SEND));
    Err(Fault::new(FaultKind::BadArgument, message).suggesting(near))
}

/// `remove_slot slot=x`: an own slot, value or method.
pub(super) fn remove_slot(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let name = call.args.text("slot")?;
    let draft = &call.active.draft;
    let own: Option<(Name, Slot)> = draft
        .object(call.receiver)
        .and_then(|object| object.slots.iter().find(|(own, _)| ***own == *name))
        .map(|(name, slot)| (name.clone(), slot.clone()));
    let Some((name, slot)) = own else {
        let message = match lookup(draft, call.receiver, &name) {
            Some(found) => {
                format!("{} has no own slot `{name}`; it has it from {}", call.title(), draft.title(found.holder))
            }
            None => format!("{} has no slot `{name}`", call.title()),
        };
        let names = draft.object(call.receiver).map(|object| object.slots.iter().map(|(name, _)| name.as_str()));
        return Err(Fault::new(FaultKind::BadArgument, message).suggesting(nearest(&name, names.into_iter().flatten())));
    };
    call.put(name, None)?;
    Ok(slot.as_value().cloned().unwrap_or(Value::Nil))
}
