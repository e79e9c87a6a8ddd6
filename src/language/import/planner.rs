//! From the texts of files to what becomes of each object, and everything that is wrong with them.

use super::planned::Planned;
use crate::language::native::{is_needed, slot_name};
use crate::language::object_file::{FileContent, FileSlot, ObjectFile, first_version};
use crate::language::syntax::{GLOBALS, parse_method};
use crate::object::{MethodVersion, Name, Object, ObjectId, ObjectRef, Objects, Slot, nearest};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The name under which methods from files are kept.
const AUTHOR: &str = "import";
/// Faults up to which the nearest names are looked for.
const WITH_NEAREST: usize = 50;

/// The files of one import, each with its object, beside the world.
pub(super) struct Planner<'a> {
    objects: &'a dyn Objects,
    /// Every file with the object that it is of.
    pub(super) files: Vec<(ObjectFile, ObjectId)>,
    /// Names as the files give them.
    names: HashMap<Name, ObjectId>,
    /// Objects that the files are of.
    ids: HashSet<ObjectId>,
}

impl<'a> Planner<'a> {
    /// Finds out which object each file is of, and whether ids and names go together.
    pub(super) fn new(
        read: Vec<ObjectFile>,
        objects: &'a dyn Objects,
        fresh: &mut dyn FnMut() -> ObjectId,
        faults: &mut Vec<String>,
    ) -> Self {
        let mut planner = Self { objects, files: Vec::new(), names: HashMap::new(), ids: HashSet::new() };
        let (mut file_of_id, mut file_of_name) = (HashMap::new(), HashMap::new());
        for file in read {
            let known = file.id.or_else(|| objects.named(file.name.as_ref()?));
            let id = known.unwrap_or_else(&mut *fresh);
            if let Some(other) = file_of_id.insert(id, file.file.clone()) {
                faults.push(format!("{}: {other} is of the same object; keep one of the two", file.file));
            }
            if let Some(name) = &file.name {
                if let Some(other) = file_of_name.insert(name.clone(), file.file.clone()) {
                    faults.push(format!("{}: {other} gives the name {name} to another object", file.file));
                }
                planner.names.insert(name.clone(), id);
            }
            planner.ids.insert(id);
            planner.files.push((file, id));
        }
        for (file, id) in &planner.files {
            planner.check_name(file, *id, faults);
        }
        planner
    }

    /// A name that another object of the world keeps is a conflict; the world itself needs some objects as they are.
    fn check_name(&self, file: &ObjectFile, id: ObjectId, faults: &mut Vec<String>) {
        if let Some(name) = &file.name
            && let Some(other) = self.objects.named(name)
            && other != id
            && !self.ids.contains(&other)
        {
            faults.push(format!(
                "{}: an object is called {name} already, and it is another one ({other}, not {id}); rename one of the two",
                file.file
            ));
        }
        let now = self.objects.object(id).and_then(|object| object.name);
        if is_needed(id) && (file.is_deletion || file.name.as_ref() != now) {
            let title = self.objects.title(id);
            let what = if file.is_deletion { "deleted" } else { "renamed" };
            faults.push(format!("{}: {title} can't be {what}: the world itself uses it", file.file));
        }
    }

    /// The object that has a name once the files are imported.
    fn named(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).copied().or_else(|| self.objects.named(name).filter(|id| !self.ids.contains(id)))
    }

    /// What becomes of one object. `None` where a file deletes what is not there.
    pub(super) fn planned(&self, file: &ObjectFile, id: ObjectId, faults: &mut Vec<String>) -> Option<Planned> {
        let before = self.objects.object(id).map(ObjectRef::to_object);
        let name = file.file.clone();
        if file.is_deletion {
            return before.map(|of| Planned { file: name, before: Some(of), after: None, rewritten: Vec::new() });
        }
        let mut unknown = BTreeMap::new();
        let content = file.content(&mut |name, line| {
            self.named(name).unwrap_or_else(|| {
                unknown.entry(name.to_string()).or_insert(line);
                ObjectId(uuid::Uuid::nil())
            })
        });
        for (name, line) in &unknown {
            let near = if faults.len() < WITH_NEAREST { self.near(name) } else { String::new() };
            faults.push(format!("{}, line {line}: no object is called `{name}`{near}", file.file));
        }
        let content = match content {
            Ok(content) if unknown.is_empty() => content,
            Ok(_) => return None,
            Err(error) => {
                faults.push(error.to_string());
                return None;
            }
        };
        let mut after = Object::new(id);
        after.name.clone_from(&file.name);
        after.parents = content.parents;
        after.versions = before.as_ref().map(|object| object.versions.clone()).unwrap_or_default();
        let mut rewritten = Vec::new();
        for (slot, FileSlot { doc, content }) in content.slots {
            if let Err(fault) = slot_name(&slot) {
                faults.push(format!("{}: {}", file.file, fault.message));
            }
            let content = match content {
                FileContent::Value(value) => Slot { doc, ..Slot::value(value) },
                FileContent::Method { source, line } => {
                    let now = before.as_ref().and_then(|object| object.slots.get(&slot)?.as_method());
                    match now.filter(|now| now.source.trim() == source) {
                        Some(now) => Slot { doc, ..Slot::method(now.clone()) },
                        None => match self.rewrite(&mut after, now, &slot, source, doc) {
                            Ok(content) => {
                                rewritten.push((slot.clone(), line));
                                content
                            }
                            Err((at, message)) => {
                                faults.push(format!("{}, line {}: {message}", file.file, line + at - 1));
                                continue;
                            }
                        },
                    }
                }
            };
            after.slots.push(slot, content);
        }
        Some(Planned { file: name, before, after: Some(after), rewritten })
    }

    /// Adds a text to the versions of a method. The error has a line of the text, from 1.
    fn rewrite(
        &self,
        object: &mut Object,
        now: Option<&MethodVersion>,
        selector: &Name,
        source: String,
        doc: String,
    ) -> Result<Slot, (usize, String)> {
        let syntax = parse_method(&source).map_err(|fault| (fault.line as usize, fault.message))?;
        if let Some(fault) = syntax.unknown_global() {
            let line = syntax.globals.iter().find(|(name, _)| !GLOBALS.contains(&name.as_str())).map_or(1, |of| of.1);
            let told = fault.message.trim_start_matches(&format!("line {line}: "));
            return Err((line as usize, told.to_string()));
        }
        let versions = object.versions.entry(selector.clone()).or_default();
        let number = versions.last().map_or(1, |last| last.number + 1);
        let follows = now.map_or(0, |now| now.number);
        let version = MethodVersion { number, follows, ..first_version(AUTHOR, source, syntax.params, doc) };
        versions.push(version.clone());
        Ok(Slot::method(version))
    }

    fn near(&self, name: &str) -> String {
        let world = self.objects.names();
        let names = world.iter().chain(self.names.keys()).map(Name::as_str);
        match nearest(name, names).as_slice() {
            [] => String::new(),
            names => format!("; nearest: {}", names.join(", ")),
        }
    }
}
