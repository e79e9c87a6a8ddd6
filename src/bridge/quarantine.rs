//! `quarantine`: what awakenings set aside because it was damaged, one line each, or one of it as far as it can be read.

use super::{ReportError, exit, printable, while_it_lasts};
use crate::language::console::{NOTHING, no_entry_text, quarantine_lines, quarantine_text};
use crate::object::{Image, Quarantined};
use crate::persistence::Reader;
use crate::systems::TickReplay;
use std::io::Write;
use std::path::Path;

/// Lists what is in quarantine, or shows the entry with a number. Answers the exit code.
pub fn quarantine(world: &Path, number: Option<u64>, out: &mut dyn Write) -> Result<u8, ReportError> {
    let (entries, image) = read(world)?;
    // Which messages wait is told by the same moment.
    let waits = |_| true;
    let Some(number) = number else {
        if entries.is_empty() {
            writeln!(out, "{NOTHING}")?;
            return Ok(exit::DONE);
        }
        for line in quarantine_lines(&entries, waits, &image) {
            writeln!(out, "{}", printable(&line))?;
        }
        writeln!(out, "`workbench quarantine N` shows one, with --let-go it is kept no longer")?;
        return Ok(exit::DONE);
    };
    match find(&entries, number) {
        Ok(entry) => {
            write!(out, "{}", printable(&quarantine_text(entry, waits, &image)))?;
            Ok(exit::DONE)
        }
        Err(why) => {
            writeln!(std::io::stderr(), "{why}")?;
            Ok(exit::FAILED)
        }
    }
}

/// The key of the entry with a number, for letting it go; a sentence where there is none.
pub fn quarantine_key(world: &Path, number: u64) -> Result<Result<Vec<u8>, String>, ReportError> {
    let (entries, _) = read(world)?;
    Ok(find(&entries, number).map(|entry| entry.key.clone()))
}

fn read(world: &Path) -> Result<(Vec<Quarantined>, Image), ReportError> {
    let reader = Reader::open(world)?;
    Ok(while_it_lasts(reader.progress(), || reader.quarantine(&mut TickReplay::new()))?)
}

fn find(entries: &[Quarantined], number: u64) -> Result<&Quarantined, String> {
    let entry = entries.iter().find(|entry| entry.number == number);
    entry.ok_or_else(|| no_entry_text(number, entries.iter().map(|entry| entry.number)))
}
