//! What words mean for one object: its names, and its slots by their own and by other names.

use crate::object::{Name, ObjectId, Objects, Value, ancestors};
use std::collections::BTreeMap;

/// Words that mean the object itself, whatever its name.
const ME: &[&str] = &["it", "itself", "me", "object", "receiver", "self", "card", "morph", "thing"];

/// Words of slots that go by other names, by the slots they mean. An exact name of a slot comes first.
pub(super) const SLOT_WORDS: &[(&str, &[&str])] = &[
    ("position", &["x", "y"]),
    ("location", &["x", "y"]),
    ("coordinates", &["x", "y"]),
    ("size", &["w", "h"]),
    ("width", &["w"]),
    ("height", &["h"]),
    ("colour", &["color"]),
    ("angle", &["rotation"]),
    ("caption", &["label"]),
    ("title", &["label"]),
    ("text", &["label"]),
    ("visibility", &["visible"]),
    ("counter", &["count"]),
    ("count", &["counter"]),
];

/// One data slot.
pub(super) struct Known {
    /// What it holds.
    pub(super) value: Value,
    /// What a parent has for it.
    pub(super) inherited: Option<Value>,
}

/// The names that an instruction may use for one object.
pub(super) struct Lexicon {
    /// How the object is called in sentences.
    pub(super) title: String,
    /// Data slots, own and inherited.
    pub(super) slots: BTreeMap<Name, Known>,
    names: Vec<String>,
}

impl Lexicon {
    /// The words for `target`.
    pub(super) fn of(objects: &dyn Objects, target: ObjectId) -> Self {
        let mut names: Vec<String> = ME.iter().map(ToString::to_string).collect();
        let mut slots: BTreeMap<Name, Known> = BTreeMap::new();
        let mut hidden: Vec<Name> = Vec::new();
        for holder in ancestors(objects, target) {
            let Some(object) = objects.object(holder) else { continue };
            names.extend(object.name.map(ToString::to_string));
            for (name, slot) in object.slots.iter() {
                match (slots.get_mut(name), slot.as_value()) {
                    (Some(known), Some(value)) => drop(known.inherited.get_or_insert_with(|| value.clone())),
                    (None, None) => hidden.push(name.clone()),
                    (None, Some(value)) if !hidden.contains(name) => {
                        let inherited = (holder != target).then(|| value.clone());
                        slots.insert(name.clone(), Known { value: value.clone(), inherited });
                    }
                    _ => {}
                }
            }
        }
        Self { title: objects.title(target), slots, names }
    }

    /// Whether a word means the object itself.
    pub(super) fn is_me(&self, word: &str) -> bool {
        self.names.iter().any(|name| name == word)
    }

    /// The slots that a word means: a slot of that name, else what the word stands for, else its singular.
    pub(super) fn slots_of(&self, word: &str) -> Vec<Name> {
        let one = |name: &str| self.slots.get_key_value(name).map(|(name, _)| name.clone());
        if let Some(name) = one(word) {
            return vec![name];
        }
        for (_, meant) in SLOT_WORDS.iter().filter(|(known, _)| *known == word) {
            let names: Vec<Name> = meant.iter().filter_map(|name| one(name)).collect();
            if names.len() == meant.len() {
                return names;
            }
        }
        word.strip_suffix('s').and_then(one).into_iter().collect()
    }
}
