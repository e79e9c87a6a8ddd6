//! `import`: a folder of object files becomes part of a world, by one message. The plan is shown before.

use super::conversation::{Answer, Conversation};
use super::piped::Ended;
use super::report::committed;
use super::{ReportError, exit, printable};
use crate::language::Plan;
use crate::language::console::{fault_text, result_text};
use crate::object::{Image, Outcome};
use crate::persistence::{ImportFolder, Reader};
use crate::systems::Port;
use std::io::{self, Write};
use std::path::Path;

/// Shows what the import of a folder would do to a world, and does nothing. Answers the exit code.
///
/// # Errors
/// The world can't be read, or the answer can't be written.
pub fn preview(world: &Path, folder: &ImportFolder, out: &mut dyn Write) -> Result<u8, ReportError> {
    let image = committed(&Reader::open(world)?)?;
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
