//! `repair`: says what can still be read of a world, and makes a new one of it. The world itself stays as it is.

use super::{ReportError, exit, printable, wall_clock, while_it_lasts};
use crate::object::ObjectId;
use crate::persistence::{Progress, Repair, RepairPlan, Span};
use crate::systems::TickReplay;
use std::io::{self, Write};
use std::path::Path;

/// So many objects are named; of the others their number is told.
const NAMED: usize = 20;
/// So many spans of numbers are told.
const SPANS: usize = 20;

/// Says what a repair would do, or does it into a new folder. Answers the exit code: that of damage while a world needs a repair and
/// none was made.
pub fn repair(world: &Path, into: Option<&Path>, out: &mut dyn Write) -> Result<u8, ReportError> {
    let progress = Progress::new();
    let survey = || Repair::survey_watched(world, &mut TickReplay::new(), &progress);
    let repair = while_it_lasts(&progress, survey)?;
    let plan = &repair.plan;
    if !plan.is_needed() {
        writeln!(out, "there is nothing to repair: all {} records and the database are sound", plan.records)?;
        if into.is_some() {
            writeln!(out, "nothing was made; `workbench backup` copies a world")?;
        }
        return Ok(exit::DONE);
    }
    say(plan, out)?;
    let Some(into) = into else {
        writeln!(out, "nothing was changed; `workbench repair --into DIR` makes the new world in a new folder")?;
        return Ok(exit::DAMAGE);
    };
    let now_ms = (wall_clock().unix_ms)();
    let made = while_it_lasts(&progress, || repair.rebuild(into, now_ms, &mut TickReplay::new()))?;
    let (objects, records) = (made.report.objects, made.report.records);
    writeln!(out, "the new world at {} has {objects} objects and {records} records, all checked", into.display())?;
    if let Some(message) = made.message {
        writeln!(out, "message {message} in its log is the repair")?;
    }
    writeln!(out, "world hash {}", made.report.world_hash)?;
    writeln!(out, "{} is as it was", world.display())?;
    Ok(exit::DONE)
}

fn say(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    for fault in &plan.faults {
        writeln!(out, "damage: {fault}")?;
    }
    let found = plan.records - plan.lost();
    writeln!(out, "records    {found} of {} found", plan.records)?;
    if plan.lost() > 0 {
        writeln!(out, "lost       {}: records {}", plan.lost(), spans(&plan.lost_records))?;
    }
    if !plan.unlinked.is_empty() {
        let count = plan.unlinked.len();
        writeln!(out, "unsure     {count}: whole, and nothing confirms that they follow the records before them")?;
    }
    let whole = if plan.snapshots_are_whole { "all that the world had" } else { "maybe not all that the world had" };
    writeln!(out, "snapshots  {} found, {whole}", plan.snapshots)?;
    writeln!(out, "objects    {}", plan.objects)?;
    if !plan.lost_messages.is_empty() {
        writeln!(out, "           nothing is left of these messages: {}", spans(&plan.lost_messages))?;
    }
    if !plan.lost_outcomes.is_empty() {
        let numbers: Vec<Span> = plan.lost_outcomes.iter().map(|sequence| (*sequence, *sequence)).collect();
        writeln!(out, "           what these messages did may be lost; they wait in `problems`: {}", spans(&numbers))?;
    }
    if plan.pending > 0 {
        writeln!(out, "           waiting to be delivered, as before: {}", plan.pending)?;
    }
    objects("stand as their snapshots say, for the log alone tells otherwise", &plan.from_snapshots, out)?;
    objects("may lack changes, or had been deleted: nothing tells", &plan.uncertain, out)?;
    let lost: Vec<(ObjectId, String)> = plan.lost_objects.iter().map(|id| (*id, id.to_string())).collect();
    objects("are lost: they were changed, and nothing says what they were", &lost, out)?;
    if plan.lost_ticks {
        writeln!(out, "           steps behind the lost records could not all run again")?;
    }
    if plan.lost() > 0 {
        writeln!(out, "           `undo` reaches back to the lost records at most")?;
    }
    if plan.is_new_id {
        writeln!(out, "           nothing tells which world it was: the new one has an identity of its own")?;
    }
    Ok(())
}

fn objects(what: &str, objects: &[(ObjectId, String)], out: &mut dyn Write) -> io::Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = objects.iter().take(NAMED).map(|(_, title)| title.as_str()).collect();
    let more = objects.len() - named.len();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    writeln!(out, "           objects that {what}: {}{more}", printable(&named.join(", ")))
}

fn spans(spans: &[Span]) -> String {
    let one = |(first, last): &Span| if first == last { first.to_string() } else { format!("{first} to {last}") };
    let told: Vec<String> = spans.iter().take(SPANS).map(one).collect();
    let more = if spans.len() > told.len() { ", and more" } else { "" };
    format!("{}{more}", told.join(", "))
}
