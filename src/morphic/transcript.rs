//! The transcript: one entry for each message this window hears of, and for each line it answered itself.

use super::Mirror;
use crate::language::console::outcome_text;
use crate::object::{Argument, Envelope, Fault, Literal, Objects, Outcome, Target, UICommand, quoted, shortened};
use std::collections::{BTreeMap, VecDeque};

/// Entries that are kept.
const MAX_ENTRIES: usize = 2_000;
/// Longest value that is shown inside a line, in characters.
const MAX_VALUE: usize = 80;
/// Longest line and longest answer, in characters; and lines of an answer. All of it is laid out in each frame.
const MAX_LINE: usize = 400;
const MAX_ANSWER: usize = 8_000;
const MAX_ANSWER_LINES: usize = 100;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On its way, or written down and not yet delivered.
    Waiting,
    /// Its changes are in the world, their record is on its way to the disk.
    Settled,
    /// On disk.
    Durable,
    /// It changed nothing.
    Failed,
    /// What became of it was not learned: the log will tell.
    InDoubt,
    /// No message: something the window says itself.
    Note,
    /// No message: something the window warns of.
    Warning,
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counts all entries, also those that are dropped.
    pub number: u64,
    /// The message's number, once it has one.
    pub sequence: Option<u64>,
    /// What was asked, as a line; empty for a note.
    pub line: String,
    /// What came of it; may have several lines.
    pub answer: String,
    /// How far it has come.
    pub progress: Progress,
}

/// The newest entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: VecDeque<Entry>,
    next: u64,
    tickets: BTreeMap<u64, u64>,
    sequences: BTreeMap<u64, u64>,
}

impl Transcript {
    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Adds a line that the window answers itself.
    pub fn note(&mut self, line: &str, answer: &str, progress: Progress) {
        self.push(None, line.to_string(), clipped(answer), progress);
    }

    /// A command went out under this ticket.
    pub fn sent(&mut self, ticket: u64, line: String) {
        let number = self.push(None, line, String::new(), Progress::Waiting);
        self.tickets.insert(ticket, number);
    }

    pub(super) fn accepted(&mut self, ticket: u64, sequence: u64) {
        if let Some(number) = self.tickets.remove(&ticket) {
            self.sequences.insert(sequence, number);
            if let Some(entry) = self.entry(number) {
                entry.sequence = Some(sequence);
            }
        }
    }

    pub(super) fn refused(&mut self, ticket: u64, fault: &Fault) {
        let Some(number) = self.tickets.remove(&ticket) else { return };
        if let Some(entry) = self.entry(number) {
            entry.answer = clipped(&fault.message);
            entry.progress = Progress::Failed;
        }
    }

    /// What a ticket asked for is done, durably.
    pub(super) fn done(&mut self, ticket: u64, answer: &str) {
        let Some(number) = self.tickets.remove(&ticket) else { return };
        if let Some(entry) = self.entry(number) {
            entry.answer = clipped(answer);
            entry.progress = Progress::Durable;
        }
    }

    /// What became of a ticket was not learned.
    pub(super) fn lost(&mut self, ticket: u64) {
        if let Some(number) = self.tickets.remove(&ticket) {
            self.doubt(number);
        }
    }

    pub(super) fn settled(&mut self, sequence: u64, envelope: &Envelope, outcome: &Outcome, objects: &dyn Objects) {
        let number = self.sequences.get(&sequence).copied().unwrap_or_else(|| {
            let sender = if envelope.sender_id == "window" { "" } else { &envelope.sender_id };
            let line = line_of(&envelope.target, &envelope.selector, &envelope.args, objects);
            let line = if sender.is_empty() { line } else { format!("{sender}: {line}") };
            self.push(Some(sequence), line, String::new(), Progress::Waiting)
        });
        self.sequences.insert(sequence, number);
        if let Some(entry) = self.entry(number) {
            entry.answer = clipped(&outcome_text(envelope, outcome, objects));
            entry.progress = match outcome {
                Outcome::Completed { .. } => Progress::Settled,
                Outcome::Failed(_) => Progress::Failed,
            };
        }
    }

    pub(super) fn durable(&mut self, sequences: &[u64]) {
        for sequence in sequences {
            let Some(number) = self.sequences.remove(sequence) else { continue };
            if let Some(entry) = self.entry(number)
                && matches!(entry.progress, Progress::Settled | Progress::InDoubt)
            {
                entry.progress = Progress::Durable;
            }
        }
    }

    /// Everything up to this message is on disk. What still waits for its outcome then will not hear of it any more.
    pub(super) fn durable_up_to(&mut self, durable: u64) {
        let later = self.sequences.split_off(&durable.saturating_add(1));
        let done: Vec<u64> = self.sequences.keys().copied().collect();
        let missed: Vec<u64> = self.sequences.values().copied().collect();
        self.durable(&done);
        missed.into_iter().for_each(|number| self.doubt(number));
        self.sequences = later;
    }

    /// The world can't be written now: what is under way is in doubt until it can.
    pub(super) fn doubt_what_waits(&mut self) {
        let under_way = self.tickets.values().chain(self.sequences.values());
        under_way.copied().collect::<Vec<_>>().into_iter().for_each(|number| self.doubt(number));
    }

    fn doubt(&mut self, number: u64) {
        if let Some(entry) = self.entry(number)
            && matches!(entry.progress, Progress::Waiting | Progress::Settled)
        {
            entry.progress = Progress::InDoubt;
        }
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.number;
        let place = usize::try_from(number.checked_sub(first)?).ok()?;
        self.entries.get_mut(place)
    }

    fn push(&mut self, sequence: Option<u64>, line: String, answer: String, progress: Progress) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        let line = shortened(&line, MAX_LINE).into_owned();
        self.entries.push_back(Entry { number, sequence, line, answer, progress });
        number
    }
}

/// An answer of a length that can be shown.
fn clipped(answer: &str) -> String {
    let by_lines = answer.match_indices('\n').nth(MAX_ANSWER_LINES - 1).map(|(end, _)| end);
    let by_characters = answer.char_indices().nth(MAX_ANSWER).map(|(end, _)| end);
    match by_lines.into_iter().chain(by_characters).min() {
        Some(end) => format!("{}\n… and more: `log` shows all of it", &answer[..end]),
        None => answer.to_string(),
    }
}

/// A command as a line of the console.
pub fn command_line(command: &UICommand, mirror: &Mirror) -> String {
    line_of(&command.target, &command.selector, &command.args, mirror.image())
}

fn line_of(target: &Target, selector: &str, args: &[Argument], objects: &dyn Objects) -> String {
    let target = match target {
        Target::Name(name) => name.clone(),
        Target::Id(id) => objects.title(*id),
    };
    if target == "workspace"
        && selector == "evaluate"
        && let [Argument { value: Literal::Value(crate::object::Value::Text(source)), .. }] = args
    {
        return shortened(&format!("= {source}"), MAX_VALUE).into_owned();
    }
    let mut line = format!("{selector} {target}");
    for argument in args {
        line.push(' ');
        if let Some(name) = &argument.name {
            line.push_str(name);
            line.push('=');
        }
        line.push_str(&shortened(&literal_text(&argument.value, objects), MAX_VALUE));
    }
    line
}

fn literal_text(literal: &Literal, objects: &dyn Objects) -> String {
    match literal {
        Literal::Value(value) => value.text(objects),
        Literal::Named(name) => format!("@{name}"),
        Literal::List(items) => {
            let items: Vec<String> = items.iter().map(|item| literal_text(item, objects)).collect();
            format!("[{}]", items.join(", "))
        }
        Literal::Map(entries) => {
            let entry = |(key, value): &(crate::object::MapKey, Literal)| {
                let key = match key {
                    crate::object::MapKey::Text(text) if crate::object::Name::new(text).is_ok() => text.clone(),
                    crate::object::MapKey::Text(text) => format!("[{}]", quoted(text)),
                    crate::object::MapKey::Number(number) => format!("[{}]", crate::object::number_text(*number)),
                    crate::object::MapKey::Boolean(value) => format!("[{value}]"),
                    crate::object::MapKey::Object(id) => format!("[@{}]", objects.title(*id)),
                };
                format!("{key} = {}", literal_text(value, objects))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::console::{ConsoleLine, parse_line};
    use crate::object::Image;

    #[test]
    fn a_command_reads_as_the_line_that_would_send_it() {
        let mirror = Mirror::default();
        for line in ["move_by point dx=10 dy=-2.5", r#"set p label="a \"b\"" to=@q"#, "f p [1, @q] {a = 1, b = @q}"] {
            let Ok(ConsoleLine::Message(command)) = parse_line(line) else { panic!("{line}") };
            assert_eq!(command_line(&command, &mirror), line);
        }
        let Ok(ConsoleLine::Message(command)) = parse_line("= world.p.x + 1") else { panic!() };
        assert_eq!(command_line(&command, &mirror), "= world.p.x + 1");
    }

    #[test]
    fn old_entries_make_room() {
        let mut transcript = Transcript::default();
        transcript.sent(1, "first".into());
        for _ in 0..MAX_ENTRIES {
            transcript.note("", "x", Progress::Note);
        }
        transcript.accepted(1, 1);
        transcript.durable(&[1]);
        assert_eq!(transcript.iter().len(), MAX_ENTRIES);
        assert_eq!(transcript.iter().next().map(|entry| entry.number), Some(1));
        let _ = Image::default();
    }
}
