//! Reports on what is committed: `show`, `log`, `verify`. They take no lock and make nothing.

use super::{exit, json, printable, while_it_lasts};
use crate::language::console::{envelope_line, outcome_line};
use crate::object::{Image, Objects, Outcome, SlotContent, Target, inherited, lookup, nearest};
use crate::persistence::{Entry, EntryBody, FolderError, OpenError, Reader};
use crate::systems::TickReplay;
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::path::Path;
use thiserror::Error;

/// A report could not be made.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The world could not be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A folder of object files could not be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The output went away.
    #[error("the answer could not be written: {0}")]
    Output(#[from] io::Error),
}

impl ReportError {
    /// Whether whoever reads the answer has seen enough: `workbench log | head`.
    pub fn is_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            _ if self.is_enough() => exit::DONE,
            Self::Open(error) if error.is_damage() => exit::DAMAGE,
            Self::Open(_) => exit::NO_WORLD,
            Self::Folder(_) | Self::Output(_) => exit::FAILED,
        }
    }
}

/// Every object as it is committed; a person sees how far the reading is where it lasts.
pub(super) fn committed(reader: &Reader) -> Result<Image, OpenError> {
    while_it_lasts(reader.progress(), || reader.image(&mut TickReplay::new()))
}

/// One object: slots, methods, what it inherits. Answers the exit code.
pub fn show(world: &Path, name: &str, as_json: bool, out: &mut dyn Write) -> Result<u8, ReportError> {
    let image = committed(&Reader::open(world)?)?;
    let id = match image.named(name) {
        Some(id) => Some(id),
        None => {
            uuid::Uuid::parse_str(name.trim_start_matches("@<").trim_end_matches('>')).ok().map(crate::object::ObjectId)
        }
    };
    let Some(object) = id.and_then(|id| image.object(id)) else {
        let names = image.names();
        let near = nearest(name, names.iter().map(AsRef::as_ref));
        let shown: String = name.chars().take(64).collect();
        let message = match near.as_slice() {
            [] => format!("no object is called `{shown}`"),
            names => format!("no object is called `{shown}`; nearest: {}", names.join(", ")),
        };
        if as_json {
            let error = json!({ "kind": "unknown_object", "message": message, "suggestions": near });
            writeln!(out, "{}", json!({ "error": error }))?;
        } else {
            writeln!(io::stderr(), "{message}")?;
        }
        return Ok(exit::FAILED);
    };
    if as_json {
        writeln!(out, "{}", json::object(object, &image))?;
        return Ok(exit::DONE);
    }
    let parents: Vec<String> = object.parents.iter().map(|id| image.title(*id)).collect();
    match parents.as_slice() {
        [] => writeln!(out, "{}", object.title())?,
        parents => writeln!(out, "{} delegates to {}", object.title(), parents.join(", "))?,
    }
    for (name, slot) in object.slots.iter() {
        match &slot.content {
            SlotContent::Value(value) => writeln!(out, "  {name} = {}", value.text(&image))?,
            SlotContent::Method(method) => {
                writeln!(out, "  {name}, version {} by {}:", method.number, method.origin.author)?;
                for line in method.source.lines() {
                    writeln!(out, "    {}", printable(line))?;
                }
            }
        }
    }
    for (name, holder) in inherited(&image, object.id) {
        writeln!(out, "  {name} from {}", image.title(holder))?;
    }
    Ok(exit::DONE)
}

/// Every object with its place.
pub fn show_all(world: &Path, as_json: bool, out: &mut dyn Write) -> Result<u8, ReportError> {
    let image = committed(&Reader::open(world)?)?;
    if as_json {
        let all: Json = image.iter().map(|object| json::summary(object, &image)).collect();
        writeln!(out, "{all}")?;
        return Ok(exit::DONE);
    }
    for object in image.iter() {
        let place = |axis| {
            let found = lookup(&image, object.id, axis).and_then(|found| found.slot.as_value());
            found.map_or_else(|| "?".to_string(), |value| value.text(&image))
        };
        let parents: Vec<String> = object.parents.iter().map(|id| image.title(*id)).collect();
        let from = if parents.is_empty() { String::new() } else { format!("  delegates to {}", parents.join(", ")) };
        writeln!(out, "{:<24} at {}, {}{from}", object.title(), place("x"), place("y"))?;
    }
    Ok(exit::DONE)
}

/// The Heartwood from the message `from` on.
pub fn log(world: &Path, from: u64, as_json: bool, out: &mut dyn Write) -> Result<u8, ReportError> {
    let reader = Reader::open(world)?;
    let image = committed(&reader)?;
    // No message stands before the position that is its number.
    let is_earlier = |entry: &Result<Entry, _>| {
        let entry = entry.as_ref().ok();
        from > 1 && entry.is_some_and(|entry| !matches!(entry.body, EntryBody::Envelope(_)) || entry.sequence < from)
    };
    for entry in reader.log(from).skip_while(is_earlier) {
        let entry = entry?;
        if as_json {
            writeln!(out, "{}", log_json(&entry, &image))?;
        } else {
            writeln!(out, "{}", printable(&log_text(&entry, &image)))?;
        }
    }
    Ok(exit::DONE)
}

fn log_json(entry: &Entry, image: &Image) -> Json {
    let Entry { position, sequence, kind, body } = entry;
    match body {
        EntryBody::Envelope(envelope) => {
            let target = match &envelope.target {
                Target::Name(name) => json!(name),
                Target::Id(id) => json!(image.title(*id)),
            };
            let args: Vec<Json> = envelope
                .args
                .iter()
                .map(|argument| {
                    let value = argument
                        .value
                        .resolve(image)
                        .map_or_else(|name| json!({ "object": name }), |of| json::value(&of, image));
                    json!({ "name": argument.name.as_ref().map(AsRef::as_ref), "value": value })
                })
                .collect();
            json!({
                "position": position,
                "kind": "envelope",
                "seq": sequence,
                "message_id": envelope.message_id.to_string(),
                "correlation_id": envelope.correlation_id.map(|id| id.to_string()),
                "sender_id": envelope.sender_id,
                "target": target,
                "selector": envelope.selector.as_str(),
                "args": args,
                "issued_at": envelope.issued_at,
                "retries": envelope.retries,
            })
        }
        EntryBody::Outcome(outcome, resolves) => {
            let mut out = json!({ "position": position, "kind": kind, "seq": sequence });
            let fields = match &**outcome {
                Outcome::Completed { result, changes, logs } => json!({
                    "status": "completed",
                    "result": json::value(result, image),
                    "changes": json::changes(changes, image),
                    "logs": logs,
                }),
                Outcome::Failed(fault) => {
                    json!({ "status": "failed", "error": json::fault(fault), "logs": fault.logs })
                }
            };
            if let (Some(out), Json::Object(fields)) = (out.as_object_mut(), fields) {
                out.extend(fields);
                if !resolves.is_empty() {
                    out.insert("resolves".into(), json!(resolves));
                }
            }
            out
        }
        EntryBody::Attempt { alone } => json!({ "position": position, "kind": kind, "seq": sequence, "alone": alone }),
        EntryBody::Other => json!({ "position": position, "kind": kind, "seq": sequence }),
        EntryBody::Damaged(reason) => {
            json!({ "position": position, "kind": kind, "seq": sequence, "damage": reason })
        }
    }
}

fn log_text(entry: &Entry, image: &Image) -> String {
    let Entry { position, sequence, kind, body } = entry;
    let head = format!("{position:>8}  {sequence:>7}");
    match body {
        EntryBody::Envelope(envelope) => format!("{head}  {}", envelope_line(envelope, image)),
        EntryBody::Outcome(outcome, _) => format!("{head}    {}", outcome_line(outcome, image)),
        EntryBody::Attempt { .. } => format!("{head}    (delivered again)"),
        EntryBody::Other => format!("{head}    ({kind})"),
        EntryBody::Damaged(reason) => format!("{head}    damaged: {reason}"),
    }
}

/// Checks every record; prints counts and the world hash.
pub fn verify(world: &Path, out: &mut dyn Write) -> Result<u8, ReportError> {
    let reader = Reader::open(world)?;
    let report = while_it_lasts(reader.progress(), || reader.verify(&mut TickReplay::new()))?;
    writeln!(out, "records    {}", report.records)?;
    writeln!(out, "envelopes  {}", report.envelopes)?;
    writeln!(out, "outcomes   {}", report.outcomes)?;
    writeln!(out, "snapshots  {}", report.snapshots)?;
    writeln!(out, "objects    {}", report.objects)?;
    if report.quarantined > 0 {
        writeln!(out, "quarantine {} (`workbench quarantine` lists it)", report.quarantined)?;
    }
    writeln!(out, "world hash {}", report.world_hash)?;
    if report.damages.is_empty() {
        writeln!(out, "every record and the chain are sound")?;
        return Ok(exit::DONE);
    }
    for damage in &report.damages {
        writeln!(out, "damage: {damage}")?;
    }
    Ok(exit::DAMAGE)
}
