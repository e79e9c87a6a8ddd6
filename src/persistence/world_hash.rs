//! The world hash: one number for all authored state, whatever way the world came to it.

use super::wire_object::{WireObject, WireTombstone, to_bytes};
use crate::object::{ObjectId, Objects};
use serde::Serialize;

/// BLAKE3 over every object (id, name, parents, slots in order with documentation, methods, versions) and over what stays
/// of deleted ones, in hex. `docs/file-format.md` has the form.
pub fn world_hash(world: &dyn Objects) -> String {
    let mut hasher = blake3::Hasher::new();
    for object in world.ids().into_iter().filter_map(|id| world.object(id)) {
        add(&mut hasher, &WireObject::from(object));
    }
    for (id, tombstone) in world.tombstones() {
        hasher.update(id.0.as_bytes());
        add(&mut hasher, &WireTombstone::from(tombstone));
    }
    hasher.finalize().to_hex().to_string()
}

/// What the hash takes in of one object, or of what stays of it.
pub(super) fn serial_form(world: &dyn Objects, id: ObjectId) -> Vec<u8> {
    let object = world.object(id).map(|object| serial(&WireObject::from(object)));
    let tombstone = world.tombstone(id).map(|tombstone| serial(&WireTombstone::from(tombstone)));
    object.into_iter().chain(tombstone).flatten().collect()
}

fn add(hasher: &mut blake3::Hasher, wire: &impl Serialize) {
    let bytes = serial(wire);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(&bytes);
}

/// What consists of plain fields always has a serial form.
fn serial(wire: &impl Serialize) -> Vec<u8> {
    to_bytes(wire).unwrap_or_default()
}
