//! The order of the frame, in one place.

use bevy::prelude::*;

/// The stations of one frame, in the order in which they run (schedule [`Update`]).
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameSystems {
    /// Commands become numbered envelopes. Writes the pipeline.
    Intake,
    /// Envelopes and outcomes go to the Alembic, its answers come back. Writes the pipeline.
    Journal,
    /// Durable messages are delivered as turns. Writes nothing authored.
    Deliver,
    /// What the turns changed is applied.
    Settle,
    /// Objects that step move. Writes authored state, as Settle does.
    Step,
    /// Subscribers are told, snapshots are taken. Reads only.
    Reflect,
}

pub(super) fn plugin(app: &mut App) {
    use FrameSystems::{Deliver, Intake, Journal, Reflect, Settle, Step};
    app.configure_sets(Update, (Intake, Journal, Deliver, Settle, Step, Reflect).chain());
}
