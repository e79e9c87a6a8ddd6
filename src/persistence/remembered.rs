//! What a world remembers of earlier: failed messages that wait, and turns that can be taken back. Their records may stand far from
//! the end of the log, also in the archive.

use super::DamagedPart;
use super::batch::Batch;
use super::decoding;
use super::replay::Replay;
use super::source::{ReadError, Source};
use super::store::StoreError;
use crate::object::{PastTurn, PastTurns, Problem};
use std::sync::Arc;

impl Replay {
    /// The failed messages that wait. One whose records can't be read is left out, with a wound. Records that are
    /// in no database yet are found in `batch`.
    pub(super) fn problems(&mut self, source: &Source<'_>, batch: &Batch) -> Result<Vec<Problem>, ReadError> {
        let mut problems = Vec::new();
        for (sequence, suspension) in self.ledger.suspended.clone() {
            let stored = |position: u64| match batch.heartwood.get(position) {
                Some(bytes) => Ok::<_, StoreError>(bytes.to_vec()),
                None => Ok(source.record(position)?.unwrap_or_default().into_owned()),
            };
            let (outcome, envelope) = (stored(suspension.outcome)?, stored(suspension.envelope)?);
            match decoding::problem(sequence, suspension, &outcome, &envelope) {
                Ok(problem) => problems.push(problem),
                Err(reason) => {
                    let is_archived = suspension.outcome.min(suspension.envelope) <= source.archive.horizon();
                    let reason = if is_archived { format!("what the archive has of it: {reason}") } else { reason };
                    let reason = format!("message {sequence}: {reason}");
                    self.wound(DamagedPart::Suspended, reason, &sequence.to_be_bytes(), &suspension.to_bytes());
                }
            }
        }
        Ok(problems)
    }

    /// The newest turns of persons that can be taken back: each leads to the one before. They end at one whose records
    /// can't be read.
    pub(super) fn past_turns(&self, source: &Source<'_>) -> Result<PastTurns, ReadError> {
        let mut past = PastTurns::default();
        let mut position = self.ledger.newest_past;
        while position > 0 {
            let stored = |position: u64| source.record(position).map(Option::unwrap_or_default);
            let Ok((outcome, of)) = decoding::past_outcome(&stored(position)?, position) else {
                break;
            };
            let envelope = decoding::envelope(&stored(of.envelope)?, of.envelope);
            let Ok((sequence, envelope)) = envelope else { break };
            let turn = PastTurn::of(sequence, &envelope, &Arc::new(outcome), of.posts);
            if of.earlier >= position || turn.is_some_and(|turn| !past.push_older(turn)) {
                break;
            }
            position = of.earlier;
        }
        Ok(past)
    }
}
