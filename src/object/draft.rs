//! A world with changes that nobody else sees yet: what a turn, or a rehearsal, writes into.

use super::{Change, Edit, Name, Object, ObjectId, ObjectRef, Objects, Slot, SlotContent, Tombstone};
use std::collections::{BTreeMap, HashMap};

/// Changes over a base that stays as it is. Dropping the draft takes everything back.
pub struct Draft<'a> {
    base: &'a dyn Objects,
    /// Nothing until the first change: every message has a draft, and most change little or nothing.
    written: Option<Box<Written>>,
}

/// What is other than in the base.
#[derive(Default)]
struct Written {
    objects: BTreeMap<ObjectId, Option<Object>>,
    names: BTreeMap<Name, Option<ObjectId>>,
    tombstones: BTreeMap<ObjectId, Option<Tombstone>>,
    changes: Vec<Change>,
    /// Where in `changes` the newest change of a slot stands, so that a loop leaves one change a slot.
    latest: HashMap<(ObjectId, Name), usize>,
    /// Of all that was ever applied.
    bytes: usize,
}

impl<'a> Draft<'a> {
    /// A draft without changes.
    pub fn on(base: &'a dyn Objects) -> Self {
        Self { base, written: None }
    }

    /// Sets an own slot, or takes it away. Answers false where the object is gone; a write that changes nothing
    /// leaves no change.
    pub fn set_slot(&mut self, id: ObjectId, name: Name, after: Option<Slot>) -> bool {
        let Some(object) = self.object(id) else { return false };
        let before = object.slots.get(&name).cloned();
        let same = match (&before, &after) {
            (Some(before), Some(after)) => before.same(after),
            (None, None) => true,
            _ => false,
        };
        if !same {
            let place = object.slots.place(&name).unwrap_or(object.slots.len());
            self.apply(Change::SetSlot { id, slot: name, place, before, after });
        }
        true
    }

    /// Changes the list or map in an own slot in place. False, and nothing is changed, where one of the edits is not
    /// possible (see [`super::Value::edit`]) or has no inverse, or there is no such value.
    pub fn edit_slot(&mut self, id: ObjectId, slot: &Name, mut edits: Vec<Edit>) -> bool {
        let value = self.object(id).and_then(|object| object.slots.get(slot)).and_then(Slot::as_value);
        let Some(mut value) = value.cloned() else { return false };
        if !edits.iter_mut().all(|edit| !edit.fills_empty_map(&value) && value.edit(edit)) {
            return false;
        }
        edits.retain(|edit| !edit.is_idle());
        if edits.is_empty() {
            return true;
        }
        let change = Change::EditSlot { id, slot: slot.clone(), edits };
        let written = self.written.get_or_insert_default();
        written.touch(self.base, id, &change);
        written.bytes = written.bytes.saturating_add(change.bytes());
        let Change::EditSlot { edits, .. } = change else { return true };
        // It joins the newest change of the slot.
        let key = (id, slot.clone());
        let newest = written.latest.get(&key).and_then(|index| written.changes.get_mut(*index));
        match newest {
            Some(Change::EditSlot { edits: earlier, .. }) => earlier.extend(edits),
            Some(Change::SetSlot { after: Some(Slot { content: SlotContent::Value(of), .. }), .. }) => *of = value,
            _ => {
                written.latest.insert(key, written.changes.len());
                written.changes.push(Change::EditSlot { id, slot: slot.clone(), edits });
            }
        }
        true
    }

    /// Applies a change and remembers it. A change of an object that is not there does nothing.
    pub fn apply(&mut self, change: Change) {
        self.written.get_or_insert_default().apply(self.base, change);
    }

    /// Changes in the order in which they were applied.
    pub fn changes(&self) -> &[Change] {
        self.written.as_ref().map_or(&[], |written| &written.changes)
    }

    /// Bytes of all that was ever applied, also of what was overwritten since.
    pub fn written_bytes(&self) -> usize {
        self.written.as_ref().map_or(0, |written| written.bytes)
    }

    /// Objects that are not as they are in the base, and still there.
    pub fn touched(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        self.written.iter().flat_map(|written| written.objects.values().flatten()).map(Object::as_ref)
    }

    /// The changes, ending the draft.
    pub fn into_changes(mut self) -> Vec<Change> {
        self.take_changes()
    }

    /// The changes, leaving a draft without any.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.written.take().map(|written| written.changes).unwrap_or_default()
    }
}

impl Written {
    fn apply(&mut self, base: &dyn Objects, change: Change) {
        match &change {
            Change::Create(object, _) => {
                self.bind(object.name.clone(), Some(object.id));
                self.objects.insert(object.id, Some((**object).clone()));
                self.tombstones.insert(object.id, None);
            }
            Change::Delete(object, tombstone) => {
                self.bind(object.name.clone(), None);
                self.objects.insert(object.id, None);
                self.tombstones.insert(object.id, tombstone.clone());
            }
            Change::Rename { id, before, after } => {
                if !self.touch(base, *id, &change) {
                    return;
                }
                self.bind(before.clone(), None);
                self.bind(after.clone(), Some(*id));
            }
            other => {
                if !self.touch(base, other.id(), other) {
                    return;
                }
            }
        }
        self.remember(change);
    }

    /// An overwrite joins the newest change of the same slot; what adds, removes or moves slots never does.
    fn remember(&mut self, change: Change) {
        self.bytes = self.bytes.saturating_add(change.bytes());
        match &change {
            Change::SetSlot { id, slot, before: Some(_), after: Some(_), .. } => {
                let key = (*id, slot.clone());
                if let Some(index) = self.latest.get(&key)
                    && let Change::SetSlot { after: earlier @ Some(_), .. } = &mut self.changes[*index]
                    && let Change::SetSlot { after, .. } = change
                {
                    *earlier = after;
                    return;
                }
                self.latest.insert(key, self.changes.len());
            }
            Change::SetSlot { id, slot, after: Some(_), .. } => {
                self.latest.insert((*id, slot.clone()), self.changes.len());
            }
            Change::SetSlot { id, slot, .. } => drop(self.latest.remove(&(*id, slot.clone()))),
            Change::Create(..) | Change::Delete(..) => self.latest.clear(),
            _ => {}
        }
        self.changes.push(change);
    }

    fn bind(&mut self, name: Option<Name>, id: Option<ObjectId>) {
        if let Some(name) = name {
            self.names.insert(name, id);
        }
    }

    fn touch(&mut self, base: &dyn Objects, id: ObjectId, change: &Change) -> bool {
        let object = self.objects.entry(id).or_insert_with(|| base.object(id).map(ObjectRef::to_object));
        object.as_mut().map(|object| object.as_mut().apply(change)).is_some()
    }
}

impl Objects for Draft<'_> {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        match self.written.as_ref().and_then(|written| written.objects.get(&id)) {
            Some(object) => object.as_ref().map(Object::as_ref),
            None => self.base.object(id),
        }
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        match self.written.as_ref().and_then(|written| written.names.get(name)) {
            Some(id) => *id,
            None => self.base.named(name),
        }
    }

    fn ids(&self) -> Vec<ObjectId> {
        let Some(written) = &self.written else { return self.base.ids() };
        let mut ids = self.base.ids();
        ids.retain(|id| !written.objects.contains_key(id));
        ids.extend(written.objects.iter().filter(|(_, object)| object.is_some()).map(|(id, _)| *id));
        ids.sort();
        ids
    }

    fn tombstone(&self, id: ObjectId) -> Option<&Tombstone> {
        match self.written.as_ref().and_then(|written| written.tombstones.get(&id)) {
            Some(tombstone) => tombstone.as_ref(),
            None => self.base.tombstone(id),
        }
    }

    fn tombstones(&self) -> BTreeMap<ObjectId, &Tombstone> {
        let mut all = self.base.tombstones();
        for (id, tombstone) in self.written.iter().flat_map(|written| &written.tombstones) {
            match tombstone {
                Some(tombstone) => drop(all.insert(*id, tombstone)),
                None => drop(all.remove(id)),
            }
        }
        all
    }
}
