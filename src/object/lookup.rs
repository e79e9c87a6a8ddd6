//! Delegation: own slots, then parents depth first, left to right, safe against cycles.

use super::{Name, ObjectId, Objects, Slot};
use std::collections::{HashMap, HashSet};

/// Where a slot was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The object that has it as an own slot.
    pub holder: ObjectId,
    /// What that object is called.
    pub holder_name: Option<&'a Name>,
    /// The slot.
    pub slot: &'a Slot,
}

/// The slot that `id` answers `name` with.
///
/// One set of objects already searched serves the whole lookup: an object that was searched in vain
/// stays without the slot, so the answer equals that of Self's set per path and costs each object once.
pub fn lookup<'a>(objects: &'a dyn Objects, id: ObjectId, name: &str) -> Option<Found<'a>> {
    // Most often it is an own slot, and nothing need be noted.
    let object = objects.object(id)?;
    if let Some(slot) = object.slots.get(name) {
        return Some(Found { holder: id, holder_name: object.name, slot });
    }
    search(objects, id, name, &mut HashSet::new())
}

/// As [`lookup`], but the own slots of `holder` are passed over: what `resend` finds. Also how many objects were asked.
pub fn lookup_in_parents<'a>(objects: &'a dyn Objects, holder: ObjectId, name: &str) -> (Option<Found<'a>>, usize) {
    let mut seen = HashSet::from([holder]);
    let parents = objects.object(holder).map(|object| object.parents).unwrap_or_default();
    let found = parents.iter().find_map(|parent| search(objects, *parent, name, &mut seen));
    (found, seen.len())
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
            return Some(Found { holder: id, holder_name: object.name, slot });
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

/// How a lookup comes to its answer, and what it leaves aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReport {
    /// From the object to the holder of the slot that is found.
    pub path: Vec<ObjectId>,
    /// Slots of the same name beside that path.
    pub hidden: Vec<Hidden>,
    /// Objects that were looked at for it.
    pub looked_at: usize,
}

/// A slot that another parent's hides. One that is overridden on its own path is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// From the object to the holder.
    pub path: Vec<ObjectId>,
    /// Whether it overrides the slot that is found, and is asked later all the same.
    pub too_late: bool,
}

impl LookupReport {
    /// The object that has the slot that is found.
    pub fn holder(&self) -> Option<ObjectId> {
        self.path.last().copied()
    }
}

impl Hidden {
    /// The object that has the slot.
    pub fn holder(&self) -> Option<ObjectId> {
        self.path.last().copied()
    }
}

/// Why `id` answers `name` with the slot that it does; `None` where nothing has such a slot.
pub fn lookup_report(objects: &dyn Objects, id: ObjectId, name: &str) -> Option<LookupReport> {
    report(objects, &walk(objects, id), name)
}

/// Reports about the names of which a slot is hidden, in lookup order, and how many objects were looked at.
pub fn hidden_slots(objects: &dyn Objects, id: ObjectId) -> (Vec<(Name, LookupReport)>, usize) {
    let walked = walk(objects, id);
    let mut holders: HashMap<&Name, usize> = HashMap::new();
    let mut names = Vec::new();
    let mut branches = false;
    for (holder, _) in &walked {
        let Some(object) = objects.object(*holder) else { continue };
        branches |= object.parents.len() > 1;
        for (name, _) in object.slots.iter() {
            let count = holders.entry(name).or_default();
            *count += 1;
            if *count == 2 {
                names.push(name);
            }
        }
    }
    // On a single path nothing stands beside it.
    if !branches {
        return (Vec::new(), walked.len());
    }
    let reports = names.into_iter().filter_map(|name| Some((name.clone(), report(objects, &walked, name)?)));
    let reports: Vec<(Name, LookupReport)> = reports.collect();
    let looked_at = walked.len() + reports.iter().map(|(_, report)| report.looked_at).sum::<usize>();
    (reports.into_iter().filter(|(_, report)| !report.hidden.is_empty()).collect(), looked_at)
}

/// What [`ancestors`] answers, each with the place in the walk of the object that led to it.
fn walk(objects: &dyn Objects, id: ObjectId) -> Vec<(ObjectId, Option<usize>)> {
    let (mut seen, mut order, mut next) = (HashSet::new(), Vec::new(), vec![(id, None)]);
    while let Some((id, from)) = next.pop() {
        if let Some(object) = objects.object(id)
            && seen.insert(id)
        {
            let place = order.len();
            order.push((id, from));
            next.extend(object.parents.iter().rev().map(|parent| (*parent, Some(place))));
        }
    }
    order
}

fn report(objects: &dyn Objects, walked: &[(ObjectId, Option<usize>)], name: &str) -> Option<LookupReport> {
    let path_to = |place: usize| {
        let mut path = Vec::new();
        let mut at = Some(place);
        while let Some((id, from)) = at.and_then(|place| walked.get(place)) {
            path.push(*id);
            at = *from;
        }
        path.reverse();
        path
    };
    let has = |id: ObjectId| objects.object(id).is_some_and(|object| object.slots.get(name).is_some());
    let mut holders = walked.iter().enumerate().filter(|(_, (id, _))| has(*id)).map(|(place, (id, _))| (place, *id));
    let (place, winner) = holders.next()?;
    // What an earlier holder delegates to, directly or not, is overridden by it.
    let mut overridden = HashSet::new();
    reach(objects, winner, &mut overridden);
    let (mut hidden, mut looked_at) = (Vec::new(), 0);
    for (place, holder) in holders {
        if !overridden.contains(&holder) {
            let mut own = HashSet::new();
            reach(objects, holder, &mut own);
            looked_at += own.len();
            hidden.push(Hidden { path: path_to(place), too_late: own.contains(&winner) });
            overridden.extend(own);
        }
    }
    Some(LookupReport { path: path_to(place), hidden, looked_at: looked_at + walked.len() })
}

fn reach(objects: &dyn Objects, from: ObjectId, reached: &mut HashSet<ObjectId>) {
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(objects.object(id).iter().flat_map(|object| object.parents));
        }
    }
}

/// Objects that have `id` among their parents, by ascending id.
pub fn children(objects: &dyn Objects, id: ObjectId) -> Vec<ObjectId> {
    let is_child = |child: &ObjectId| objects.object(*child).is_some_and(|object| object.parents.contains(&id));
    objects.ids().into_iter().filter(is_child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Change, Draft, Image, Object, ObjectRef, Value};
    use proptest::prelude::*;

    fn id(number: usize) -> ObjectId {
        ObjectId::genesis(&number.to_string())
    }

    /// Objects by number, each with its parents and whether it has the slot `v`, which holds its number.
    fn world(objects: &[(Vec<usize>, bool)]) -> Image {
        let mut image = Image::default();
        for (number, (parents, has)) in objects.iter().enumerate() {
            let mut object = Object::new(id(number));
            object.parents = parents.iter().map(|parent| id(*parent)).collect();
            if *has {
                object.slots.push(Name::new("v").unwrap(), Slot::value(Value::Number(number as f64)));
            }
            image.insert(object);
        }
        image
    }

    /// Holder and hidden holders of `v` of the first object, each with whether it comes too late.
    fn told(objects: &[(Vec<usize>, bool)]) -> Option<(ObjectId, Vec<(ObjectId, bool)>)> {
        let report = lookup_report(&world(objects), id(0), "v")?;
        let hidden = report.hidden.iter().map(|hidden| (hidden.holder().unwrap(), hidden.too_late)).collect();
        Some((report.holder().unwrap(), hidden))
    }

    #[test]
    fn a_report_names_what_is_hidden_sideways_and_what_comes_too_late() {
        // The left parent hides the right one's.
        assert_eq!(told(&[(vec![1, 2], false), (vec![], true), (vec![], true)]), Some((id(1), vec![(id(2), false)])));
        // So does what the left one delegates to.
        let deep = [(vec![1, 2], false), (vec![3], false), (vec![], true), (vec![], true)];
        assert_eq!(told(&deep), Some((id(3), vec![(id(2), false)])));
        // The right one overrides what is found on the left.
        let late = [(vec![1, 2], false), (vec![3], false), (vec![3], true), (vec![], true)];
        assert_eq!(told(&late), Some((id(3), vec![(id(2), true)])));
        // One slot on two paths hides nothing; nor does an override, also where the path goes in a circle.
        let one = [(vec![1, 2], false), (vec![3], false), (vec![3], false), (vec![], true)];
        assert_eq!(told(&one), Some((id(3), vec![])));
        assert_eq!(told(&[(vec![1], true), (vec![2, 0], true), (vec![1], true)]), Some((id(0), vec![])));
        assert_eq!(told(&[(vec![0, 7], false)]), None);
    }

    /// Self's lookup with a set of its own for each path: the left parent first.
    fn naive(objects: &[(Vec<usize>, bool)], at: usize, path: &[usize]) -> Option<usize> {
        if path.contains(&at) {
            return None;
        }
        let (parents, has) = objects.get(at)?;
        if *has {
            return Some(at);
        }
        let path = [path, &[at]].concat();
        parents.iter().find_map(|parent| naive(objects, *parent, &path))
    }

    fn agrees(world: &dyn Objects, objects: &[(Vec<usize>, bool)]) -> Result<(), TestCaseError> {
        for at in 0..objects.len() {
            let found = lookup(world, id(at), "v").map(|found| found.holder);
            prop_assert_eq!(found, naive(objects, at, &[]).map(id));
            prop_assert_eq!(found, lookup_through(world, id(at), "v").0.map(|found| found.holder));
            prop_assert_eq!(found, lookup_report(world, id(at), "v").and_then(|report| report.holder()));
            let model = objects[at].0.iter().find_map(|parent| naive(objects, *parent, &[at]));
            prop_assert_eq!(lookup_in_parents(world, id(at), "v").0.map(|found| found.holder), model.map(id));
            let (hidden, _) = hidden_slots(world, id(at));
            let report = lookup_report(world, id(at), "v").filter(|report| !report.hidden.is_empty());
            prop_assert_eq!(hidden.into_iter().next().map(|(_, report)| report), report);
        }
        Ok(())
    }

    /// An object as it is from some moment on: other parents, with or without the slot; or deleted.
    fn later() -> impl Strategy<Value = (usize, Option<(Vec<usize>, bool)>)> {
        (0..8_usize, prop::option::weighted(0.8, (prop::collection::vec(0..8_usize, 0..4), prop::bool::weighted(0.4))))
    }

    proptest! {
        // Paths in a circle, parents that are not there, and all of that changing.
        #[test]
        fn delegation_agrees_with_the_naive_model(
            mut objects in prop::collection::vec((prop::collection::vec(0..8_usize, 0..4), prop::bool::weighted(0.3)), 1..8),
            changes in prop::collection::vec(later(), 0..6),
        ) {
            let image = world(&objects);
            agrees(&image, &objects)?;
            let mut draft = Draft::on(&image);
            for (at, after) in changes {
                let Some(before) = draft.object(id(at)).map(ObjectRef::to_object) else { continue };
                match &after {
                    Some((parents, has)) => {
                        let after = parents.iter().map(|parent| id(*parent)).collect();
                        draft.apply(Change::SetParents { id: id(at), before: before.parents, after });
                        let slot = has.then(|| Slot::value(Value::Number(at as f64)));
                        draft.set_slot(id(at), Name::new("v").unwrap(), slot);
                    }
                    None => draft.apply(Change::Delete(Box::new(before), None)),
                }
                objects[at] = after.unwrap_or_default();
                agrees(&draft, &objects)?;
            }
        }
    }
}
