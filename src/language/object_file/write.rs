//! From an object to the one canonical text of its file: what equals is written the same, byte by byte.

use super::literal::HEADER;
use super::{FORMAT, NUMBERS, WRAPPERS, in_file_order};
use crate::object::{
    List, Map, MapKey, Name, ObjectId, ObjectRef, Objects, Slot, SlotContent, Value, number_text, quoted,
};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Lists and maps that don't fit into a line of so many bytes have one element a line.
const LINE_BYTES: usize = 100;
/// Spaces that each level is indented by.
const STEP: usize = 2;

/// The text of the object's file. Links are names; `objects` knows them.
///
/// What an object file doesn't hold is left out: earlier versions of methods, and where each came from.
pub fn write_object_file(object: ObjectRef<'_>, objects: &dyn Objects) -> String {
    let mut writer = Writer { objects, out: String::new(), is_tight: false };
    writer.object(object);
    writer.out
}

struct Writer<'a> {
    objects: &'a dyn Objects,
    out: String,
    /// Whether a table around is being tried in one line: no table in it may have more.
    is_tight: bool,
}

impl Writer<'_> {
    fn put(&mut self, text: impl std::fmt::Display) {
        let _ = write!(self.out, "{text}"); // writing to a text can't fail
    }

    fn object(&mut self, object: ObjectRef<'_>) {
        self.put(format_args!("return {{ {HEADER}\n  format = {FORMAT},\n"));
        if let Some(name) = object.name {
            self.put(format_args!("  name = \"{name}\",\n"));
        }
        self.put(format_args!("  id = \"{}\",\n  parents = ", object.id));
        let parents: Vec<String> = object.parents.iter().map(|id| self.link(*id)).collect();
        self.list(parents.len(), STEP, |writer, index, _| writer.put(&parents[index]));
        self.put(",\n");
        let mut slots: Vec<(Name, &Slot)> = object.slots.iter().map(|(name, slot)| (name.clone(), slot)).collect();
        in_file_order(&mut slots, |slot| slot.as_method().is_some());
        if !slots.iter().map(|(name, _)| name).eq(object.slots.iter().map(|(name, _)| name)) {
            let order: Vec<String> = object.slots.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.put(format_args!("  order = {{ {} }},\n", order.join(", ")));
        }
        if slots.is_empty() {
            self.put("  slots = {},\n}\n");
            return;
        }
        self.put("  slots = {\n");
        for (name, slot) in slots {
            self.put(format_args!("    {name} = "));
            self.slot(slot);
            self.put(",\n");
        }
        self.put("  },\n}\n");
    }

    fn slot(&mut self, slot: &Slot) {
        match &slot.content {
            SlotContent::Value(value) if slot.doc.is_empty() && !looks_like_a_slot(value) => {
                self.value(value, 2 * STEP)
            }
            SlotContent::Value(value) => {
                self.put("{ value = ");
                self.value(value, 2 * STEP);
                if !slot.doc.is_empty() {
                    self.put(", doc = ");
                    self.text(&slot.doc);
                }
                self.put(" }");
            }
            SlotContent::Method(method) => {
                self.put("{ ");
                if !slot.doc.is_empty() {
                    self.put("doc = ");
                    self.text(&slot.doc);
                    self.put(", ");
                }
                self.put("method = ");
                if needs_quotes(&method.source) {
                    self.put(quoted(&method.source));
                } else {
                    self.long_bracket(&format!("{}\n", method.source));
                }
                self.put(" }");
            }
        }
    }

    fn value(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Nil => self.put("{ none = true }"),
            Value::Boolean(value) => self.put(value),
            Value::Number(number) => self.number(*number),
            Value::Text(text) => self.text(text),
            Value::Object(id) => self.reference(*id),
            Value::List(items) => self.items(items, indent),
            Value::Map(entries) if entries.is_empty() => self.put("{}"),
            Value::Map(entries) if looks_wrapped(entries) => {
                self.put("{ value = ");
                self.entries(entries, indent);
                self.put(" }");
            }
            Value::Map(entries) => self.entries(entries, indent),
        }
    }

    fn items(&mut self, items: &List, indent: usize) {
        let mut left = items.iter();
        let again = items.iter();
        self.list(items.len(), indent, |writer, index, indent| {
            if index == 0 {
                left = again.clone(); // it is written once in a line, and where that is too long once more
            }
            if let Some(item) = left.next() {
                writer.value(item, indent);
            }
        });
    }

    fn entries(&mut self, entries: &Map, indent: usize) {
        let mut left = entries.iter();
        let again = entries.iter();
        self.list(entries.len(), indent, |writer, index, indent| {
            if index == 0 {
                left = again.clone();
            }
            if let Some((key, value)) = left.next() {
                writer.key(key);
                writer.put(" = ");
                writer.value(value, indent);
            }
        });
    }

    /// A table in one line, or with one element a line where that would be too long or has lines itself.
    fn list(&mut self, len: usize, indent: usize, mut element: impl FnMut(&mut Self, usize, usize)) {
        if len == 0 {
            self.put("{}");
            return;
        }
        let (start, was_tight) = (self.out.len(), self.is_tight);
        let line = self.out.rfind('\n').map_or(0, |end| end + 1);
        self.is_tight = true;
        self.put("{ ");
        let fits = (0..len).all(|index| {
            if index > 0 {
                self.put(", ");
            }
            element(self, index, indent);
            self.out.len() - line <= LINE_BYTES && !self.out[line..].contains('\n')
        });
        self.is_tight = was_tight;
        if fits || was_tight {
            self.put(" }");
            return;
        }
        self.out.truncate(start);
        self.put("{\n");
        for index in 0..len {
            self.put(format_args!("{:1$}", "", indent + STEP));
            element(self, index, indent + STEP);
            self.put(",\n");
        }
        self.put(format_args!("{:indent$}}}", ""));
    }

    fn key(&mut self, key: &MapKey) {
        match key {
            MapKey::Text(text) if Name::new(text).is_ok() => self.put(text),
            MapKey::Text(text) => self.put(format_args!("[{}]", quoted(text))),
            MapKey::Boolean(value) => self.put(format_args!("[{value}]")),
            MapKey::Number(number) => self.put(format_args!("[{}]", number_text(*number))),
            MapKey::Object(id) => {
                self.put("[");
                self.reference(*id);
                self.put("]");
            }
        }
    }

    fn number(&mut self, number: f64) {
        let is_written = |of: f64| of == number || (of.is_nan() && number.is_nan());
        match NUMBERS.iter().find(|(_, of)| is_written(*of)) {
            Some((word, _)) => self.put(format_args!("{{ number = \"{word}\" }}")),
            None => self.put(number_text(number)),
        }
    }

    fn reference(&mut self, id: ObjectId) {
        let link = self.link(id);
        self.put(format_args!("{{ ref = {link} }}"));
    }

    fn link(&self, id: ObjectId) -> String {
        match self.objects.object(id).and_then(|object| object.name) {
            Some(name) => format!("\"{name}\""),
            None => format!("\"id:{id}\""),
        }
    }

    fn text(&mut self, text: &str) {
        if text.contains('\n') && !text.starts_with('\n') && !needs_quotes(text) {
            self.long_bracket(text);
        } else {
            self.put(quoted(text));
        }
    }

    /// The text below a long bracket of the least level that ends only where the text does.
    fn long_bracket(&mut self, text: &str) {
        // Each end that occurs, by its level; together with the end that follows, the text may make one more.
        let mut levels = BTreeSet::new();
        let mut open: Option<usize> = None;
        for byte in text.bytes().chain([b']']) {
            open = match (byte, open) {
                (b']', level) => {
                    levels.extend(level);
                    Some(0)
                }
                (b'=', Some(level)) => Some(level + 1),
                _ => None,
            };
        }
        let level = "=".repeat((0..).find(|level| !levels.contains(level)).unwrap_or_default());
        self.put(format_args!("[{level}[\n{text}]{level}]"));
    }
}

/// Whether a long bracket would not bring the text back: it folds CR LF, and Luau ends a text at some control characters.
fn needs_quotes(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
}

/// Whether a map would be read as what its one key stands for.
fn looks_wrapped(entries: &Map) -> bool {
    let mut keys = entries.iter().map(|(key, _)| key);
    matches!((keys.next(), keys.next()), (Some(MapKey::Text(key)), None) if WRAPPERS.contains(&key.as_str()))
}

/// Whether a value, written alone, would be read as a slot with its documentation.
fn looks_like_a_slot(value: &Value) -> bool {
    let Value::Map(entries) = value else { return false };
    let has = |key: &str| entries.get(&MapKey::Text(key.into())).is_some();
    looks_wrapped(entries) || has("value") || has("method")
}
