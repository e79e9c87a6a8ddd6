//! The mirror: what a window knows of the world, learned from events alone.
//!
//! A [`Replica`] with what a screen needs beside it. It is written by whoever receives a port's events, and read by
//! cards and panels. It never sees a component: what is not told by an event is not in it.

use super::transcript::{Progress, Transcript};
use crate::language::console::let_go_text;
use crate::object::{
    Change, EventBody, Image, LogEvent, LogLevel, ObjectId, Objects, Outcome, Problem, Replica, StateUpdateEvent,
    Status, Value,
};
use std::collections::{BTreeMap, BTreeSet};

/// The replica of a window.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    replica: Replica,
    /// What was asked and answered.
    pub transcript: Transcript,
    children: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    touched: BTreeSet<ObjectId>,
    told_whole: u64,
    awaited: BTreeMap<u64, u64>,
    answers: Vec<Answer>,
    /// Tickets that let an entry of the quarantine go, each with the number of the entry.
    letting_go: BTreeMap<u64, u64>,
}

/// What came of a command that was sent with [`Mirror::await_answer`].
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The ticket of the command.
    pub ticket: u64,
    /// What the message answered, or why it failed.
    pub result: Result<Value, String>,
}

impl Mirror {
    /// The objects.
    pub fn image(&self) -> &Image {
        &self.replica.image
    }

    /// Failed messages that wait, newest last.
    pub fn problems(&self) -> &[Problem] {
        &self.replica.problems
    }

    /// All that was told of the world.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The figures of the status bar.
    pub fn status(&self) -> &Status {
        &self.replica.status
    }

    /// How often the full state was told; 0 means that nothing is known yet.
    pub fn times_told_whole(&self) -> u64 {
        self.told_whole
    }

    /// Objects that delegate to this one directly, ascending.
    pub fn children(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> + '_ {
        self.children.get(&id).into_iter().flatten().copied()
    }

    /// These objects and all that delegate to one of them, however far.
    pub fn heirs(&self, of: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let mut found: BTreeSet<ObjectId> = of.into_iter().collect();
        let mut next: Vec<ObjectId> = found.iter().copied().collect();
        while let Some(id) = next.pop() {
            next.extend(self.children(id).filter(|child| found.insert(*child)));
        }
        found
    }

    /// Takes the ids of the objects that were made, changed or deleted since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<ObjectId> {
        std::mem::take(&mut self.touched)
    }

    /// The answer of this command will come from [`Mirror::take_answers`].
    pub fn await_answer(&mut self, ticket: u64) {
        self.awaited.insert(ticket, 0);
    }

    /// This command lets an entry of the quarantine go.
    pub fn await_let_go(&mut self, number: u64, ticket: u64) {
        self.letting_go.insert(ticket, number);
    }

    /// Whether an entry of the quarantine is being let go.
    pub fn lets_go(&self, number: u64) -> bool {
        self.letting_go.values().any(|of| *of == number)
    }

    /// Takes the answers that came since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Some events were lost. The port has asked for the full state.
    pub fn missed(&mut self, events: u64) {
        let text = match events {
            1 => "one event was lost; the world was asked to tell everything again".to_string(),
            _ => format!("{events} events were lost; the world was asked to tell everything again"),
        };
        self.transcript.note("", &text, Progress::Warning);
    }

    /// Learns from an event.
    pub fn learn(&mut self, event: EventBody) {
        match event {
            EventBody::Log(LogEvent { level, message, turn }) => {
                // What a turn writes stands in its outcome already.
                if turn.is_none() {
                    let progress = match level {
                        LogLevel::Info => Progress::Note,
                        LogLevel::Warning | LogLevel::Error => Progress::Warning,
                    };
                    self.transcript.note("", &message, progress);
                }
            }
            EventBody::State(event) => self.learn_state(event),
        }
    }

    fn learn_state(&mut self, event: StateUpdateEvent) {
        let before = self.parents_before(&event);
        self.replica.take_in(&event);
        self.follow_parents(before);
        match event {
            StateUpdateEvent::FullState { status, .. } => {
                self.transcript.durable_up_to(status.durable);
                self.told_whole += 1;
                for (ticket, number) in std::mem::take(&mut self.letting_go) {
                    match self.replica.quarantined(number) {
                        None => self.end_let_go(number, ticket),
                        Some(_) => self.transcript.lost(ticket),
                    }
                }
            }
            StateUpdateEvent::TurnSettled { sequence, envelope, outcome } => {
                self.transcript.settled(sequence, &envelope, &outcome, &self.replica.image);
                let ticket = self.awaited.iter().find(|(_, of)| **of == sequence).map(|(ticket, _)| *ticket);
                if let Some(ticket) = ticket {
                    self.awaited.remove(&ticket);
                    let result = match &*outcome {
                        Outcome::Completed { result, .. } => Ok(result.clone()),
                        Outcome::Failed(fault) => Err(fault.message.clone()),
                    };
                    self.answers.push(Answer { ticket, result });
                }
            }
            StateUpdateEvent::TurnsDurable { sequences } => self.transcript.durable(&sequences),
            StateUpdateEvent::CommandRefused { ticket, fault } => {
                self.transcript.refused(ticket, &fault);
                self.letting_go.remove(&ticket);
                if self.awaited.remove(&ticket).is_some() {
                    self.answers.push(Answer { ticket, result: Err(fault.message) });
                }
            }
            StateUpdateEvent::CommandAccepted { ticket, sequence } => {
                self.transcript.accepted(ticket, sequence);
                if let Some(awaited) = self.awaited.get_mut(&ticket) {
                    *awaited = sequence;
                }
            }
            StateUpdateEvent::LetGo { number } => {
                let gone: Vec<(u64, u64)> = self.letting_go.extract_if(.., |_, of| *of == number).collect();
                gone.into_iter().for_each(|(ticket, _)| self.end_let_go(number, ticket));
            }
            StateUpdateEvent::Status(Status { read_only: Some(_), .. }) => self.transcript.doubt_what_waits(),
            StateUpdateEvent::ProblemSolved { .. } | StateUpdateEvent::Status(_) | StateUpdateEvent::Ticked { .. } => {}
        }
    }

    fn end_let_go(&mut self, number: u64, ticket: u64) {
        self.transcript.done(ticket, &let_go_text(number, self.replica.quarantine.len()));
    }

    /// The objects that the event is about, with their parents until now.
    fn parents_before(&self, event: &StateUpdateEvent) -> BTreeMap<ObjectId, Vec<ObjectId>> {
        let mut ids: BTreeSet<ObjectId> = BTreeSet::new();
        match event {
            StateUpdateEvent::FullState { objects, .. } => {
                ids.extend(self.replica.image.ids());
                ids.extend(objects.iter().map(|object| object.id));
            }
            StateUpdateEvent::TurnSettled { outcome, .. } => {
                if let Outcome::Completed { changes, .. } = &**outcome {
                    ids.extend(changes.iter().map(Change::id));
                }
            }
            StateUpdateEvent::Ticked { changes } => ids.extend(changes.iter().map(Change::id)),
            _ => {}
        }
        ids.into_iter().map(|id| (id, self.parents(id))).collect()
    }

    /// Touches these objects, and follows those that have other parents now.
    fn follow_parents(&mut self, before: BTreeMap<ObjectId, Vec<ObjectId>>) {
        for (id, before) in before {
            self.touched.insert(id);
            let after = self.parents(id);
            if before != after {
                for parent in before {
                    if let Some(children) = self.children.get_mut(&parent) {
                        children.remove(&id);
                    }
                }
                for parent in after {
                    self.children.entry(parent).or_default().insert(id);
                }
            }
        }
    }

    fn parents(&self, id: ObjectId) -> Vec<ObjectId> {
        self.replica.image.object(id).map(|object| object.parents.to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::object::{Envelope, Fault, FaultKind, Name, Object, Slot, Target};
    use std::sync::Arc;
    use uuid::Uuid;

    pub(crate) fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    pub(crate) fn object(text: &str, parents: &[ObjectId], slots: &[(&str, Value)]) -> Object {
        let mut object = Object::new(ObjectId(Uuid::new_v5(&Uuid::nil(), text.as_bytes())));
        object.name = Some(name(text));
        object.parents = parents.to_vec();
        for (slot, value) in slots {
            object.slots.push(name(slot), Slot::value(value.clone()));
        }
        object
    }

    pub(crate) fn told(objects: Vec<Object>) -> Mirror {
        let mut all = crate::language::genesis_objects().unwrap();
        all.extend(objects);
        all.sort_by_key(|object| object.id);
        let status = Status { objects: all.len(), ..Status::default() };
        let mut mirror = Mirror::default();
        mirror.learn(EventBody::State(StateUpdateEvent::FullState {
            objects: Arc::new(all),
            tombstones: Arc::default(),
            problems: Arc::default(),
            quarantine: Arc::default(),
            status,
        }));
        mirror
    }

    pub(crate) fn settled(sequence: u64, outcome: Outcome) -> EventBody {
        EventBody::State(StateUpdateEvent::TurnSettled {
            sequence,
            envelope: Arc::new(Envelope {
                message_id: Uuid::nil(),
                correlation_id: None,
                sender_id: "window".into(),
                target: Target::Name("point".into()),
                selector: name("set"),
                args: Vec::new(),
                issued_at: 0,
                retries: None,
            }),
            outcome: Arc::new(outcome),
        })
    }

    pub(crate) fn completed(changes: Vec<Change>) -> Outcome {
        Outcome::Completed { result: Value::Nil, changes, logs: Vec::new() }
    }

    pub(crate) fn set(object: &Object, slot: &str, value: Value) -> Change {
        let before = object.slots.get(slot).cloned();
        let place = object.slots.place(slot).unwrap_or(object.slots.len());
        Change::SetSlot { id: object.id, slot: name(slot), place, before, after: Some(Slot::value(value)) }
    }

    #[test]
    fn it_follows_changes_and_knows_who_delegates_to_whom() {
        let point = object("point", &[ObjectId::proto()], &[("x", Value::Number(0.0))]);
        let mut mirror = told(vec![point.clone()]);
        assert_eq!(mirror.take_touched().len(), mirror.image().len());
        let child = object("p1", &[point.id], &[]);
        mirror.learn(settled(1, completed(vec![Change::Create(Box::new(child.clone()), None)])));
        mirror.learn(settled(2, completed(vec![set(&point, "x", Value::Number(5.0))])));
        assert_eq!(mirror.take_touched(), BTreeSet::from([point.id, child.id]));
        assert_eq!(mirror.heirs([point.id]), BTreeSet::from([point.id, child.id]));
        let x = mirror.image().object(point.id).and_then(|object| object.slots.get("x")?.as_value().cloned());
        assert_eq!(x, Some(Value::Number(5.0)));
        mirror.learn(settled(3, completed(vec![Change::Delete(Box::new(child), None)])));
        assert_eq!(mirror.heirs([point.id]), BTreeSet::from([point.id]));
    }

    #[test]
    fn a_message_is_followed_from_ticket_to_disk() {
        let mut mirror = told(vec![]);
        mirror.transcript.sent(7, "set point x=1".into());
        mirror.await_answer(7);
        let progress = |mirror: &Mirror| mirror.transcript.iter().last().map(|entry| entry.progress).unwrap();
        assert_eq!(progress(&mirror), Progress::Waiting);
        mirror.learn(EventBody::State(StateUpdateEvent::CommandAccepted { ticket: 7, sequence: 3 }));
        mirror.learn(settled(3, completed(vec![])));
        assert_eq!(progress(&mirror), Progress::Settled);
        assert_eq!(mirror.take_answers(), [Answer { ticket: 7, result: Ok(Value::Nil) }]);
        mirror.learn(EventBody::State(StateUpdateEvent::TurnsDurable { sequences: vec![3] }));
        assert_eq!(progress(&mirror), Progress::Durable);
        assert_eq!(mirror.transcript.iter().len(), 1);
    }

    #[test]
    fn what_is_under_way_when_the_disk_fails_is_in_doubt_until_it_is_durable() {
        let mut mirror = told(vec![]);
        mirror.transcript.sent(7, "set point x=1".into());
        mirror.learn(EventBody::State(StateUpdateEvent::CommandAccepted { ticket: 7, sequence: 3 }));
        mirror.learn(settled(3, completed(vec![])));
        let status = Status { read_only: Some("full".into()), ..Status::default() };
        mirror.learn(EventBody::State(StateUpdateEvent::Status(status)));
        assert_eq!(mirror.transcript.iter().last().map(|entry| entry.progress), Some(Progress::InDoubt));
        mirror.learn(EventBody::State(StateUpdateEvent::TurnsDurable { sequences: vec![3] }));
        assert_eq!(mirror.transcript.iter().last().map(|entry| entry.progress), Some(Progress::Durable));
    }

    #[test]
    fn a_long_answer_is_shown_in_part() {
        let mut mirror = told(vec![]);
        mirror.transcript.note("", &"line\n".repeat(100_000), Progress::Note);
        mirror.transcript.note("", &"x".repeat(1_000_000), Progress::Note);
        assert!(
            mirror.transcript.iter().all(|entry| entry.answer.len() < 10_000 && entry.answer.lines().count() <= 102)
        );
    }

    #[test]
    fn a_line_that_lets_go_is_done_when_the_entry_is_gone() {
        use crate::language::console::test_quarantines::entry;
        let told = |mirror: &mut Mirror, numbers: &[u64]| {
            let entries = numbers.iter().map(|number| Arc::new(entry(*number, 6, crate::object::Afterwards::Lost)));
            mirror.learn(EventBody::State(StateUpdateEvent::FullState {
                objects: Arc::default(),
                tombstones: Arc::default(),
                problems: Arc::default(),
                quarantine: Arc::new(entries.collect()),
                status: Status::default(),
            }));
        };
        let mut mirror = Mirror::default();
        told(&mut mirror, &[1, 2, 3]);
        for (number, ticket) in [(1, 7), (2, 8), (3, 9)] {
            mirror.transcript.sent(ticket, format!("quarantine {number} let-go"));
            mirror.await_let_go(number, ticket);
        }
        let progress = |mirror: &Mirror| mirror.transcript.iter().map(|entry| entry.progress).collect::<Vec<_>>();
        mirror.learn(EventBody::State(StateUpdateEvent::LetGo { number: 1 }));
        assert_eq!(progress(&mirror), [Progress::Durable, Progress::Waiting, Progress::Waiting]);
        assert!(mirror.transcript.iter().next().unwrap().answer.contains("2 are left"));
        let fault = Fault::new(FaultKind::Refused, "no");
        mirror.learn(EventBody::State(StateUpdateEvent::CommandRefused { ticket: 8, fault }));
        assert!(!mirror.lets_go(2) && mirror.lets_go(3));
        told(&mut mirror, &[2, 3]);
        assert_eq!(progress(&mirror), [Progress::Durable, Progress::Failed, Progress::InDoubt]);
    }

    #[test]
    fn failures_wait_until_they_are_solved() {
        let mut mirror = told(vec![]);
        mirror.learn(settled(4, Outcome::Failed(Fault::new(FaultKind::Error, "no"))));
        assert_eq!(mirror.problems().len(), 1);
        assert_eq!(mirror.transcript.iter().last().map(|entry| entry.progress), Some(Progress::Failed));
        mirror.learn(EventBody::State(StateUpdateEvent::ProblemSolved { sequence: 4 }));
        assert!(mirror.problems().is_empty());
    }

    #[test]
    fn after_a_gap_the_full_state_puts_it_right() {
        let old = object("old", &[ObjectId::proto()], &[]);
        let mut mirror = told(vec![old.clone()]);
        mirror.learn(settled(1, completed(vec![])));
        mirror.missed(3);
        assert!(mirror.transcript.iter().any(|entry| entry.answer.starts_with("3 events were lost")));
        let _ = mirror.take_touched();
        let new = object("new", &[ObjectId::proto()], &[]);
        mirror.learn(EventBody::State(StateUpdateEvent::FullState {
            objects: Arc::new(vec![new.clone()]),
            tombstones: Arc::default(),
            problems: Arc::default(),
            quarantine: Arc::default(),
            status: Status { durable: 9, ..Status::default() },
        }));
        assert_eq!(mirror.image().ids(), [new.id]);
        assert!(mirror.take_touched().contains(&old.id), "what is gone is touched too");
        assert_eq!(mirror.heirs([old.id]).len(), 1);
        let durable = mirror.transcript.iter().any(|entry| entry.progress == Progress::Durable);
        assert!(durable, "what was on disk before the full state is marked so");
    }
}
