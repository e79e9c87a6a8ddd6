//! Slots: the ordered map from a name to a value or a method, each with its documentation.

use super::{MethodVersion, Name, Value};
use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum SlotContent {
    /// Data.
    Value(Value),
    /// Code; the same text also stands in the object's versions.
    Method(Box<MethodVersion>),
}

/// One slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Value or method.
    pub content: SlotContent,
    /// What the slot is for, in words; empty where nobody said.
    pub doc: String,
}

impl Slot {
    /// A data slot without documentation.
    pub fn value(value: Value) -> Self {
        Self { content: SlotContent::Value(value), doc: String::new() }
    }

    /// A method slot; its documentation is the method's own.
    pub fn method(method: MethodVersion) -> Self {
        Self { doc: method.doc.clone(), content: SlotContent::Method(Box::new(method)) }
    }

    /// The value of a data slot.
    pub fn as_value(&self) -> Option<&Value> {
        match &self.content {
            SlotContent::Value(value) => Some(value),
            SlotContent::Method(_) => None,
        }
    }

    /// The method of a method slot.
    pub fn as_method(&self) -> Option<&MethodVersion> {
        match &self.content {
            SlotContent::Method(method) => Some(method),
            SlotContent::Value(_) => None,
        }
    }

    /// Whether putting `other` here would change nothing.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (SlotContent::Value(a), SlotContent::Value(b)) => a.same(b) && self.doc == other.doc,
            _ => self == other,
        }
    }
}

/// Own slots in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slots(IndexMap<Name, Slot, RandomState>);

impl Slots {
    /// The slot of this name.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.0.get(name)
    }

    /// The value of a data slot, for changing it in place.
    pub(super) fn value_mut(&mut self, name: &str) -> Option<&mut Value> {
        match &mut self.0.get_mut(name)?.content {
            SlotContent::Value(value) => Some(value),
            SlotContent::Method(_) => None,
        }
    }

    /// Place in the order, from 0.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.0.get_index_of(name)
    }

    /// Sets a slot: one that exists keeps its place, a new one comes to `place` (or last, if that is beyond the end).
    pub fn put(&mut self, name: Name, place: usize, slot: Slot) {
        match self.0.get_mut(&name) {
            Some(old) => *old = slot,
            None => {
                let place = place.min(self.0.len());
                self.0.shift_insert(place, name, slot);
            }
        }
    }

    /// Sets a slot, a new one at the end.
    pub fn push(&mut self, name: Name, slot: Slot) {
        self.put(name, usize::MAX, slot);
    }

    /// Takes a slot away; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Slot> {
        self.0.shift_remove(name)
    }

    /// Slots in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Slot)> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
