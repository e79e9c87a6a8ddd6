//! A subscriber's picture of the world, kept up to date by events alone.

use super::{Image, Outcome, Problem, StateUpdateEvent, Status};

/// What a console or a panel knows of the world.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// Every object.
    pub image: Image,
    /// Failed messages that wait, oldest first.
    pub problems: Vec<Problem>,
    /// Figures of the status bar.
    pub status: Status,
}

impl Replica {
    /// Takes in one event; those that say nothing about the state are passed over.
    pub fn take_in(&mut self, event: &StateUpdateEvent) {
        match event {
            StateUpdateEvent::FullState { objects, tombstones, problems, status } => {
                let mut image = Image::default();
                objects.iter().for_each(|object| image.insert(object.clone()));
                tombstones.iter().for_each(|(id, tombstone)| image.bury(*id, tombstone.clone()));
                *self = Self { image, problems: problems.to_vec(), status: status.clone() };
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
            StateUpdateEvent::Status(status) => self.status = status.clone(),
            StateUpdateEvent::TurnsDurable { .. }
            | StateUpdateEvent::CommandAccepted { .. }
            | StateUpdateEvent::CommandRefused { .. } => {}
        }
    }
}
