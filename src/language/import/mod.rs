//! Import: what a set of object files would make of a world, as a plan that is shown, and then applied in one turn.
//!
//! A plan is a pure function of the files and the world. `planner` reads the files and finds what is wrong, `planned`
//! is one object's part, `delegation` looks at the whole. Whether the gates let a method through is asked by the turn;
//! reading folders is the bridge's.

mod delegation;
mod planned;
mod planner;
#[cfg(test)]
mod tests;

use super::object_file::ObjectFile;
use crate::object::{Change, Draft, Name, ObjectId, Objects, Slot};
use planned::Planned;
use planner::Planner;
use std::collections::HashSet;
use std::fmt;

/// What an import does, object by object.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    objects: Vec<Planned>,
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
        delegation::check(&plan, objects, &mut faults);
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// The object that a file is of, as far as the file and the world tell.
pub fn file_subject(file: &str, text: &str, objects: &dyn Objects) -> Option<ObjectId> {
    let read = ObjectFile::read(file, text).ok()?;
    read.id.or_else(|| objects.named(read.name.as_ref()?))
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
        let (mut changes, mut renames, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for change in self.objects.iter().flat_map(Planned::changes) {
            match change {
                Change::Delete(..) => changes.push(change),
                Change::Rename { id, before, after } => renames.push((id, before, after)),
                _ => others.push(change),
            }
        }
        let given_up: HashSet<&Name> = renames.iter().filter_map(|(_, before, _)| before.as_ref()).collect();
        let passes_on = renames.iter().filter_map(|(_, _, after)| after.as_ref()).any(|after| given_up.contains(after));
        if passes_on {
            // Each first loses its name.
            for (id, before, _) in &mut renames {
                if let Some(before) = before.take() {
                    changes.push(Change::Rename { id: *id, before: Some(before), after: None });
                }
            }
            renames.retain(|(_, _, after)| after.is_some());
        }
        changes.extend(renames.into_iter().map(|(id, before, after)| Change::Rename { id, before, after }));
        changes.extend(others);
        changes
    }
}
