//! Values that a slot can hold, and their one canonical text form.

use super::{List, Map, ObjectId, Objects};
use std::borrow::Cow;
use std::fmt::Write;

/// Lists and maps may be nested this deep.
pub const MAX_DEPTH: usize = 32;

/// What a data slot holds, an argument carries, or a message answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing. As an own value it hides an inherited one.
    Nil,
    /// `true` or `false`.
    Boolean(bool),
    /// A double; NaN may be stored and equals nothing.
    Number(f64),
    /// UTF-8.
    Text(String),
    /// Dense, counted from 1 in the language.
    List(List),
    /// Ordered by key: kind, then value.
    Map(Map),
    /// A reference, which may dangle.
    Object(ObjectId),
}

/// A key of a map. The order (boolean, number, text, object) is the order of iteration.
#[derive(Clone, Debug)]
pub enum MapKey {
    /// `true` or `false`.
    Boolean(bool),
    /// Finite; −0 is stored as 0.
    Number(f64),
    /// UTF-8.
    Text(String),
    /// A reference.
    Object(ObjectId),
}

impl MapKey {
    /// A number as a key; `None` unless finite.
    pub fn number(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Number(number + 0.0))
    }

    /// The text between the brackets: `1`, `"text"`, `true`, `@point`.
    pub fn text(&self, objects: &dyn Objects) -> String {
        let mut out = String::new();
        self.write(objects, &mut out);
        out
    }

    fn write(&self, objects: &dyn Objects, out: &mut String) {
        match self {
            Self::Boolean(value) => drop(write!(out, "{value}")),
            Self::Number(number) => out.push_str(&number_text(*number)),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Object(id) => write_object(*id, objects, out),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
            Self::Object(_) => 3,
        }
    }
}

impl Ord for MapKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Object(a), Self::Object(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for MapKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MapKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MapKey {}

impl Value {
    /// A list of these elements; where one of them is nil, which no list holds, a map of the others by their places.
    pub fn list(items: Vec<Self>) -> Self {
        if !items.contains(&Self::Nil) {
            return Self::List(items.into());
        }
        let keyed = items.into_iter().enumerate().map(|(place, item)| (MapKey::Number((place + 1) as f64), item));
        Self::map(keyed)
    }

    /// A map of these entries without those that are nil; a list where the keys are 1, 2, … and nothing else, or there are none.
    pub fn map(entries: impl IntoIterator<Item = (MapKey, Self)>) -> Self {
        let entries: Map = entries.into_iter().filter(|(_, value)| *value != Self::Nil).collect();
        if entries.is_empty() || entries.is_dense() {
            return Self::List(entries.iter().map(|(_, value)| value.clone()).collect());
        }
        Self::Map(entries)
    }

    /// The kind in words, for faults.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
        }
    }

    /// Equality of content in which NaN is like NaN, 0 unlike −0, and an empty map, which older worlds have, like the empty list:
    /// whether a write changes anything.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b)),
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && a.same(b))
            }
            (Self::List(list), Self::Map(map)) | (Self::Map(map), Self::List(list)) => {
                list.is_empty() && map.is_empty()
            }
            _ => self == other,
        }
    }

    /// The canonical text, which the console reads back as the same value: `5`, `"text"`, `[1, 2]`,
    /// `{a = 1}`, `@point`. An object without a name prints as `@<id>`.
    pub fn text(&self, objects: &dyn Objects) -> String {
        let mut out = String::new();
        self.write(objects, &mut out);
        out
    }

    fn write(&self, objects: &dyn Objects, out: &mut String) {
        match self {
            Self::Nil => out.push_str("nil"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number_text(*number)),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Object(id) => write_object(*id, objects, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.write(objects, out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    match key {
                        MapKey::Text(text) if super::Name::new(text).is_ok() => out.push_str(text),
                        other => {
                            out.push('[');
                            other.write(objects, out);
                            out.push(']');
                        }
                    }
                    out.push_str(" = ");
                    value.write(objects, out);
                }
                out.push('}');
            }
        }
    }
}

fn write_object(id: ObjectId, objects: &dyn Objects, out: &mut String) {
    match objects.object(id).and_then(|object| object.name.cloned()) {
        Some(name) => drop(write!(out, "@{name}")),
        None => drop(write!(out, "@<{id}>")),
    }
}

/// Shortest text that reads back as the same double; whole numbers without a point.
pub fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e17).contains(&magnitude) { format!("{number:e}") } else { format!("{number}") }
}

/// The first characters of a text, and `…` where it has more.
pub fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// The text in quotes, with the escapes that the console reads.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if other.is_control() => drop(write!(out, "\\u{{{:x}}}", other as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
