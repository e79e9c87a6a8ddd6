//! Deliver: durable messages, in order, as turns over the world and what earlier turns of the frame changed.

use super::authorship::Authorship;
use super::history::History;
use super::pipeline::{Clock, DeliveryBudget, Pipeline, TIMER, Turn};
use super::schedule::FrameSystems;
use crate::components::{EntityObjects, ObjectData, ObjectIndex};
use crate::language::{Limits, TurnRequest, Vm, VmError};
use crate::object::{Draft, Fault, FaultKind, Outcome, PastTurn, PastTurns, Post};
use bevy::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The VM of the world, and the one of its shadow, in which methods are rehearsed. Both live on the main thread.
pub(super) struct Voices {
    pub(super) world: Vm,
    shadow: Vm,
}

pub(super) fn plugin(app: &mut App) -> Result<(), VmError> {
    let clock = app.world().get_resource::<Clock>().map(|clock| clock.monotonic);
    let limits = Limits { clock, ..Limits::default() };
    let voices = Voices { world: Vm::new(limits)?, shadow: Vm::new(limits)? };
    app.insert_non_send(voices).add_systems(Update, deliver_messages.in_set(FrameSystems::Deliver));
    Ok(())
}

fn deliver_messages(
    clock: Res<Clock>,
    budget: Res<DeliveryBudget>,
    index: Res<ObjectIndex>,
    objects: Query<ObjectData>,
    mut voices: NonSendMut<Voices>,
    mut history: ResMut<History>,
    mut pipeline: ResMut<Pipeline>,
) {
    if !pipeline.can_deliver() {
        return;
    }
    let end = (clock.monotonic)() + budget.0;
    let pipeline = &mut *pipeline;
    let base = EntityObjects::new(&index, &objects);
    let mut frame = Draft::on(&base);
    let mut posted = 0;
    while pipeline.can_deliver()
        && let Some(message) = pipeline.ready.pop_front()
    {
        let request =
            TurnRequest { world_id: pipeline.world_id, sequence: message.sequence, envelope: &message.envelope };
        // A timer's message posts one in its own stead: where it found no room, the timer would be still from then on.
        let at_least = usize::from(message.envelope.sender_id == TIMER);
        let room = pipeline.room_for_posts().saturating_sub(posted).max(at_least);
        let (outcome, posts) = turn(&mut voices, &frame, &request, &history.0, room);
        posted += posts.len();
        outcome.changes().iter().for_each(|change| frame.apply(change.clone()));
        let outcome = Arc::new(outcome);
        let past = PastTurn::of(message.sequence, &message.envelope, &outcome, posts.len() as u64);
        past.into_iter().for_each(|turn| history.0.push(turn));
        let (share, posted) =
            (pipeline.outcomes.take(outcome.bytes()), pipeline.posted.take(posts.iter().map(Post::bytes).sum()));
        pipeline.delivered.push(Turn { message, outcome, posts, posted, share });
        if (clock.monotonic)() >= end {
            break;
        }
    }
}

/// A turn. One in which the program itself panics fails like any other; the next one has a new VM.
fn turn(
    voices: &mut Voices,
    frame: &Draft<'_>,
    request: &TurnRequest<'_>,
    past: &PastTurns,
    room: usize,
) -> (Outcome, Vec<Post>) {
    let Voices { world, shadow } = voices;
    let run = || world.turn_that_posts(frame, request, &mut Authorship { shadow, past }, room);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let message = "the program itself is at fault here, which its log describes; nothing was changed";
        (Outcome::Failed(Fault::new(FaultKind::Internal, message)), Vec::new())
    })
}
