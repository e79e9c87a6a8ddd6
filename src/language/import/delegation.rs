//! What an import does to delegation as a whole: no circle comes to be, no child is left without its parent.

use super::Plan;
use super::planned::Planned;
use crate::object::{Draft, ObjectId, Objects};
use std::collections::{BTreeMap, HashMap};

/// Children named in the refusal of a deletion.
const CHILDREN_SHOWN: usize = 5;

/// Nothing may delegate in a circle, nor to what is deleted.
pub(super) fn check(plan: &Plan, objects: &dyn Objects, faults: &mut Vec<String>) {
    let mut draft = Draft::on(objects);
    plan.changes().into_iter().for_each(|change| draft.apply(change));
    let is_moved = |planned: &&Planned| match (&planned.before, &planned.after) {
        (Some(before), Some(after)) => before.parents != after.parents,
        (None, Some(_)) => true,
        _ => false,
    };
    let mut walk = Walk::default();
    for planned in plan.objects.iter().filter(is_moved) {
        let Some(object) = &planned.after else { continue };
        if let Some(id) = walk.circle(&draft, object.id) {
            let title = draft.title(id);
            faults.push(format!("{}: {title} would delegate to itself in a circle", planned.file));
        }
    }
    let gone = plan.objects.iter().filter(|planned| planned.after.is_none());
    let gone: BTreeMap<ObjectId, &Planned> =
        gone.filter_map(|planned| Some((planned.before.as_ref()?.id, planned))).collect();
    if gone.is_empty() {
        return;
    }
    let mut children: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    for object in draft.ids().into_iter().filter_map(|id| draft.object(id)) {
        for parent in object.parents.iter().filter(|parent| gone.contains_key(parent)) {
            children.entry(*parent).or_default().push(object.title());
        }
    }
    for (id, children) in children {
        let Some(planned) = gone.get(&id) else { continue };
        let shown = children[..children.len().min(CHILDREN_SHOWN)].join(", ");
        let more = children.len().saturating_sub(CHILDREN_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let title = objects.title(id);
        faults.push(format!("{}: {title} can't be deleted, {shown}{more} delegate to it", planned.file));
    }
}

/// A walk along delegation that enters each object once.
#[derive(Default)]
struct Walk {
    /// Whether everything behind an object was walked.
    seen: HashMap<ObjectId, bool>,
}

impl Walk {
    /// An object that delegates to itself, at or behind `start`.
    fn circle(&mut self, objects: &dyn Objects, start: ObjectId) -> Option<ObjectId> {
        let mut path = vec![(start, 0)];
        while let Some((id, next)) = path.pop() {
            if next == 0 && self.seen.insert(id, false).is_some_and(|walked| walked) {
                self.seen.insert(id, true);
                continue;
            }
            match objects.object(id).and_then(|object| object.parents.get(next).copied()) {
                None => drop(self.seen.insert(id, true)),
                Some(parent) => {
                    path.push((id, next + 1));
                    match self.seen.get(&parent) {
                        Some(false) => return Some(parent),
                        Some(true) => {}
                        None => path.push((parent, 0)),
                    }
                }
            }
        }
        None
    }
}
