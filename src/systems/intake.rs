//! Intake: commands become envelopes with the next number, or are refused with a reason.

use super::history::{self, History};
use super::journal::Journal;
use super::pipeline::{Clock, Pipeline};
use super::port::{Request, Submission};
use super::problems::Problems;
use super::quarantine::Quarantine;
use super::reflect::{Outbox, Subscribers};
use super::schedule::FrameSystems;
use crate::components::ObjectIndex;
use crate::object::{Argument, Envelope, Fault, FaultKind, Literal, StateUpdateEvent, Target, UICommand, Value};
use bevy::prelude::*;
use crossbeam_channel::Receiver;
use std::collections::VecDeque;

/// Longest command that becomes a message, in bytes of its texts: a journal record has a bound.
const MAX_COMMAND_BYTES: usize = 1 << 20;
/// The same for `import`, which carries the texts of a folder.
const MAX_IMPORT_BYTES: usize = 16 << 20;

#[derive(Resource)]
pub(super) struct Submissions {
    /// None once the world closes: who sends then is told.
    open: Option<Receiver<Submission>>,
    /// Sent before it closed.
    last: VecDeque<Submission>,
}

impl Submissions {
    fn next(&mut self) -> Option<Submission> {
        self.last.pop_front().or_else(|| self.open.as_ref()?.try_recv().ok())
    }
}

pub(super) fn plugin(app: &mut App, submissions: Receiver<Submission>) {
    let submissions = Submissions { open: Some(submissions), last: VecDeque::new() };
    app.insert_resource(submissions).add_systems(Update, take_in_commands.in_set(FrameSystems::Intake));
}

/// Takes nothing in any more but what was sent so far: who sends finds the world closed.
pub(super) fn close(world: &mut World) {
    if let Some(mut submissions) = world.get_resource_mut::<Submissions>()
        && let Some(open) = submissions.open.take()
    {
        submissions.last.extend(open.try_iter());
    }
}

/// Whether everything that was sent before the world closed is taken in.
pub(super) fn is_empty(world: &World) -> bool {
    world.get_resource::<Submissions>().is_none_or(|submissions| submissions.last.is_empty())
}

pub(super) fn take_in_commands(
    mut submissions: ResMut<Submissions>,
    clock: Res<Clock>,
    journal: Res<Journal>,
    problems: Res<Problems>,
    history: Res<History>,
    index: Res<ObjectIndex>,
    mut pipeline: ResMut<Pipeline>,
    mut quarantine: ResMut<Quarantine>,
    mut subscribers: ResMut<Subscribers>,
    mut outbox: ResMut<Outbox>,
) {
    while !pipeline.is_full() {
        let Some(Submission { port, request, share }) = submissions.next() else { return };
        match request {
            Request::Open { sender_id, events, lost } => subscribers.open(port, sender_id, events, lost),
            Request::FullState => subscribers.ask_full_state(port),
            Request::LetGo { ticket, number } => {
                let refusal = journal.refusal().map(|reason| refusal(&reason));
                match refusal.map_or_else(|| quarantine.begin_to_let_go(number), Err) {
                    Ok(key) => journal.let_go(key),
                    Err(fault) => outbox.tell(port, StateUpdateEvent::CommandRefused { ticket, fault }),
                }
            }
            // What it takes back is known once everything before it has ended.
            Request::Command { ticket, command } if history::is_reversal(&command) && pipeline.awaits_delivery() => {
                let request = Request::Command { ticket, command };
                submissions.last.push_front(Submission { port, request, share });
                return;
            }
            Request::Command { ticket, command } => {
                let refusal = journal.refusal().map(|reason| refusal(&reason));
                let sender_id = subscribers.sender_id(port);
                let envelope = refusal.map_or_else(
                    || {
                        let (target, selector) = (command.target.clone(), command.selector.clone());
                        let now_ms = (clock.unix_ms)();
                        let envelope = pipeline.envelope(&sender_id, target, selector, command.args.clone(), now_ms);
                        admit(envelope, &command, &problems, &history, &index, &pipeline)
                    },
                    Err,
                );
                match envelope {
                    Ok(envelope) => {
                        let message = pipeline.number_asked(envelope, share);
                        let sequence = message.sequence;
                        pipeline.numbered.push_back(message);
                        outbox.tell(port, StateUpdateEvent::CommandAccepted { ticket, sequence });
                    }
                    Err(fault) => outbox.tell(port, StateUpdateEvent::CommandRefused { ticket, fault }),
                }
            }
        }
    }
}

fn refusal(reason: &str) -> Fault {
    Fault::new(FaultKind::Refused, format!("{reason}. Nothing was changed"))
}

/// `retry N` becomes the failed message again, to the object that it went to, as long as that exists; `dismiss N` must name one; `undo` and `redo` name the turn they take back.
fn admit(
    mut envelope: Envelope,
    command: &UICommand,
    problems: &Problems,
    history: &History,
    index: &ObjectIndex,
    pipeline: &Pipeline,
) -> Result<Envelope, Fault> {
    let size = command.bytes();
    let (most, what) = match command.selector.as_str() {
        "import" => (MAX_IMPORT_BYTES, "an import"),
        _ => (MAX_COMMAND_BYTES, "a message"),
    };
    if size > most {
        let message = format!("the message has {size} bytes; {what} has at most {most}");
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    if history::is_reversal(command) {
        return history::name_reversed(envelope, command, history, pipeline);
    }
    let to_workspace = matches!(&command.target, Target::Name(name) if name == "workspace");
    if !to_workspace || !matches!(command.selector.as_str(), "retry" | "dismiss") {
        return Ok(envelope);
    }
    let number = match command.args.first() {
        Some(Argument { value: Literal::Value(Value::Number(number)), .. }) => *number,
        _ => 0.0,
    };
    let known = problems.iter().find(|problem| problem.sequence as f64 == number);
    let Some(problem) = known else {
        let message = format!("no failed message has the number {number}; `problems` lists them");
        return Err(Fault::new(FaultKind::BadArgument, message));
    };
    if command.selector.as_str() == "retry" {
        if pipeline.retries(problem.sequence) {
            let message = format!("message {number} is being tried again already");
            return Err(Fault::new(FaultKind::Refused, message));
        }
        envelope.correlation_id = Some(Envelope::id_of(pipeline.world_id, problem.sequence));
        // Not to whoever has the name by now.
        let receiver = problem.fault.receiver.filter(|id| index.entity(*id).is_some());
        envelope.target = receiver.map_or_else(|| problem.envelope.target.clone(), Target::Id);
        envelope.selector = problem.envelope.selector.clone();
        envelope.args = problem.envelope.args.clone();
        envelope.retries = Some(problem.sequence);
    }
    Ok(envelope)
}
