//! The second gate: what the text names. Unknown globals and reserved selectors are refused; a slot or a
//! selector that does not exist is a note for a text written by hand, and refused where a contract is stated.

use super::{Candidate, listed};
use crate::language::{MethodSyntax, is_reserved, native_spec};
use crate::object::{Fault, FaultKind, Name, Objects, ancestors, lookup, nearest};

/// The verdict.
pub(super) fn pass(candidate: &Candidate<'_>, syntax: &MethodSyntax, objects: &dyn Objects) -> Result<String, Fault> {
    let Candidate { target, selector, contract, .. } = *candidate;
    if is_reserved(selector) {
        let message = format!("`{selector}` is a message that every object answers, and can't be shadowed");
        return Err(Fault::new(FaultKind::Refused, message));
    }
    if objects.object(target).is_none() {
        return Err(Fault::new(FaultKind::Gone, format!("{} is gone", objects.title(target))));
    }
    if let Some(fault) = syntax.unknown_global() {
        return Err(fault);
    }
    let known = |name: &str| lookup(objects, target, name).is_some() || name == &**selector;
    let reads = syntax.reads.iter().filter(|name| !known(name) && !syntax.writes.contains(*name));
    let sends = syntax.sends.iter().filter(|name| !known(name) && native_spec(name).is_none());
    let (reads, sends): (Vec<&String>, Vec<&String>) = (reads.collect(), sends.collect());
    if let Some(contract) = contract {
        authored(candidate, syntax, objects, &reads, &sends)?;
        return Ok(format!("passed, writes {}", listed(&contract.writes)));
    }
    let mut notes = Vec::new();
    if !reads.is_empty() {
        notes.push(format!("{} has no slot {} yet", objects.title(target), listed(&reads)));
    }
    if !sends.is_empty() {
        notes.push(format!("nothing answers {} yet", listed(&sends)));
    }
    if lookup(objects, target, selector).is_some_and(|found| found.slot.as_value().is_some()) {
        notes.push(format!("it takes the place of the value in {selector}"));
    }
    Ok(if notes.is_empty() { "passed".into() } else { format!("passed; note: {}", notes.join("; ")) })
}

/// What a stated contract adds: no unknown name, no write outside the frame.
fn authored(
    candidate: &Candidate<'_>,
    syntax: &MethodSyntax,
    objects: &dyn Objects,
    reads: &[&String],
    sends: &[&String],
) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new(FaultKind::BadMethod, message));
    let frame: &[Name] = candidate.contract.map_or(&[], |contract| &contract.writes);
    if let Some(slot) = syntax.writes.iter().find(|slot| !frame.iter().any(|name| **name == ***slot)) {
        return refuse(format!("it writes {slot}, and its contract lets it change {} only", listed(frame)));
    }
    if let Some(slot) = reads.first() {
        let holders = ancestors(objects, candidate.target);
        let slots = holders.iter().filter_map(|id| objects.object(*id)).flat_map(|object| object.slots.iter());
        let near = nearest(slot, slots.map(|(name, _)| name.as_str()));
        let message = format!("it reads {slot}, and {} has no such slot", objects.title(candidate.target));
        return Err(Fault::new(FaultKind::BadMethod, message).suggesting(near));
    }
    match sends.first() {
        Some(selector) => refuse(format!("it sends {selector} to itself, and nothing answers that")),
        None => Ok(()),
    }
}
