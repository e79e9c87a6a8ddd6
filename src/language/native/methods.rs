//! `add_method`, `remove_method`, `undo_method`, `versions`, `reprogram_method`.

use super::{Call, slot_name};
use crate::language::active::Active;
use crate::language::crossing::Stale;
use crate::language::services::Authored;
use crate::object::{
    Change, Draft, Fault, FaultKind, MethodVersion, Name, ObjectId, Objects, Origin, Slot, Value, nearest,
};

/// Puts a method's text into an object, as the newest version of its selector: the atomic swap.
pub(in crate::language) fn accept_method(
    draft: &mut Draft<'_>,
    id: ObjectId,
    selector: Name,
    version: MethodVersion,
) -> MethodVersion {
    let object = draft.object(id);
    let number = object.and_then(|object| object.versions.get(&selector)?.last()).map_or(1, |last| last.number + 1);
    let follows = object.and_then(|object| object.slots.get(&selector)?.as_method()).map_or(0, |now| now.number);
    let version = MethodVersion { number, follows, ..version };
    draft.apply(Change::AddVersion { id, selector: selector.clone(), version: Box::new(version.clone()) });
    let slot = documented(draft, id, &selector, version.clone());
    draft.set_slot(id, selector, Some(slot));
    version
}

/// The slot of a method that takes the place of another: what `document` says of the slot stays.
fn documented(draft: &Draft<'_>, id: ObjectId, selector: &Name, version: MethodVersion) -> Slot {
    let now = draft.object(id).and_then(|object| object.slots.get(selector));
    let own = now.filter(|slot| slot.as_method().is_some_and(|method| method.doc != slot.doc));
    let doc = own.map(|slot| slot.doc.clone());
    let slot = Slot::method(version);
    Slot { doc: doc.unwrap_or_else(|| slot.doc.clone()), ..slot }
}

/// `add_method selector=m source="function(self, dx) … end"`.
pub(super) fn add_method(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let selector = slot_name(&call.args.text("selector")?)?;
    let source = call.args.text("source")?;
    let active = &mut *call.active;
    let judged = active.services.judge(&active.draft, call.receiver, &selector, &source)?;
    let version = MethodVersion {
        number: 0,
        follows: 0,
        params: judged.params,
        source: source.trim().to_string(),
        doc: String::new(),
        origin: Origin {
            author: "person".into(),
            instruction: String::new(),
            contract: Vec::new(),
            verdicts: judged.verdicts,
            sequence: active.sequence,
        },
    };
    let version = accept_method(&mut active.draft, call.receiver, selector.clone(), version);
    for note in judged.notes {
        active.log(format!("note: {note}"))?;
    }
    call.stale.push((call.receiver, Stale::Slot(selector.to_string())));
    Ok(Value::Text(signature(&selector, &version)))
}

/// `reprogram_method instructions="…" [selector=m]`.
pub(super) fn reprogram_method(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let instructions = call.args.text("instructions")?;
    let selector = match call.args.find("selector") {
        None => None,
        Some(_) => Some(slot_name(&call.args.text("selector")?)?),
    };
    let active = &mut *call.active;
    let authored = active.services.author(&active.draft, call.receiver, &instructions, selector.as_ref())?;
    let (selector, version, told) = accept_authored(active, call.receiver, instructions, authored);
    call.stale.push((call.receiver, Stale::Slot(selector.to_string())));
    call.active.log(format!("Understood: {told}"))?;
    Ok(Value::Text(signature(&selector, &version)))
}

/// Puts what was written from plain words into an object. Answers also how the words were understood.
pub(in crate::language) fn accept_authored(
    active: &mut Active<'_>,
    id: ObjectId,
    instruction: String,
    authored: Authored,
) -> (Name, MethodVersion, String) {
    let Authored { author, selector, params, source, doc, paraphrase, contract, verdicts } = authored;
    let told = format!("{paraphrase} {} gates passed.", verdicts.len());
    let version = MethodVersion {
        number: 0,
        follows: 0,
        params,
        source,
        doc,
        origin: Origin { author, instruction, contract, verdicts, sequence: active.sequence },
    };
    let version = accept_method(&mut active.draft, id, selector.clone(), version);
    (selector, version, told)
}

/// `remove_method selector=m`.
pub(super) fn remove_method(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let selector = own_method(call)?;
    call.put(selector, None)?;
    Ok(Value::Nil)
}

/// `undo_method selector=m`: the version that the present one took the place of.
pub(super) fn undo_method(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let (selector, versions) = history(call)?;
    let now = call
        .active
        .draft
        .object(call.receiver)
        .and_then(|object| object.slots.get(&selector))
        .map(|slot| slot.as_method().map(|method| method.follows));
    let earlier = match now {
        // The method was removed: the newest text comes back.
        None => versions.last(),
        Some(Some(0)) => None,
        Some(Some(follows)) => versions.iter().find(|version| version.number == follows),
        Some(None) => {
            let message = format!("{selector} of {} holds a value now, not a method", call.title());
            return Err(Fault::new(FaultKind::BadArgument, message));
        }
    };
    let answer = match earlier {
        Some(version) => format!("{} is version {} again", signature(&selector, version), version.number),
        None => format!("{selector} is gone: there was no method before the first version"),
    };
    let slot = earlier.cloned().map(|version| documented(&call.active.draft, call.receiver, &selector, version));
    call.put(selector, slot)?;
    Ok(Value::Text(answer))
}

/// `versions selector=m`: one line each, the present one marked.
pub(super) fn versions(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let (selector, versions) = history(call)?;
    let now = call
        .active
        .draft
        .object(call.receiver)
        .and_then(|object| object.slots.get(&selector)?.as_method())
        .map(|method| method.number);
    let line = |version: &MethodVersion| {
        let mark = if now == Some(version.number) { "now" } else { "   " };
        let why = match version.origin.instruction.as_str() {
            "" => String::new(),
            instruction => format!(": {instruction}"),
        };
        let (number, by) = (version.number, &version.origin.author);
        let origin = format!("message {}", version.origin.sequence);
        Value::Text(format!("{mark} {number}  {}  by {by}, {origin}{why}", signature(&selector, version)))
    };
    Ok(Value::List(versions.iter().map(line).collect()))
}

fn history(call: &Call<'_, '_>) -> Result<(Name, Vec<MethodVersion>), Fault> {
    let text = call.args.text("selector")?;
    let object = call.active.draft.object(call.receiver);
    let found = object.and_then(|object| object.versions.get_key_value(text.as_str()));
    match found {
        Some((selector, versions)) => Ok((selector.clone(), versions.clone())),
        None => {
            let names = object.into_iter().flat_map(|object| object.versions.keys().map(Name::as_str));
            let shown: String = text.chars().take(64).collect();
            let message = format!("{} has no versions of a method `{shown}` of its own", call.title());
            Err(Fault::new(FaultKind::BadArgument, message).suggesting(nearest(&text, names)))
        }
    }
}

fn own_method(call: &Call<'_, '_>) -> Result<Name, Fault> {
    let text = call.args.text("selector")?;
    let object = call.active.draft.object(call.receiver);
    let methods =
        || object.into_iter().flat_map(|object| object.slots.iter()).filter(|(_, slot)| slot.as_method().is_some());
    match methods().find(|(name, _)| ***name == *text) {
        Some((name, _)) => Ok(name.clone()),
        None => {
            let shown: String = text.chars().take(64).collect();
            let message = format!("{} has no own method `{shown}`", call.title());
            let near = nearest(&text, methods().map(|(name, _)| name.as_str()));
            Err(Fault::new(FaultKind::BadArgument, message).suggesting(near))
        }
    }
}

/// `move_by(dx, dy)`.
fn signature(selector: &Name, version: &MethodVersion) -> String {
    let params: Vec<&str> = version.params.iter().map(Name::as_str).collect();
    format!("{selector}({})", params.join(", "))
}
