//! The world hash: one number for all authored state, whatever way the world came to it.

use super::wire_object::{WireObject, WireTombstone, to_bytes};
use crate::object::{ObjectId, ObjectRef, Objects};
use serde::Serialize;

/// BLAKE3 over every object (id, name, parents, slots in order with documentation, methods, versions) and over what stays
/// of deleted ones, in hex. `docs/file-format.md` has the form.
pub fn world_hash(world: &dyn Objects) -> String {
    let mut hasher = blake3::Hasher::new();
    for object in world.ids().into_iter().filter_map(|id| world.object(id)) {
        add(&mut hasher, &WireObject::from(&object.to_object()));
    }
    for (id, tombstone) in world.tombstones() {
        hasher.update(id.0.as_bytes());
        add(&mut hasher, &WireTombstone::from(tombstone));
    }
    hasher.finalize().to_hex().to_string()
}

/// The same over one object, or over what stays of it.
pub(super) fn hash_of_one(world: &dyn Objects, id: ObjectId) -> String {
    let mut hasher = blake3::Hasher::new();
    if let Some(object) = world.object(id) {
        add(&mut hasher, &WireObject::from(&ObjectRef::to_object(object)));
    }
    if let Some(tombstone) = world.tombstone(id) {
        add(&mut hasher, &WireTombstone::from(tombstone));
    }
    hasher.finalize().to_hex().to_string()
}

/// What consists of plain fields always has a serial form.
fn add(hasher: &mut blake3::Hasher, wire: &impl Serialize) {
    let bytes = to_bytes(wire).unwrap_or_default();
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(&bytes);
}
