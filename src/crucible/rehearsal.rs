//! The third gate: the method is run in a shadow of the world, which is thrown away, against its contract.
//!
//! The shadow is a draft in which the method is already installed. Each example runs in a draft over it: its
//! end, its frame, its second run with the same outcome, and every law.

use super::{Candidate, counted, listed};
use crate::language::{MethodSyntax, NoServices, TurnRequest, Vm};
use crate::object::{
    Argument, Change, Draft, Envelope, Example, Fault, FaultKind, Law, MethodVersion, Name, ObjectId, Objects, Origin,
    Outcome, Slot, Target, Value, lookup,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Numbers are restored up to this part of their size: sums of doubles are not exact.
const TOLERANCE: f64 = 1e-9;

/// The verdict. Without a contract nothing is run.
pub(super) fn pass(
    candidate: &Candidate<'_>,
    syntax: &MethodSyntax,
    objects: &dyn Objects,
    vm: &mut Vm,
) -> Result<String, Fault> {
    let Some(contract) = candidate.contract else { return Ok("not run, no contract was stated".into()) };
    let mut shadow = Draft::on(objects);
    let version = MethodVersion {
        number: 1,
        follows: 0,
        params: syntax.params.clone(),
        source: candidate.source.to_string(),
        doc: String::new(),
        origin: Origin {
            author: String::new(),
            instruction: String::new(),
            contract: Vec::new(),
            verdicts: Vec::new(),
            sequence: 0,
        },
    };
    shadow.set_slot(candidate.target, candidate.selector.clone(), Some(Slot::method(version)));
    let mut stage = Stage { candidate, frame: &contract.writes, changed: BTreeSet::new(), vm };
    let mut result = Ok(());
    for example in &contract.examples {
        result = stage
            .example(&shadow, example)
            .and_then(|()| contract.laws.iter().try_for_each(|law| stage.law(&shadow, example, *law)));
        if result.is_err() {
            break;
        }
    }
    stage.vm.forget_all();
    result?;
    let changed: Vec<&Name> = stage.changed.iter().collect();
    let changed =
        if changed.is_empty() { "nothing changed".into() } else { format!("only {} changed", listed(&changed)) };
    Ok(format!("{}, {}, {changed}", counted(contract.examples.len(), "example"), counted(contract.laws.len(), "law")))
}

struct Stage<'a> {
    candidate: &'a Candidate<'a>,
    frame: &'a [Name],
    /// Slots that any run changed.
    changed: BTreeSet<Name>,
    vm: &'a mut Vm,
}

impl Stage<'_> {
    /// One example: run twice for one outcome, then held to its expected end.
    fn example(&mut self, shadow: &Draft<'_>, example: &Example) -> Result<(), Fault> {
        let mut draft = self.set_up(shadow, example);
        let first = self.send(&draft, &example.args);
        let second = self.send(&draft, &example.args);
        // Compared as text, because a NaN equals nothing, also not itself in an equal outcome.
        if format!("{first:?}") != format!("{second:?}") {
            return self.refuse(&draft, &example.args, "the same send gave another outcome the second time");
        }
        let result = self.completed(&mut draft, &example.args, first)?;
        for (slot, expected) in &example.after {
            let found = value_of(&draft, self.candidate.target, slot);
            if !found.same(expected) {
                let (expected, found) = (expected.text(&draft), found.text(&draft));
                return self.refuse(&draft, &example.args, &format!("{slot} must be {expected}, and is {found}"));
            }
        }
        match &example.result {
            Some(expected) if !result.same(expected) => {
                let (expected, found) = (expected.text(&draft), result.text(&draft));
                self.refuse(&draft, &example.args, &format!("it must answer {expected}, and answers {found}"))
            }
            _ => Ok(()),
        }
    }

    /// One law, from the beginning of one example.
    fn law(&mut self, shadow: &Draft<'_>, example: &Example, law: Law) -> Result<(), Fault> {
        let mut draft = self.set_up(shadow, example);
        let start = self.state(&draft);
        let outcome = self.send(&draft, &example.args);
        self.completed(&mut draft, &example.args, outcome)?;
        let middle = self.state(&draft);
        let again: Vec<Value> = match law {
            Law::Inverse => example.args.iter().map(negated).collect(),
            Law::Idempotent | Law::Involution => example.args.clone(),
        };
        let outcome = self.send(&draft, &again);
        self.completed(&mut draft, &again, outcome)?;
        let expected = if law == Law::Idempotent { middle } else { start };
        let end = self.state(&draft);
        let broken =
            self.frame.iter().zip(expected.iter().zip(&end)).find(|(_, (expected, end))| !close(expected, end));
        match broken {
            None => Ok(()),
            Some((slot, (expected, found))) => {
                let (expected, found) = (expected.text(&draft), found.text(&draft));
                let message = format!("{}, but then {slot} is {found} instead of {expected}", law.text());
                self.refuse(&draft, &example.args, &message)
            }
        }
    }

    fn set_up<'d>(&self, shadow: &'d Draft<'_>, example: &Example) -> Draft<'d> {
        let mut draft = Draft::on(shadow);
        for (slot, value) in &example.before {
            draft.set_slot(self.candidate.target, slot.clone(), Some(Slot::value(value.clone())));
        }
        draft
    }

    /// One turn over the draft, which stays as it is.
    fn send(&mut self, draft: &Draft<'_>, args: &[Value]) -> Outcome {
        let envelope = Envelope {
            message_id: Envelope::id_of(Uuid::nil(), 1),
            correlation_id: None,
            sender_id: "rehearsal".into(),
            target: Target::Id(self.candidate.target),
            selector: self.candidate.selector.clone(),
            args: args.iter().map(|value| Argument { name: None, value: value.clone().into() }).collect(),
            issued_at: 0,
            retries: None,
        };
        self.vm.forget_all();
        let request = TurnRequest { world_id: Uuid::nil(), sequence: 1, envelope: &envelope };
        self.vm.turn(draft, &request, &mut NoServices)
    }

    /// The answer of a turn that completed within the frame; its changes go into the draft.
    fn completed(&mut self, draft: &mut Draft<'_>, args: &[Value], outcome: Outcome) -> Result<Value, Fault> {
        let (result, changes) = match outcome {
            Outcome::Completed { result, changes, .. } => (result, changes),
            Outcome::Failed(fault) => {
                let place = fault.trace.first().and_then(|place| place.rsplit_once(':'));
                let line = place.map_or(String::new(), |(_, line)| format!("line {line}: "));
                let message = format!("{line}{} failed: {}", self.sent(draft, args), fault.message);
                return Err(Fault { kind: FaultKind::BadMethod, message, ..fault });
            }
        };
        for change in changes {
            match &change {
                Change::EditSlot { id, slot, .. } if *id == self.candidate.target && self.frame.contains(slot) => {
                    self.changed.insert(slot.clone());
                }
                Change::SetSlot { id, slot, after, .. }
                    if *id == self.candidate.target
                        && self.frame.contains(slot)
                        && after.as_ref().is_some_and(|after| after.as_value().is_some()) =>
                {
                    self.changed.insert(slot.clone());
                }
                other => {
                    let told = format!("{}, and may change {} only", self.told(draft, other), listed(self.frame));
                    return self.refuse(draft, args, &told);
                }
            }
            draft.apply(change);
        }
        Ok(result)
    }

    fn told(&self, draft: &Draft<'_>, change: &Change) -> String {
        let title = draft.title(change.id());
        match change {
            Change::Create(object, _) => format!("it makes the object {}", object.title()),
            Change::Delete(object, _) => format!("it deletes {}", object.title()),
            Change::SetSlot { slot, after: None, .. } => format!("it takes the slot {slot} of {title} away"),
            Change::SetSlot { slot, .. } | Change::EditSlot { slot, .. } => format!("it changes {slot} of {title}"),
            Change::AddVersion { selector, .. } | Change::RemoveVersion { selector, .. } => {
                format!("it changes the method {selector} of {title}")
            }
            Change::Rename { .. } => format!("it renames {title}"),
            Change::SetParents { .. } => format!("it changes the parents of {title}"),
        }
    }

    fn state(&self, draft: &Draft<'_>) -> Vec<Value> {
        self.frame.iter().map(|slot| value_of(draft, self.candidate.target, slot)).collect()
    }

    /// `move_by(10, 20)`.
    fn sent(&self, draft: &Draft<'_>, args: &[Value]) -> String {
        let args: Vec<String> = args.iter().map(|value| value.text(draft)).collect();
        format!("{}({})", self.candidate.selector, args.join(", "))
    }

    fn refuse<T>(&self, draft: &Draft<'_>, args: &[Value], message: &str) -> Result<T, Fault> {
        Err(Fault::new(FaultKind::BadMethod, format!("{}: {message}", self.sent(draft, args))))
    }
}

/// The value of a data slot, own or inherited; nil where there is none.
fn value_of(objects: &dyn Objects, id: ObjectId, slot: &str) -> Value {
    lookup(objects, id, slot).and_then(|found| found.slot.as_value()).cloned().unwrap_or(Value::Nil)
}

fn negated(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(-number),
        other => other.clone(),
    }
}

fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_finite() && b.is_finite() => {
            (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
        }
        _ => a.same(b),
    }
}
