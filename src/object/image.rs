//! A whole world as a plain value: what awakening builds, `show` reads and tests compare.

use super::{Change, Name, Object, ObjectId, ObjectRef, Objects, Tombstone};
use std::collections::BTreeMap;

/// Every object of a world, with the index of names, and what stays of deleted ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    objects: BTreeMap<ObjectId, Object>,
    names: BTreeMap<Name, ObjectId>,
    tombstones: BTreeMap<ObjectId, Tombstone>,
}

impl Image {
    /// Puts an object in, in place of one with the same id.
    pub fn insert(&mut self, object: Object) {
        self.remove(object.id);
        self.tombstones.remove(&object.id);
        if let Some(name) = &object.name {
            self.names.insert(name.clone(), object.id);
        }
        self.objects.insert(object.id, object);
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: ObjectId) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        if let Some(name) = &object.name
            && self.names.get(name) == Some(&id)
        {
            self.names.remove(name);
        }
        Some(object)
    }

    /// Notes what stays of an object that is not there.
    pub fn bury(&mut self, id: ObjectId, tombstone: Tombstone) {
        self.remove(id);
        self.tombstones.insert(id, tombstone);
    }

    /// Applies one change. A change of an object that is not there does nothing.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(object, _) => self.insert((**object).clone()),
            Change::Delete(object, tombstone) => {
                self.remove(object.id);
                self.tombstones.remove(&object.id);
                self.tombstones.extend(tombstone.clone().map(|tombstone| (object.id, tombstone)));
            }
            Change::Rename { id, .. } => {
                if let Some(mut object) = self.remove(*id) {
                    object.as_mut().apply(change);
                    self.insert(object);
                }
            }
            other => {
                if let Some(object) = self.objects.get_mut(&other.id()) {
                    object.as_mut().apply(other);
                }
            }
        }
    }

    /// Makes the index of names anew, for an image of which not all objects are of the same moment: between two moments a name
    /// may pass from one object to another. Of two with the same name the one with the greater id has it.
    pub fn index_names(&mut self) {
        self.names.clear();
        self.names.extend(self.objects.values().filter_map(|object| Some((object.name.clone()?, object.id))));
    }

    /// Objects by ascending id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Object> {
        self.objects.values()
    }

    /// The objects, by ascending id, and what stays of deleted ones.
    pub fn into_parts(self) -> (impl Iterator<Item = Object>, BTreeMap<ObjectId, Tombstone>) {
        (self.objects.into_values(), self.tombstones)
    }

    /// How many objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl Extend<Object> for Image {
    /// Puts objects in; into an empty image, and in the order of their ids, without a search for each.
    fn extend<T: IntoIterator<Item = Object>>(&mut self, objects: T) {
        if !self.objects.is_empty() {
            return objects.into_iter().for_each(|object| self.insert(object));
        }
        self.objects = objects.into_iter().map(|object| (object.id, object)).collect();
        self.tombstones.retain(|id, _| !self.objects.contains_key(id));
        self.index_names();
    }
}

impl Objects for Image {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        self.objects.get(&id).map(Object::as_ref)
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).copied()
    }

    fn ids(&self) -> Vec<ObjectId> {
        self.objects.keys().copied().collect()
    }

    fn tombstone(&self, id: ObjectId) -> Option<&Tombstone> {
        self.tombstones.get(&id)
    }

    fn tombstones(&self) -> BTreeMap<ObjectId, &Tombstone> {
        self.tombstones.iter().map(|(id, tombstone)| (*id, tombstone)).collect()
    }
}
