//! Journal: envelopes to the Alembic, its answers back. Never waits for the disk.

use super::pipeline::Pipeline;
use super::reflect::Outbox;
use super::schedule::FrameSystems;
use super::snapshots::{self, Dirty};
use crate::object::{Envelope, LogLevel, ObjectId, Outcome, StateUpdateEvent, Tick};
use crate::persistence::{Alembic, Reply, Snapshot};
use bevy::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The world's end of the Alembic.
#[derive(Resource)]
pub(super) struct Journal {
    alembic: Option<Alembic>,
    durable: u64,
    /// Durable outcomes above `durable`, which wait for an earlier one.
    ahead: BTreeSet<u64>,
    read_only: Option<String>,
    /// Whether a frame has run, which can deliver.
    ready: bool,
}

impl Journal {
    /// Every message up to this number has its outcome on disk.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Why nothing can be written now, if so.
    pub(super) fn read_only(&self) -> Option<&str> {
        self.read_only.as_deref()
    }

    /// Hands over how a turn ended, and the messages that it posted.
    pub(super) fn append_outcome(
        &self,
        sequence: u64,
        outcome: Arc<Outcome>,
        resolves: Vec<u64>,
        posted: Vec<(u64, Arc<Envelope>)>,
    ) {
        if let Some(alembic) = &self.alembic {
            alembic.append_outcome(sequence, outcome, resolves, posted);
        }
    }

    /// Hands over a tick, and the messages that objects posted in it.
    pub(super) fn append_tick(&self, tick: Tick, posted: Vec<(u64, Arc<Envelope>)>) {
        if let Some(alembic) = &self.alembic {
            alembic.append_tick(tick, posted);
        }
    }

    /// Hands over how changed objects stand now, after every outcome handed over so far.
    pub(super) fn snapshot(&self, objects: Vec<(ObjectId, Option<Snapshot>)>) {
        if let Some(alembic) = &self.alembic
            && self.read_only.is_none()
        {
            alembic.snapshot(objects);
        }
    }

    fn note_durable(&mut self, outcomes: &[u64]) {
        self.ahead.extend(outcomes);
        while self.ahead.remove(&(self.durable + 1)) {
            self.durable += 1;
        }
    }
}

pub(super) fn plugin(app: &mut App, alembic: Alembic, durable: u64) {
    app.insert_resource(Journal {
        alembic: Some(alembic),
        durable,
        ahead: BTreeSet::new(),
        read_only: None,
        ready: false,
    })
    .add_systems(Update, exchange_with_alembic.in_set(FrameSystems::Journal));
}

fn exchange_with_alembic(mut journal: ResMut<Journal>, mut pipeline: ResMut<Pipeline>, mut outbox: ResMut<Outbox>) {
    let journal = &mut *journal;
    let Some(alembic) = &journal.alembic else { return };
    if !std::mem::replace(&mut journal.ready, true) {
        alembic.redeliver();
    }
    let replies: Vec<Reply> = alembic.replies().try_iter().collect();
    let count = pipeline.numbered.len().min(alembic.room());
    let envelopes = pipeline.numbered.iter().take(count).map(|message| (message.sequence, message.envelope.clone()));
    if alembic.append_envelopes(envelopes.collect()).is_ok() {
        let handed_over: Vec<_> = pipeline.numbered.drain(..count).collect();
        pipeline.journaling.extend(handed_over.into_iter().map(|message| (message.sequence, message)));
    }
    pipeline.waits_for_disk = !pipeline.numbered.is_empty();
    for reply in replies {
        match reply {
            Reply::Durable { envelopes, outcomes, .. } => {
                for sequence in envelopes {
                    if let Some(message) = pipeline.journaling.remove(&sequence) {
                        pipeline.ready.push_back(message);
                    }
                }
                if !outcomes.is_empty() {
                    for sequence in &outcomes {
                        pipeline.settled.remove(sequence);
                    }
                    journal.note_durable(&outcomes);
                    outbox.publish(StateUpdateEvent::TurnsDurable { sequences: outcomes });
                }
            }
            Reply::ReadOnly(reason) => {
                outbox.log(LogLevel::Error, format!("the world is read-only: {reason}"));
                journal.read_only.get_or_insert(reason);
            }
            Reply::Writable(reason) => {
                let told = match journal.read_only.take() {
                    Some(_) => "the world can be written again; nothing that was acknowledged is lost".to_string(),
                    None => format!("{reason}. The log was looked at anew; nothing that was acknowledged is lost"),
                };
                outbox.log(LogLevel::Warning, told);
            }
        }
    }
}

/// Whether the world can't be written now.
pub(super) fn is_read_only(world: &World) -> bool {
    world.get_resource::<Journal>().is_none_or(|journal| journal.read_only.is_some())
}

/// Hands over what is not snapshotted yet, and lets the Alembic finish.
pub(super) fn close(world: &mut World) {
    let _ = world.run_system_cached_with(snapshots::take_snapshots, Dirty::EVERYTHING);
    if let Some(mut journal) = world.get_resource_mut::<Journal>()
        && let Some(alembic) = journal.alembic.take()
    {
        alembic.close();
    }
}
