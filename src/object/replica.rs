//! A subscriber's picture of the world, kept up to date by events alone.

use super::{Image, Outcome, Problem, Quarantined, StateUpdateEvent, Status};
use std::sync::Arc;

/// What a console or a panel knows of the world.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// Every object.
    pub image: Image,
    /// Failed messages that wait, oldest first.
    pub problems: Vec<Problem>,
    /// What awakenings set aside because it was damaged, by ascending number.
    pub quarantine: Vec<Arc<Quarantined>>,
    /// Figures of the status bar.
    pub status: Status,
}

impl Replica {
    /// Takes in one event; those that say nothing about the state are passed over.
    pub fn take_in(&mut self, event: &StateUpdateEvent) {
        match event {
            StateUpdateEvent::FullState { objects, tombstones, problems, quarantine, status } => {
                let mut image = Image::default();
                objects.iter().for_each(|object| image.insert(object.clone()));
                tombstones.iter().for_each(|(id, tombstone)| image.bury(*id, tombstone.clone()));
                let (problems, quarantine) = (problems.to_vec(), quarantine.to_vec());
                *self = Self { image, problems, quarantine, status: status.clone() };
            }
            StateUpdateEvent::TurnSettled { sequence, envelope, outcome } => match &**outcome {
                Outcome::Completed { changes, .. } => changes.iter().for_each(|change| self.image.apply(change)),
                Outcome::Failed(fault) => {
                    let (envelope, fault) = (envelope.clone(), fault.clone());
                    self.problems.retain(|problem| problem.sequence != *sequence);
                    self.problems.push(Problem { sequence: *sequence, envelope, fault });
                }
            },
            StateUpdateEvent::Ticked { changes } => changes.iter().for_each(|change| self.image.apply(change)),
            StateUpdateEvent::ProblemSolved { sequence } => {
                self.problems.retain(|problem| problem.sequence != *sequence);
            }
            StateUpdateEvent::LetGo { number } => self.quarantine.retain(|entry| entry.number != *number),
            StateUpdateEvent::Status(status) => self.status = status.clone(),
            StateUpdateEvent::TurnsDurable { .. }
            | StateUpdateEvent::CommandAccepted { .. }
            | StateUpdateEvent::CommandRefused { .. } => {}
        }
    }
    /// The entry of the quarantine with a number.
    pub fn quarantined(&self, number: u64) -> Option<&Quarantined> {
        self.quarantine.iter().find(|entry| entry.number == number).map(|entry| &**entry)
    }

    /// Whether a failed message waits.
    pub fn has_problem(&self, sequence: u64) -> bool {
        self.problems.iter().any(|problem| problem.sequence == sequence)
    }
}
