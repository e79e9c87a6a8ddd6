//! `clone`, `copy`, `delete`, `rename`, `add_parent`, `remove_parent`, and making an object by naming it.

use super::references::tell_referrers;
use super::{ASKED, Args, Call, slot_name};
use crate::language::active::Active;
use crate::language::crossing::Stale;
use crate::language::object_file::is_built_in;
use crate::object::{
    Change, Fault, FaultKind, List, Name, Object, ObjectId, ObjectRef, Objects, Post, Slot, Value, ancestors, children,
    number_text,
};
use std::collections::HashSet;

/// Shortest time between two firings of a timer, and longest wait, in seconds: each firing is a message, and a hundred
/// years are enough.
const LEAST_PERIOD: f64 = 0.05;
const LONGEST_WAIT: f64 = 3_155_760_000.0;
/// Distance between the places of objects that were made without one, in world units.
const PLACES: (f64, f64) = (208.0, 120.0);

/// `clone as=p1`: a child without slots of its own but those given.
pub(super) fn clone(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let parents = vec![call.receiver];
    make(call, parents, None)
}

/// `copy as=p1`: the same parents, a copy of every own slot, no name.
pub(super) fn copy(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let origin = call.active.draft.object(call.receiver).map(ObjectRef::to_object);
    let Some(origin) = origin else { return Err(call.gone()) };
    make(call, origin.parents.clone(), Some(origin))
}

fn make(call: &mut Call<'_, '_>, parents: Vec<ObjectId>, origin: Option<Object>) -> Result<Value, Fault> {
    if let Some(extra) = call.args.positional.first() {
        let message = format!("beyond the name, slots are given by name, as in x=5; this is {}", extra.kind());
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let name = match call.args.find("as") {
        None => None,
        Some(Value::Text(text)) => Some(free_name(&call.active.draft, text)?),
        Some(other) => {
            return Err(Fault::new(FaultKind::BadArgument, format!("`as` takes a name, and this is {}", other.kind())));
        }
    };
    let mut object = Object::new(call.active.next_id());
    object.name = name;
    object.parents = parents;
    if let Some(origin) = origin {
        object.slots = origin.slots;
        object.versions = origin.versions;
    }
    for (name, value) in call.args.named.clone() {
        if *name != *"as" {
            object.slots.push(slot_name(&name)?, Slot::value(value));
        }
    }
    let id = object.id;
    call.active.draft.apply(Change::Create(Box::new(object), None));
    call.stale.push((id, Stale::Everything));
    Ok(Value::Object(id))
}

/// `after(seconds, to, selector, …)` and `every(seconds, …)`: a timer, which is an object.
pub(in crate::language) fn start_timer(
    active: &mut Active<'_>,
    seconds: f64,
    repeats: bool,
    post: Post,
) -> Result<ObjectId, Fault> {
    let least = if repeats { LEAST_PERIOD } else { 0.0 };
    if !(least..=LONGEST_WAIT).contains(&seconds) {
        let message = format!("a timer waits {least} to {LONGEST_WAIT} seconds, and this is {}", number_text(seconds));
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let prototype = ObjectId::genesis("timer");
    if active.draft.object(prototype).is_none() {
        return Err(active.gone(prototype));
    }
    let mut timer = Object::new(active.next_id());
    timer.parents = vec![prototype];
    let period = repeats.then_some(Value::Number(seconds));
    let slots = [
        ("due", Some(Value::Number(active.issued_at as f64 + (seconds * 1000.0).round()))),
        ("period", period),
        ("target", Some(Value::Object(post.target))),
        ("selector", Some(Value::Text(post.selector.to_string()))),
        ("count", Some(Value::Number(post.args.len() as f64))),
        ("args", Some(Value::list(post.args)).filter(|args| *args != Value::List(List::default()))),
    ];
    for (name, value) in slots {
        if let Some(value) = value {
            timer.slots.push(slot_name(name)?, Slot::value(value));
        }
    }
    let id = timer.id;
    active.draft.apply(Change::Create(Box::new(timer), None));
    Ok(id)
}

/// A name that an object may have and none has.
fn free_name(objects: &dyn Objects, text: &str) -> Result<Name, Fault> {
    let name = Name::of_object(text).map_err(|error| Fault::new(FaultKind::BadName, error.to_string()))?;
    match objects.named(text) {
        None => Ok(name),
        Some(_) => Err(Fault::new(FaultKind::BadName, format!("an object is called `{name}` already"))),
    }
}

/// `create_point p`, where nothing is called `p`: a clone of `point`, or of `proto` where there is no `point`.
pub(in crate::language) fn create(
    active: &mut Active<'_>,
    prototype: &str,
    name: &str,
    args: Args,
) -> Result<ObjectId, Fault> {
    let name = free_name(&active.draft, name)?;
    if let Some(extra) = args.positional.first() {
        let message = format!("slots of a new object are given by name, as in x=5; this is {}", extra.kind());
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let parent = active.draft.named(prototype).unwrap_or_else(ObjectId::proto);
    let mut object = Object::new(active.next_id());
    let title = name.to_string();
    object.name = Some(name);
    object.parents = vec![parent];
    for (slot, value) in args.named {
        object.slots.push(slot_name(&slot)?, Slot::value(value));
    }
    if object.slots.get("x").is_none() && object.slots.get("y").is_none() {
        let (x, y) = free_place(&active.draft);
        for (axis, at) in [("x", x), ("y", y)] {
            object.slots.push(slot_name(axis)?, Slot::value(Value::Number(at)));
        }
    } else {
        for axis in ["x", "y"] {
            if object.slots.get(axis).is_none() {
                object.slots.push(slot_name(axis)?, Slot::value(Value::Number(0.0)));
            }
        }
    }
    let id = object.id;
    active.draft.apply(Change::Create(Box::new(object), None));
    let from = active.draft.title(parent);
    active.log(format!("{title} was not found, so it was created from {from}"))?;
    Ok(id)
}

/// The place on the grid nearest to the world's centre where no object has its own x and y.
fn free_place(objects: &dyn Objects) -> (f64, f64) {
    let own = |object: ObjectRef<'_>, axis: &str| match object.slots.get(axis)?.as_value()? {
        Value::Number(number) if number.is_finite() => Some(*number),
        _ => None,
    };
    let taken: HashSet<(i64, i64)> = objects
        .ids()
        .into_iter()
        .filter(|id| !is_built_in(*id))
        .filter_map(|id| objects.object(id))
        .filter_map(|object| Some((own(object, "x")?, own(object, "y")?)))
        .map(|(x, y)| ((x / PLACES.0).round() as i64, (y / PLACES.1).round() as i64))
        .collect();
    let mut ring = 0_i64;
    loop {
        let mut best: Option<(f64, i64, i64)> = None;
        for row in -ring..=ring {
            for column in -ring..=ring {
                if row.abs().max(column.abs()) != ring || taken.contains(&(column, row)) {
                    continue;
                }
                let distance = (column as f64 * PLACES.0).hypot(row as f64 * PLACES.1);
                // Equal distances: below before above, right before left, so that rows grow as text does.
                if best.is_none_or(|(nearest, c, r)| (distance, -row, -column) < (nearest, -r, -c)) {
                    best = Some((distance, column, row));
                }
            }
        }
        if let Some((_, column, row)) = best {
            return (column as f64 * PLACES.0, row as f64 * PLACES.1);
        }
        ring += 1;
    }
}

/// `delete`: refused for an object that others delegate to, unless forced, and for the first image.
pub(super) fn delete(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    // What refers to an object costs a look at every value: the first look of a turn is free, and only then it is told.
    let tells = !call.active.scanned;
    call.account_scan();
    let heirs = children(&call.active.draft, call.receiver);
    let draft = &call.active.draft;
    let Some(object) = draft.object(call.receiver).map(ObjectRef::to_object) else {
        return Err(call.gone());
    };
    if is_needed(object.id) {
        let message = format!("{} can't be deleted: the world itself uses it", call.title());
        return Err(Fault::new(FaultKind::Refused, message));
    }
    let forced = match call.args.find("force") {
        None => false,
        Some(Value::Boolean(forced)) => *forced,
        Some(other) => {
            let message = format!("`force` takes true or false, and this is {}", other.kind());
            return Err(Fault::new(FaultKind::BadArgument, message));
        }
    };
    if !heirs.is_empty() && !forced {
        let titles: Vec<String> = heirs.iter().take(5).map(|id| draft.title(*id)).collect();
        let more = heirs.len().saturating_sub(titles.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{} has children that delegate to it: {}{more}. Nothing was deleted; to delete it all the same: force=true",
            call.title(),
            titles.join(", ")
        );
        return Err(Fault::new(FaultKind::Refused, message));
    }
    if tells {
        tell_referrers(call, object.id)?;
    }
    call.stale.push((object.id, Stale::Everything));
    let tombstone = call.active.burial.of(&object);
    call.active.draft.apply(Change::Delete(Box::new(object), tombstone));
    Ok(Value::Nil)
}

/// What the world itself uses: every path ends at the root, every expression runs on the workspace, the codex has the
/// rules.
pub(in crate::language) fn is_needed(id: ObjectId) -> bool {
    ["codex", "proto", "timer", "workspace"].map(ObjectId::genesis).contains(&id)
}

/// `rename to=p3`.
pub(super) fn rename(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let to = call.args.text("to")?;
    let draft = &call.active.draft;
    let before = draft.object(call.receiver).and_then(|object| object.name.cloned());
    if before.as_deref() == Some(to.as_str()) {
        return Ok(Value::Object(call.receiver));
    }
    if is_needed(call.receiver) {
        let message = format!("{} can't be renamed: the world itself uses it", call.title());
        return Err(Fault::new(FaultKind::Refused, message));
    }
    let after = free_name(draft, &to)?;
    call.active.draft.apply(Change::Rename { id: call.receiver, before, after: Some(after) });
    call.stale.push((call.receiver, Stale::Delegation));
    Ok(Value::Object(call.receiver))
}

/// `add_parent parent=@other`.
pub(super) fn add_parent(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    let parent = call.object("parent")?;
    let draft = &call.active.draft;
    let before = draft.object(call.receiver).map(|object| object.parents.to_vec()).unwrap_or_default();
    if before.contains(&parent) {
        let message = format!("{} delegates to {} already", call.title(), draft.title(parent));
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let path = ancestors(draft, parent);
    call.cost += ASKED * path.len();
    if path.contains(&call.receiver) {
        let message = format!(
            "{} can't delegate to {}, which delegates to it: the path would go in a circle",
            call.title(),
            draft.title(parent)
        );
        return Err(Fault::new(FaultKind::Refused, message));
    }
    let mut after = before.clone();
    after.push(parent);
    set_parents(call, before, after)
}

/// `remove_parent parent=@other`.
pub(super) fn remove_parent(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    // A parent that was deleted can be taken out as well.
    let parent = call.object_or_its_rest("parent")?;
    let draft = &call.active.draft;
    let before = draft.object(call.receiver).map(|object| object.parents.to_vec()).unwrap_or_default();
    if !before.contains(&parent) {
        let message = format!("{} does not delegate to {}", call.title(), draft.title(parent));
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let after = before.iter().copied().filter(|id| *id != parent).collect();
    set_parents(call, before, after)
}

fn set_parents(call: &mut Call<'_, '_>, before: Vec<ObjectId>, after: Vec<ObjectId>) -> Result<Value, Fault> {
    call.stale.push((call.receiver, Stale::Delegation));
    call.active.draft.apply(Change::SetParents { id: call.receiver, before, after });
    Ok(Value::Object(call.receiver))
}
