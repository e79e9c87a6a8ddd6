//! The world hash: one number for all authored state, whatever way the world came to it.

use super::wire_object::{WireObject, to_bytes};
use crate::object::ObjectRef;
use std::collections::BTreeMap;

/// BLAKE3 over every object (id, name, parents, slots in order with documentation, methods, versions), in hex.
///
/// The objects may come in any order. It is the hash of the concatenation, by ascending id, of the length (u64,
/// little-endian) and the serial form of each object. `docs/file-format.md` has the form.
pub fn world_hash<'a>(objects: impl Iterator<Item = ObjectRef<'a>>) -> String {
    let sorted: BTreeMap<_, _> = objects.map(|object| (object.id, object)).collect();
    let mut hasher = blake3::Hasher::new();
    for object in sorted.values() {
        // An object of plain fields always has a serial form.
        let bytes = to_bytes(&WireObject::from(&object.to_object())).unwrap_or_default();
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    hasher.finalize().to_hex().to_string()
}
