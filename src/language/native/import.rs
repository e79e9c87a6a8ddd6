//! `import`: a folder of object files becomes part of the world, all of it or nothing.

use super::Call;
use crate::language::crossing::Stale;
use crate::language::import::plan_import;
use crate::object::{Change, Draft, Fault, FaultKind, MapKey, ObjectId, Value};
use std::collections::HashSet;

/// Faults that a refusal lists one by one.
const FAULTS_SHOWN: usize = 20;

/// `import files={["point.luau"] = "return { … }"}`, to the workspace, as a message of its own.
pub(super) fn import(call: &mut Call<'_, '_>) -> Result<Value, Fault> {
    if call.receiver != ObjectId::genesis("workspace") {
        let message = format!("{} imports nothing: `import` goes to the workspace", call.title());
        return Err(Fault::new(FaultKind::Refused, message));
    }
    if !std::mem::take(&mut call.active.may_import) {
        let message = "`import` is a message of its own: no method sends it; type `import FOLDER` in the console";
        return Err(Fault::new(FaultKind::Refused, message));
    }
    let files = files(&call.args.value("files")?)?;
    let fresh: Vec<ObjectId> = files.iter().map(|_| call.active.next_id()).collect();
    let mut fresh = fresh.into_iter();
    let active = &mut *call.active;
    let (draft, services, sequence) = (&active.draft, &mut *active.services, active.sequence);
    let mut plan =
        plan_import(&files, draft, &mut || fresh.next().unwrap_or(call.receiver)).map_err(|faults| refused(&faults))?;
    let mut after = Draft::on(draft);
    plan.changes().into_iter().for_each(|change| after.apply(change));
    let mut faults = Vec::new();
    for method in plan.rewritten() {
        match services.judge(&after, method.id, &method.selector, &method.source) {
            Ok(passed) => plan.note_verdicts(&method, &passed.verdicts, sequence),
            Err(fault) => {
                faults.push(format!("{}, line {}: {}: {}", method.file, method.line, method.selector, fault.message));
            }
        }
    }
    if !faults.is_empty() {
        return Err(refused(&faults));
    }
    let counts = plan.counts();
    let changes = plan.changes();
    let made: HashSet<ObjectId> =
        changes.iter().filter(|change| matches!(change, Change::Create(..))).map(Change::id).collect();
    for mut change in changes {
        let id = change.id();
        // What is replaced whole goes only to come back.
        if let Change::Delete(object, tombstone) = &mut change
            && !made.contains(&id)
        {
            *tombstone = call.active.burial.of(object);
        }
        if call.stale.last().is_none_or(|(last, _)| *last != id) {
            call.stale.push((id, Stale::Everything));
        }
        call.active.draft.apply(change);
    }
    Ok(Value::Text(format!("imported: {counts}")))
}

fn files(argument: &Value) -> Result<Vec<(String, String)>, Fault> {
    let shape = || {
        let message = "`files` takes a map from the names of files to their texts";
        Fault::new(FaultKind::BadArgument, message)
    };
    let Value::Map(entries) = argument else {
        return if *argument == Value::list(Vec::new()) { Ok(Vec::new()) } else { Err(shape()) };
    };
    let file = |entry: (&MapKey, &Value)| match entry {
        (MapKey::Text(name), Value::Text(text)) => Ok((name.clone(), text.clone())),
        _ => Err(shape()),
    };
    entries.iter().map(file).collect()
}

fn refused(faults: &[String]) -> Fault {
    let mut lines = vec!["nothing was imported:".to_string()];
    lines.extend(faults.iter().take(FAULTS_SHOWN).map(|fault| format!("  {fault}")));
    if faults.len() > FAULTS_SHOWN {
        lines.push(format!("  and {} more", faults.len() - FAULTS_SHOWN));
    }
    Fault::new(FaultKind::Refused, lines.join("\n"))
}
