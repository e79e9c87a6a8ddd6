//! `set`, `get`, `remove_slot`, `rename_slot`, `document`.

use super::{ASKED, Call, slot_name};
use crate::language::crossing::Stale;
use crate::language::syntax::SEND;
use crate::object::{
    Change, Fault, FaultKind, MapKey, MethodVersion, Name, Objects, Slot, SlotContent, Value, inherited, lookup,
    lookup_through, nearest,
};

/// Most bytes of a slot's documentation.
const MAX_DOC_BYTES: usize = 4_096;

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
    let (found, asked) = lookup_through(draft, call.receiver, &name);
    call.cost += ASKED * asked.len();
    if let Some(found) = found {
        return match &found.slot.content {
            SlotContent::Value(value) => Ok(value.clone()),
            SlotContent::Method(method) => Ok(Value::Text(method.source.clone())),
        };
    }
    Err(no_slot(call, &name))
}

/// The fault of a slot that the object has neither itself nor from another.
pub(super) fn no_slot(call: &Call<'_, '_>, name: &str) -> Fault {
    let draft = &call.active.draft;
    let own = draft.object(call.receiver).map(|object| object.slots.iter().map(|(name, _)| name.clone()));
    let mut names: Vec<Name> = own.into_iter().flatten().collect();
    names.extend(inherited(draft, call.receiver).into_iter().map(|(name, _)| name));
    let near = nearest(name, names.iter().map(Name::as_str));
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!("{} has no slot `{}`", call.title(), shown.trim_start_matches(SEND));
    Fault::new(FaultKind::BadArgument, message).suggesting(near)
}

/// `remove_slot slot=x`: an own slot, value or method.
pub(super) fn remove_slot(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let name = call.args.text("slot")?;
    let (name, slot) = own_slot(call, &name)?;
    call.put(name, None)?;
    Ok(slot.as_value().cloned().unwrap_or(Value::Nil))
}

/// `rename_slot from=x to=left`: place and documentation stay, and the versions of a method go with it.
pub(super) fn rename_slot(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let from = call.args.text("from")?;
    let to = slot_name(&call.args.text("to")?)?;
    let (from, slot) = own_slot(call, &from)?;
    let (id, title) = (call.receiver, call.title());
    if from == to {
        return Ok(Value::Object(id));
    }
    let draft = &mut call.active.draft;
    let Some(object) = draft.object(id) else { return Err(call.active.gone(id)) };
    if object.slots.get(&to).is_some() {
        let message = format!("{title} has a slot `{to}` already; remove_slot {title} {to} takes it away");
        return Err(Fault::new(FaultKind::BadName, message));
    }
    let place = object.slots.place(&from).unwrap_or(object.slots.len());
    let moved = object.versions.get(&from).cloned().unwrap_or_default();
    // Numbers are never used again: those of a method that was called so before are counted on.
    let taken = object.versions.get(&to).and_then(|versions| versions.last()).map_or(0, |last| last.number);
    let numbered = |version: &MethodVersion| MethodVersion {
        number: version.number.saturating_add(taken),
        follows: if version.follows == 0 { 0 } else { version.follows.saturating_add(taken) },
        ..version.clone()
    };
    let content = match &slot.content {
        SlotContent::Method(method) => SlotContent::Method(Box::new(numbered(method))),
        value => value.clone(),
    };
    let renamed = Slot { content, doc: slot.doc.clone() };
    draft.apply(Change::SetSlot { id, slot: from.clone(), place, before: Some(slot), after: None });
    draft.apply(Change::SetSlot { id, slot: to.clone(), place, before: None, after: Some(renamed) });
    for version in moved.iter().rev() {
        draft.apply(Change::RemoveVersion { id, selector: from.clone(), version: Box::new(version.clone()) });
    }
    for version in &moved {
        draft.apply(Change::AddVersion { id, selector: to.clone(), version: Box::new(numbered(version)) });
    }
    call.stale.extend([from, to].map(|name| (id, Stale::Slot(name.to_string()))));
    Ok(Value::Object(id))
}

/// `document slot=x text="…"`: what an own slot is for; an empty text says nothing.
pub(super) fn document(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let name = call.args.text("slot")?;
    let doc = call.args.text("text")?;
    if doc.len() > MAX_DOC_BYTES {
        let message =
            format!("the documentation of a slot has at most {MAX_DOC_BYTES} bytes, and this has {}", doc.len());
        return Err(Fault::new(FaultKind::Bound, message));
    }
    let (name, slot) = own_slot(call, &name)?;
    call.put(name, Some(Slot { doc, ..slot }))?;
    Ok(Value::Object(call.receiver))
}

/// A slot that the object has itself, or the fault that tells who has it.
fn own_slot(call: &Call<'_, '_>, name: &str) -> Result<(Name, Slot), Fault> {
    let draft = &call.active.draft;
    let own = draft.object(call.receiver).map(|object| object.slots);
    if let Some((name, slot)) = own.and_then(|slots| slots.iter().find(|(own, _)| ***own == *name)) {
        return Ok((name.clone(), slot.clone()));
    }
    let message = match lookup(draft, call.receiver, name) {
        Some(found) => {
            format!("{} has no own slot `{name}`; it has it from {}", call.title(), draft.title(found.holder))
        }
        None => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            format!("{} has no slot `{shown}`", call.title())
        }
    };
    let names = own.into_iter().flat_map(|slots| slots.iter()).map(|(name, _)| name.as_str());
    Err(Fault::new(FaultKind::BadArgument, message).suggesting(nearest(name, names)))
}
