//! Step: the ticks in which objects move by themselves, sixty a second while any does.
//!
//! What a tick changes is settled at once and never journaled: the log keeps how many ticks there were, and
//! [`TickReplay`] runs them again when the world is read.

use super::alarm::Alarm;
use super::deliver::Voices;
use super::journal::Journal;
use super::pipeline::{Clock, Pipeline, TIMER};
use super::reflect::Outbox;
use super::schedule::FrameSystems;
use super::settle::{self, Touched, settle_turns};
use crate::components::{EntityObjects, ObjectData, ObjectDataMut, ObjectIndex};
use crate::language::{Limits, TickEnd, Vm, steps};
use crate::object::{
    Argument, Change, Fault, Image, LogLevel, Name, ObjectId, Objects, StateUpdateEvent, TICKS_A_SECOND, Target, Tick,
    Value,
};
use crate::persistence::Ticker;
use bevy::prelude::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Ticks of one frame; a world that can't keep up moves slower instead of falling behind for ever.
const A_FRAME: u64 = 4;
/// A pause after which a new run of ticks begins.
const PAUSE: Duration = Duration::from_millis(500);

/// Objects that step, and the ticks so far.
#[derive(Resource, Debug, Default)]
pub(super) struct Steps {
    objects: BTreeSet<ObjectId>,
    /// Ticks that the world has had.
    ticks: u64,
    run: Option<Run>,
    /// An object that worked too long: until it has stopped by a message, nothing steps.
    late: Option<ObjectId>,
}

/// Ticks without a pause.
#[derive(Clone, Copy, Debug)]
struct Run {
    started_at: u64,
    began: Duration,
    ticks: u64,
}

impl Steps {
    pub(super) fn of(objects: &dyn Objects, ticks: u64) -> Self {
        Self { objects: stepping(objects), ticks, run: None, late: None }
    }

    /// Whether anything moves.
    pub(super) fn is_idle(&self) -> bool {
        self.objects.is_empty()
    }

    fn note(&mut self, objects: &dyn Objects, id: ObjectId) {
        if steps(objects, id) {
            self.objects.insert(id);
        } else {
            self.objects.remove(&id);
        }
    }

    /// How many ticks are due now.
    fn due(&mut self, clock: &Clock) -> u64 {
        let now = (clock.monotonic)();
        let tick = Duration::from_secs(1) / TICKS_A_SECOND;
        let run = self.run.get_or_insert_with(|| Run { started_at: (clock.unix_ms)(), began: now, ticks: 0 });
        let due = (now.saturating_sub(run.began).as_nanos() / tick.as_nanos()) as u64 + 1;
        let behind = due.saturating_sub(run.ticks);
        if tick * u32::try_from(behind).unwrap_or(u32::MAX) > PAUSE {
            *run = Run { started_at: (clock.unix_ms)(), began: now, ticks: 0 };
            return 1;
        }
        behind.min(A_FRAME)
    }

    /// How long until the next tick.
    fn wait(&self, clock: &Clock) -> Duration {
        let tick = Duration::from_secs(1) / TICKS_A_SECOND;
        let next =
            self.run.map_or(Duration::ZERO, |run| run.began + tick * u32::try_from(run.ticks).unwrap_or(u32::MAX));
        next.saturating_sub((clock.monotonic)())
    }

    fn next(&mut self) -> Option<Tick> {
        let run = self.run.as_mut()?;
        let tick = Tick { number: self.ticks + 1, started_at: run.started_at, index: run.ticks };
        self.ticks += 1;
        run.ticks += 1;
        Some(tick)
    }
}

fn stepping(objects: &dyn Objects) -> BTreeSet<ObjectId> {
    objects.ids().into_iter().filter(|id| steps(objects, *id)).collect()
}

pub(super) fn plugin(app: &mut App, steps: Steps) {
    app.insert_resource(steps)
        .add_systems(Update, run_ticks.in_set(FrameSystems::Step))
        .add_systems(Update, note_steppers.in_set(FrameSystems::Settle).after(settle_turns));
}

fn note_steppers(index: Res<ObjectIndex>, objects: Query<ObjectData>, touched: Res<Touched>, mut steps: ResMut<Steps>) {
    let world = EntityObjects::new(&index, &objects);
    for id in &touched.0 {
        steps.note(&world, *id);
    }
}

fn run_ticks(world: &mut World, reading: &mut QueryState<ObjectData>, writing: &mut QueryState<ObjectDataMut>) {
    world.resource_mut::<Touched>().0.clear();
    let stands = world.resource::<Journal>().refuses() || world.resource::<Pipeline>().is_closing();
    let clock = *world.resource::<Clock>();
    let mut due = {
        let mut steps = world.resource_mut::<Steps>();
        let waits = steps.late.is_some_and(|late| steps.objects.contains(&late));
        if stands || steps.is_idle() || waits {
            steps.run = None;
            return;
        }
        steps.due(&clock)
    };
    let Some(mut voices) = world.remove_non_send::<Voices>() else { return };
    let mut has_room = true;
    while due > 0 && has_room {
        due -= 1;
        let Some(tick) = world.resource_mut::<Steps>().next() else { break };
        let objects: Vec<ObjectId> = world.resource::<Steps>().objects.iter().copied().collect();
        let pipeline = world.resource::<Pipeline>();
        let (world_id, room) = (pipeline.world_id, pipeline.room());
        let TickEnd { changes, logs, posts, stopped, late, waits } = {
            let query = reading.query(world);
            let base = EntityObjects::new(world.resource::<ObjectIndex>(), &query);
            let mut run = |objects: &[ObjectId]| {
                let end = || voices.world.tick(&base, world_id, tick, objects, room);
                catch_unwind(AssertUnwindSafe(end))
            };
            // Where the program itself panics, the tick runs again on a new VM. If it does so again, the object that is to
            // blame stops as one that works too long does.
            run(&objects).or_else(|_| run(&objects)).unwrap_or_else(|_| {
                let to_blame = objects.iter().find(|id| run(&[**id]).is_err()).or(objects.first());
                TickEnd { late: to_blame.copied(), ..TickEnd::default() }
            })
        };
        if let Some(late) = late {
            let mut steps = world.resource_mut::<Steps>();
            (steps.ticks, steps.run, steps.late) = (tick.number - 1, None, Some(late));
            stop(world, late, clock);
            break;
        }
        if waits {
            // It runs again when fewer messages are under way.
            let mut steps = world.resource_mut::<Steps>();
            (steps.ticks, steps.run) = (tick.number - 1, None);
            has_room = false;
            continue;
        }
        for change in &changes {
            settle::apply(world, writing, change);
        }
        let posted = settle::number_posts(world, None, posts);
        world.resource_mut::<Journal>().append_tick(tick, posted);
        world.resource_mut::<super::snapshots::Dirty>().count_tick();
        if changes.iter().any(may_start_or_stop) {
            let query = reading.query(world);
            let base = EntityObjects::new(world.resource::<ObjectIndex>(), &query);
            let ids: BTreeSet<ObjectId> = changes.iter().map(Change::id).collect();
            let noted: Vec<(ObjectId, bool)> = ids.into_iter().map(|id| (id, steps(&base, id))).collect();
            let told = |(id, fault): &(ObjectId, Fault)| {
                let said = fault.logs.iter().map(|line| (LogLevel::Info, line.clone()));
                let stops = format!("{} stopped stepping: {}", base.title(*id), fault.message);
                said.chain([(LogLevel::Error, stops)]).collect::<Vec<_>>()
            };
            let stops: Vec<(LogLevel, String)> = stopped.iter().flat_map(told).collect();
            let mut steps = world.resource_mut::<Steps>();
            for (id, does) in noted {
                if does {
                    steps.objects.insert(id)
                } else {
                    steps.objects.remove(&id)
                };
            }
            let mut outbox = world.resource_mut::<Outbox>();
            stops.into_iter().for_each(|(level, told)| outbox.log(level, told));
        }
        let mut outbox = world.resource_mut::<Outbox>();
        logs.into_iter().for_each(|line| outbox.log(LogLevel::Info, line));
        if !changes.is_empty() {
            outbox.publish(StateUpdateEvent::Ticked { changes: Arc::new(changes) });
        }
        if world.resource::<Steps>().is_idle() {
            break;
        }
    }
    world.insert_non_send(voices);
    let wait = if has_room { world.resource::<Steps>().wait(&clock) } else { Duration::from_secs(1) / TICKS_A_SECOND };
    world.resource::<Alarm>().ring_in(wait);
}

/// Has an object stop by a message, which is on record as the tick is not.
fn stop(world: &mut World, id: ObjectId, clock: Clock) {
    let (Ok(selector), Ok(name)) = (Name::new("set"), Name::new("stepping")) else { return };
    let args = vec![Argument { name: Some(name), value: Value::Boolean(false).into() }];
    let mut pipeline = world.resource_mut::<Pipeline>();
    let envelope = pipeline.envelope(TIMER, Target::Id(id), selector, args, (clock.unix_ms)());
    let message = pipeline.number(envelope);
    pipeline.numbered.push_back(message);
    let told =
        "an object stopped stepping: it worked for too long in single calls, or the program was at fault".to_string();
    world.resource_mut::<Outbox>().log(LogLevel::Error, told);
}

/// Whether a change can make an object step, or stop.
fn may_start_or_stop(change: &Change) -> bool {
    match change {
        Change::SetSlot { slot, .. } => slot.as_str() == "stepping",
        Change::Create(..) | Change::Delete(..) => true,
        _ => false,
    }
}

/// Runs ticks again on a world that is read from its log.
pub struct TickReplay {
    vm: Option<Vm>,
    world_id: Uuid,
    objects: Option<BTreeSet<ObjectId>>,
    stale: BTreeSet<ObjectId>,
}

impl TickReplay {
    /// One that has not begun.
    pub fn new() -> Self {
        Self { vm: None, world_id: Uuid::nil(), objects: None, stale: BTreeSet::new() }
    }
}

impl Default for TickReplay {
    fn default() -> Self {
        Self::new()
    }
}

impl Ticker for TickReplay {
    fn begin(&mut self, world_id: Uuid) {
        *self = Self { world_id, ..Self::new() };
    }

    fn touched(&mut self, id: ObjectId) {
        if self.vm.is_some() {
            self.stale.insert(id);
        }
    }

    fn tick(&mut self, image: &Image, tick: Tick) -> Vec<Change> {
        if self.vm.is_none() {
            self.vm = Vm::new(Limits::default()).ok();
        }
        // Without a VM nothing moves; such a process can't go on with the world either.
        let Some(vm) = &mut self.vm else { return Vec::new() };
        let objects = self.objects.get_or_insert_with(|| stepping(image));
        for id in std::mem::take(&mut self.stale) {
            vm.forget_object(id);
            if steps(image, id) {
                objects.insert(id)
            } else {
                objects.remove(&id)
            };
        }
        let ids: Vec<ObjectId> = objects.iter().copied().collect();
        let changes = vm.tick(image, self.world_id, tick, &ids, usize::MAX).changes;
        if changes.iter().any(may_start_or_stop) {
            // What the tick made is judged when it is in the image.
            self.objects = None;
        }
        changes
    }
}
