//! Settle: the only writer of authored state. Applies what the frame's turns changed, in order.

use super::journal::Journal;
use super::pipeline::{Clock, POST, Pipeline, Turn};
use super::problems::Problems;
use super::reflect::Outbox;
use super::schedule::FrameSystems;
use super::snapshots::Dirty;
use crate::components::{ObjectBundle, ObjectDataMut, ObjectIndex};
use crate::object::{Argument, Change, Envelope, ObjectId, Outcome, Post, Problem, StateUpdateEvent, Target, Value};
use bevy::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Objects that changed since the last frame noted which of them are timers and which step: what ticks change is noted a
/// frame later.
#[derive(Resource, Debug, Default)]
pub(super) struct Touched(pub(super) BTreeSet<ObjectId>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Touched>();
    app.add_systems(Update, settle_turns.in_set(FrameSystems::Settle));
}

pub(super) fn settle_turns(world: &mut World, objects: &mut QueryState<ObjectDataMut>) {
    let turns = std::mem::take(&mut world.resource_mut::<Pipeline>().delivered);
    for Turn { message, outcome, posts, posted: shared, share } in turns {
        for change in outcome.changes() {
            apply(world, objects, change);
        }
        world.resource_mut::<Dirty>().count_turn();
        let resolves = resolved_by(&message.envelope, &outcome);
        let sequence = message.sequence;
        let posted = number_posts(world, Some(message.envelope.message_id), posts);
        drop(shared);
        world.resource_mut::<Journal>().append_outcome(sequence, outcome.clone(), resolves.clone(), posted);
        world.resource_mut::<Pipeline>().settled.insert(sequence, share);

        let mut gone: Vec<u64> = Vec::new();
        let mut problems = world.resource_mut::<Problems>();
        for number in resolves {
            if problems.solve(number) {
                gone.push(number);
            }
        }
        if let Outcome::Failed(fault) = &*outcome {
            let problem = Problem { sequence, envelope: message.envelope.clone(), fault: fault.clone() };
            gone.extend(problems.add(problem));
        }
        let mut outbox = world.resource_mut::<Outbox>();
        outbox.publish(StateUpdateEvent::TurnSettled { sequence, envelope: message.envelope, outcome });
        for sequence in gone {
            outbox.publish(StateUpdateEvent::ProblemSolved { sequence });
        }
    }
}

/// Posted messages become envelopes; they are delivered once they are on disk, with the outcome of what posted them.
pub(super) fn number_posts(world: &mut World, cause: Option<Uuid>, posts: Vec<Post>) -> Vec<(u64, Arc<Envelope>)> {
    if posts.is_empty() {
        return Vec::new();
    }
    let issued_at = (world.resource::<Clock>().unix_ms)();
    let mut pipeline = world.resource_mut::<Pipeline>();
    let number = |post: Post| {
        let args = post.args.into_iter().map(|value| Argument { name: None, value: value.into() }).collect();
        let envelope = pipeline.envelope(POST, Target::Id(post.target), post.selector, args, issued_at);
        let message = pipeline.number(Envelope { correlation_id: cause, ..envelope });
        let (sequence, envelope) = (message.sequence, message.envelope.clone());
        if !pipeline.left {
            pipeline.journaling.insert(sequence, message);
        }
        (sequence, envelope)
    };
    posts.into_iter().map(number).collect()
}

/// Failed messages that this one ends: the one it tries again, or the one it dismisses.
fn resolved_by(envelope: &Envelope, outcome: &Outcome) -> Vec<u64> {
    let dismissed = match outcome {
        Outcome::Completed { result: Value::Number(number), .. } if envelope.selector.as_str() == "dismiss" => {
            Some(*number as u64)
        }
        _ => None,
    };
    envelope.retries.into_iter().chain(dismissed).collect()
}

pub(super) fn apply(world: &mut World, objects: &mut QueryState<ObjectDataMut>, change: &Change) {
    let id = change.id();
    match change {
        Change::Create(object, _) => {
            let entity = world.spawn(ObjectBundle::from((**object).clone())).id();
            world.resource_mut::<ObjectIndex>().insert(id, object.name.as_ref(), entity);
        }
        Change::Delete(object, tombstone) => {
            let mut index = world.resource_mut::<ObjectIndex>();
            let entity = index.remove(id, object.name.as_ref());
            if let Some(tombstone) = tombstone {
                index.bury(id, tombstone.clone());
            }
            if let Some(entity) = entity {
                world.despawn(entity);
            }
        }
        other => {
            let entity = world.resource::<ObjectIndex>().entity(id);
            if let Some(mut object) = entity.and_then(|entity| objects.get_mut(world, entity).ok()) {
                object.apply(other);
            }
            world.resource_mut::<ObjectIndex>().rename(other);
        }
    }
    world.resource_mut::<Dirty>().note(id);
    world.resource_mut::<Touched>().0.insert(id);
}
