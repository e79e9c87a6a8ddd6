//! `find_orphans`, `replace_references`, and what a deletion tells about references that stay.

use super::{Call, Scan};
use crate::language::crossing::Stale;
use crate::language::object_file::is_built_in;
use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, Value, reachable, referrers};

/// Referring slots that are named before the rest is counted.
const SHOWN: usize = 5;

/// `find_orphans`: objects without a name that nothing with a name leads to.
pub(super) fn find_orphans(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    call.account(Scan::Values);
    let draft = &call.active.draft;
    let ids = draft.ids();
    let is_kept = |id: &ObjectId| is_built_in(*id) || draft.object(*id).is_some_and(|object| object.name.is_some());
    let reached = reachable(draft, ids.iter().copied().filter(is_kept));
    Ok(Value::List(ids.into_iter().filter(|id| !reached.contains(id)).map(Value::Object).collect()))
}

/// `replace_references from=@a to=@b`: every slot of the world that refers to the one refers to the other.
pub(super) fn replace_references(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let from = call.object_or_its_rest("from")?;
    let to = call.object("to")?;
    call.account(Scan::Values);
    let draft = &call.active.draft;
    let mut changes = Vec::new();
    for (id, name) in referrers(draft, from) {
        let value = draft.object(id).and_then(|object| object.slots.get(&name)?.as_value());
        let Some(value) = value else { continue };
        let Some(value) = value.with_replaced(from, to) else {
            let (from, to, title) = (draft.title(from), draft.title(to), draft.title(id));
            let message =
                format!("a map in {title}.{name} has both {from} and {to} as keys: take one of them out first");
            return Err(Fault::new(FaultKind::Refused, message));
        };
        changes.push((id, name, value));
    }
    if from == to {
        changes.clear();
    }
    let count = changes.len();
    for (id, name, value) in changes {
        call.stale.push((id, Stale::Slot(name.to_string())));
        call.active.put_value(id, name, value)?;
    }
    let draft = &call.active.draft;
    let (from, to) = (draft.title(from), draft.title(to));
    Ok(Value::Text(match count {
        0 => format!("no slot refers to {from}"),
        1 => format!("1 slot that referred to {from} refers to {to} now"),
        count => format!("{count} slots that referred to {from} refer to {to} now"),
    }))
}

/// Tells which slots of others refer to an object that goes.
pub(super) fn tell_referrers(call: &mut Call<'_, '_>, id: ObjectId) -> Result<(), Fault> {
    let draft = &call.active.draft;
    let slots: Vec<(ObjectId, Name)> = referrers(draft, id).into_iter().filter(|(holder, _)| *holder != id).collect();
    if slots.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> =
        slots.iter().take(SHOWN).map(|(holder, name)| format!("{}.{name}", draft.title(*holder))).collect();
    let more = slots.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let refer = if slots.len() == 1 { "slot still refers" } else { "slots still refer" };
    let line = format!("{} {refer} to {}: {}{more}", slots.len(), call.title(), shown.join(", "));
    call.active.log(line)
}
