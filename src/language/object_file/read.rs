//! From the literal of an object file to what it says: who the object is, whom it delegates to, what its slots hold.
//!
//! Links stay names until somebody who knows a world says which objects they mean.

use super::literal::{Literal, Part, Read, parse};
use super::{FORMAT, NUMBERS, ObjectFileError, WRAPPERS, in_file_order};
use crate::object::{MAX_DEPTH, MapKey, Name, ObjectId, Value, shortened};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// One object file, read: its form is right, its links are not looked up yet.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::language) struct ObjectFile {
    /// The file's name, for messages.
    pub(in crate::language) file: String,
    /// Identity, where the file says it.
    pub(in crate::language) id: Option<ObjectId>,
    /// Unique handle.
    pub(in crate::language) name: Option<Name>,
    /// Whether it only says that the object is to go.
    pub(in crate::language) is_deletion: bool,
    parents: Option<Part>,
    slots: Option<Part>,
    order: Option<Part>,
}

/// What an object file says beside identity and name.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::language) struct Content {
    pub(in crate::language) parents: Vec<ObjectId>,
    /// In the order that they have in the world.
    pub(in crate::language) slots: Vec<(Name, FileSlot)>,
}

/// One slot of a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::language) struct FileSlot {
    pub(in crate::language) doc: String,
    pub(in crate::language) content: FileContent,
}

/// What stands in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::language) enum FileContent {
    Value(Value),
    /// A method's text, not parsed yet, and the line of the file in which it begins.
    Method {
        source: String,
        line: usize,
    },
}

/// Says which object a name in the given line means.
pub(in crate::language) type Link<'a> = dyn FnMut(&str, usize) -> ObjectId + 'a;

impl ObjectFile {
    /// Reads a file. Everything but what its links mean is checked.
    pub(in crate::language) fn read(file: &str, text: &str) -> Result<Self, ObjectFileError> {
        read(file, text).map_err(|(line, message)| ObjectFileError::new(file, line, message))
    }

    /// What the file says, with its links looked up by `link`.
    pub(in crate::language) fn content(&self, link: &mut Link<'_>) -> Result<Content, ObjectFileError> {
        self.try_content(link).map_err(|(line, message)| ObjectFileError::new(&self.file, line, message))
    }

    fn try_content(&self, link: &mut Link<'_>) -> Read<Content> {
        let mut parents = Vec::new();
        for parent in list_of(self.parents.as_ref(), "`parents`")? {
            let id = linked(parent, link)?;
            if parents.contains(&id) && id != ObjectId(Uuid::nil()) {
                return Err((parent.line, "a parent stands twice".into()));
            }
            parents.push(id);
        }
        let mut slots = Vec::new();
        if let Some(part) = &self.slots {
            for (key, content) in fields_of(part, "`slots`")? {
                let name = Name::new(key).map_err(|error| (content.line, error.to_string()))?;
                slots.push((name, slot(content, link)?));
            }
        }
        in_file_order(&mut slots, |slot| matches!(slot.content, FileContent::Method { .. }));
        self.put_in_order(&mut slots)?;
        Ok(Content { parents, slots })
    }

    /// Puts the slots that `order` names before all others.
    fn put_in_order(&self, slots: &mut [(Name, FileSlot)]) -> Read<()> {
        let known: HashSet<String> = slots.iter().map(|(name, _)| name.to_string()).collect();
        let mut places = BTreeMap::new();
        for (place, part) in list_of(self.order.as_ref(), "`order`")?.iter().enumerate() {
            let name = text_of(part)?;
            if !known.contains(name) {
                return Err((part.line, format!("`order` names `{}`, and no slot is called so", shown(name))));
            }
            if places.insert(name, place).is_some() {
                return Err((part.line, format!("`order` names `{name}` twice")));
            }
        }
        slots.sort_by_key(|(name, _)| places.get(name.as_str()).copied().unwrap_or(usize::MAX));
        Ok(())
    }
}

fn read(file: &str, text: &str) -> Read<ObjectFile> {
    let root = parse(text)?;
    let mut fields: BTreeMap<&str, &Part> = fields_of(&root, "the object")?.into_iter().collect();
    let mut take = |name: &str| fields.remove(name);
    let is_deletion = match take("deleted") {
        None => false,
        Some(Part { literal: Literal::Boolean(true), .. }) => true,
        Some(part) => return Err((part.line, "`deleted` is true, or absent".into())),
    };
    match take("format") {
        Some(part) => check_format(part)?,
        None if is_deletion => {}
        None => {
            return Err((root.line, format!("`format` is missing: the first line of a table is format = {FORMAT}")));
        }
    }
    let name = take("name").map(|part| Ok::<_, (usize, String)>((part.line, text_of(part)?))).transpose()?;
    let id = take("id").map(|part| uuid(text_of(part)?, part.line)).transpose()?;
    let (parents, order, slots) = (take("parents").cloned(), take("order").cloned(), take("slots").cloned());
    if let Some((key, part)) = fields.into_iter().next() {
        let known = "format, name, id, parents, order, slots, deleted";
        return Err((part.line, format!("`{}` is not known here; an object file has {known}", shown(key))));
    }
    let is_whole = parents.is_some() || order.is_some() || slots.is_some() || name.is_some();
    if is_deletion && (is_whole || id.is_none()) {
        return Err((root.line, "what deletes an object says its `id` and `deleted = true`, and nothing else".into()));
    }
    if id.is_none() && name.is_none() {
        return Err((root.line, "neither `name` nor `id` says which object this is".into()));
    }
    let name = name.map(|(line, name)| Name::of_object(name).map_err(|error| (line, error.to_string()))).transpose()?;
    let file = ObjectFile { file: file.to_string(), id, name, is_deletion, parents, slots, order };
    file.try_content(&mut |_, _| ObjectId(Uuid::nil()))?;
    Ok(file)
}

fn check_format(part: &Part) -> Read<()> {
    match part.literal {
        Literal::Number(number) if number == FORMAT => Ok(()),
        Literal::Number(number) if number > FORMAT => Err((
            part.line,
            format!(
                "format {number} is newer than format {FORMAT}, which this program reads; a newer workbench reads it"
            ),
        )),
        Literal::Number(number) => Err((part.line, format!("format {number} is not known; this is format {FORMAT}"))),
        _ => Err((part.line, "`format` is a number".into())),
    }
}

fn slot(part: &Part, link: &mut Link<'_>) -> Read<FileSlot> {
    let has = |name: &str| entry(part, name).is_some();
    if only_entry(part).is_some_and(|(key, _)| key == "conflict") {
        return Err((part.line, "two versions of this slot are still in conflict: keep one of them".into()));
    }
    if !has("value") && !has("method") {
        return Ok(FileSlot { doc: String::new(), content: FileContent::Value(value(part, link, 0)?) });
    }
    let mut fields: BTreeMap<&str, &Part> = fields_of(part, "the slot")?.into_iter().collect();
    let doc = fields.remove("doc").map(text_of).transpose()?.unwrap_or_default().to_string();
    let content = match (fields.remove("value"), fields.remove("method")) {
        (Some(content), None) => FileContent::Value(value(content, link, 0)?),
        (None, Some(method)) => {
            let text = text_of(method)?;
            let source = text.trim_start();
            let line = method.inner_line + text[..text.len() - source.len()].matches('\n').count();
            FileContent::Method { source: source.trim_end().to_string(), line }
        }
        _ => return Err((part.line, "a slot holds a value or a method, not both".into())),
    };
    match fields.into_iter().next() {
        Some((key, part)) => Err((
            part.line,
            format!(
                "`{}` is not known in a slot; it has value or method, and doc. A map of its own: {{ value = … }}",
                shown(key)
            ),
        )),
        None => Ok(FileSlot { doc, content }),
    }
}

fn value(part: &Part, link: &mut Link<'_>, depth: usize) -> Read<Value> {
    match &part.literal {
        Literal::Boolean(value) => Ok(Value::Boolean(*value)),
        Literal::Number(value) => Ok(Value::Number(*value)),
        Literal::Text(text) => Ok(Value::Text(text.clone())),
        Literal::Table(entries) => match only_entry(part) {
            Some((word, inner)) if WRAPPERS.contains(&word) => wrapped(word, inner, link, depth),
            _ => container(entries, part.line, link, depth),
        },
    }
}

/// What a wrapper stands for.
fn wrapped(word: &str, inner: &Part, link: &mut Link<'_>, depth: usize) -> Read<Value> {
    let line = inner.line;
    match (word, &inner.literal) {
        ("ref", Literal::Text(_)) => Ok(Value::Object(linked(inner, link)?)),
        ("none", Literal::Boolean(true)) if depth == 0 => Ok(Value::Nil),
        ("none", Literal::Boolean(true)) => Err((line, "no list and no map holds nil: leave it out".into())),
        ("number", Literal::Text(text)) => match NUMBERS.iter().find(|(word, _)| word == text) {
            Some((_, number)) => Ok(Value::Number(*number)),
            None => Err((line, "`number` stands for \"nan\", \"inf\" or \"-inf\"".into())),
        },
        ("map", Literal::Table(entries)) if entries.is_empty() => map([], line),
        ("map", _) => Err((line, "`map` stands for the empty list only: { map = {} }".into())),
        ("value", Literal::Table(entries)) => container(entries, line, link, depth),
        ("method", _) => Err((line, "a method stands in a slot of its own, not inside a value".into())),
        ("conflict", _) => Err((line, "two versions of this are still in conflict: keep one of them".into())),
        _ => {
            let told = "is no wrapper with this inside; a map with this one key is written";
            Err((line, format!("{{ {word} = … }} {told} {{ value = {{ {word} = … }} }}")))
        }
    }
}

fn container(entries: &[(Option<Part>, Part)], line: usize, link: &mut Link<'_>, depth: usize) -> Read<Value> {
    if depth >= MAX_DEPTH {
        return Err((line, format!("lists and maps may be nested {MAX_DEPTH} deep")));
    }
    if entries.iter().all(|(key, _)| key.is_none()) {
        let items = entries.iter().map(|(_, item)| value(item, link, depth + 1));
        return Ok(Value::list(items.collect::<Read<_>>()?));
    }
    let mut pairs = Vec::with_capacity(entries.len());
    for (key, item) in entries {
        let Some(key) = key else { return Err((item.line, "a table is a list or a map, not both".into())) };
        pairs.push((map_key(key, link)?, value(item, link, depth + 1)?));
    }
    map(pairs, line)
}

fn map(pairs: impl IntoIterator<Item = (MapKey, Value)>, line: usize) -> Read<Value> {
    let mut entries = BTreeMap::new();
    for (key, value) in pairs {
        // Names that are not looked up yet may all mean the same.
        let is_unknown = key == MapKey::Object(ObjectId(Uuid::nil()));
        if entries.insert(key, value).is_some() && !is_unknown {
            return Err((line, "a key stands twice in this map".into()));
        }
    }
    Ok(Value::map(entries))
}

fn map_key(part: &Part, link: &mut Link<'_>) -> Read<MapKey> {
    let wrong = || (part.line, "a key is a text, a finite number, true, false, or { ref = … }".to_string());
    match &part.literal {
        Literal::Text(text) => Ok(MapKey::Text(text.clone())),
        Literal::Boolean(value) => Ok(MapKey::Boolean(*value)),
        Literal::Number(number) => MapKey::number(*number).ok_or_else(wrong),
        Literal::Table(_) => match only_entry(part) {
            Some(("ref", inner)) => Ok(MapKey::Object(linked(inner, link)?)),
            _ => Err(wrong()),
        },
    }
}

/// `"point"`, or `"id:<uuid>"` for an object without a name.
fn linked(part: &Part, link: &mut Link<'_>) -> Read<ObjectId> {
    let text = text_of(part)?;
    match text.strip_prefix("id:") {
        Some(id) => uuid(id, part.line),
        None => {
            let name = Name::of_object(text).map_err(|error| (part.line, error.to_string()))?;
            Ok(link(&name, part.line))
        }
    }
}

fn uuid(text: &str, line: usize) -> Read<ObjectId> {
    let id = Uuid::parse_str(text).ok().filter(|id| !id.is_nil());
    id.map(ObjectId).ok_or_else(|| (line, format!("`{}` is no id: an id is a UUID", shown(text))))
}

/// The key and the value of a table that has one entry with a text as key.
fn only_entry(part: &Part) -> Option<(&str, &Part)> {
    match &part.literal {
        Literal::Table(entries) => match entries.as_slice() {
            [(Some(Part { literal: Literal::Text(key), .. }), value)] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

fn entry<'a>(part: &'a Part, name: &str) -> Option<&'a Part> {
    let Literal::Table(entries) = &part.literal else { return None };
    let is_named = |key: &Option<Part>| matches!(key, Some(Part { literal: Literal::Text(key), .. }) if key == name);
    entries.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value)
}

fn text_of(part: &Part) -> Read<&str> {
    match &part.literal {
        Literal::Text(text) => Ok(text),
        _ => Err((part.line, "this must be a text".into())),
    }
}

fn list_of<'a>(part: Option<&'a Part>, what: &str) -> Read<Vec<&'a Part>> {
    let Some(part) = part else { return Ok(Vec::new()) };
    match &part.literal {
        Literal::Table(entries) if entries.iter().all(|(key, _)| key.is_none()) => {
            Ok(entries.iter().map(|(_, item)| item).collect())
        }
        _ => Err((part.line, format!("{what} is a list"))),
    }
}

/// The entries of a table with names, none of them twice.
fn fields_of<'a>(part: &'a Part, what: &str) -> Read<Vec<(&'a str, &'a Part)>> {
    let Literal::Table(entries) = &part.literal else { return Err((part.line, format!("{what} is a table"))) };
    let (mut fields, mut seen) = (Vec::with_capacity(entries.len()), HashSet::new());
    for (key, value) in entries {
        let Some(Part { line, literal: Literal::Text(key), .. }) = key else {
            return Err((value.line, format!("{what} is a table with names")));
        };
        if !seen.insert(key) {
            return Err((*line, format!("`{}` stands twice", shown(key))));
        }
        fields.push((key.as_str(), value));
    }
    Ok(fields)
}

/// A foreign text as it may stand in a message.
fn shown(text: &str) -> String {
    shortened(text, 64).chars().filter(|c| !c.is_control()).collect()
}
