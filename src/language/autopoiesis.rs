//! Autopoiesis: where the codex allows it, a message that nothing answers is written, judged, put into its receiver, and
//! sent again in the same turn.
//!
//! The instruction is made of the selector's words and the arguments' names, in the few orders in which people say such
//! things. The author refuses rather than guesses, and so does this where the orders that are understood differ in meaning.

use super::active::Active;
use super::crossing::{Shared, Stale, raise};
use super::native::{self, accept_authored};
use super::send::{HANDLER, unknown_selector};
use super::services::Authored;
use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, Value, lookup};

/// The object with the rules, and the rule that allows it.
const RULES: (&str, &str) = ("codex", "autopoiesis");
/// What it costs to have a method written: what `reprogram_method` costs.
const PRICE: usize = 80_000;

impl Shared {
    /// Has the method written that would answer a message, and put into the receiver. False where the message is for a
    /// handler, or the codex does not allow it. `names` are those of the arguments, as far as they have one.
    pub(super) fn write_unanswered(&self, id: ObjectId, selector: &str, names: &[Option<Name>]) -> mlua::Result<bool> {
        self.flush()?;
        let name = native::slot_name(selector);
        let allowed = self.with(|active| {
            let answering = active.unanswered.iter().any(|(object, _)| *object == id);
            !answering && is_allowed(&active.draft) && lookup(&active.draft, id, HANDLER).is_none()
        })?;
        let (true, Ok(name)) = (allowed, name) else { return Ok(false) };
        let (written, understood) = self.with(|active| {
            let (written, understood) = write(active, id, &name, names);
            let told = written.and_then(|told| {
                let title = active.draft.title(id);
                active.log(format!("{title} did not understand `{selector}`, so it was written: {told}"))?;
                active.log(format!("To take it back: undo_method {title} {selector}"))
            });
            (told, understood)
        })?;
        self.fuel.charge(PRICE * understood.max(1));
        self.forget(id, &Stale::Slot(selector.to_string()))?;
        written.map(|()| true).map_err(raise)
    }
}

/// Writes the method that the message means. Answers how it was understood, and how many phrases were.
fn write(
    active: &mut Active<'_>,
    id: ObjectId,
    selector: &Name,
    names: &[Option<Name>],
) -> (Result<String, Fault>, usize) {
    let mut understood: Vec<(String, Authored)> = Vec::new();
    let mut refused: Option<Fault> = None;
    for phrase in phrases(selector, names) {
        match active.services.author(&active.draft, id, &phrase, Some(selector)) {
            Ok(authored) if authored.params.len() == names.len() => understood.push((phrase, authored)),
            // What a gate found, or which name is near, says more than a phrase that was not understood.
            Err(fault) if refused.as_ref().is_none_or(|first| says_more(&fault, first)) => refused = Some(fault),
            _ => {}
        }
    }
    let count = understood.len();
    let mut rest = understood.into_iter();
    let Some((phrase, authored)) = rest.next() else {
        let fault = unknown_selector(&active.draft, id, selector);
        let Some(refused) = refused else { return (Err(fault), count) };
        let message = format!("{}. Nor could it be written: {}", fault.message, refused.message);
        return (Err(Fault { message, suggestions: fault.suggestions, ..refused }), count);
    };
    if let Some((other, _)) = rest.find(|(_, other)| other.source != authored.source) {
        let unknown = unknown_selector(&active.draft, id, selector).message;
        let message = format!(
            "{unknown}. Nor could it be written: it may mean “{phrase}” or “{other}”; a selector whose words say which \
             is understood. Nothing was written"
        );
        return (Err(Fault::new(FaultKind::NotUnderstood, message)), count);
    }
    let (_, _, told) = accept_authored(active, id, phrase, authored);
    (Ok(told), count)
}

fn is_allowed(objects: &dyn Objects) -> bool {
    let (codex, rule) = RULES;
    let found = objects.named(codex).and_then(|codex| lookup(objects, codex, rule));
    found.and_then(|found| found.slot.as_value()) == Some(&Value::Boolean(true))
}

fn says_more(fault: &Fault, first: &Fault) -> bool {
    let rank = |fault: &Fault| (fault.kind != FaultKind::NotUnderstood, !fault.suggestions.is_empty());
    rank(fault) > rank(first)
}

/// The instructions that a message may mean, those with its own words alone first.
fn phrases(selector: &str, names: &[Option<Name>]) -> Vec<String> {
    let words: Vec<&str> = selector.split('_').filter(|word| !word.is_empty()).collect();
    let all = words.join(" ");
    if names.is_empty() {
        return vec![all];
    }
    let invented: &[&str] = match (words.last(), names.len()) {
        (Some(&"by"), 2) => &["dx", "dy"],
        (Some(&"to"), 2) => &["x", "y"],
        (_, 1) => &["value"],
        _ => &["first", "second", "third", "fourth"],
    };
    let name = |(place, name): (usize, &Option<Name>)| match name {
        Some(name) => name.to_string(),
        None => invented.get(place).map_or_else(|| format!("argument_{}", place + 1), ToString::to_string),
    };
    let given: Vec<String> = names.iter().enumerate().map(name).collect();
    let given = format!("a given {}", given.join(" and "));
    let mut phrases = vec![format!("{all} {given}"), format!("{all} to {given}"), format!("{all} by {given}")];
    if let [verb, rest @ ..] = words.as_slice()
        && !rest.is_empty()
    {
        phrases.push(format!("{verb} {given} {}", rest.join(" ")));
    }
    phrases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_said_in_words() {
        let named = |names: &[&str]| names.iter().map(|name| Some(Name::new(name).unwrap())).collect::<Vec<_>>();
        assert_eq!(phrases("move_by", &named(&["dx", "dy"]))[0], "move by a given dx and dy");
        assert_eq!(phrases("move_by", &[None, None])[0], "move by a given dx and dy");
        assert_eq!(phrases("teach__yourself_", &[]), ["teach yourself"]);
        assert_eq!(phrases("set_label", &[None])[1], "set label to a given value");
        assert_eq!(phrases("add_to_w", &named(&["n"]))[3], "add a given n to w");
        assert_eq!(phrases("_", &vec![None; 5])[0], " a given first and second and third and fourth and argument_5");
    }
}
