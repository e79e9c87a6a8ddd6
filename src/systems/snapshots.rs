//! Snapshots of changed objects for the Sapwood: waking takes time with the world's size, not its age.

use super::journal::Journal;
use super::schedule::FrameSystems;
use crate::components::{EntityObjects, ObjectData, ObjectIndex};
use crate::object::ObjectId;
use crate::persistence::Snapshot;
use bevy::prelude::*;
use std::collections::BTreeSet;

/// Objects changed since the last snapshots. All of them are handed over at once, so that what stands in the
/// Sapwood is the world at one position of the log.
#[derive(Resource, Default)]
pub(super) struct Dirty {
    objects: BTreeSet<ObjectId>,
    turns: usize,
    ticks: usize,
}

impl Dirty {
    /// Threshold in turns for the snapshots that the frame takes.
    const TURNS: usize = 512;
    /// Threshold in ticks: all above it run again when the world wakes.
    const TICKS: usize = 600;
    /// Threshold at the world's end.
    pub(super) const EVERYTHING: usize = 0;

    pub(super) fn note(&mut self, id: ObjectId) {
        self.objects.insert(id);
    }

    pub(super) fn count_turn(&mut self) {
        self.turns += 1;
    }

    pub(super) fn count_tick(&mut self) {
        self.ticks += 1;
    }
}

pub(super) fn plugin(app: &mut App) {
    let frame = (|| Dirty::TURNS).pipe(take_snapshots);
    app.init_resource::<Dirty>().add_systems(Update, frame.in_set(FrameSystems::Reflect));
}

/// Hands changed objects over once so many turns have ended.
pub(super) fn take_snapshots(
    In(threshold): In<usize>,
    index: Res<ObjectIndex>,
    objects: Query<ObjectData>,
    journal: Res<Journal>,
    mut dirty: ResMut<Dirty>,
) {
    let few = dirty.turns < threshold && dirty.ticks < Dirty::TICKS;
    // While nothing can be written they stay noted: a later set must hold all that ticks changed until then.
    if few || dirty.objects.is_empty() || journal.read_only().is_some() {
        return;
    }
    let Dirty { objects: changed, .. } = std::mem::take(&mut *dirty);
    let world = EntityObjects::new(&index, &objects);
    journal.snapshot(changed.into_iter().map(|id| (id, Snapshot::of(&world, id))).collect());
}
