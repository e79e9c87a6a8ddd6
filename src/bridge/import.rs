//! `import`: a folder of object files becomes part of a world, by one message. The plan is shown before.

use super::conversation::{Answer, Conversation};
use super::object_folder::{FolderError, Noted, ObjectFolder, hash};
use super::piped::Ended;
use super::{ReportError, exit, printable};
use crate::language::console::{fault_text, result_text};
use crate::language::{Plan, file_subject, plan_import};
use crate::object::{Image, MapKey, Name, NameError, ObjectId, Outcome, Target, UICommand, Value};
use crate::persistence::Reader;
use crate::systems::Port;
use crate::systems::TickReplay;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use uuid::Uuid;

/// A folder of object files, read for an import.
#[derive(Clone, Debug)]
pub struct ImportFolder {
    folder: ObjectFolder,
    files: Vec<(String, String)>,
}

impl ImportFolder {
    /// Reads every object file of a folder.
    ///
    /// # Errors
    /// The folder or a file in it can't be read, or holds more than one message carries.
    pub fn read(dir: &Path) -> Result<Self, FolderError> {
        let folder = ObjectFolder::at(dir);
        let files = folder.texts()?;
        Ok(Self { folder, files })
    }

    /// The message that imports it.
    pub(super) fn command(&self) -> Result<UICommand, NameError> {
        let files = self.files.iter().map(|(name, text)| (MapKey::Text(name.clone()), Value::Text(text.clone())));
        let args = vec![(Name::new("files")?, Value::map(files))];
        Ok(UICommand::new(Target::Name("workspace".into()), Name::new("import")?, args))
    }

    fn plan(&self, image: &Image) -> Result<Plan, Vec<String>> {
        let mut count = 0;
        // The ids of new objects that have none are given by the message; these only stand for them.
        let mut fresh = || {
            count += 1;
            ObjectId::derived(Uuid::nil(), Uuid::nil(), count)
        };
        plan_import(&self.files, image, &mut fresh)
    }

    /// Notes in the folder that these files are in the world: an export may replace them.
    pub(super) fn note_imported(&self, image: &Image) -> Result<(), FolderError> {
        let mut manifest = self.folder.manifest()?;
        for (name, text) in &self.files {
            if let Some(id) = file_subject(name, text, image) {
                manifest.insert(name.clone(), Noted { id, hashes: BTreeSet::from([hash(text.as_bytes())]) });
            }
        }
        self.folder.note(&manifest)
    }
}

/// Shows what the import of a folder would do to a world, and does nothing. Answers the exit code.
///
/// # Errors
/// The world can't be read, or the answer can't be written.
pub fn preview(world: &Path, folder: &ImportFolder, out: &mut dyn Write) -> Result<u8, ReportError> {
    let image = Reader::open(world)?.image(&mut TickReplay::new())?;
    match folder.plan(&image) {
        Ok(plan) => {
            write_plan(&plan, &image, out)?;
            writeln!(out, "an import would do this: {}", plan.counts())?;
            Ok(exit::DONE)
        }
        Err(faults) => {
            write_faults(&faults, &mut io::stderr())?;
            Ok(exit::FAILED)
        }
    }
}

/// Imports a folder through a port: shows the plan, sends the message, waits until its outcome is on disk.
pub(super) fn import(port: Port, folder: ImportFolder, out: &mut dyn Write, diagnostics: &mut dyn Write) -> Ended {
    match try_import(Conversation::new(port), folder, out, diagnostics) {
        Ok(ended) => ended,
        Err(error) => {
            let _ = writeln!(diagnostics, "the answer could not be written: {error}");
            Ended::WithFailures
        }
    }
}

fn try_import(
    mut conversation: Conversation,
    folder: ImportFolder,
    out: &mut dyn Write,
    diagnostics: &mut dyn Write,
) -> io::Result<Ended> {
    // The first event tells the whole world, which is never without objects.
    while conversation.replica.image.is_empty() {
        if conversation.is_closed() {
            return Ok(Ended::WithFailures);
        }
        let received = conversation.port().receive();
        if let Some(event) = conversation.take_in(received) {
            writeln!(diagnostics, "{}", event.message)?;
        }
    }
    let plan = match folder.plan(&conversation.replica.image) {
        Ok(plan) => plan,
        Err(faults) => {
            write_faults(&faults, diagnostics)?;
            return Ok(Ended::WithFailures);
        }
    };
    if plan.is_empty() {
        writeln!(out, "nothing to import: the world is as the files say")?;
        return Ok(Ended::Well);
    }
    write_plan(&plan, &conversation.replica.image, out)?;
    out.flush()?;
    conversation.import(1, folder);
    let answer = loop {
        if let Some((_, answer)) = conversation.next_answer() {
            break answer;
        }
        let received = conversation.port().receive();
        conversation.take_in(received);
    };
    let told = match &answer {
        Answer::Message { outcome, .. } => match &**outcome {
            Outcome::Completed { result, .. } => {
                writeln!(out, "{}", result_text(result, &conversation.replica.image))?;
                return Ok(Ended::Well);
            }
            Outcome::Failed(fault) => fault_text(fault),
        },
        Answer::InDoubt { why, .. } => why.clone(),
        Answer::Refused(fault) => fault_text(fault),
        Answer::Told(_) | Answer::Local(_) => String::new(),
    };
    writeln!(diagnostics, "{}", printable(&told))?;
    Ok(Ended::WithFailures)
}

fn write_plan(plan: &Plan, image: &Image, out: &mut dyn Write) -> io::Result<()> {
    plan.lines(image).iter().try_for_each(|line| writeln!(out, "{}", printable(line)))
}

fn write_faults(faults: &[String], out: &mut dyn Write) -> io::Result<()> {
    faults.iter().try_for_each(|fault| writeln!(out, "{}", printable(fault)))?;
    writeln!(out, "nothing was imported")
}
