//! One turn: a message is delivered in a draft, and all of it counts or nothing.

use super::active::{Active, Frame};
use super::fault::{bounded, clip, fault_of, leaves_doubt};
use super::services::Services;
use super::vm::Vm;
use crate::object::{Change, Draft, Envelope, Fault, FaultKind, ObjectId, Objects, Outcome, Post};
use std::cell::RefCell;
use std::mem;
use uuid::Uuid;

/// A message and its place in the order of all messages.
pub struct TurnRequest<'a> {
    /// The world's id: new objects' ids derive from it.
    pub world_id: Uuid,
    /// The message's number: random numbers are seeded by it.
    pub sequence: u64,
    /// The message.
    pub envelope: &'a Envelope,
}

impl Vm {
    /// Delivers a message to `base`, which stays as it is: the outcome holds the changes.
    pub fn turn(&mut self, base: &dyn Objects, request: &TurnRequest<'_>, services: &mut dyn Services) -> Outcome {
        self.turn_that_posts(base, request, services, usize::MAX).0
    }

    /// The same with the messages that a completed turn posted, of which there may be so many.
    pub fn turn_that_posts(
        &mut self,
        base: &dyn Objects,
        request: &TurnRequest<'_>,
        services: &mut dyn Services,
        room: usize,
    ) -> (Outcome, Vec<Post>) {
        let TurnRequest { world_id, sequence, envelope } = *request;
        let frame = Frame { world_id, message_id: envelope.message_id, seed: sequence, issued_at: envelope.issued_at };
        let mut active = RefCell::new(Active::new(Draft::on(base), services, frame, room));
        active.get_mut().sequence = sequence;
        active.get_mut().burial.message = if envelope.is_of_person() { sequence } else { 0 };
        active.get_mut().may_import = envelope.selector.as_str() == "import";
        match self.run(&mut active, None, |vm, active| vm.deliver(active, envelope)) {
            Ok(result) => {
                // Taken out one by one: moving the whole of it costs more than all of this.
                let active = active.get_mut();
                let (changes, logs) = (active.draft.take_changes(), mem::take(&mut active.logs));
                (Outcome::Completed { result, changes, logs }, mem::take(&mut active.posts))
            }
            Err(mut fault) => {
                if fault.kind == FaultKind::Bound {
                    fault.message.push_str("; nothing was changed");
                }
                (Outcome::Failed(fault), Vec::new())
            }
        }
    }

    /// Runs code in a draft: all of it counts, or nothing. `fuel` is the usual one unless given.
    pub(super) fn run<'a, R>(
        &mut self,
        active: &mut RefCell<Active<'a>>,
        fuel: Option<i64>,
        code: impl FnOnce(&Self, &RefCell<Active<'a>>) -> mlua::Result<R>,
    ) -> Result<R, Fault> {
        self.assure()?;
        // Until it ends: one that a panic ends stays in doubt.
        self.in_doubt.set(true);
        let mut spent = None;
        let result = self.refuel(fuel).and_then(|()| {
            self.shared.stage.play(active, || {
                let value = code(self, active);
                if value.is_err() {
                    spent = self.shared.fuel.spent();
                    self.lift_bounds();
                }
                self.shared.flush()?;
                value
            })
        });
        let active = active.get_mut();
        let fault = match result {
            Ok(value) if active.doomed.is_none() && self.shared.fuel.left() >= 0 => match self.settle(active) {
                Ok(()) => {
                    self.in_doubt.set(false);
                    return Ok(value);
                }
                Err(fault) => fault,
            },
            Ok(_) => Fault::new(FaultKind::Error, String::new()),
            Err(error) => fault_of(&error),
        };
        let spent = spent.or(self.shared.fuel.spent());
        let touched: Vec<ObjectId> = active.draft.changes().iter().map(Change::id).collect();
        let made = |change: &Change| matches!(change, Change::Create(..)).then(|| change.id());
        let made: Vec<ObjectId> = active.draft.changes().iter().filter_map(made).collect();
        self.in_doubt.set(false);
        self.take_back(&touched, &made);
        let mut fault = match active.doomed.take() {
            Some(doom) if doom.trace.is_empty() && !active.doomed_by_write => Fault { trace: fault.trace, ..doom },
            Some(doom) => doom,
            None => bounded(fault, spent),
        };
        if leaves_doubt(&fault) {
            self.in_doubt.set(true);
        }
        clip(&mut fault.message);
        fault.receiver = active.receiver;
        fault.logs = active.said.iter().filter_map(|line| active.logs.get(*line).cloned()).collect();
        Err(fault)
    }

    /// The turn's changes are within its bounds and stay.
    fn settle(&self, active: &Active<'_>) -> Result<(), Fault> {
        if active.draft.changes().is_empty() && !self.shared.wrote() {
            return Ok(());
        }
        active.check_objects()?;
        let broken = |_| Fault::new(FaultKind::Internal, "the VM could not be brought back in order");
        self.shared.settle().map_err(broken)?;
        let gone = |change: &Change| matches!(change, Change::Delete(..)).then(|| change.id());
        self.shared.proxies.let_go(active.draft.changes().iter().filter_map(gone));
        Ok(())
    }
}
