//! How what is in quarantine reads: in a line, in full, and whether it can be rebuilt.

use super::answer::{envelope_line, outcome_line};
use super::line::LocalCommand;
use crate::object::{Afterwards, Fault, FaultKind, Objects, Quarantined, Readable, Replica, date_and_time};
use std::fmt::Write;

const ROW_BYTES: usize = 16;

/// All entries, a line each; `waits` says whether a failed message waits.
pub fn quarantine_lines<'a>(
    entries: impl IntoIterator<Item = &'a Quarantined>,
    waits: impl Fn(u64) -> bool,
    objects: &dyn Objects,
) -> Vec<String> {
    let line = |entry: &Quarantined| {
        let (place, found, now) = (place_text(entry, objects), moment(entry.found_at), now_text(entry, &waits));
        format!("{:>4}  {place}: {}; found {found}; {now}", entry.number, entry.reason)
    };
    entries.into_iter().map(line).collect()
}

/// Where it was and what it was.
pub fn place_text(entry: &Quarantined, objects: &dyn Objects) -> String {
    let message = if entry.sequence > 0 { format!(" of message {}", entry.sequence) } else { String::new() };
    match (entry.object, entry.position) {
        (Some(id), _) => format!("snapshot of {}", objects.title(id)),
        (None, Some(position)) => format!("log record {position} ({}{message})", entry.kind),
        (None, None) if entry.database == "suspended" => format!("waiting problems{message}"),
        (None, None) => format!("figures about the world ({})", entry.database),
    }
}

/// How it stands with what it belonged to, in short.
pub fn now_text(entry: &Quarantined, waits: impl Fn(u64) -> bool) -> String {
    match entry.now {
        Afterwards::Rebuilt { whole: true, .. } => "made anew from the log: nothing is lost".to_string(),
        Afterwards::Rebuilt { whole: false, .. } => "made anew from what of the log can be read".to_string(),
        Afterwards::Gone => "no such object is in the world, as far as the log can be read".to_string(),
        Afterwards::TakenIn => "taken in all the same: nothing is lost".to_string(),
        Afterwards::Waits if waits(entry.sequence) => {
            format!("lost; `retry {}` in the console does the message again", entry.sequence)
        }
        Afterwards::Waits => "lost; its message was tried again or dismissed since".to_string(),
        Afterwards::Lost => "lost; `workbench repair` says what else may tell of it".to_string(),
    }
}

/// Whether it was rebuilt, and up to where; or why it can't be, and what else may help.
pub fn rebuild_text(entry: &Quarantined, waits: impl Fn(u64) -> bool) -> String {
    let elsewhere = "`workbench repair` looks whether an older copy or a snapshot holds it, and a backup may have it";
    match entry.now {
        Afterwards::Rebuilt { at, whole } => {
            let what = if entry.object.is_some() { "the object is" } else { "it is" };
            let but = if whole {
                "nothing of it is lost"
            } else {
                "but records of the log are lost (`quarantine` lists them), and what they may have changed in it is missing"
            };
            format!("{what} rebuilt already: made anew from the log up to record {at}, when the world awoke; {but}")
        }
        Afterwards::Gone => format!(
            "there is nothing to rebuild: as far as the log can be read, it was deleted, or never made; {elsewhere}"
        ),
        Afterwards::TakenIn => {
            "there is nothing to rebuild: only its place in the chain is damaged, and what it says was taken in"
                .to_string()
        }
        Afterwards::Waits if waits(entry.sequence) => format!(
            "what the message changed stood in this record alone, so the log can't give it back. What it asked is whole: \
             `retry {}` does it again, on the world as it is now; {elsewhere}",
            entry.sequence
        ),
        Afterwards::Waits => {
            format!("the record can't be rebuilt; its message was tried again or dismissed since; {elsewhere}")
        }
        Afterwards::Lost => {
            format!("it can't be rebuilt: nothing else in this world tells what stood in it; {elsewhere}")
        }
    }
}

/// All that is known of it but its bytes: names of one word, and what they say.
pub fn quarantine_rows(
    entry: &Quarantined,
    waits: impl Fn(u64) -> bool,
    objects: &dyn Objects,
) -> Vec<(&'static str, String)> {
    let mut rows = vec![("what", place_text(entry, objects))];
    rows.extend(entry.object.map(|id| ("object", id.to_string())));
    rows.push(("wrong", entry.reason.clone()));
    rows.push(("found", format!("{}, by version {}", moment(entry.found_at), entry.writer)));
    rows.push(("now", now_text(entry, waits)));
    rows.extend(entry.readable.as_ref().map(|readable| match readable {
        Readable::Envelope(envelope) => ("record", envelope_line(envelope, objects)),
        Readable::Outcome(outcome) => ("record", outcome_line(outcome, objects)),
    }));
    if let Some(header) = entry.header {
        let (position, sequence) = (header.position, header.sequence);
        rows.push(("header", format!("position {position}, message {sequence}, {} bytes of body", header.body_bytes)));
        rows.push(("sums", format!("chain {:016x}, checksum {:08x}", header.chain, header.crc)));
    }
    rows.push(("bytes", entry.size.to_string()));
    rows
}

/// The first of its bytes, in rows.
pub fn quarantine_bytes(entry: &Quarantined) -> String {
    let mut text = String::new();
    for (at, row) in entry.head.chunks(ROW_BYTES).enumerate() {
        let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen: String = row.iter().map(|byte| if (32..127).contains(byte) { *byte as char } else { '.' }).collect();
        let _ = writeln!(text, "{:08x}  {:<47}  {seen}", at * ROW_BYTES, hex.join(" "));
    }
    if entry.size > entry.head.len() {
        let _ = writeln!(text, "          and {} more", entry.size - entry.head.len());
    }
    text
}

/// One entry in full.
pub fn quarantine_text(entry: &Quarantined, waits: impl Fn(u64) -> bool, objects: &dyn Objects) -> String {
    let mut text = String::new();
    for (name, says) in quarantine_rows(entry, waits, objects) {
        let _ = writeln!(text, "{name:<9} {says}");
    }
    text + &quarantine_bytes(entry)
}

/// What is said where an entry is not there.
pub fn no_entry_text(number: u64, numbers: impl IntoIterator<Item = u64>) -> String {
    match numbers.into_iter().max() {
        None => NOTHING.to_string(),
        Some(last) => format!("there is no entry {number} in quarantine; `quarantine` lists them, the last is {last}"),
    }
}

/// What is said once an entry is durably gone, and so many are left.
pub fn let_go_text(number: u64, left: usize) -> String {
    let left = match left {
        0 => "nothing is left there".to_string(),
        1 => "one is left".to_string(),
        left => format!("{left} are left"),
    };
    format!("entry {number} of the quarantine is not kept any longer; {left}")
}

/// What is said of an empty quarantine.
pub const NOTHING: &str = "nothing is in quarantine";

/// Where a command names an entry that is not there, the fault that says so.
pub fn quarantine_fault(command: &LocalCommand, replica: &Replica) -> Option<Fault> {
    let (LocalCommand::Quarantine(Some(number)) | LocalCommand::Rebuild(number)) = command else { return None };
    let numbers = replica.quarantine.iter().map(|entry| entry.number);
    let fault = || Fault::new(FaultKind::BadArgument, no_entry_text(*number, numbers));
    replica.quarantined(*number).is_none().then(fault)
}

/// The answer to `quarantine`, and to what it says of one entry.
pub(super) fn quarantine_answer(command: &LocalCommand, replica: &Replica) -> String {
    let waits = |sequence| replica.has_problem(sequence);
    let entry = |number: &u64| replica.quarantined(*number);
    match command {
        LocalCommand::Quarantine(None) if replica.quarantine.is_empty() => NOTHING.to_string(),
        LocalCommand::Quarantine(None) => {
            let entries = replica.quarantine.iter().map(|entry| &**entry);
            let mut lines = quarantine_lines(entries, waits, &replica.image);
            lines.push(
                "`quarantine N` shows one, `quarantine N rebuild` says whether it can be made anew, \
                        `quarantine N let-go` keeps it no longer"
                    .to_string(),
            );
            lines.join("\n")
        }
        LocalCommand::Quarantine(Some(number)) => entry(number)
            .map_or_else(String::new, |entry| quarantine_text(entry, waits, &replica.image).trim_end().to_string()),
        LocalCommand::Rebuild(number) => entry(number).map_or_else(String::new, |entry| rebuild_text(entry, waits)),
        _ => String::new(),
    }
}

fn moment(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time} UTC")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::object::{Envelope, ObjectId, Problem, RecordHeader, Target};
    use std::sync::Arc;

    /// An entry of the outcome of a message, or of a snapshot where the message is 0.
    pub(crate) fn entry(number: u64, sequence: u64, now: Afterwards) -> Quarantined {
        let is_record = sequence > 0;
        Quarantined {
            number,
            key: vec![number as u8],
            database: if is_record { "heartwood" } else { "sapwood" }.into(),
            reason: "its checksum is wrong".into(),
            found_at: 1_000,
            writer: "0.1.0".into(),
            head: b"HW\x01 a record".to_vec(),
            size: 600,
            kind: if is_record { "outcome" } else { "snapshot" },
            header: Some(RecordHeader { position: 9, sequence, body_bytes: 552, chain: 1, crc: 2 }),
            position: is_record.then_some(9),
            sequence,
            object: (!is_record).then(ObjectId::proto),
            readable: None,
            now,
        }
    }

    pub(crate) fn problem(sequence: u64) -> Problem {
        let envelope = Envelope {
            message_id: uuid::Uuid::nil(),
            correlation_id: None,
            sender_id: "test".into(),
            target: Target::Name("point".into()),
            selector: crate::object::Name::new("set").unwrap(),
            args: Vec::new(),
            issued_at: 0,
            retries: None,
        };
        Problem { sequence, envelope: Arc::new(envelope), fault: Fault::new(FaultKind::Internal, "lost") }
    }

    fn replica(entries: &[Quarantined], problems: &[u64]) -> Replica {
        Replica {
            quarantine: entries.iter().cloned().map(Arc::new).collect(),
            problems: problems.iter().map(|sequence| problem(*sequence)).collect(),
            ..Replica::default()
        }
    }

    #[test]
    fn what_can_be_rebuilt_is_told_as_it_is() {
        let cases = [
            (entry(1, 0, Afterwards::Rebuilt { at: 40, whole: true }), "up to record 40", "nothing of it is lost"),
            (
                entry(1, 0, Afterwards::Rebuilt { at: 40, whole: false }),
                "up to record 40",
                "records of the log are lost",
            ),
            (entry(1, 0, Afterwards::Gone), "nothing to rebuild", "deleted, or never made"),
            (entry(1, 6, Afterwards::TakenIn), "nothing to rebuild", "taken in"),
            (entry(1, 6, Afterwards::Waits), "`retry 6` does it again", "a backup may have it"),
            (entry(1, 7, Afterwards::Waits), "can't be rebuilt", "dismissed since"),
            (entry(1, 6, Afterwards::Lost), "can't be rebuilt", "`workbench repair`"),
        ];
        for (entry, first, second) in cases {
            let replica = replica(&[entry], &[6]);
            let told = quarantine_answer(&LocalCommand::Rebuild(1), &replica);
            assert!(told.contains(first) && told.contains(second), "{told}");
        }
    }

    #[test]
    fn entries_are_listed_and_shown_with_their_bytes() {
        let replica = replica(&[entry(2, 6, Afterwards::Waits), entry(5, 0, Afterwards::Gone)], &[6]);
        let list = quarantine_answer(&LocalCommand::Quarantine(None), &replica);
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 3);
        let line = "   2  log record 9 (outcome of message 6): its checksum is wrong; found 1970-01-01 00:00:01 UTC; lost; \
                    `retry 6` in the console does the message again";
        assert_eq!(lines[0], line);
        let shown = quarantine_answer(&LocalCommand::Quarantine(Some(2)), &replica);
        for part in [
            "found     1970-01-01 00:00:01 UTC, by version 0.1.0\n",
            "header    position 9, message 6, 552 bytes of body\n",
            "00000000  48 57 01 20 61 20 72 65 63 6f 72 64              HW. a record\n",
            "and 588 more",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn an_entry_that_is_not_there_is_a_fault() {
        let fault = |command: LocalCommand, entries: &[Quarantined]| {
            quarantine_fault(&command, &replica(entries, &[])).map(|fault| fault.message)
        };
        let entries = [entry(2, 6, Afterwards::Lost)];
        assert_eq!(fault(LocalCommand::Quarantine(Some(2)), &entries), None);
        assert_eq!(fault(LocalCommand::Quarantine(None), &[]), None);
        assert!(fault(LocalCommand::Rebuild(3), &entries).unwrap().contains("no entry 3"));
        assert_eq!(fault(LocalCommand::Quarantine(Some(2)), &[]).as_deref(), Some(NOTHING));
    }
}
