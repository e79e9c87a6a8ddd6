//! Redelivery: the messages that were durable without an outcome when the world woke.

use std::collections::VecDeque;

/// Lets pending messages go, in order, before all new ones.
///
/// Those of which nothing is suspected go together. One that was tried again before goes alone: it is let go when
/// its attempt is on disk, and the next only when its outcome is. So an attempt without outcome proves something.
#[derive(Debug, Default)]
pub(super) struct Redelivery {
    /// Whether there is somebody to deliver to.
    pub(super) begun: bool,
    queue: VecDeque<(u64, bool)>,
    /// Messages taken out of it whose attempts are not durable yet.
    under_way: usize,
    /// The one that is alone.
    alone: Option<u64>,
    /// New messages that are durable and come after.
    held: Vec<u64>,
}

impl Redelivery {
    /// Of these messages in order, and whether each is to be delivered alone.
    pub(super) fn of(queue: VecDeque<(u64, bool)>) -> Self {
        Self { queue, ..Self::default() }
    }

    /// Takes out the messages whose attempts are to be journaled next.
    pub(super) fn due(&mut self) -> Vec<(u64, bool)> {
        if !self.begun || self.alone.is_some() {
            return Vec::new();
        }
        let together = self.queue.iter().take_while(|(_, alone)| !alone).count();
        let due: Vec<(u64, bool)> = self.queue.drain(..together.max(1).min(self.queue.len())).collect();
        self.under_way += due.len();
        self.alone = due.iter().find(|(_, alone)| *alone).map(|(sequence, _)| *sequence);
        due
    }

    /// What may be delivered now that `again` (attempts), `envelopes` and `outcomes` are durable.
    pub(super) fn release(&mut self, again: Vec<u64>, envelopes: Vec<u64>, outcomes: &[u64]) -> Vec<u64> {
        self.held.extend(envelopes);
        if self.alone.is_some_and(|alone| outcomes.contains(&alone)) {
            self.alone = None;
        }
        self.under_way -= again.len().min(self.under_way);
        let mut released = again;
        if self.alone.is_none() && self.queue.is_empty() && self.under_way == 0 {
            released.append(&mut self.held);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_waits_for_what_is_tried_again_also_while_its_attempts_are_not_durable() {
        let mut redelivery = Redelivery::of(VecDeque::from([(1, false), (2, false)]));
        redelivery.begun = true;
        assert_eq!(redelivery.due(), [(1, false), (2, false)]);
        // A commit before theirs is durable first.
        assert_eq!(redelivery.release(vec![], vec![3], &[]), [0; 0]);
        assert_eq!(redelivery.release(vec![1, 2], vec![4], &[]), [1, 2, 3, 4]);
        assert_eq!(redelivery.release(vec![], vec![5], &[]), [5]);
    }
}
