//! Edits: what changes inside a list or map, each with its inverse.
//!
//! An edit never makes a map of a list or a list of a map; what does is a change of the whole slot.

use super::{Map, MapKey, Value};

/// One change inside a list or map that stands in a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Keys from the slot's value to the container that changes; empty for the slot's value itself.
    pub path: Vec<MapKey>,
    /// What happens to it.
    pub kind: EditKind,
}

/// What an edit does to a container.
#[derive(Clone, Debug, PartialEq)]
pub enum EditKind {
    /// An entry is added (`before` none), replaced, or removed (`after` none). A list gains and loses only its last one so.
    Set {
        /// Which; a list's are counted from 1.
        key: MapKey,
        /// What stood there.
        before: Option<Value>,
        /// What stands there now.
        after: Option<Value>,
    },
    /// An element comes into a list; those behind it move.
    Insert {
        /// Its place, from 0.
        place: usize,
        /// The element.
        value: Value,
    },
    /// An element goes out of a list; those behind it move.
    Remove {
        /// Its place, from 0.
        place: usize,
        /// The element.
        value: Value,
    },
}

impl Edit {
    /// The edit that takes this one back.
    pub fn inverse(&self) -> Self {
        let kind = match self.kind.clone() {
            EditKind::Set { key, before, after } => EditKind::Set { key, before: after, after: before },
            EditKind::Insert { place, value } => EditKind::Remove { place, value },
            EditKind::Remove { place, value } => EditKind::Insert { place, value },
        };
        Self { path: self.path.clone(), kind }
    }

    /// What it left at its place: `None` where it took something away.
    pub fn left(&self) -> Option<&Value> {
        match &self.kind {
            EditKind::Set { after, .. } => after.as_ref(),
            EditKind::Insert { value, .. } => Some(value),
            EditKind::Remove { .. } => None,
        }
    }

    /// What stands at its place in a slot's value.
    pub fn standing<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let mut container = value;
        for key in &self.path {
            container = container.entry(key)?;
        }
        match (&self.kind, container) {
            (EditKind::Set { key, .. }, _) => container.entry(key),
            (EditKind::Insert { place, .. } | EditKind::Remove { place, .. }, Value::List(items)) => items.get(*place),
            _ => None,
        }
    }

    /// Whether it puts something into an empty map of a slot's value. No edit takes that back, for an edit never empties a
    /// map.
    pub(super) fn fills_empty_map(&self, value: &Value) -> bool {
        let mut container = value;
        for key in &self.path {
            let Some(inner) = container.entry(key) else { return false };
            container = inner;
        }
        matches!(container, Value::Map(entries) if entries.is_empty())
    }

    /// Whether it changes nothing.
    pub(super) fn is_idle(&self) -> bool {
        match &self.kind {
            EditKind::Set { before: Some(before), after: Some(after), .. } => before.same(after),
            EditKind::Set { before, after, .. } => before.is_none() && after.is_none(),
            EditKind::Insert { .. } | EditKind::Remove { .. } => false,
        }
    }

    /// Bytes of what was and what is.
    pub(super) fn bytes(&self) -> usize {
        let path: usize = self.path.iter().map(MapKey::bytes).sum();
        path + match &self.kind {
            EditKind::Set { key, before, after } => {
                key.bytes() + [before, after].into_iter().flatten().map(Value::bytes).sum::<usize>()
            }
            EditKind::Insert { value, .. } | EditKind::Remove { value, .. } => value.bytes(),
        }
    }
}

impl Value {
    /// Applies an edit, and puts into it what stood there before. False, and nothing is changed, where the path leads
    /// nowhere, a list would get a hole, or the container would be of the other kind afterwards.
    pub fn edit(&mut self, edit: &mut Edit) -> bool {
        let Edit { path, kind } = edit;
        self.change_at(path, |container| container.edit_here(kind)).unwrap_or(false)
    }

    /// Makes an empty list an empty map where the edit puts the entry of a map into it: an emptied container is either.
    pub fn open_for(&mut self, edit: &Edit) -> bool {
        let EditKind::Set { key, after: Some(_), .. } = &edit.kind else { return false };
        let open = |container: &mut Self| {
            let opens = key.place().is_none() && matches!(container, Self::List(items) if items.is_empty());
            if opens {
                *container = Self::Map(Map::default());
            }
            opens
        };
        self.change_at(&edit.path, open).unwrap_or(false)
    }

    fn entry(&self, key: &MapKey) -> Option<&Self> {
        match self {
            Self::List(items) => items.get(key.place()?),
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    fn edit_here(&mut self, kind: &mut EditKind) -> bool {
        match (self, kind) {
            (Self::List(items), EditKind::Set { key, before, after: Some(after) }) => {
                let old = key.place().and_then(|place| items.set(place, after.clone()));
                old.map(|old| *before = old).is_some()
            }
            (Self::List(items), EditKind::Set { key, before, after: None }) => match key.place() {
                Some(place) if place + 1 == items.len() => {
                    *before = items.remove(place);
                    true
                }
                Some(place) if place >= items.len() => {
                    *before = None;
                    true
                }
                _ => false,
            },
            (Self::List(items), EditKind::Insert { place, value }) if *place <= items.len() => {
                items.insert(*place, value.clone());
                true
            }
            (Self::List(items), EditKind::Remove { place, value }) => {
                items.remove(*place).map(|old| *value = old).is_some()
            }
            (Self::Map(entries), EditKind::Set { key, before, after }) => {
                let old = match after {
                    Some(after) => entries.insert(key.clone(), after.clone()),
                    None => entries.remove(key),
                };
                let same = old.is_none() && after.is_none();
                if same || (!entries.is_empty() && !entries.is_dense()) {
                    *before = old;
                    return true;
                }
                match old {
                    Some(old) => entries.insert(key.clone(), old),
                    None => entries.remove(key),
                };
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = MapKey> {
        prop_oneof![
            (1..80_i32).prop_map(|number| MapKey::Number(f64::from(number))),
            "[ab]".prop_map(MapKey::Text),
            any::<bool>().prop_map(MapKey::Boolean),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![(0..9_i32).prop_map(|n| Value::Number(f64::from(n))), "[a-z]{0,3}".prop_map(Value::Text)];
        leaf.prop_recursive(3, 96, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(|items| Value::List(items.into())),
                prop::collection::btree_map("[a-z]{1,2}".prop_map(MapKey::Text), inner, 1..40)
                    .prop_map(|entries| Value::Map(entries.into())),
            ]
        })
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let kind = prop_oneof![
            4 => (key(), prop::option::of(value()))
                .prop_map(|(key, after)| EditKind::Set { key, before: None, after }),
            1 => (0..80_usize, value()).prop_map(|(place, value)| EditKind::Insert { place, value }),
            1 => (0..80_usize).prop_map(|place| EditKind::Remove { place, value: Value::Nil }),
        ];
        (prop::collection::vec(key(), 0..2), kind).prop_map(|(path, kind)| Edit { path, kind })
    }

    fn counted(value: &Value) -> usize {
        16 + match value {
            Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(counted).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.bytes() + counted(value)).sum(),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn an_edit_and_its_inverse_leave_a_value_as_it_was(start in value(), edits in prop::collection::vec(edit(), 0..60)) {
            let mut value = start.clone();
            let mut done = Vec::new();
            for mut edit in edits {
                let before = value.clone();
                if value.edit(&mut edit) {
                    done.push(edit);
                } else {
                    prop_assert_eq!(&before, &value);
                }
                prop_assert_eq!(value.bytes(), counted(&value));
            }
            for edit in done.iter().rev() {
                prop_assert!(value.edit(&mut edit.inverse()));
            }
            prop_assert_eq!(value, start);
        }
    }
}
