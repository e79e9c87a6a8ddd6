//! The frame: intake, journal, deliver, settle, step, reflect, in the order of `schedule.rs`.
//!
//! Whoever wants something from the world connects to the [`Switchboard`]; nothing else reaches in. Nothing
//! here draws, and nothing waits for a disk.

mod alarm;
mod authorship;
mod budget;
mod deliver;
mod history;
mod intake;
mod journal;
mod pipeline;
mod port;
mod problems;
mod quarantine;
mod reflect;
mod schedule;
mod settle;
mod snapshots;
mod steps;
#[cfg(test)]
mod tests;
mod timers;

pub use pipeline::{Clock, DeliveryBudget};
pub use port::{Busy, Either, Port, Received, Switchboard, Waker};
pub use schedule::FrameSystems;
pub use steps::TickReplay;

use crate::components::{ObjectBundle, ObjectIndex};
use crate::language::VmError;
use crate::persistence::{Alembic, Awakened};
use bevy::ecs::error::{BevyError, ErrorContext, Severity, error, match_severity};
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use std::time::Duration;

/// Puts an awakened world into an app: its entities, its frame, its journal. Answers where to connect.
///
/// # Errors
/// The object language could not be started.
pub fn install_world(
    app: &mut App,
    awakened: Awakened,
    alembic: Alembic,
    clock: Clock,
    waker: Waker,
) -> Result<Switchboard, VmError> {
    keep_going(app);
    let (switchboard, submissions) = Switchboard::new(waker);
    let Awakened { world_id, image, problems, quarantine, past, pending, next_sequence, durable, ticks, report } =
        awakened;

    let timers = timers::Timers::of(&image, &pending);
    let steps = steps::Steps::of(&image, ticks);
    let mut index = ObjectIndex::default();
    let world = app.world_mut();
    let (objects, tombstones) = image.into_parts();
    for object in objects {
        let (id, name) = (object.id, object.name.clone());
        let entity = world.spawn(ObjectBundle::from(object)).id();
        index.insert(id, name.as_ref(), entity);
    }
    tombstones.into_iter().for_each(|(id, tombstone)| index.bury(id, tombstone));
    app.insert_resource(index)
        .insert_resource(clock)
        .insert_resource(switchboard.clone())
        .init_resource::<DeliveryBudget>();
    match alarm::Alarm::new(switchboard.waker().clone()) {
        Ok(alarm) => app.insert_resource(alarm),
        Err(error) => return Err(VmError::from(error)),
    };
    intake::plugin(app, submissions);
    pipeline::plugin(app, world_id, next_sequence, pending);
    journal::plugin(app, alembic, durable, !report.clean_exit);
    deliver::plugin(app)?;
    problems::plugin(app, problems);
    quarantine::plugin(app, quarantine);
    history::plugin(app, past);
    settle::plugin(app);
    timers::plugin(app, timers);
    steps::plugin(app, steps);
    snapshots::plugin(app);
    reflect::plugin(app, &report);
    schedule::plugin(app);
    Ok(switchboard)
}

/// [`install_world`] into an app that runs already: from a system that has all of it, in a schedule that is not [`Update`].
///
/// # Errors
/// As for [`install_world`].
pub fn install_in_running(
    world: &mut World,
    awakened: Awakened,
    alembic: Alembic,
    clock: Clock,
    waker: Waker,
) -> Result<Switchboard, VmError> {
    // What installs builds on an app, and an app that runs lends only its world.
    let mut app = App::empty();
    std::mem::swap(app.world_mut(), world);
    let installed = install_world(&mut app, awakened, alembic, clock, waker);
    std::mem::swap(app.world_mut(), world);
    installed
}

/// Whether a frame now would find something to do without being woken.
pub fn has_work(app: &App) -> bool {
    app.world().get_resource::<pipeline::Pipeline>().is_some_and(pipeline::Pipeline::has_work)
}

/// The same, for a system.
#[derive(SystemParam)]
pub struct Work<'w> {
    pipeline: Res<'w, pipeline::Pipeline>,
}

impl Work<'_> {
    /// Whether the next frame has something to do without being woken.
    pub fn has_work(&self) -> bool {
        self.pipeline.has_work()
    }
}

/// How long a world that closes goes on with what its objects post. What is left then waits for the next awakening.
const POSTS_LAST: Duration = Duration::from_secs(2);

/// Takes no command in any more: who sends one finds the world closed.
pub fn start_closing(world: &mut World) {
    intake::close(world);
    let now = world.get_resource::<Clock>().map(|clock| (clock.monotonic)());
    if let (Some(now), Some(mut pipeline)) = (now, world.get_resource_mut::<pipeline::Pipeline>()) {
        pipeline.closes_by.get_or_insert(now + POSTS_LAST);
    }
}

/// Closes the journal, if every message has come to its durable end (or none can any more). Answers whether it did.
pub fn finish_closing(world: &mut World) -> bool {
    let now = world.get_resource::<Clock>().map(|clock| (clock.monotonic)());
    if let (Some(now), Some(mut pipeline)) = (now, world.get_resource_mut::<pipeline::Pipeline>())
        && pipeline.closes_by.is_some_and(|by| now > by)
    {
        pipeline.leave_unasked();
    }
    let settled = intake::is_empty(world)
        && world.get_resource::<pipeline::Pipeline>().is_none_or(pipeline::Pipeline::is_settled)
        && !world.get_resource::<quarantine::Quarantine>().is_some_and(quarantine::Quarantine::waits);
    if !settled && !journal::is_read_only(world) {
        return false;
    }
    journal::close(world);
    world.remove_resource::<reflect::Subscribers>();
    true
}

/// Lets every message that was taken in come to its durable end, writes what is left to write, and closes the journal.
///
/// Commands that still wait on the switchboard are taken in first; later ones find the world closed.
pub fn close_world(app: &mut App) {
    const PATIENCE: Duration = Duration::from_millis(2);
    start_closing(app.world_mut());
    loop {
        app.update();
        if finish_closing(app.world_mut()) {
            return;
        }
        // The journal answers in its own time; it wakes loops, and here none runs.
        std::thread::sleep(PATIENCE);
    }
}

/// Sees to it that no error of a system ends the world.
pub fn keep_going(app: &mut App) {
    if app.get_error_handler().is_none() {
        app.set_error_handler(report_error);
    }
}

fn report_error(failure: BevyError, context: ErrorContext) {
    match failure.severity() {
        Severity::Panic => error(failure, context),
        _ => match_severity(failure, context),
    }
}
