//! `describe`: one stable text about an object, for people, tests and models.

use super::Call;
use crate::object::{Fault, Name, ObjectRef, Objects, SlotContent, Value, children, inherited, shortened};
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
        return Err(crate::language::send::gone(&call.title()));
    };
    Ok(Value::Text(text(draft, object)))
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
    let heirs = children(objects, object.id);
    if !heirs.is_empty() {
        let titles: Vec<String> = heirs.iter().take(CHILDREN).map(|id| objects.title(*id)).collect();
        let more = heirs.len() - titles.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(out, "\n  children: {}{more}", titles.join(" "));
    }
    out
}
