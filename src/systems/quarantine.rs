//! What awakenings set aside because it was damaged: shown to subscribers, and let go where one asks for it.

use crate::object::{Fault, FaultKind, Quarantined};
use bevy::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is kept.
#[derive(Resource, Debug, Default)]
pub(super) struct Quarantine {
    entries: Vec<Arc<Quarantined>>,
    /// Numbers of those that are being let go, and are not durably gone yet.
    going: BTreeSet<u64>,
}

impl Quarantine {
    /// By ascending number.
    pub(super) fn entries(&self) -> &[Arc<Quarantined>] {
        &self.entries
    }

    /// Whether the disk owes it that something is gone.
    pub(super) fn waits(&self) -> bool {
        !self.going.is_empty()
    }

    /// Begins to let an entry go. Answers the key for the journal.
    ///
    /// # Errors
    /// There is no such entry, or it is going already.
    pub(super) fn begin_to_let_go(&mut self, number: u64) -> Result<Vec<u8>, Fault> {
        let Some(entry) = self.entries.iter().find(|entry| entry.number == number) else {
            let message = format!("there is no entry {number} in quarantine; `quarantine` lists them");
            return Err(Fault::new(FaultKind::BadArgument, message));
        };
        if !self.going.insert(number) {
            let message = format!("entry {number} of the quarantine is being let go already");
            return Err(Fault::new(FaultKind::Refused, message));
        }
        Ok(entry.key.clone())
    }

    /// Takes in that what stands under a key is durably gone. Answers its number.
    pub(super) fn note_gone(&mut self, key: &[u8]) -> Option<u64> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        let number = self.entries.remove(place).number;
        self.going.remove(&number);
        Some(number)
    }
}

pub(super) fn plugin(app: &mut App, entries: Vec<Quarantined>) {
    let entries = entries.into_iter().map(Arc::new).collect();
    app.insert_resource(Quarantine { entries, going: BTreeSet::new() });
}
