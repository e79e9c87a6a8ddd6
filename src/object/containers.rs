//! Lists and maps as values: a copy shares what did not change, and an edit costs in proportion to what it changes.
//!
//! Small ones are plain, which takes the least room; from [`FEW`] elements on they are persistent structures. Each knows
//! how many bytes it has with all that is nested, so that a bound is checked without walking.

use super::{MapKey, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Elements up to which a container is kept plain.
const FEW: usize = 32;

/// A list: dense, counted from 0 here and from 1 in the language.
#[derive(Clone)]
pub struct List {
    items: Items,
    bytes: usize,
}

#[derive(Clone)]
enum Items {
    Few(Vec<Value>),
    Many(Box<imbl::Vector<Value>>),
}

/// A map, ordered by key.
#[derive(Clone)]
pub struct Map {
    entries: Entries,
    bytes: usize,
}

#[derive(Clone)]
enum Entries {
    Few(BTreeMap<MapKey, Value>),
    Many(Box<imbl::OrdMap<MapKey, Value>>),
}

impl List {
    /// How many elements.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Few(items) => items.len(),
            Items::Many(items) => items.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &Value> + Clone {
        let (few, many) = match &self.items {
            Items::Few(items) => (Some(items.iter()), None),
            Items::Many(items) => (None, Some(items.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The element at a place.
    pub fn get(&self, place: usize) -> Option<&Value> {
        match &self.items {
            Items::Few(items) => items.get(place),
            Items::Many(items) => items.get(place),
        }
    }

    /// Bytes of all elements with what is nested in them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts an element into a place, or at the end. Answers what stood there; `None` where the place is beyond the end.
    pub fn set(&mut self, place: usize, value: Value) -> Option<Option<Value>> {
        if place == self.len() {
            self.insert(place, value);
            return Some(None);
        }
        let added = value.bytes();
        let old = match &mut self.items {
            Items::Few(items) => std::mem::replace(items.get_mut(place)?, value),
            Items::Many(items) => (place < items.len()).then(|| items.set(place, value))?,
        };
        self.bytes = self.bytes + added - old.bytes();
        Some(Some(old))
    }

    /// Puts an element before the one at a place; the place is at most the length.
    pub fn insert(&mut self, place: usize, value: Value) {
        self.bytes += value.bytes();
        match &mut self.items {
            Items::Few(items) if items.len() < FEW => items.insert(place, value),
            Items::Few(items) => {
                let mut many: imbl::Vector<Value> = std::mem::take(items).into_iter().collect();
                many.insert(place, value);
                self.items = Items::Many(Box::new(many));
            }
            Items::Many(items) => items.insert(place, value),
        }
    }

    /// Takes an element out; those behind it move up.
    pub fn remove(&mut self, place: usize) -> Option<Value> {
        let old = match &mut self.items {
            Items::Few(items) => (place < items.len()).then(|| items.remove(place))?,
            Items::Many(items) => (place < items.len()).then(|| items.remove(place))?,
        };
        self.bytes -= old.bytes();
        Some(old)
    }

    fn change<R>(&mut self, place: usize, act: impl FnOnce(&mut Value) -> R) -> Option<R> {
        let item = match &mut self.items {
            Items::Few(items) => items.get_mut(place)?,
            Items::Many(items) => items.get_mut(place)?,
        };
        let before = item.bytes();
        let result = act(item);
        self.bytes = self.bytes + item.bytes() - before;
        Some(result)
    }
}

impl Map {
    /// How many entries.
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Few(entries) => entries.len(),
            Entries::Many(entries) => entries.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries by ascending key.
    pub fn iter(&self) -> impl Iterator<Item = (&MapKey, &Value)> + Clone {
        let (few, many) = match &self.entries {
            Entries::Few(entries) => (Some(entries.iter()), None),
            Entries::Many(entries) => (None, Some(entries.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The value of a key.
    pub fn get(&self, key: &MapKey) -> Option<&Value> {
        match &self.entries {
            Entries::Few(entries) => entries.get(key),
            Entries::Many(entries) => entries.get(key),
        }
    }

    /// Bytes of all entries with what is nested in them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts an entry in; answers the value that the key had.
    pub fn insert(&mut self, key: MapKey, value: Value) -> Option<Value> {
        let (key_bytes, value_bytes) = (key.bytes(), value.bytes());
        let old = match &mut self.entries {
            Entries::Few(entries) if entries.len() < FEW || entries.contains_key(&key) => entries.insert(key, value),
            Entries::Few(entries) => {
                let mut many: imbl::OrdMap<MapKey, Value> = std::mem::take(entries).into_iter().collect();
                many.insert(key, value);
                self.entries = Entries::Many(Box::new(many));
                None
            }
            Entries::Many(entries) => entries.insert(key, value),
        };
        self.bytes += value_bytes;
        match &old {
            Some(old) => self.bytes -= old.bytes(),
            None => self.bytes += key_bytes,
        }
        old
    }

    /// Takes an entry out; answers its value.
    pub fn remove(&mut self, key: &MapKey) -> Option<Value> {
        let old = match &mut self.entries {
            Entries::Few(entries) => entries.remove(key),
            Entries::Many(entries) => entries.remove(key),
        }?;
        self.bytes -= key.bytes() + old.bytes();
        Some(old)
    }

    /// Whether the keys are 1, 2, … and nothing else, which is what makes a list.
    pub fn is_dense(&self) -> bool {
        let ends = match &self.entries {
            Entries::Few(entries) => (entries.keys().next(), entries.keys().next_back()),
            Entries::Many(entries) => (entries.get_min().map(|(key, _)| key), entries.get_max().map(|(key, _)| key)),
        };
        let (first, last) = (MapKey::Number(1.0), MapKey::Number(self.len() as f64));
        ends == (Some(&first), Some(&last))
            && self.iter().enumerate().all(|(place, (key, _))| *key == MapKey::Number((place + 1) as f64))
    }

    fn change<R>(&mut self, key: &MapKey, act: impl FnOnce(&mut Value) -> R) -> Option<R> {
        let value = match &mut self.entries {
            Entries::Few(entries) => entries.get_mut(key)?,
            Entries::Many(entries) => entries.get_mut(key)?,
        };
        let before = value.bytes();
        let result = act(value);
        self.bytes = self.bytes + value.bytes() - before;
        Some(result)
    }
}

impl Value {
    /// Changes what stands at the end of a path of keys; `None` where the path leads nowhere.
    pub(super) fn change_at<R>(&mut self, path: &[MapKey], act: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let Some((key, rest)) = path.split_first() else { return Some(act(self)) };
        match self {
            Self::List(items) => items.change(key.place()?, |item| item.change_at(rest, act))?,
            Self::Map(entries) => entries.change(key, |value| value.change_at(rest, act))?,
            _ => None,
        }
    }
}

impl MapKey {
    /// The place in a list, from 0, that the language calls by this number.
    pub(super) fn place(&self) -> Option<usize> {
        match self {
            Self::Number(number) if *number >= 1.0 && number.fract() == 0.0 && *number < 4e9 => {
                Some(*number as usize - 1)
            }
            _ => None,
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self { items: Items::Few(Vec::new()), bytes: 0 }
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        let bytes = items.iter().map(Value::bytes).sum();
        let items =
            if items.len() > FEW { Items::Many(Box::new(items.into_iter().collect())) } else { Items::Few(items) };
        Self { items, bytes }
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for Map {
    fn default() -> Self {
        Self { entries: Entries::Few(BTreeMap::new()), bytes: 0 }
    }
}

impl From<BTreeMap<MapKey, Value>> for Map {
    fn from(entries: BTreeMap<MapKey, Value>) -> Self {
        let bytes = entries.iter().map(|(key, value)| key.bytes() + value.bytes()).sum();
        let entries = if entries.len() > FEW {
            Entries::Many(Box::new(entries.into_iter().collect()))
        } else {
            Entries::Few(entries)
        };
        Self { entries, bytes }
    }
}

impl FromIterator<(MapKey, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (MapKey, Value)>>(entries: I) -> Self {
        entries.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
