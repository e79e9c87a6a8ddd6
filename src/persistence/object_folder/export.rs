//! `export`: the objects of a world as files, so that people, git and models can read and change them.
//!
//! Nothing that somebody else wrote into the folder is lost.

use super::{EXTENSION, FolderError, Manifest, Noted, ObjectFolder, hash};
use crate::language::{genesis_objects, write_object_file};
use crate::object::{Image, Object, ObjectId, Objects};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is exported, and what happens to what stands in the folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Objects of the first image too, where they are as they were.
    pub all: bool,
    /// Nothing is written; whether the folder differs from the world is the answer.
    pub check: bool,
    /// Files that were written earlier and whose objects are gone are removed.
    pub prune: bool,
    /// Files that were changed since they were written are replaced.
    pub force: bool,
}

/// What an export does with one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Write,
    /// Somebody else changed it: replaced only by force.
    Edited,
    /// Its object has another file now.
    Moved,
    /// It was written earlier, and no object stands for it any more.
    Gone,
}

/// One file that the world has.
struct Wanted {
    id: ObjectId,
    text: String,
}

/// What came of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What was done or found, a line each. Names of files stand in them as they are.
    pub lines: Vec<String>,
    /// Whether the folder is as the world is now.
    pub is_done: bool,
}

/// Writes objects to a folder.
///
/// # Errors
/// The folder can't be read or written: what was written until then is whole.
pub fn export_image(image: &Image, dir: &Path, options: ExportOptions) -> Result<Exported, FolderError> {
    let folder = ObjectFolder::at(dir);
    let wanted = wanted(image, options.all);
    let manifest = if dir.exists() { folder.manifest()? } else { Manifest::new() };
    let steps = steps(&folder, &wanted, &manifest)?;
    if options.check {
        return check(&folder, dir, &steps);
    }
    let edited = steps.iter().filter(|(_, step)| **step == Step::Edited).map(|(name, _)| name);
    let told = |name| format!("{name} was changed since it was written, or written by somebody else");
    let mut lines: Vec<String> = edited.map(told).collect();
    if !lines.is_empty() && !options.force {
        lines.push("nothing was written: import these files first, or replace them with --force".into());
        return Ok(Exported { lines, is_done: false });
    }
    write(&folder, &wanted, &manifest, &steps, options)
}

/// The file of each object that is exported, by its name.
fn wanted(image: &Image, all: bool) -> BTreeMap<String, Wanted> {
    let mut first = Image::default();
    genesis_objects().unwrap_or_default().into_iter().for_each(|object| first.insert(object));
    let text = |object: &Object| write_object_file(object.as_ref(), image);
    let is_authored = |object: &&Object| {
        let begun = first.object(object.id).map(|begun| write_object_file(begun, &first));
        all || begun.is_none_or(|begun| begun != text(object))
    };
    let mut unnamed: BTreeMap<u128, usize> = BTreeMap::new();
    for object in image.iter().filter(|object| object.name.is_none()) {
        *unnamed.entry(beginning(object)).or_default() += 1;
    }
    let mut files = BTreeMap::new();
    for object in image.iter().filter(is_authored) {
        files.insert(file_name(object, image, &unnamed), Wanted { id: object.id, text: text(object) });
    }
    files
}

/// `point.luau`; of an unnamed object `_` and the first twelve digits of its id, or all where those are taken.
fn file_name(object: &Object, image: &Image, unnamed: &BTreeMap<u128, usize>) -> String {
    if let Some(name) = &object.name {
        return format!("{name}{EXTENSION}");
    }
    let digits = object.id.0.simple().to_string();
    let short = format!("_{}", &digits[..12]);
    let is_taken = image.named(&short).is_some() || unnamed.get(&beginning(object)) != Some(&1);
    if is_taken { format!("_{digits}{EXTENSION}") } else { format!("{short}{EXTENSION}") }
}

/// The first twelve digits of an id.
fn beginning(object: &Object) -> u128 {
    object.id.0.as_u128() >> 80
}

fn steps(
    folder: &ObjectFolder,
    wanted: &BTreeMap<String, Wanted>,
    manifest: &Manifest,
) -> Result<BTreeMap<String, Step>, FolderError> {
    let is_ours =
        |name: &str, bytes: &[u8]| manifest.get(name).is_some_and(|noted| noted.hashes.contains(&hash(bytes)));
    let mut steps = BTreeMap::new();
    for (name, Wanted { text, .. }) in wanted {
        let step = match folder.bytes(name)? {
            None => Step::Write,
            Some(bytes) if bytes == text.as_bytes() => Step::Keep,
            Some(bytes) if is_ours(name, &bytes) => Step::Write,
            Some(_) => Step::Edited,
        };
        steps.insert(name.clone(), step);
    }
    let ids: BTreeSet<ObjectId> = wanted.values().map(|file| file.id).collect();
    for (name, noted) in manifest.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        match folder.bytes(name)? {
            Some(bytes) if ids.contains(&noted.id) && is_ours(name, &bytes) => steps.insert(name.clone(), Step::Moved),
            Some(_) => steps.insert(name.clone(), Step::Gone),
            None => None,
        };
    }
    Ok(steps)
}

/// Says in what the folder differs from the world.
fn check(folder: &ObjectFolder, dir: &Path, steps: &BTreeMap<String, Step>) -> Result<Exported, FolderError> {
    let there: BTreeSet<String> = if dir.exists() { folder.names()?.into_iter().collect() } else { BTreeSet::new() };
    let mut lines = Vec::new();
    for (name, step) in steps {
        match step {
            Step::Keep => {}
            Step::Write if !there.contains(name) => lines.push(format!("{name} is missing")),
            Step::Write | Step::Edited => lines.push(format!("{name} differs")),
            Step::Moved => lines.push(format!("{name} is under its earlier name")),
            Step::Gone => lines.push(format!("{name} has no object in the world")),
        }
    }
    let foreign = there.iter().filter(|name| !steps.contains_key(*name));
    lines.extend(foreign.map(|name| format!("{name} was never imported")));
    let is_done = lines.is_empty();
    if is_done {
        lines.push("the folder is as the world is".into());
    }
    Ok(Exported { lines, is_done })
}

fn write(
    folder: &ObjectFolder,
    wanted: &BTreeMap<String, Wanted>,
    manifest: &Manifest,
    steps: &BTreeMap<String, Step>,
    options: ExportOptions,
) -> Result<Exported, FolderError> {
    let mut lines = Vec::new();
    folder.prepare()?;
    // Both the old and the new bytes of each file are noted before one is replaced: whenever the process ends, the next
    // export knows its own files again.
    let mut under_way = manifest.clone();
    let mut done = Manifest::new();
    for (name, Wanted { id, text }) in wanted {
        let new = Noted { id: *id, hashes: BTreeSet::from([hash(text.as_bytes())]) };
        under_way.entry(name.clone()).or_insert_with(|| new.clone()).hashes.extend(new.hashes.iter().cloned());
        done.insert(name.clone(), new);
    }
    let has = |step: Step| steps.values().any(|of| *of == step);
    if has(Step::Write) || has(Step::Edited) {
        folder.note(&under_way)?;
    }
    let (mut written, mut kept) = (0, 0);
    for (name, file) in wanted {
        if steps.get(name) == Some(&Step::Keep) {
            kept += 1;
            continue;
        }
        folder.replace(name, file.text.as_bytes())?;
        written += 1;
        lines.push(format!("{name} is written"));
    }
    // No file goes before the one that takes its place is there.
    for (name, step) in steps {
        match step {
            Step::Keep | Step::Write | Step::Edited => {}
            Step::Moved => {
                folder.remove(name)?;
                lines.push(format!("{name} is removed: its object has another name now"));
            }
            Step::Gone => {
                let noted = manifest.get(name);
                let bytes = folder.bytes(name)?.unwrap_or_default();
                let is_ours = noted.is_some_and(|noted| noted.hashes.contains(&hash(&bytes)));
                if options.prune && is_ours {
                    folder.remove(name)?;
                    lines.push(format!("{name} is removed: it has no object in the world"));
                } else {
                    let told = match is_ours {
                        true => "--prune removes the file",
                        false => "it was changed since it was written, and stays",
                    };
                    lines.push(format!("{name} has no object in the world; {told}"));
                    done.extend(noted.map(|noted| (name.clone(), noted.clone())));
                }
            }
        }
    }
    folder.sync()?;
    folder.note(&done)?;
    lines.push(format!("{written} written, {kept} unchanged"));
    Ok(Exported { lines, is_done: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Name, Slot, Value};
    use uuid::Uuid;

    fn object(id: u128, name: &str) -> Object {
        let mut object = Object::new(ObjectId(Uuid::from_u128(id)));
        object.name = Name::of_object(name).ok();
        object
    }

    fn exported(image: &Image, dir: &Path, options: ExportOptions) -> (bool, String) {
        let Exported { lines, is_done } = export_image(image, dir, options).unwrap();
        (is_done, lines.iter().map(|line| format!("{line}\n")).collect())
    }

    #[test]
    fn names_of_files_are_unique() {
        let mut image = Image::default();
        let twelve = 0xabcd_ef01_2345_u128 << 80;
        let of =
            [object(twelve, ""), object(twelve + 1, ""), object(7, ""), object(8, "_000000000000"), object(9, "p")];
        of.into_iter().for_each(|object| image.insert(object));
        let names: Vec<String> = wanted(&image, false).into_keys().collect();
        assert_eq!(
            names,
            [
                "_000000000000.luau",
                "_00000000000000000000000000000007.luau",
                "_abcdef01234500000000000000000000.luau",
                "_abcdef01234500000000000000000001.luau",
                "p.luau",
            ]
        );
    }

    #[test]
    fn only_what_changed_is_written_and_what_others_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, plain) = (dir.path().join("objects"), ExportOptions::default());
        let mut image = Image::default();
        genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
        image.insert(object(1, "a"));
        image.insert(object(2, "b"));
        let check = ExportOptions { check: true, ..plain };
        assert_eq!(exported(&image, &dir, check), (false, "a.luau is missing\nb.luau is missing\n".into()));
        assert!(!dir.exists(), "a check makes nothing");
        assert_eq!(exported(&image, &dir, plain).1, "a.luau is written\nb.luau is written\n2 written, 0 unchanged\n");
        assert_eq!(exported(&image, &dir, plain), (true, "0 written, 2 unchanged\n".into()));
        assert_eq!(exported(&image, &dir, check), (true, "the folder is as the world is\n".into()));

        let mut changed = object(2, "b");
        changed.slots.push(Name::new("x").unwrap(), Slot::value(Value::Boolean(true)));
        image.insert(changed);
        assert_eq!(exported(&image, &dir, check), (false, "b.luau differs\n".into()));
        let mine = std::fs::read_to_string(dir.join("a.luau")).unwrap().replace("slots = {}", "slots = { y = 1 }");
        std::fs::write(dir.join("a.luau"), &mine).unwrap();
        let (is_done, told) = exported(&image, &dir, plain);
        assert!(!is_done && told.contains("a.luau was changed") && told.contains("nothing was written"));
        assert_eq!(std::fs::read_to_string(dir.join("a.luau")).unwrap(), mine);
        let force = ExportOptions { force: true, ..plain };
        assert_eq!(exported(&image, &dir, force).1, "a.luau is written\nb.luau is written\n2 written, 0 unchanged\n");
    }

    #[test]
    fn a_renamed_object_takes_its_file_along_and_one_that_is_gone_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let plain = ExportOptions::default();
        let mut image = Image::default();
        ["a", "b", "c"].into_iter().zip(1..).for_each(|(name, id)| image.insert(object(id, name)));
        exported(&image, dir.path(), plain);
        image.insert(object(1, "d"));
        image.remove(ObjectId(Uuid::from_u128(2)));
        let told = exported(&image, dir.path(), plain).1;
        assert!(told.contains("d.luau is written\na.luau is removed: its object has another name"), "{told}");
        assert!(told.contains("b.luau has no object in the world; --prune removes the file"), "{told}");
        assert!(dir.path().join("b.luau").exists() && !dir.path().join("a.luau").exists());
        let told = exported(&image, dir.path(), ExportOptions { prune: true, ..plain }).1;
        assert_eq!(told, "b.luau is removed: it has no object in the world\n0 written, 2 unchanged\n");
        assert_eq!(exported(&image, dir.path(), plain).1, "0 written, 2 unchanged\n");
    }
}
