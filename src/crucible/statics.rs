//! The second gate: what the text names. Unknown globals and reserved selectors are refused; a slot, a selector or an object
//! that does not exist is a note for a text written by hand, and refused where a contract is stated.

use super::{Candidate, listed};
use crate::language::{MESSAGES_OF_TEXTS, MIRROR_MESSAGES, MethodSyntax, Use, is_reserved, native_spec};
use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, ancestors, lookup, nearest};
use std::collections::{BTreeSet, HashMap};

/// What an object answers where nothing else does.
const HANDLER: &str = "does_not_understand";
/// Notes of one kind that are told one by one.
const SHOWN: usize = 8;

/// The verdict, and what whoever wrote the text may want to look at.
pub(super) fn pass(
    candidate: &Candidate<'_>,
    syntax: &MethodSyntax,
    objects: &dyn Objects,
) -> Result<(String, Vec<String>), Fault> {
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
    let reads = syntax.reads.iter().filter(|name| !known(name) && !syntax.creates.contains(*name));
    let sends = syntax.sends.iter().filter(|name| !known(name) && native_spec(name).is_none());
    let (reads, sends): (Vec<&String>, Vec<&String>) = (reads.collect(), sends.collect());
    if let Some(contract) = contract {
        authored(candidate, syntax, objects, &reads, &sends)?;
        return Ok((format!("passed, writes {}", listed(&contract.writes)), Vec::new()));
    }
    let mut notes = Vec::new();
    if !reads.is_empty() || !sends.is_empty() {
        let family = Family::of(objects, target);
        let unread: Vec<&str> = reads.iter().map(|name| name.as_str()).filter(|name| !family.has(name)).collect();
        if !unread.is_empty() {
            let told = with_nearest(&unread, &family.slots());
            notes.push(format!("{} has no slot {told} yet", objects.title(target)));
        }
        let unsent: Vec<&str> = sends.iter().map(|name| name.as_str()).filter(|name| !family.answers(name)).collect();
        if !unsent.is_empty() {
            let mut selectors = family.slots();
            selectors.extend(crate::language::NATIVES.iter().map(|spec| spec.selector));
            notes.push(format!("nothing answers {} yet", with_nearest(&unsent, &selectors)));
        }
    }
    notes.extend(of_named(syntax, objects));
    notes.extend(of_others(syntax, selector, objects));
    if lookup(objects, target, selector).is_some_and(|found| found.slot.as_value().is_some()) {
        notes.push(format!("it takes the place of the value in {selector}"));
    }
    let verdict = if notes.is_empty() { "passed".into() } else { format!("passed; note: {}", notes.join("; ")) };
    Ok((verdict, notes))
}

/// The object that a method is for, what it delegates to, and what delegates to it: there, `self` may have more.
struct Family<'a> {
    objects: &'a dyn Objects,
    members: Vec<ObjectId>,
}

impl<'a> Family<'a> {
    fn of(objects: &'a dyn Objects, target: ObjectId) -> Self {
        let mut children: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
        for id in objects.ids() {
            for parent in objects.object(id).map(|object| object.parents).unwrap_or_default() {
                children.entry(*parent).or_default().push(id);
            }
        }
        let mut members = ancestors(objects, target);
        let mut next = vec![target];
        while let Some(id) = next.pop() {
            for heir in children.get(&id).into_iter().flatten() {
                if !members.contains(heir) {
                    members.push(*heir);
                    next.push(*heir);
                }
            }
        }
        Self { objects, members }
    }

    fn slots(&self) -> BTreeSet<&'a str> {
        let objects = self.members.iter().filter_map(|id| self.objects.object(*id));
        objects.flat_map(|object| object.slots.iter()).map(|(name, _)| name.as_str()).collect()
    }

    /// Whether one of them has the slot, or a method that makes it.
    fn has(&self, name: &str) -> bool {
        let mut objects = self.members.iter().filter_map(|id| self.objects.object(*id));
        objects.any(|object| {
            let makes = |source: &str| makes_slot(source, name);
            object.slots.get(name).is_some()
                || object.slots.iter().any(|(_, slot)| slot.as_method().is_some_and(|method| makes(&method.source)))
        })
    }

    fn answers(&self, selector: &str) -> bool {
        let mut objects = self.members.iter().filter_map(|id| self.objects.object(*id));
        objects.any(|object| object.slots.get(selector).is_some() || object.slots.get(HANDLER).is_some())
    }
}

/// Whether a text has `self.name = …`, as far as can be told without parsing it.
fn makes_slot(source: &str, name: &str) -> bool {
    let read = format!("self.{name}");
    source.match_indices(&read).any(|(at, _)| {
        let rest = source[at + read.len()..].trim_start();
        rest.starts_with('=') && !rest.starts_with("==")
    })
}

/// Objects that are named and are not there, and slots and selectors that they have not.
fn of_named(syntax: &MethodSyntax, objects: &dyn Objects) -> Vec<String> {
    let mut notes = Vec::new();
    let mut absent = BTreeSet::new();
    for mention in &syntax.mentions {
        let Some(id) = objects.named(&mention.object) else {
            absent.insert(mention.object.as_str());
            continue;
        };
        let written = |slot: &str| {
            let is_it = |use_of: &Use| matches!(use_of, Use::Write(written) if written == slot);
            syntax.mentions.iter().any(|other| other.object == mention.object && is_it(&other.use_of))
        };
        let knows = |name: &str| lookup(objects, id, name).is_some();
        let object = &mention.object;
        let unknown = match &mention.use_of {
            Use::Read(slot) if !knows(slot) && !written(slot) && !Family::of(objects, id).has(slot) => {
                Some((slot, format!("{object} has no slot")))
            }
            Use::Send(selector) if !knows(selector) && native_spec(selector).is_none() && !knows(HANDLER) => {
                Some((selector, format!("{object} does not answer")))
            }
            _ => None,
        };
        if let Some((name, told)) = unknown {
            let family = ancestors(objects, id).into_iter().filter_map(|id| objects.object(id));
            let names = family.flat_map(|object| object.slots.iter()).map(|(name, _)| name.as_str()).collect();
            notes.push(format!("{told} {} yet", with_nearest(&[name], &names)));
        }
    }
    notes.truncate(SHOWN);
    if !absent.is_empty() {
        let names = objects.names();
        let absent: Vec<&str> = absent.into_iter().collect();
        let told = with_nearest(&absent, &names.iter().map(Name::as_str).collect());
        notes.push(format!("no object is called {told} yet"));
    }
    notes
}

/// Selectors that are sent to whatever a variable holds, and that nothing in the world answers.
fn of_others(syntax: &MethodSyntax, own: &Name, objects: &dyn Objects) -> Option<String> {
    let told: BTreeSet<&String> = syntax
        .mentions
        .iter()
        .filter_map(|mention| if let Use::Send(selector) = &mention.use_of { Some(selector) } else { None })
        .chain(&syntax.sends)
        .collect();
    let known = |name: &str| {
        native_spec(name).is_some()
            || name == own.as_str()
            || MESSAGES_OF_TEXTS.contains(&name)
            || MIRROR_MESSAGES.contains(&name)
    };
    let others: Vec<&str> =
        syntax.sends_to_any.iter().filter(|name| !told.contains(name) && !known(name)).map(String::as_str).collect();
    if others.is_empty() {
        return None;
    }
    let ids = objects.ids();
    let slots: BTreeSet<&str> = ids
        .iter()
        .filter_map(|id| objects.object(*id))
        .flat_map(|object| object.slots.iter())
        .map(|(name, _)| name.as_str())
        .collect();
    if slots.contains(HANDLER) {
        return None;
    }
    let unknown: Vec<&str> = others.into_iter().filter(|name| !slots.contains(name)).collect();
    let told = with_nearest(&unknown, &slots);
    (!unknown.is_empty()).then(|| format!("nothing in the world answers {told} yet"))
}

/// `pwoer (nearest: power) and speed`.
fn with_nearest(names: &[impl AsRef<str>], known: &BTreeSet<&str>) -> String {
    let word = |name: &str| {
        let near = nearest(name, known.iter().copied());
        near.first().map_or_else(|| name.to_string(), |near| format!("{name} (nearest: {near})"))
    };
    let mut words: Vec<String> = names.iter().take(SHOWN).map(|name| word(name.as_ref())).collect();
    if names.len() > SHOWN {
        words.push(format!("{} more", names.len() - SHOWN));
    }
    listed(&words)
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
