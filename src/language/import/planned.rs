//! What an import does with one object: the changes, and how they read.

use crate::language::console::slot_text;
use crate::object::{Change, Name, Object, ObjectId, Objects, Slot, Slots, untitled};

/// Changes of slots beyond which an object is replaced whole: each change takes as long as the object is large.
const MANY_CHANGES: usize = 256;

/// What an import does with one object.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) file: String,
    /// As it is; `None` for one that is new.
    pub(super) before: Option<Object>,
    /// As it will be; `None` for one that goes.
    pub(super) after: Option<Object>,
    /// Methods with a new text, each with the line of the file where it begins.
    pub(super) rewritten: Vec<(Name, usize)>,
}

impl Planned {
    /// From what is to what will be.
    pub(super) fn changes(&self) -> Vec<Change> {
        let (before, after) = match (&self.before, &self.after) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(after)) => return vec![Change::Create(Box::new(after.clone()), None)],
            (Some(before), None) => return vec![Change::Delete(Box::new(before.clone()), None)],
            (None, None) => return Vec::new(),
        };
        let (id, mut changes) = (before.id, Vec::new());
        if before.name != after.name {
            changes.push(Change::Rename { id, before: before.name.clone(), after: after.name.clone() });
        }
        if before.parents != after.parents {
            let (before, after) = (before.parents.clone(), after.parents.clone());
            changes.push(Change::SetParents { id, before, after });
        }
        for (selector, _) in &self.rewritten {
            if let Some(version) = after.versions.get(selector).and_then(|versions| versions.last()) {
                let (selector, version) = (selector.clone(), Box::new(version.clone()));
                changes.push(Change::AddVersion { id, selector, version });
            }
        }
        match slot_changes(id, &before.slots, &after.slots) {
            Some(of_slots) => changes.extend(of_slots),
            None => {
                changes =
                    vec![Change::Delete(Box::new(before.clone()), None), Change::Create(Box::new(after.clone()), None)];
            }
        }
        changes
    }

    pub(super) fn lines(&self, objects: &dyn Objects) -> Vec<String> {
        let title = |object: &Object| object.name.as_ref().map_or_else(|| untitled(object.id), Name::to_string);
        let parents = |object: &Object| {
            let titles: Vec<String> = object.parents.iter().map(|id| objects.title(*id)).collect();
            if titles.is_empty() { "nothing".to_string() } else { titles.join(", ") }
        };
        let file = &self.file;
        let (before, after) = match (&self.before, &self.after) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(after)) => {
                let (slots, title) = (after.slots.len(), title(after));
                return vec![format!("{file}: {title} is new, a child of {}, with {slots} slots", parents(after))];
            }
            (Some(before), None) => return vec![format!("{file}: {} is deleted", title(before))],
            (None, None) => return Vec::new(),
        };
        let mut lines = Vec::new();
        if before.name != after.name {
            lines.push(format!("{file}: {} is renamed to {}", title(before), title(after)));
        }
        if before.parents != after.parents {
            lines.push(format!("  it delegates to {}, no longer to {}", parents(after), parents(before)));
        }
        lines.extend(slot_lines(&before.slots, &after.slots, objects));
        if before.name == after.name && !lines.is_empty() {
            lines.insert(0, format!("{file}: {} changes", title(after)));
        }
        lines
    }
}

/// What makes some slots equal to others, order included; `None` where that is more than [`MANY_CHANGES`].
fn slot_changes(id: ObjectId, before: &Slots, after: &Slots) -> Option<Vec<Change>> {
    let (mut now, mut changes) = (before.clone(), Vec::new());
    let mut set = |now: &mut Slots, slot: &Name, place: usize, to: Option<&Slot>| {
        if changes.len() >= MANY_CHANGES {
            return None;
        }
        let was = now.get(slot).cloned();
        match to {
            Some(to) => now.put(slot.clone(), place, to.clone()),
            None => drop(now.remove(slot)),
        }
        changes.push(Change::SetSlot { id, slot: slot.clone(), place, before: was, after: to.cloned() });
        Some(())
    };
    for (name, _) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
        let place = now.place(name).unwrap_or_default();
        set(&mut now, name, place, None)?;
    }
    for (place, (name, slot)) in after.iter().enumerate() {
        match now.place(name) {
            Some(at) if at == place => {}
            Some(at) => set(&mut now, name, at, None)?,
            None => {}
        }
        if now.get(name).is_none_or(|now| !now.same(slot)) {
            set(&mut now, name, place, Some(slot))?;
        }
    }
    Some(changes)
}

fn slot_lines(before: &Slots, after: &Slots, objects: &dyn Objects) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, slot) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
        lines.push(format!("  {name} is removed, which is {}", slot_text(slot, objects)));
    }
    for (name, slot) in after.iter() {
        let text = slot_text(slot, objects);
        match before.get(name) {
            None => lines.push(format!("  {name} is new: {text}")),
            Some(before) if before.same(slot) => {}
            Some(before) => {
                let was = slot_text(before, objects);
                let same = "is the same in its first characters, or documented otherwise";
                lines.push(if was == text { format!("  {name} {same}") } else { format!("  {name} {was} → {text}") });
            }
        }
    }
    // Slots that stay keep their order, or don't.
    let order = |of: &Slots, other: &Slots| -> Vec<Name> {
        of.iter().map(|(name, _)| name.clone()).filter(|name| other.get(name).is_some()).collect()
    };
    if order(before, after) != order(after, before) {
        lines.push("  its slots stand in another order".to_string());
    }
    lines
}
