//! Who refers to whom: references that stand in slots, also deep in lists and maps. Parents are no references.

use super::{MapKey, Name, ObjectId, Objects, Value};
use std::collections::{BTreeMap, HashSet};

impl Value {
    /// Every reference in it, also in keys of maps; one that stands there twice comes twice.
    pub fn each_reference(&self, found: &mut dyn FnMut(ObjectId)) {
        match self {
            Self::Object(id) => found(*id),
            Self::List(items) => items.iter().for_each(|item| item.each_reference(found)),
            Self::Map(entries) => {
                for (key, value) in entries.iter() {
                    if let MapKey::Object(id) = key {
                        found(*id);
                    }
                    value.each_reference(found);
                }
            }
            Self::Nil | Self::Boolean(_) | Self::Number(_) | Self::Text(_) => {}
        }
    }

    /// Whether it holds a reference to the object.
    pub fn refers_to(&self, id: ObjectId) -> bool {
        let mut refers = false;
        self.each_reference(&mut |found| refers |= found == id);
        refers
    }

    /// The same with each reference to `from` leading to `to`. `None` where a map has both as keys.
    pub fn with_replaced(&self, from: ObjectId, to: ObjectId) -> Option<Self> {
        Some(match self {
            Self::Object(id) if *id == from => Self::Object(to),
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.with_replaced(from, to)).collect::<Option<Vec<_>>>()?.into())
            }
            Self::Map(entries) => {
                let mut replaced = BTreeMap::new();
                for (key, value) in entries.iter() {
                    let key = if *key == MapKey::Object(from) { MapKey::Object(to) } else { key.clone() };
                    if replaced.insert(key, value.with_replaced(from, to)?).is_some() {
                        return None;
                    }
                }
                Self::Map(replaced.into())
            }
            other => other.clone(),
        })
    }
}

/// Slots that refer to `id`, by ascending object, then in the object's order.
pub fn referrers(objects: &dyn Objects, id: ObjectId) -> Vec<(ObjectId, Name)> {
    let mut found = Vec::new();
    for holder in objects.ids() {
        let Some(object) = objects.object(holder) else { continue };
        let slots = object.slots.iter().filter(|(_, slot)| slot.as_value().is_some_and(|value| value.refers_to(id)));
        found.extend(slots.map(|(name, _)| (holder, name.clone())));
    }
    found
}

/// Objects that the given ones lead to, themselves included: by references and parents.
pub fn reachable(objects: &dyn Objects, from: impl IntoIterator<Item = ObjectId>) -> HashSet<ObjectId> {
    let (mut reached, mut next) = (HashSet::new(), from.into_iter().collect::<Vec<_>>());
    while let Some(id) = next.pop() {
        let Some(object) = objects.object(id).filter(|_| reached.insert(id)) else { continue };
        next.extend(object.parents);
        for value in object.slots.iter().filter_map(|(_, slot)| slot.as_value()) {
            value.each_reference(&mut |id| next.push(id));
        }
    }
    reached
}

/// The deleted object whose id begins with these digits, where slots and parents still tell of exactly one.
pub fn dangling(objects: &dyn Objects, digits: &str) -> Option<ObjectId> {
    if digits.len() < super::FEWEST_DIGITS {
        return None;
    }
    let mut found: Option<ObjectId> = None;
    let mut several = false;
    let mut meet = |id: ObjectId| {
        if found != Some(id) && id.0.simple().to_string().starts_with(digits) && objects.object(id).is_none() {
            several |= found.is_some();
            found = Some(id);
        }
    };
    for holder in objects.ids() {
        let Some(object) = objects.object(holder) else { continue };
        object.parents.iter().for_each(|id| meet(*id));
        object.slots.iter().filter_map(|(_, slot)| slot.as_value()).for_each(|value| value.each_reference(&mut meet));
    }
    found.filter(|_| !several)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Image, Object, Slot};

    #[test]
    fn references_are_found_and_replaced_wherever_they_stand() {
        let id = ObjectId::genesis;
        let map = |entries: Vec<(ObjectId, Value)>| {
            Value::map(entries.into_iter().map(|(key, value)| (MapKey::Object(key), value)))
        };
        let value =
            Value::list(vec![Value::Object(id("a")), map(vec![(id("a"), Value::list(vec![Value::Object(id("b"))]))])]);
        let mut found = Vec::new();
        value.each_reference(&mut |id| found.push(id));
        assert_eq!(found, [id("a"), id("a"), id("b")]);
        let replaced = value.with_replaced(id("a"), id("c")).unwrap();
        assert!(!replaced.refers_to(id("a")) && replaced.refers_to(id("b")) && replaced.refers_to(id("c")));
        assert_eq!(replaced.with_replaced(id("c"), id("a")), Some(value));
        let both = map(vec![(id("a"), Value::Boolean(true)), (id("b"), Value::Boolean(true))]);
        assert_eq!(both.with_replaced(id("a"), id("b")), None);
    }

    #[test]
    fn what_is_deleted_is_known_by_what_refers_to_it() {
        let id = ObjectId::genesis;
        let mut image = Image::default();
        let mut holder = Object::new(id("holder"));
        holder.parents = vec![id("gone parent")];
        holder.slots.push(Name::new("f").unwrap(), Slot::value(Value::Object(id("gone"))));
        image.insert(holder);
        for gone in ["gone", "gone parent"] {
            assert_eq!(dangling(&image, &id(gone).0.simple().to_string()[..12]), Some(id(gone)));
        }
        assert_eq!(dangling(&image, &id("holder").0.simple().to_string()[..12]), None);
        assert_eq!(dangling(&image, ""), None);
        assert_eq!(referrers(&image, id("gone")).len(), 1);
        assert_eq!(reachable(&image, [id("holder"), id("gone")]), HashSet::from([id("holder")]));
    }
}
