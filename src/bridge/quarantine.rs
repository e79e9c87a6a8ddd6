//! `quarantine`: what awakenings set aside because it was damaged, one line each, or one of it as far as it can be read.

use super::report::log_text;
use super::{ReportError, exit, printable, while_it_reads};
use crate::object::{Image, date_and_time};
use crate::persistence::{Afterwards, Quarantined, Reader};
use crate::systems::TickReplay;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// So many bytes are shown.
const DUMPED: usize = 512;
const ROW: usize = 16;

/// Lists what is in quarantine, or shows the entry with a number. Answers the exit code.
pub fn quarantine(world: &Path, number: Option<usize>, out: &mut dyn Write) -> Result<u8, ReportError> {
    let reader = Reader::open(world)?;
    let entries = read(&reader)?;
    let Some(number) = number else {
        if entries.is_empty() {
            writeln!(out, "nothing is in quarantine")?;
            return Ok(exit::DONE);
        }
        for (at, entry) in entries.iter().enumerate() {
            writeln!(out, "{:>4}  {}", at + 1, printable(&line(entry)))?;
        }
        writeln!(out, "`workbench quarantine N` shows one, with --let-go it is kept no longer")?;
        return Ok(exit::DONE);
    };
    let Some(entry) = number.checked_sub(1).and_then(|at| entries.get(at)) else {
        writeln!(std::io::stderr(), "{}", absent(number, entries.len()))?;
        return Ok(exit::FAILED);
    };
    let image = super::report::committed(&reader)?;
    write!(out, "{}", printable(&whole(entry, &image)))?;
    Ok(exit::DONE)
}

/// The key of the entry with a number, for letting it go; a sentence where there is none.
pub fn quarantine_key(world: &Path, number: usize) -> Result<Result<Vec<u8>, String>, ReportError> {
    let entries = read(&Reader::open(world)?)?;
    let entry = number.checked_sub(1).and_then(|at| entries.get(at));
    Ok(entry.map(|entry| entry.key.clone()).ok_or_else(|| absent(number, entries.len())))
}

fn read(reader: &Reader) -> Result<Vec<Quarantined>, ReportError> {
    Ok(while_it_reads(reader.progress(), || reader.quarantine(&mut TickReplay::new()))?)
}

fn absent(number: usize, of: usize) -> String {
    match of {
        0 => "nothing is in quarantine".to_string(),
        of => format!("there is no entry {number} in quarantine; the last is {of}"),
    }
}

/// Where it was and what it was.
fn place(entry: &Quarantined) -> String {
    let message = if entry.sequence > 0 { format!(" of message {}", entry.sequence) } else { String::new() };
    match (&entry.object, entry.position) {
        (Some((_, title)), _) => format!("snapshot of {title}"),
        (None, Some(position)) => format!("log record {position} ({}{message})", entry.kind),
        (None, None) if entry.database == "suspended" => format!("waiting problems{message}"),
        (None, None) => format!("figures about the world ({})", entry.database),
    }
}

fn now(entry: &Quarantined) -> String {
    match entry.now {
        Afterwards::Rebuilt => "made anew from the log: nothing is lost".to_string(),
        Afterwards::Waits => format!("lost; `retry {}` in the console does the message again", entry.sequence),
        Afterwards::Lost => "lost; `workbench repair` says what else may tell of it".to_string(),
    }
}

fn line(entry: &Quarantined) -> String {
    format!("{}: {}; found {}; {}", place(entry), entry.reason, moment(entry.found_at), now(entry))
}

fn moment(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time} UTC")
}

fn whole(entry: &Quarantined, image: &Image) -> String {
    let mut text = String::new();
    let mut row = |name: &str, says: &str| _ = writeln!(text, "{name:<9} {says}");
    row("what", &place(entry));
    if let Some((id, _)) = &entry.object {
        row("object", &id.to_string());
    }
    row("wrong", &entry.reason);
    row("found", &format!("{}, by version {}", moment(entry.found_at), entry.writer));
    row("now", &now(entry));
    if let Some(readable) = &entry.readable {
        row("record", log_text(readable, image).trim_start());
    }
    for (name, says) in header(&entry.raw) {
        row(name, &says);
    }
    row("bytes", &entry.raw.len().to_string());
    text + &dump(&entry.raw)
}

/// The fields of a record's header, as they stand there.
fn header(raw: &[u8]) -> Vec<(&'static str, String)> {
    let field = |at: usize| raw.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let half = |at: usize| raw.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let (Some(position), Some(sequence), Some(stored), Some(chain), Some(crc)) =
        (field(8), field(16), half(24), field(32), half(40))
    else {
        return Vec::new();
    };
    vec![
        ("header", format!("position {position}, message {sequence}, {stored} bytes of body")),
        ("sums", format!("chain {chain:016x}, checksum {crc:08x}")),
    ]
}

fn dump(raw: &[u8]) -> String {
    let mut text = String::new();
    for (at, row) in raw.chunks(ROW).take(DUMPED / ROW).enumerate() {
        let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen: String = row.iter().map(|byte| if (32..127).contains(byte) { *byte as char } else { '.' }).collect();
        let _ = writeln!(text, "{:08x}  {:<47}  {seen}", at * ROW, hex.join(" "));
    }
    if raw.len() > DUMPED {
        let _ = writeln!(text, "          and {} more", raw.len() - DUMPED);
    }
    text
}
