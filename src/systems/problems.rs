//! Failed messages that wait to be tried again or dismissed.

use crate::object::Problem;
use bevy::prelude::*;
use std::collections::BTreeMap;

/// So many of the newest are kept.
const KEPT: usize = 1_000;

/// Failed messages by number.
#[derive(Resource, Debug, Default)]
pub(super) struct Problems(BTreeMap<u64, Problem>);

impl Problems {
    /// Oldest first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.values()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one. Answers the one that it pushes out.
    pub(super) fn add(&mut self, problem: Problem) -> Option<u64> {
        self.0.insert(problem.sequence, problem);
        if self.0.len() > KEPT { self.0.pop_first().map(|(sequence, _)| sequence) } else { None }
    }

    /// Takes one out, if it is there.
    pub(super) fn solve(&mut self, sequence: u64) -> bool {
        self.0.remove(&sequence).is_some()
    }
}

pub(super) fn plugin(app: &mut App, problems: Vec<Problem>) {
    let problems = problems.into_iter().map(|problem| (problem.sequence, problem)).collect();
    app.insert_resource(Problems(problems));
}
