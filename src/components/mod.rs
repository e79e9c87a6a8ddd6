//! The ECS vocabulary: what an entity that is an object carries, and the index from identity to entity.
//!
//! The components are the truth about authored state. Only Settle (`systems::settle`) changes them.
//! `Entity` never leaves the process: on disk, in files, links and tests an object is its `ObjectId`.

mod index;

pub use index::{EntityObjects, ObjectIndex};

use crate::object::{Object, ObjectId, ObjectMut, ObjectRef, Slots, Versions};
use bevy::ecs::query::QueryData;
use bevy::prelude::*;

/// Identity of the object that the entity stands for.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub ObjectId);

/// Unique handle of an object; `None` for an unnamed one.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq)]
pub struct Handle(pub Option<crate::object::Name>);

/// Parents in lookup order.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct Parents(pub Vec<ObjectId>);

/// Own slots in order.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct OwnSlots(pub Slots);

/// Texts of own methods.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct MethodVersions(pub Versions);

/// All components of an object, for spawning.
#[derive(Bundle)]
pub struct ObjectBundle {
    identity: Identity,
    handle: Handle,
    parents: Parents,
    slots: OwnSlots,
    versions: MethodVersions,
}

impl From<Object> for ObjectBundle {
    fn from(object: Object) -> Self {
        Self {
            identity: Identity(object.id),
            handle: Handle(object.name),
            parents: Parents(object.parents),
            slots: OwnSlots(object.slots),
            versions: MethodVersions(object.versions),
        }
    }
}

/// An object's components, for reading.
#[derive(QueryData)]
pub struct ObjectData {
    identity: &'static Identity,
    handle: &'static Handle,
    parents: &'static Parents,
    slots: &'static OwnSlots,
    versions: &'static MethodVersions,
}

impl<'w> ObjectDataItem<'w, '_> {
    /// The object as the rest of the program reads it.
    pub fn object(self) -> ObjectRef<'w> {
        ObjectRef {
            id: self.identity.0,
            name: self.handle.0.as_ref(),
            parents: &self.parents.0,
            slots: &self.slots.0,
            versions: &self.versions.0,
        }
    }
}

/// An object's components, for Settle alone.
#[derive(QueryData)]
#[query_data(mutable)]
pub struct ObjectDataMut {
    handle: &'static mut Handle,
    parents: &'static mut Parents,
    slots: &'static mut OwnSlots,
    versions: &'static mut MethodVersions,
}

impl ObjectDataMutItem<'_, '_> {
    /// Applies a change of this object. Only the components that the change concerns are marked changed.
    pub fn apply(&mut self, change: &crate::object::Change) {
        use crate::object::Change;
        let Self { handle, parents, slots, versions, .. } = self;
        let object = match change {
            Change::Create(..) | Change::Delete(..) => return,
            Change::Rename { .. } => ObjectMut {
                name: &mut handle.0,
                parents: &mut parents.bypass_change_detection().0,
                slots: &mut slots.bypass_change_detection().0,
                versions: &mut versions.bypass_change_detection().0,
            },
            Change::SetParents { .. } => ObjectMut {
                name: &mut handle.bypass_change_detection().0,
                parents: &mut parents.0,
                slots: &mut slots.bypass_change_detection().0,
                versions: &mut versions.bypass_change_detection().0,
            },
            Change::SetSlot { .. } | Change::EditSlot { .. } => ObjectMut {
                name: &mut handle.bypass_change_detection().0,
                parents: &mut parents.bypass_change_detection().0,
                slots: &mut slots.0,
                versions: &mut versions.bypass_change_detection().0,
            },
            Change::AddVersion { .. } | Change::RemoveVersion { .. } => ObjectMut {
                name: &mut handle.bypass_change_detection().0,
                parents: &mut parents.bypass_change_detection().0,
                slots: &mut slots.bypass_change_detection().0,
                versions: &mut versions.0,
            },
        };
        let mut object = object;
        object.apply(change);
    }
}
