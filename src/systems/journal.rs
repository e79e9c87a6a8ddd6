//! Journal: envelopes to the Alembic, its answers back. Never waits for the disk.

use super::alarm::Alarm;
use super::pipeline::{Clock, Pipeline};
use super::quarantine::Quarantine;
use super::reflect::Outbox;
use super::schedule::FrameSystems;
use super::snapshots::{self, Dirty};
use crate::object::{Envelope, LogLevel, ObjectId, Outcome, Room, StateUpdateEvent, Tick};
use crate::persistence::{Alembic, Reply, Snapshot};
use bevy::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A disk that takes so long is told of.
const SLOW: Duration = Duration::from_secs(2);

/// The world's end of the Alembic.
#[derive(Resource)]
pub(super) struct Journal {
    alembic: Option<Alembic>,
    durable: u64,
    /// Durable outcomes above `durable`, which wait for an earlier one.
    ahead: BTreeSet<u64>,
    read_only: Option<String>,
    room: Room,
    /// Since when the disk owes an answer, on the monotonic clock.
    asked: Option<Duration>,
    /// For how many seconds it has not answered, from two on.
    unanswered_s: Option<u64>,
    /// Whether the world was not closed in order the last time.
    unclean_exit: bool,
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

    /// Why nothing new may begin now, if so: nothing can be written, or there is next to no room for it.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.read_only {
            Some(reason) => Some(format!("the world is read-only: {reason}")),
            None => self.room.is_scarce().then(|| self.room.to_string()),
        }
    }

    /// Whether nothing new may begin now.
    pub(super) fn refuses(&self) -> bool {
        self.read_only.is_some() || self.room.is_scarce()
    }

    /// How much room the disk has.
    pub(super) fn room(&self) -> Room {
        self.room
    }

    /// For how many seconds the disk has not answered, from two on.
    pub(super) fn unanswered_s(&self) -> Option<u64> {
        self.unanswered_s
    }

    /// Whether the world was not closed in order the last time.
    pub(super) fn unclean_exit(&self) -> bool {
        self.unclean_exit
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

    /// Hands over that what is in quarantine under a key is not kept any longer.
    pub(super) fn let_go(&self, key: Vec<u8>) {
        if let Some(alembic) = &self.alembic {
            alembic.let_go(key);
        }
    }

    fn note_durable(&mut self, outcomes: &[u64]) {
        self.ahead.extend(outcomes);
        while self.ahead.remove(&(self.durable + 1)) {
            self.durable += 1;
        }
    }

    fn note_room(&mut self, room: Room, outbox: &mut Outbox) {
        if !room.is_like(std::mem::replace(&mut self.room, room)) {
            let level = if room == Room::Ample { LogLevel::Info } else { LogLevel::Warning };
            outbox.log(level, room.to_string());
        }
    }

    /// Notes whether the disk owes an answer, and whether one came in this frame.
    fn note_wait(&mut self, owes: bool, answered: bool, now: Duration, alarm: &Alarm, outbox: &mut Outbox) {
        let waits = owes && self.read_only.is_none();
        let told = std::mem::take(&mut self.unanswered_s);
        match self.asked {
            Some(asked) if waits && !answered => {
                let waited = now.saturating_sub(asked);
                if waited >= SLOW {
                    self.unanswered_s = Some(waited.as_secs());
                }
                // The next whole second.
                let next = SLOW.max(Duration::from_secs(waited.as_secs() + 1));
                alarm.watch_disk(next.saturating_sub(waited));
            }
            _ => {
                self.asked = waits.then_some(now);
                if waits { alarm.watch_disk(SLOW) } else { alarm.disk_answered() }
            }
        }
        match (told, self.unanswered_s) {
            (None, Some(seconds)) => {
                let message = format!("the disk has not answered for {seconds} s; what was sent waits for it");
                outbox.log(LogLevel::Warning, message);
            }
            (Some(seconds), None) if self.read_only.is_none() => {
                outbox.log(LogLevel::Warning, format!("the disk answers again, after more than {seconds} s"));
            }
            _ => {}
        }
    }
}

pub(super) fn plugin(app: &mut App, alembic: Alembic, durable: u64, unclean_exit: bool) {
    app.insert_resource(Journal {
        alembic: Some(alembic),
        durable,
        ahead: BTreeSet::new(),
        read_only: None,
        room: Room::Ample,
        asked: None,
        unanswered_s: None,
        unclean_exit,
        ready: false,
    })
    .add_systems(Update, exchange_with_alembic.in_set(FrameSystems::Journal));
}

fn exchange_with_alembic(
    clock: Res<Clock>,
    alarm: Res<Alarm>,
    mut journal: ResMut<Journal>,
    mut pipeline: ResMut<Pipeline>,
    mut quarantine: ResMut<Quarantine>,
    mut outbox: ResMut<Outbox>,
) {
    let journal = &mut *journal;
    let Some(alembic) = &journal.alembic else { return };
    if !std::mem::replace(&mut journal.ready, true) {
        alembic.redeliver();
    }
    let replies: Vec<Reply> = alembic.replies().try_iter().collect();
    let answered = replies.iter().any(|reply| !matches!(reply, Reply::Room(_)));
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
            Reply::LetGo(keys) => {
                for number in keys.iter().filter_map(|key| quarantine.note_gone(key)) {
                    outbox.publish(StateUpdateEvent::LetGo { number });
                }
            }
            Reply::Room(room) => journal.note_room(room, &mut outbox),
        }
    }
    let owes = !pipeline.journaling.is_empty() || !pipeline.settled.is_empty() || quarantine.waits();
    journal.note_wait(owes, answered, (clock.monotonic)(), &alarm, &mut outbox);
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
