//! `describe`: one stable text about an object, for people, tests and models. `lookup_report`: why a slot is found.

use super::slots::no_slot;
use super::{Call, SCAN, native_spec};
use crate::object::{
    Change, Draft, Fault, Hidden, LookupReport, Name, ObjectId, ObjectRef, Objects, SlotContent, Value, children,
    hidden_slots, inherited, lookup, shortened,
};
use std::fmt::Write;

/// Longest value shown, in characters.
const COLUMNS: usize = 80;
/// Children named before the rest is counted.
const CHILDREN: usize = 10;

/// `describe`.
pub(super) fn describe(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    call.account_scan();
    let draft = &call.active.draft;
    let Some(object) = draft.object(call.receiver) else {
        return Err(call.gone());
    };
    let (hidden, looked_at) = hidden_slots(draft, object.id);
    let mut out = text(draft, object);
    for (name, report) in &hidden {
        for hidden in &report.hidden {
            let title = |id: Option<ObjectId>| id.map(|id| draft.title(id)).unwrap_or_default();
            let late = if hidden.too_late { ", overridden too late" } else { "" };
            let (holder, winner) = (title(hidden.holder()), title(report.holder()));
            let _ = write!(out, "\n  hidden: {name} of {holder}, behind {name} of {winner}{late}");
        }
    }
    out.push_str(&heirs(draft, object.id));
    call.cost += SCAN * looked_at;
    Ok(Value::Text(out))
}

/// `lookup_report slot=x`: which slot is found, on which way, what it hides, and how the hidden one would come first.
pub(super) fn lookup_report(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let slot = call.args.text("slot")?;
    let draft = &call.active.draft;
    let id = call.receiver;
    let Some(report) = crate::object::lookup_report(draft, id, &slot) else {
        if native_spec(&slot).is_some() {
            let told =
                format!("{slot} is a message that every object answers; nothing of {} is in its way", call.title());
            return Ok(Value::Text(told));
        }
        return Err(no_slot(call, &slot));
    };
    call.cost += SCAN * report.looked_at;
    let title = draft.title(id);
    let mut out = match report.path.as_slice() {
        [_] => format!("{slot} of {title} is its own"),
        path => {
            let holder = report.holder().map(|id| draft.title(id)).unwrap_or_default();
            format!("{slot} of {title} is that of {holder} ({})", way(draft, path))
        }
    };
    for hidden in &report.hidden {
        let holder = hidden.holder().map(|id| draft.title(id)).unwrap_or_default();
        let _ = write!(out, "\n  hidden: {slot} of {holder} ({})", way(draft, &hidden.path));
        if hidden.too_late {
            out.push_str(", overridden too late: it delegates to what is found before it");
        }
        if let Some(advice) = advice(draft, id, &slot, &report, hidden) {
            let _ = write!(out, "\n    to have it found first: {advice}");
        }
    }
    Ok(Value::Text(out))
}

fn way(objects: &dyn Objects, path: &[ObjectId]) -> String {
    path.iter().map(|id| objects.title(*id)).collect::<Vec<_>>().join(" → ")
}

/// The swap of two parents, where the ways part, by which the hidden slot would be found.
fn advice(objects: &dyn Objects, id: ObjectId, slot: &str, report: &LookupReport, hidden: &Hidden) -> Option<String> {
    let common = report.path.iter().zip(&hidden.path).take_while(|(found, other)| found == other).count();
    let (parting, first) = (*report.path.get(common.checked_sub(1)?)?, *report.path.get(common)?);
    let before = objects.object(parting)?.parents.to_vec();
    let mut after: Vec<ObjectId> = before.iter().copied().filter(|parent| *parent != first).collect();
    after.push(first);
    let mut swapped = Draft::on(objects);
    swapped.apply(Change::SetParents { id: parting, before, after });
    let found = lookup(&swapped, id, slot).map(|found| found.holder);
    let (parting, first) = (objects.title(parting), objects.title(first));
    let swap = || format!("remove_parent {parting} parent=@{first}, then add_parent {parting} parent=@{first}");
    (found == hidden.holder()).then(swap)
}

fn text(objects: &dyn Objects, object: ObjectRef<'_>) -> String {
    let mut out = object.title();
    let parents: Vec<String> = object.parents.iter().map(|id| objects.title(*id)).collect();
    if !parents.is_empty() {
        let _ = write!(out, " delegates to {}", parents.join(", "));
    }
    for (name, slot) in object.slots.iter() {
        let _ = match &slot.content {
            SlotContent::Value(value) => write!(out, "\n  {name} = {}", shortened(&value.text(objects), COLUMNS)),
            SlotContent::Method(method) => {
                let params: Vec<&str> = method.params.iter().map(Name::as_str).collect();
                let by = &method.origin.author;
                write!(out, "\n  {name}({}) version {}, by {by}", params.join(", "), method.number)
            }
        };
        if let Some(doc) = slot.doc.lines().next() {
            let _ = write!(out, "  -- {}", shortened(doc, COLUMNS));
        }
    }
    let mut from: Vec<(String, Vec<String>)> = Vec::new();
    for (name, holder) in inherited(objects, object.id) {
        let holder = objects.title(holder);
        match from.iter_mut().find(|(known, _)| *known == holder) {
            Some((_, names)) => names.push(name.to_string()),
            None => from.push((holder, vec![name.to_string()])),
        }
    }
    for (holder, names) in from {
        let _ = write!(out, "\n  from {holder}: {}", names.join(" "));
    }
    out
}

fn heirs(objects: &dyn Objects, id: ObjectId) -> String {
    let mut out = String::new();
    let heirs = children(objects, id);
    if !heirs.is_empty() {
        let titles: Vec<String> = heirs.iter().take(CHILDREN).map(|id| objects.title(*id)).collect();
        let more = heirs.len() - titles.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(out, "\n  children: {}{more}", titles.join(" "));
    }
    out
}
