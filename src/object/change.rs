//! A change of authored state, with its inverse: what a turn does to the world.

use super::{Edit, MethodVersion, Name, Object, ObjectId, Slot, Slots, Tombstone, Versions};

/// One change. Applying it and then its inverse leaves the object as it was, slot order included.
#[allow(clippy::large_enum_variant)] // the large one is by far the commonest
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An object comes to be. The second is what stayed of an earlier end, which goes.
    Create(Box<Object>, Option<Tombstone>),
    /// An object goes; the whole of it is kept for the inverse. The second says what stays of it.
    Delete(Box<Object>, Option<Tombstone>),
    /// A slot is added (`before` none), replaced, or removed (`after` none).
    SetSlot {
        /// Whose.
        id: ObjectId,
        /// Which.
        slot: Name,
        /// Its place in the order, from 0.
        place: usize,
        /// What stood there.
        before: Option<Slot>,
        /// What stands there now.
        after: Option<Slot>,
    },
    /// The list or map in a slot is changed in place.
    EditSlot {
        /// Whose.
        id: ObjectId,
        /// Which.
        slot: Name,
        /// In the order in which they were made.
        edits: Vec<Edit>,
    },
    /// A method text joins the versions of a selector.
    AddVersion {
        /// Whose.
        id: ObjectId,
        /// Of which selector.
        selector: Name,
        /// The text.
        version: Box<MethodVersion>,
    },
    /// The newest version of a selector is taken back: only ever the inverse of the above.
    RemoveVersion {
        /// Whose.
        id: ObjectId,
        /// Of which selector.
        selector: Name,
        /// The text.
        version: Box<MethodVersion>,
    },
    /// The unique handle changes.
    Rename {
        /// Whose.
        id: ObjectId,
        /// The handle it had.
        before: Option<Name>,
        /// The handle it has.
        after: Option<Name>,
    },
    /// The delegation changes.
    SetParents {
        /// Whose.
        id: ObjectId,
        /// Parents it had.
        before: Vec<ObjectId>,
        /// Parents it has.
        after: Vec<ObjectId>,
    },
}

/// One object, borrowed for changing it in place.
#[derive(Debug)]
pub struct ObjectMut<'a> {
    /// Unique handle.
    pub name: &'a mut Option<Name>,
    /// Parents in lookup order.
    pub parents: &'a mut Vec<ObjectId>,
    /// Own slots.
    pub slots: &'a mut Slots,
    /// Texts of own methods.
    pub versions: &'a mut Versions,
}

impl ObjectMut<'_> {
    /// Applies a change that is not the making or the end of the object.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(..) | Change::Delete(..) => {}
            Change::SetSlot { slot, place, after, .. } => match after {
                Some(after) => self.slots.put(slot.clone(), *place, after.clone()),
                None => drop(self.slots.remove(slot)),
            },
            Change::EditSlot { slot, edits, .. } => {
                if let Some(value) = self.slots.value_mut(slot) {
                    for edit in edits {
                        value.edit(&mut edit.clone());
                    }
                }
            }
            Change::AddVersion { selector, version, .. } => {
                self.versions.entry(selector.clone()).or_default().push((**version).clone());
            }
            Change::RemoveVersion { selector, .. } => {
                if let Some(versions) = self.versions.get_mut(selector) {
                    versions.pop();
                    if versions.is_empty() {
                        self.versions.remove(selector);
                    }
                }
            }
            Change::Rename { after, .. } => self.name.clone_from(after),
            Change::SetParents { after, .. } => self.parents.clone_from(after),
        }
    }
}

impl Change {
    /// The object it concerns.
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Create(object, _) | Self::Delete(object, _) => object.id,
            Self::SetSlot { id, .. }
            | Self::EditSlot { id, .. }
            | Self::AddVersion { id, .. }
            | Self::RemoveVersion { id, .. }
            | Self::Rename { id, .. }
            | Self::SetParents { id, .. } => *id,
        }
    }

    /// The change that takes this one back.
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::Create(object, tombstone) => Self::Delete(object, tombstone),
            Self::Delete(object, tombstone) => Self::Create(object, tombstone),
            Self::SetSlot { id, slot, place, before, after } => {
                Self::SetSlot { id, slot, place, before: after, after: before }
            }
            Self::EditSlot { id, slot, edits } => {
                Self::EditSlot { id, slot, edits: edits.iter().rev().map(Edit::inverse).collect() }
            }
            Self::AddVersion { id, selector, version } => Self::RemoveVersion { id, selector, version },
            Self::RemoveVersion { id, selector, version } => Self::AddVersion { id, selector, version },
            Self::Rename { id, before, after } => Self::Rename { id, before: after, after: before },
            Self::SetParents { id, before, after } => Self::SetParents { id, before: after, after: before },
        }
    }
}
