//! The index from identity and name to entity, derived; and what stays of deleted objects, which have no entity. Kept by Settle.

use super::{ObjectData, ObjectDataItem};
use crate::object::{Change, Name, ObjectId, ObjectRef, Objects, Tombstone};
use bevy::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Where the entity of an object is.
#[derive(Resource, Default, Debug)]
pub struct ObjectIndex {
    entities: HashMap<ObjectId, Entity>,
    names: BTreeMap<Name, ObjectId>,
    tombstones: BTreeMap<ObjectId, Tombstone>,
}

impl ObjectIndex {
    /// The entity of an object.
    pub fn entity(&self, id: ObjectId) -> Option<Entity> {
        self.entities.get(&id).copied()
    }

    /// The object with this name.
    pub fn named(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).copied()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Notes a new object.
    pub fn insert(&mut self, id: ObjectId, name: Option<&Name>, entity: Entity) {
        self.tombstones.remove(&id);
        self.entities.insert(id, entity);
        if let Some(name) = name {
            self.names.insert(name.clone(), id);
        }
    }

    /// Notes that an object has gone; answers its entity.
    pub fn remove(&mut self, id: ObjectId, name: Option<&Name>) -> Option<Entity> {
        self.unbind(id, name);
        self.entities.remove(&id)
    }

    /// Notes what stays of an object that has gone.
    pub fn bury(&mut self, id: ObjectId, tombstone: Tombstone) {
        self.tombstones.insert(id, tombstone);
    }

    /// Notes a change of name; every other change leaves the index alone.
    pub fn rename(&mut self, change: &Change) {
        if let Change::Rename { id, before, after } = change {
            self.unbind(*id, before.as_ref());
            if let Some(name) = after {
                self.names.insert(name.clone(), *id);
            }
        }
    }

    fn unbind(&mut self, id: ObjectId, name: Option<&Name>) {
        if let Some(name) = name
            && self.names.get(name) == Some(&id)
        {
            self.names.remove(name);
        }
    }
}

/// The world of entities as [`Objects`].
pub struct EntityObjects<'a> {
    index: &'a ObjectIndex,
    objects: &'a Query<'a, 'a, ObjectData>,
}

impl<'a> EntityObjects<'a> {
    /// Joins the index with the components.
    pub fn new(index: &'a ObjectIndex, objects: &'a Query<'a, 'a, ObjectData>) -> Self {
        Self { index, objects }
    }
}

impl Objects for EntityObjects<'_> {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        self.objects.get(self.index.entity(id)?).ok().map(ObjectDataItem::object)
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        self.index.named(name)
    }

    fn ids(&self) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = self.index.entities.keys().copied().collect();
        ids.sort();
        ids
    }

    fn tombstone(&self, id: ObjectId) -> Option<&Tombstone> {
        self.index.tombstones.get(&id)
    }

    fn tombstones(&self) -> BTreeMap<ObjectId, &Tombstone> {
        self.index.tombstones.iter().map(|(id, tombstone)| (*id, tombstone)).collect()
    }
}
