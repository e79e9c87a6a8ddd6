//! Timers: objects that delegate to `timer` and have a slot `due`. When that time has come, each is sent `fire`.
//!
//! A timer is an object like any other: it is as durable, can be opened, and ends when it is deleted. What is kept here
//! is only the order in which they are due. What `fire` does is said in `assets/genesis/timer.luau`.

use super::alarm::Alarm;
use super::journal::Journal;
use super::pipeline::{Clock, Pipeline, TIMER};
use super::schedule::FrameSystems;
use super::settle::{Touched, settle_turns};
use crate::components::{EntityObjects, ObjectData, ObjectIndex};
use crate::object::{Envelope, Name, ObjectId, Objects, Target, Value, ancestors};
use bevy::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Timers fired in one frame.
const A_FRAME: usize = 256;

/// Timers in the order in which they are due.
#[derive(Resource, Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(u64, ObjectId)>,
    of: HashMap<ObjectId, u64>,
}

impl Timers {
    /// Every timer of a world, but those that are being fired already.
    pub(super) fn of(objects: &dyn Objects, pending: &[(u64, Envelope)]) -> Self {
        let fired = |id: &ObjectId| {
            pending.iter().any(|(_, envelope)| envelope.sender_id == TIMER && envelope.target == Target::Id(*id))
        };
        let mut timers = Self::default();
        for id in objects.ids().into_iter().filter(|id| !fired(id)) {
            timers.note(id, due(objects, id));
        }
        timers
    }

    fn note(&mut self, id: ObjectId, due: Option<u64>) {
        if let Some(old) = self.of.remove(&id) {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.of.insert(id, due);
            self.due.insert((due, id));
        }
    }

    /// Takes out one that is due. It comes back when something changes it.
    fn take_due(&mut self, now_ms: u64) -> Option<ObjectId> {
        let (due, id) = *self.due.first()?;
        if due > now_ms {
            return None;
        }
        self.note(id, None);
        Some(id)
    }
}

/// When an object is due: it delegates to `timer` and has a slot of its own that says so.
fn due(objects: &dyn Objects, id: ObjectId) -> Option<u64> {
    let Some(Value::Number(due)) = objects.object(id)?.slots.get("due")?.as_value() else { return None };
    let is_timer = due.is_finite() && ancestors(objects, id).contains(&ObjectId::genesis("timer"));
    is_timer.then(|| due.ceil().max(0.0) as u64)
}

pub(super) fn plugin(app: &mut App, timers: Timers) {
    app.insert_resource(timers)
        .add_systems(Update, fire_timers.in_set(FrameSystems::Intake).after(super::intake::take_in_commands))
        .add_systems(Update, note_timers.in_set(FrameSystems::Settle).after(settle_turns));
}

fn note_timers(
    index: Res<ObjectIndex>,
    objects: Query<ObjectData>,
    touched: Res<Touched>,
    clock: Res<Clock>,
    alarm: Res<Alarm>,
    (journal, pipeline): (Res<Journal>, Res<Pipeline>),
    mut timers: ResMut<Timers>,
) {
    let world = EntityObjects::new(&index, &objects);
    for id in &touched.0 {
        timers.note(*id, due(&world, *id));
    }
    // One that is due and can't fire waits for an answer of the disk, which wakes a frame.
    if let Some((due, _)) = timers.due.first()
        && (*due > (clock.unix_ms)() || can_fire(&journal, &pipeline))
    {
        alarm.ring_in(Duration::from_millis(due.saturating_sub((clock.unix_ms)())));
    }
}

fn can_fire(journal: &Journal, pipeline: &Pipeline) -> bool {
    !journal.refuses() && !pipeline.is_closing() && pipeline.room() > 0
}

fn fire_timers(clock: Res<Clock>, journal: Res<Journal>, mut timers: ResMut<Timers>, mut pipeline: ResMut<Pipeline>) {
    let now_ms = (clock.unix_ms)();
    for _ in 0..A_FRAME {
        if !can_fire(&journal, &pipeline) {
            return;
        }
        let Some(id) = timers.take_due(now_ms) else { return };
        let Ok(selector) = Name::new("fire") else { return };
        let envelope = pipeline.envelope(TIMER, Target::Id(id), selector, Vec::new(), now_ms);
        let message = pipeline.number(envelope);
        pipeline.numbered.push_back(message);
    }
}
