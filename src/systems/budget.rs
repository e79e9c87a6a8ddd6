//! Bytes that are under way, bounded: each thing that waits holds a share of a budget, and gives it back when it goes.
//!
//! A budget is full once it is reached, so it is exceeded by what came last: something larger than the whole of it passes, too, alone.
//! What can't be refused takes its share all the same; whoever may begin new things asks first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of messages that ports ask, of messages of the world itself, of outcomes that may wait for the disk, and of events that one subscriber has not received:
/// 16 MiB of each.
const BYTES: usize = 16 << 20;

/// A bound that many threads share; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A part of a budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Budget,
    bytes: usize,
}

impl Budget {
    /// Whether nothing new may begin.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= BYTES
    }

    /// Whether also what can only be refused by failing is refused: beyond three times the bound.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.bytes() >= 3 * BYTES
    }

    /// Bytes of all shares.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A share; `None` where the budget is full.
    pub(super) fn ask(&self, bytes: usize) -> Option<Share> {
        let more = |used: usize| (used < BYTES).then(|| used.saturating_add(bytes));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Share { of: self.clone(), bytes })
    }

    /// A share, also where the budget is full.
    pub(super) fn take(&self, bytes: usize) -> Share {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Share { of: self.clone(), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_takes_what_comes_until_it_is_full_and_then_what_cannot_be_refused() {
        let budget = Budget::default();
        let small = budget.ask(1).unwrap();
        let large = budget.ask(3 * BYTES).expect("it is not full yet");
        assert!(budget.is_full() && budget.is_overdrawn() && budget.ask(1).is_none());
        let forced = budget.take(5);
        assert_eq!(budget.bytes(), 3 * BYTES + 6);
        drop(large);
        assert!(
            !budget.is_full() && !budget.is_overdrawn() && budget.ask(1).is_some(),
            "what was asked for and dropped takes nothing"
        );
        drop((small, forced));
        assert_eq!(budget.bytes(), 0);
    }
}
