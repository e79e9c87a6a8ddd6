//! A world with changes that nobody else sees yet: what a turn, or a rehearsal, writes into.

use super::{Change, Name, Object, ObjectId, ObjectRef, Objects};
use std::collections::BTreeMap;

/// Changes over a base that stays as it is. Dropping the draft takes everything back.
pub struct Draft<'a> {
    base: &'a dyn Objects,
    objects: BTreeMap<ObjectId, Option<Object>>,
    names: BTreeMap<Name, Option<ObjectId>>,
    changes: Vec<Change>,
}

impl<'a> Draft<'a> {
    /// A draft without changes.
    pub fn on(base: &'a dyn Objects) -> Self {
        Self { base, objects: BTreeMap::new(), names: BTreeMap::new(), changes: Vec::new() }
    }

    /// Applies a change and remembers it. A change of an object that is not there does nothing.
    pub fn apply(&mut self, change: Change) {
        match &change {
            Change::Create(object) => {
                self.bind(object.name.clone(), Some(object.id));
                self.objects.insert(object.id, Some((**object).clone()));
            }
            Change::Delete(object) => {
                self.bind(object.name.clone(), None);
                self.objects.insert(object.id, None);
            }
            Change::Rename { id, before, after } => {
                if !self.touch(*id, &change) {
                    return;
                }
                self.bind(before.clone(), None);
                self.bind(after.clone(), Some(*id));
            }
            other => {
                if !self.touch(other.id(), other) {
                    return;
                }
            }
        }
        self.changes.push(change);
    }

    /// Changes in the order in which they were applied.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The changes, ending the draft.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn bind(&mut self, name: Option<Name>, id: Option<ObjectId>) {
        if let Some(name) = name {
            self.names.insert(name, id);
        }
    }

    fn touch(&mut self, id: ObjectId, change: &Change) -> bool {
        let base = self.base;
        let object = self.objects.entry(id).or_insert_with(|| base.object(id).map(ObjectRef::to_object));
        object.as_mut().map(|object| object.as_mut().apply(change)).is_some()
    }
}

impl Objects for Draft<'_> {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        match self.objects.get(&id) {
            Some(object) => object.as_ref().map(Object::as_ref),
            None => self.base.object(id),
        }
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        match self.names.get(name) {
            Some(id) => *id,
            None => self.base.named(name),
        }
    }

    fn ids(&self) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = self.base.ids().into_iter().filter(|id| !self.objects.contains_key(id)).collect();
        ids.extend(self.objects.iter().filter(|(_, object)| object.is_some()).map(|(id, _)| *id));
        ids.sort();
        ids
    }
}
