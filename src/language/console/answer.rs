//! How outcomes, problems and help read in plain words.

use super::line::LocalCommand;
use super::quarantine::quarantine_answer;
use crate::language::native::{NATIVES, native_spec};
use crate::object::{
    Argument, Change, Edit, EditKind, Envelope, Fault, MapKey, Name, Objects, Outcome, Problem, Replica, Slot,
    SlotContent, Target, Value, shortened,
};
use std::fmt::Write;

/// Longest value shown in a line about a change, in characters.
const COLUMNS: usize = 60;
/// Changes inside one list or map that are told one by one.
const EDITS_SHOWN: usize = 4;

/// Words of the console itself, and what they do.
const CONSOLE_WORDS: [(&str, &str); 11] = [
    ("help", "help\n  Shows how a line looks; `help SELECTOR` explains a message."),
    ("objects", "objects\n  Lists every object."),
    ("problems", "problems\n  Lists the failed messages that wait."),
    ("retry", "retry N\n  Sends the failed message with this number again."),
    ("dismiss", "dismiss N\n  Lets the failed message with this number go."),
    (
        "quarantine",
        "quarantine, quarantine N\n  Lists what was damaged and set aside, or shows the entry with this number, with its bytes.\n\
         quarantine N rebuild\n  Says whether what it belonged to was made anew from the log, or why it can't be.\n\
         quarantine N let-go\n  Keeps the entry no longer.",
    ),
    (
        "export",
        "export FOLDER\n  Writes the objects of the world to files, one each; docs/object-files.md is their form.",
    ),
    ("import", "import FOLDER\n  Makes objects equal to the files of a folder, all or none."),
    (
        "undo",
        "undo, undo N\n  Takes back what your last message changed, or the message with this number; what it posted is not taken back.",
    ),
    ("redo", "redo\n  Does again what the last undo took back, as long as nothing else was changed."),
    ("quit", "quit\n  Ends the program, once everything is on disk."),
];

/// Characters of an argument in the line of a message; an import carries whole files.
const ARGUMENT_SHOWN: usize = 1_000;

/// What a local command answers. Those that a console carries out itself, on files or by ending, answer nothing.
pub fn local_answer(command: &LocalCommand, replica: &Replica) -> String {
    let Replica { image: objects, problems, .. } = replica;
    match command {
        LocalCommand::Help(selector) => help_text(selector.as_deref()),
        LocalCommand::Objects => objects_text(objects),
        LocalCommand::Problems if problems.is_empty() => "no problems: no failed message waits".to_string(),
        LocalCommand::Problems => {
            let lines = problems.iter().map(|problem| problem_text(problem, objects));
            lines.collect::<Vec<_>>().join("\n")
        }
        LocalCommand::Quarantine(_) | LocalCommand::Rebuild(_) => quarantine_answer(command, replica),
        LocalCommand::LetGo(_) | LocalCommand::Import(_) | LocalCommand::Export(_) | LocalCommand::Quit => {
            String::new()
        }
    }
}

/// A message in a line, as the log lists it.
pub fn envelope_line(envelope: &Envelope, objects: &dyn Objects) -> String {
    let target = match &envelope.target {
        Target::Name(name) => name.clone(),
        Target::Id(id) => objects.title(*id),
    };
    let argument = |argument: &Argument| {
        let value = argument.value.resolve(objects).map_or_else(|name| format!("@{name}"), |of| of.text(objects));
        let value = shortened(&value, ARGUMENT_SHOWN);
        argument.name.as_ref().map_or_else(|| format!(" {value}"), |name| format!(" {name}={value}"))
    };
    let args: String = envelope.args.iter().map(argument).collect();
    format!("{} {target}{args}  from {}", envelope.selector, envelope.sender_id)
}

/// What came of a message in a line, as the log lists it.
pub fn outcome_line(outcome: &Outcome, objects: &dyn Objects) -> String {
    match outcome {
        Outcome::Completed { result, changes, .. } => match (change_lines(changes, objects).as_slice(), result) {
            ([], Value::Nil) => "done".to_string(),
            ([], result) => result_text(result, objects).lines().next().unwrap_or_default().to_string(),
            (lines, _) => lines.join("; "),
        },
        Outcome::Failed(fault) => format!("failed: {}", fault.message),
    }
}

fn objects_text(objects: &dyn Objects) -> String {
    let mut lines = Vec::new();
    for id in objects.ids() {
        let Some(object) = objects.object(id) else { continue };
        let parents: Vec<String> = object.parents.iter().map(|id| objects.title(*id)).collect();
        let from = if parents.is_empty() { String::new() } else { format!(" delegates to {}", parents.join(", ")) };
        lines.push(format!("{}{from}", object.title()));
    }
    lines.sort();
    lines.join("\n")
}

/// One failed message that waits, in a line.
pub fn problem_text(problem: &Problem, objects: &dyn Objects) -> String {
    let target = target_text(&problem.envelope.target, objects);
    let number = problem.sequence;
    format!(
        "{number}: {} {target} failed: {} (retry {number}, dismiss {number})",
        problem.envelope.selector,
        sentence(&problem.fault)
    )
}

fn target_text(target: &Target, objects: &dyn Objects) -> String {
    match target {
        Target::Name(name) => name.chars().take(64).collect(),
        Target::Id(id) => objects.title(*id),
    }
}

/// The help text: how lines look, or one root message.
pub fn help_text(selector: Option<&str>) -> String {
    if let Some(selector) = selector {
        let word = CONSOLE_WORDS.iter().find(|(word, _)| *word == selector && *word != "dismiss");
        return match native_spec(selector).filter(|_| word.is_none()) {
            Some(spec) => {
                let slots = if spec.takes_slots { " slot=value …" } else { "" };
                let params: Vec<String> = spec.params.iter().map(|param| format!(" {param}=…")).collect();
                let shape = format!("{selector} OBJECT{}{slots}", params.concat());
                format!("{shape}\n  {}\n  for example: {}", spec.doc, spec.example)
            }
            None if let Some((_, told)) = word => told.to_string(),
            None => {
                let names = NATIVES.iter().map(|spec| spec.selector);
                let near = crate::object::nearest(selector, names);
                let near = if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) };
                format!(
                    "`{selector}` is no message that every object answers{near}. `describe OBJECT` shows an object's own"
                )
            }
        };
    }
    let mut out = String::from(
        "A line is: selector object name=value …\n  \
         values: 5, \"text\", word, true, nil, [1, 2], {a = 1}, @object\n  \
         create_point point                 makes an object\n  \
         = world.point.x + 1                evaluates Luau\n  \
         objects, problems, retry N, dismiss N, undo, undo N, redo\n  \
         quarantine, quarantine N, quarantine N rebuild, quarantine N let-go\n  \
         import FOLDER, export FOLDER, help SELECTOR, quit\n\
         Every object answers:",
    );
    for spec in NATIVES {
        let _ = write!(out, "\n  {:<18} {}", spec.selector, spec.doc);
    }
    out
}

/// What came of a message, in a few lines: what changed, what was answered, or what went wrong.
pub fn outcome_text(envelope: &Envelope, outcome: &Outcome, objects: &dyn Objects) -> String {
    match outcome {
        Outcome::Completed { result, changes, logs } => {
            let mut lines = logs.clone();
            lines.extend(change_lines(changes, objects));
            let told = matches!(result, Value::Nil) && !lines.is_empty();
            let receiver = match (result, &envelope.target) {
                (Value::Object(id), Target::Name(name)) if objects.named(name) == Some(*id) => !lines.is_empty(),
                (Value::Object(id), Target::Id(target)) if id == target => !lines.is_empty(),
                // That it is new was said.
                (Value::Object(id), _) => {
                    changes.iter().any(|change| matches!(change, Change::Create(new, _) if new.id == *id))
                }
                _ => false,
            };
            if !told && !receiver {
                lines.push(result_text(result, objects));
            }
            lines.join("\n")
        }
        Outcome::Failed(fault) => fault_text(fault),
    }
}

/// A result: a text as it is, any other value in its canonical form.
pub fn result_text(result: &Value, objects: &dyn Objects) -> String {
    match result {
        Value::Text(text) => text.clone(),
        Value::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Value::Text(_))) => {
            items.iter().map(|item| result_text(item, objects)).collect::<Vec<_>>().join("\n")
        }
        other => other.text(objects),
    }
}

/// A fault in words: what the turn said before, what happened, the nearest names, where.
pub fn fault_text(fault: &Fault) -> String {
    let mut out = String::new();
    for line in &fault.logs {
        let _ = writeln!(out, "{line}");
    }
    out.push_str(&sentence(fault));
    for place in &fault.trace {
        let _ = write!(out, "\n  at {place}");
    }
    out
}

/// What happened, with the nearest names where the sentence has them not yet.
fn sentence(fault: &Fault) -> String {
    if fault.suggestions.is_empty() || fault.message.contains("nearest: ") {
        return fault.message.clone();
    }
    format!("{}; nearest: {}", fault.message, fault.suggestions.join(", "))
}

/// One line for each change that a person would want to see.
pub fn change_lines(changes: &[Change], objects: &dyn Objects) -> Vec<String> {
    let parents = |ids: &[crate::object::ObjectId]| {
        let titles: Vec<String> = ids.iter().map(|id| objects.title(*id)).collect();
        if titles.is_empty() { "nothing".to_string() } else { titles.join(", ") }
    };
    let edited = |change: &Change| match change {
        Change::EditSlot { slot, edits, .. } => {
            edit_lines(&format!("{}.{slot}", objects.title(change.id())), edits, objects)
        }
        _ => Vec::new(),
    };
    // A slot that goes and comes back in its place under another name.
    let renamed = |place: usize| match (changes.get(place)?, changes.get(place + 1)?) {
        (
            Change::SetSlot { id, slot: from, place, before: Some(before), after: None },
            Change::SetSlot { id: same, slot: to, place: to_place, before: None, after: Some(after) },
        ) if id == same && place == to_place && has_content_of(before, after) => Some((from, to)),
        _ => None,
    };
    let line = |change: &Change| {
        let title = objects.title(change.id());
        match change {
            Change::Create(object, _) => {
                Some(format!("{} is new, a child of {}", object.title(), parents(&object.parents)))
            }
            Change::Delete(object, _) => Some(format!("{} is deleted", object.title())),
            Change::SetSlot { slot, before: Some(before), after: Some(after), .. }
                if before.doc != after.doc && slot_text(before, objects) == slot_text(after, objects) =>
            {
                let doc = shortened(after.doc.lines().next().unwrap_or_default(), COLUMNS).into_owned();
                Some(if doc.is_empty() {
                    format!("{title}.{slot} says nothing of itself now")
                } else {
                    format!("{title}.{slot}  -- {doc}")
                })
            }
            Change::SetSlot { slot, before, after, .. } => {
                let before = before.as_ref().map(|slot| slot_text(slot, objects));
                Some(match (before, after.as_ref().map(|slot| slot_text(slot, objects))) {
                    (None, Some(after)) => format!("{title}.{slot} = {after}"),
                    (Some(before), Some(after)) => format!("{title}.{slot} {before} → {after}"),
                    (Some(_), None) => format!("{title}.{slot} is removed"),
                    (None, None) => return None,
                })
            }
            Change::EditSlot { .. } | Change::AddVersion { .. } | Change::RemoveVersion { .. } => None,
            Change::Rename { before, after, .. } => {
                let name = |name: &Option<Name>| name.as_ref().map_or("unnamed".into(), ToString::to_string);
                Some(format!("{} is called {} now", name(before), name(after)))
            }
            Change::SetParents { after, .. } => Some(format!("{title} delegates to {}", parents(after))),
        }
    };
    let mut lines = Vec::new();
    let mut place = 0;
    while let Some(change) = changes.get(place) {
        if let Some((from, to)) = renamed(place) {
            lines.push(format!("{}.{from} is called {to} now", objects.title(change.id())));
            place += 2;
            continue;
        }
        lines.extend(line(change).into_iter().chain(edited(change)));
        place += 1;
    }
    lines
}

fn has_content_of(slot: &Slot, other: &Slot) -> bool {
    slot.doc == other.doc
        && match (&slot.content, &other.content) {
            (SlotContent::Value(value), SlotContent::Value(other)) => value.same(other),
            (SlotContent::Method(method), SlotContent::Method(other)) => method.source == other.source,
            _ => false,
        }
}

/// What changed inside a list or map, each at its place; of many only the first.
fn edit_lines(slot: &str, edits: &[Edit], objects: &dyn Objects) -> Vec<String> {
    let text = |value: &Value| shortened(&value.text(objects), COLUMNS).into_owned();
    let line = |edit: &Edit| {
        let step = |key: &MapKey| step_text(key, objects);
        let path: String = edit.path.iter().map(step).collect();
        match &edit.kind {
            EditKind::Set { key, before, after } => {
                let place = format!("{slot}{path}{}", step(key));
                match (before, after) {
                    (Some(before), Some(after)) => format!("{place} {} → {}", text(before), text(after)),
                    (None, Some(after)) => format!("{place} = {}", text(after)),
                    _ => format!("{place} is removed"),
                }
            }
            EditKind::Insert { place, value } => format!("{slot}{path}[{}] is new: {}", place + 1, text(value)),
            EditKind::Remove { place, .. } => format!("{slot}{path}[{}] is taken out", place + 1),
        }
    };
    let mut lines: Vec<String> = edits.iter().take(EDITS_SHOWN).map(line).collect();
    if edits.len() > EDITS_SHOWN {
        lines.push(format!("{slot} has {} changes more", edits.len() - EDITS_SHOWN));
    }
    lines
}

/// A key as it stands behind a list or map: `.name`, `[1]`.
pub(in crate::language) fn step_text(key: &MapKey, objects: &dyn Objects) -> String {
    match key {
        MapKey::Text(text) if Name::new(text).is_ok() => format!(".{text}"),
        other => format!("[{}]", other.text(objects)),
    }
}

/// What stands in a slot, shortened to a line.
pub(in crate::language) fn slot_text(slot: &Slot, objects: &dyn Objects) -> String {
    let text = match &slot.content {
        SlotContent::Value(value) => value.text(objects),
        SlotContent::Method(method) => {
            let params: Vec<&str> = method.params.iter().map(Name::as_str).collect();
            format!("method({}) version {}", params.join(", "), method.number)
        }
    };
    shortened(&text, COLUMNS).into_owned()
}
