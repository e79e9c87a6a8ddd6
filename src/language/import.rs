//! Import: what a set of object files would make of a world, as a plan that is shown, and then applied in one turn.
//!
//! A plan is a pure function of the files and the world. Whether the gates let a method through is asked by the turn;
//! reading folders is the bridge's.

use super::console::slot_text;
use super::native::{is_needed, slot_name};
use super::object_file::{FileContent, FileSlot, ObjectFile, first_version};
use super::syntax::{GLOBALS, parse_method};
use crate::object::{
    Change, Draft, MethodVersion, Name, Object, ObjectId, ObjectRef, Objects, Slot, Slots, nearest, untitled,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// The name under which methods from files are kept.
const AUTHOR: &str = "import";
/// Children named in the refusal of a deletion.
const CHILDREN_SHOWN: usize = 5;
/// Faults up to which the nearest names are looked for.
const WITH_NEAREST: usize = 50;

/// What an import does, object by object.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    objects: Vec<Planned>,
}

/// What an import does with one object.
#[derive(Clone, Debug)]
struct Planned {
    file: String,
    /// As it is; `None` for one that is new.
    before: Option<Object>,
    /// As it will be; `None` for one that goes.
    after: Option<Object>,
    /// Methods with a new text, each with the line of the file where it begins.
    rewritten: Vec<(Name, usize)>,
}

/// How many objects an import makes, changes, deletes, and leaves as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that are new.
    pub new: usize,
    /// Objects that change, also those that are only renamed.
    pub changed: usize,
    /// Objects that are deleted.
    pub deleted: usize,
    /// Objects that are as their files say already.
    pub unchanged: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new, changed, deleted, unchanged } = self;
        write!(f, "{new} new, {changed} changed, {deleted} deleted, {unchanged} unchanged")
    }
}

/// A method with a new text, on its way to the gates.
pub(super) struct Rewritten {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) id: ObjectId,
    pub(super) selector: Name,
    pub(super) source: String,
}

/// Plans the import of these files, each a name and a text, into a world. `fresh` answers ids for objects that have none.
///
/// # Errors
/// Everything that is wrong, one sentence each; nothing of it can be imported then.
pub fn plan_import(
    files: &[(String, String)],
    objects: &dyn Objects,
    fresh: &mut dyn FnMut() -> ObjectId,
) -> Result<Plan, Vec<String>> {
    let mut faults = Vec::new();
    let mut read = Vec::new();
    for (file, text) in files {
        match ObjectFile::read(file, text) {
            Ok(of) => read.push(of),
            Err(error) => faults.push(error.to_string()),
        }
    }
    let planner = Planner::new(read, objects, fresh, &mut faults);
    let mut plan = Plan::default();
    for (file, id) in &planner.files {
        plan.objects.extend(planner.planned(file, *id, &mut faults));
    }
    if faults.is_empty() {
        plan.check_delegation(objects, &mut faults);
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// The object that a file is of, as far as the file and the world tell.
pub fn file_subject(file: &str, text: &str, objects: &dyn Objects) -> Option<ObjectId> {
    let read = ObjectFile::read(file, text).ok()?;
    read.id.or_else(|| objects.named(read.name.as_ref()?))
}

struct Planner<'a> {
    objects: &'a dyn Objects,
    /// Every file with the object that it is of.
    files: Vec<(ObjectFile, ObjectId)>,
    /// Names as the files give them.
    names: HashMap<Name, ObjectId>,
    /// Objects that the files are of.
    ids: HashSet<ObjectId>,
}

impl<'a> Planner<'a> {
    /// Finds out which object each file is of, and whether ids and names go together.
    fn new(
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
    fn planned(&self, file: &ObjectFile, id: ObjectId, faults: &mut Vec<String>) -> Option<Planned> {
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

impl Plan {
    /// How much it does.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for planned in &self.objects {
            match (&planned.before, &planned.after) {
                (None, _) => counts.new += 1,
                (Some(_), None) => counts.deleted += 1,
                (Some(_), Some(_)) if planned.changes().is_empty() => counts.unchanged += 1,
                (Some(_), Some(_)) => counts.changed += 1,
            }
        }
        counts
    }

    /// Whether the world is as the files say already.
    pub fn is_empty(&self) -> bool {
        let Counts { new, changed, deleted, .. } = self.counts();
        new + changed + deleted == 0
    }

    /// The plan in words, a line for each object that does not stay as it is and, indented, for each of its slots.
    pub fn lines(&self, objects: &dyn Objects) -> Vec<String> {
        let mut draft = Draft::on(objects);
        self.changes().into_iter().for_each(|change| draft.apply(change));
        self.objects.iter().flat_map(|planned| planned.lines(&draft)).collect()
    }

    /// The methods with a new text.
    pub(super) fn rewritten(&self) -> Vec<Rewritten> {
        let of = |planned: &Planned| {
            let object = planned.after.as_ref();
            let method = |(selector, line): &(Name, usize)| {
                let object = object?;
                let source = object.slots.get(selector)?.as_method()?.source.clone();
                let (file, selector) = (planned.file.clone(), selector.clone());
                Some(Rewritten { file, line: *line, id: object.id, selector, source })
            };
            planned.rewritten.iter().filter_map(method).collect::<Vec<_>>()
        };
        self.objects.iter().flat_map(of).collect()
    }

    /// Notes what the gates found about a method with a new text, and the message that brings it.
    pub(super) fn note_verdicts(&mut self, method: &Rewritten, verdicts: &[String], sequence: u64) {
        let objects = self.objects.iter_mut().filter_map(|planned| planned.after.as_mut());
        for object in objects.filter(|object| object.id == method.id) {
            let newest = object.versions.get_mut(&method.selector).and_then(|versions| versions.last_mut());
            if let Some(version) = newest {
                version.origin.verdicts = verdicts.to_vec();
                version.origin.sequence = sequence;
                object.slots.push(method.selector.clone(), Slot::method(version.clone()));
            }
        }
    }

    /// What it does, as changes: deletions, then names, then all else, so that a name can pass from one to another.
    pub(super) fn changes(&self) -> Vec<Change> {
        let of = |is_meant: fn(&Change) -> bool| {
            self.objects.iter().flat_map(Planned::changes).filter(move |change| is_meant(change))
        };
        let renames: Vec<Change> = of(|change| matches!(change, Change::Rename { .. })).collect();
        let mut changes: Vec<Change> = of(|change| matches!(change, Change::Delete(_))).collect();
        let names = |change: &Change| match change {
            Change::Rename { before, after, .. } => (before.clone(), after.clone()),
            _ => (None, None),
        };
        let given_up: BTreeSet<Name> = renames.iter().filter_map(|change| names(change).0).collect();
        if renames.iter().any(|change| names(change).1.is_some_and(|after| given_up.contains(&after))) {
            // Each first loses its name.
            for change in &renames {
                let (id, (before, after)) = (change.id(), names(change));
                changes.push(Change::Rename { id, before, after: None });
                changes.push(Change::Rename { id, before: None, after });
            }
            changes.retain(|change| !matches!(change, Change::Rename { before: None, after: None, .. }));
            changes.sort_by_key(|change| matches!(change, Change::Rename { before: None, .. }));
        } else {
            changes.extend(renames);
        }
        changes.extend(of(|change| !matches!(change, Change::Delete(_) | Change::Rename { .. })));
        changes
    }

    /// Nothing may delegate in a circle, nor to what is deleted.
    fn check_delegation(&self, objects: &dyn Objects, faults: &mut Vec<String>) {
        let mut draft = Draft::on(objects);
        self.changes().into_iter().for_each(|change| draft.apply(change));
        let is_moved = |planned: &&Planned| match (&planned.before, &planned.after) {
            (Some(before), Some(after)) => before.parents != after.parents,
            (None, Some(_)) => true,
            _ => false,
        };
        let mut walk = Walk::default();
        for planned in self.objects.iter().filter(is_moved) {
            let Some(object) = &planned.after else { continue };
            if let Some(id) = walk.circle(&draft, object.id) {
                let title = draft.title(id);
                faults.push(format!("{}: {title} would delegate to itself in a circle", planned.file));
            }
        }
        let gone = self.objects.iter().filter(|planned| planned.after.is_none());
        let gone: BTreeMap<ObjectId, &Planned> =
            gone.filter_map(|planned| Some((planned.before.as_ref()?.id, planned))).collect();
        if gone.is_empty() {
            return;
        }
        let mut children: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
        for object in draft.ids().into_iter().filter_map(|id| draft.object(id)) {
            for parent in object.parents.iter().filter(|parent| gone.contains_key(parent)) {
                children.entry(*parent).or_default().push(object.title());
            }
        }
        for (id, children) in children {
            let Some(planned) = gone.get(&id) else { continue };
            let shown = children[..children.len().min(CHILDREN_SHOWN)].join(", ");
            let more = children.len().saturating_sub(CHILDREN_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let title = objects.title(id);
            faults.push(format!("{}: {title} can't be deleted, {shown}{more} delegate to it", planned.file));
        }
    }
}

/// A walk along delegation that enters each object once.
#[derive(Default)]
struct Walk {
    /// Whether everything behind an object was walked.
    seen: HashMap<ObjectId, bool>,
}

impl Walk {
    /// An object that delegates to itself, at or behind `start`.
    fn circle(&mut self, objects: &dyn Objects, start: ObjectId) -> Option<ObjectId> {
        let mut path = vec![(start, 0)];
        while let Some((id, next)) = path.pop() {
            if next == 0 && self.seen.insert(id, false).is_some_and(|walked| walked) {
                self.seen.insert(id, true);
                continue;
            }
            match objects.object(id).and_then(|object| object.parents.get(next).copied()) {
                None => drop(self.seen.insert(id, true)),
                Some(parent) => {
                    path.push((id, next + 1));
                    match self.seen.get(&parent) {
                        Some(false) => return Some(parent),
                        Some(true) => {}
                        None => path.push((parent, 0)),
                    }
                }
            }
        }
        None
    }
}

impl Planned {
    /// From what is to what will be.
    fn changes(&self) -> Vec<Change> {
        let (before, after) = match (&self.before, &self.after) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(after)) => return vec![Change::Create(Box::new(after.clone()))],
            (Some(before), None) => return vec![Change::Delete(Box::new(before.clone()))],
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
        changes.extend(slot_changes(id, &before.slots, &after.slots));
        changes
    }

    fn lines(&self, objects: &dyn Objects) -> Vec<String> {
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

/// What makes some slots equal to others, order included.
fn slot_changes(id: ObjectId, before: &Slots, after: &Slots) -> Vec<Change> {
    let (mut now, mut changes) = (before.clone(), Vec::new());
    let mut set = |now: &mut Slots, slot: &Name, place: usize, to: Option<&Slot>| {
        let was = now.get(slot).cloned();
        match to {
            Some(to) => now.put(slot.clone(), place, to.clone()),
            None => drop(now.remove(slot)),
        }
        changes.push(Change::SetSlot { id, slot: slot.clone(), place, before: was, after: to.cloned() });
    };
    for (name, _) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
        let place = now.place(name).unwrap_or_default();
        set(&mut now, name, place, None);
    }
    for (place, (name, slot)) in after.iter().enumerate() {
        match now.place(name) {
            Some(at) if at == place => {}
            Some(at) => set(&mut now, name, at, None),
            None => {}
        }
        if now.get(name).is_none_or(|now| !now.same(slot)) {
            set(&mut now, name, place, Some(slot));
        }
    }
    changes
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
    let order = |of: &Slots, other: &Slots| -> Vec<Name> {
        of.iter().map(|(name, _)| name.clone()).filter(|name| other.get(name).is_some()).collect()
    };
    if order(before, after) != order(after, before) {
        lines.push("  its slots stand in another order".to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::object_file::tests::object;
    use crate::language::{genesis_objects, write_object_file};
    use crate::object::{Image, Value};
    use proptest::prelude::*;
    use uuid::Uuid;

    const HEAD: &str = "return { format = 1,";

    fn world() -> Image {
        let mut image = Image::default();
        genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
        image
    }

    fn plan(files: &[(&str, &str)], image: &Image) -> Result<Plan, Vec<String>> {
        let files: Vec<_> = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        let mut count = 0_u128;
        plan_import(&files, image, &mut || {
            count += 1;
            ObjectId(Uuid::from_u128(count))
        })
    }

    fn import(files: &[(&str, &str)], image: &mut Image) -> Plan {
        let plan = plan(files, image).unwrap();
        let mut draft = Draft::on(&*image);
        plan.changes().into_iter().for_each(|change| draft.apply(change));
        for change in draft.into_changes() {
            image.apply(&change);
        }
        plan
    }

    fn exported(image: &Image) -> Vec<(String, String)> {
        image.iter().map(|object| (object.title(), write_object_file(object.as_ref(), image))).collect()
    }

    fn file(id: u128, fields: &str) -> String {
        format!("{HEAD} id = \"{}\", {fields} }}", Uuid::from_u128(id))
    }

    #[test]
    fn objects_of_one_import_may_name_each_other_and_the_world() {
        let mut image = world();
        let a = format!("{HEAD} name = \"a\", parents = {{ \"b\" }}, slots = {{ x = {{ ref = \"b\" }} }} }}");
        let b = format!("{HEAD} name = \"b\", parents = {{ \"proto\" }} }}");
        let plan = import(&[("a.luau", &a), ("b.luau", &b)], &mut image);
        assert_eq!(plan.counts(), Counts { new: 2, ..Counts::default() });
        let of = |name: &str| image.object(image.named(name).unwrap()).unwrap();
        assert_eq!(of("a").parents, [of("b").id]);
        assert_eq!(of("a").slots.get("x").unwrap().as_value(), Some(&Value::Object(of("b").id)));
        assert!(super::tests::plan(&[("a.luau", &a), ("b.luau", &b)], &image).unwrap().is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut image = world();
        import(&[("a.luau", &file(1, "name = \"a\""))], &mut image);
        let before = image.clone();
        let faults = plan(
            &[
                ("conflict.luau", &file(2, "name = \"a\"")),
                ("twice.luau", &file(2, "name = \"c\"")),
                ("unknown.luau", &file(3, "parents = { \"prot\" }, slots = {\nx = { ref = \"nobody\" } }")),
                ("broken.luau", "return {"),
                ("method.luau", &file(4, "slots = { m = { method = [[\nfunction(self)\n return nothing\nend]] } }")),
                ("reserved.luau", &file(5, "slots = { clone = 1 }")),
                ("root.luau", &format!("{HEAD} id = \"{}\", name = \"root\" }}", ObjectId::proto())),
            ],
            &image,
        );
        let faults = faults.unwrap_err().join("\n");
        for part in [
            "broken.luau, line 1: the file ends",
            "conflict.luau: an object is called a already",
            "twice.luau: conflict.luau is of the same object",
            "unknown.luau, line 1: no object is called `prot`; nearest: proto",
            "unknown.luau, line 2: no object is called `nobody`",
            "method.luau, line 3: nothing is called `nothing` here",
            "reserved.luau: `clone` is a message that every object answers",
            "root.luau: proto can't be renamed",
        ] {
            assert!(faults.contains(part), "{part} is missing in\n{faults}");
        }
        assert_eq!(image, before);
    }

    #[test]
    fn an_object_becomes_equal_to_its_file() {
        let mut image = world();
        let method = "m = { method = [[function(self) return 1 end]] }";
        let old = format!("name = \"o\", parents = {{ \"proto\" }}, slots = {{ a = 1, b = 2, c = 3, {method} }}");
        import(&[("o.luau", &file(1, &old))], &mut image);
        let new = format!(
            "name = \"p\", order = {{ \"c\", \"m\", \"d\" }}, slots = {{ c = 4, b = 2, d = {{ none = true }}, {method} }}"
        );
        let plan = plan(&[("o.luau", &file(1, &new))], &image).unwrap();
        let told = plan.lines(&image).join("\n");
        for part in [
            "o.luau: o is renamed to p",
            "it delegates to nothing, no longer to proto",
            "a is removed, which is 1",
            "c 3 → 4",
            "d is new: nil",
            "its slots stand in another order",
        ] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
        import(&[("o.luau", &file(1, &new))], &mut image);
        let object = image.object(image.named("p").unwrap()).unwrap();
        assert_eq!(object.slots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["c", "m", "d", "b"]);
        assert_eq!(object.versions["m"].len(), 1, "the same text is no new version");
        let newer =
            file(1, "name = \"p\", slots = { m = { doc = \"one\", method = [[function(self) return 2 end]] } }");
        import(&[("o.luau", &newer)], &mut image);
        let object = image.object(image.named("p").unwrap()).unwrap();
        let versions = &object.versions["m"];
        assert_eq!((versions.len(), versions[1].number, versions[1].follows), (2, 2, 1));
        assert_eq!(versions[1].origin.author, "import");
    }

    #[test]
    fn names_pass_from_one_object_to_another() {
        let mut image = world();
        import(&[("a", &file(1, "name = \"a\"")), ("b", &file(2, "name = \"b\""))], &mut image);
        import(&[("a", &file(1, "name = \"b\"")), ("b", &file(2, "name = \"a\""))], &mut image);
        assert_eq!(image.named("b"), Some(ObjectId(Uuid::from_u128(1))));
        assert_eq!(image.named("a"), Some(ObjectId(Uuid::from_u128(2))));
        let gone = format!("return {{ id = \"{}\", deleted = true }}", Uuid::from_u128(1));
        import(&[("a", &gone), ("c", &file(3, "name = \"b\", slots = { x = { ref = \"a\" } }"))], &mut image);
        assert_eq!(image.named("b"), Some(ObjectId(Uuid::from_u128(3))));
        assert_eq!(image.len(), 4);
    }

    #[test]
    fn no_import_makes_a_circle_or_orphans_a_child() {
        let mut image = world();
        import(&[("a", &file(1, "name = \"a\"")), ("b", &file(2, "name = \"b\", parents = { \"a\" }"))], &mut image);
        let faults = plan(&[("a", &file(1, "name = \"a\", parents = { \"b\" }"))], &image).unwrap_err();
        assert!(faults[0].contains("in a circle"), "{faults:?}");
        let gone = format!("return {{ id = \"{}\", deleted = true }}", Uuid::from_u128(1));
        let faults = plan(&[("a", &gone)], &image).unwrap_err();
        assert!(faults[0].contains("can't be deleted, b delegate"), "{faults:?}");
        assert_eq!(import(&[("a", &gone), ("b", &file(2, "name = \"b\""))], &mut image).counts().deleted, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn an_export_of_an_import_of_an_export_is_the_same(objects in prop::collection::vec(object(), 1..8)) {
            let mut before = world();
            let mut parent = ObjectId::proto();
            for mut object in objects {
                if object.name.as_ref().is_some_and(|name| before.named(name).is_some()) {
                    object.name = None;
                }
                object.parents = vec![parent];
                object.slots.push(Name::new("parent").unwrap(), Slot::value(Value::Object(parent)));
                parent = object.id;
                before.insert(object);
            }
            let files = exported(&before);
            let texts: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let mut after = world();
            import(&texts, &mut after);
            prop_assert_eq!(exported(&after), files.clone());
            prop_assert!(plan(&texts, &after).unwrap().is_empty());
        }
    }
}
