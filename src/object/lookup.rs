//! Delegation: own slots, then parents depth first, left to right, safe against cycles.

use super::{Name, ObjectId, Objects, Slot};
use std::collections::HashSet;

/// Where a slot was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The object that has it as an own slot.
    pub holder: ObjectId,
    /// The slot.
    pub slot: &'a Slot,
}

/// The slot that `id` answers `name` with.
///
/// One set of objects already searched serves the whole lookup: an object that was searched in vain
/// stays without the slot, so the answer equals that of Self's set per path and costs each object once.
pub fn lookup<'a>(objects: &'a dyn Objects, id: ObjectId, name: &str) -> Option<Found<'a>> {
    search(objects, id, name, &mut HashSet::new())
}

/// As [`lookup`], but the own slots of `holder` are passed over: what `resend` finds.
pub fn lookup_in_parents<'a>(objects: &'a dyn Objects, holder: ObjectId, name: &str) -> Option<Found<'a>> {
    let mut seen = HashSet::from([holder]);
    objects.object(holder)?.parents.iter().find_map(|parent| search(objects, *parent, name, &mut seen))
}

/// As [`lookup`], telling also which objects were asked: the answer holds as long as none of them changes.
pub fn lookup_through<'a>(
    objects: &'a dyn Objects,
    id: ObjectId,
    name: &str,
) -> (Option<Found<'a>>, HashSet<ObjectId>) {
    let mut seen = HashSet::new();
    (search(objects, id, name, &mut seen), seen)
}

fn search<'a>(
    objects: &'a dyn Objects,
    start: ObjectId,
    name: &str,
    seen: &mut HashSet<ObjectId>,
) -> Option<Found<'a>> {
    let mut next = vec![start];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(object) = objects.object(id) else { continue };
        if let Some(slot) = object.slots.get(name) {
            return Some(Found { holder: id, slot });
        }
        next.extend(object.parents.iter().rev());
    }
    None
}

/// The object and everything it delegates to, each once, in lookup order.
pub fn ancestors(objects: &dyn Objects, id: ObjectId) -> Vec<ObjectId> {
    let (mut seen, mut order, mut next) = (HashSet::new(), Vec::new(), vec![id]);
    while let Some(id) = next.pop() {
        if let Some(object) = objects.object(id)
            && seen.insert(id)
        {
            order.push(id);
            next.extend(object.parents.iter().rev());
        }
    }
    order
}

/// Slots that `id` has from others, in lookup order, each with its holder; hidden ones are left out.
pub fn inherited(objects: &dyn Objects, id: ObjectId) -> Vec<(Name, ObjectId)> {
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    for holder in ancestors(objects, id) {
        let Some(object) = objects.object(holder) else { continue };
        for (name, _) in object.slots.iter() {
            if seen.insert(name.clone()) && holder != id {
                found.push((name.clone(), holder));
            }
        }
    }
    found
}

/// Objects that have `id` among their parents, by ascending id.
pub fn children(objects: &dyn Objects, id: ObjectId) -> Vec<ObjectId> {
    let is_child = |child: &ObjectId| objects.object(*child).is_some_and(|object| object.parents.contains(&id));
    objects.ids().into_iter().filter(is_child).collect()
}
