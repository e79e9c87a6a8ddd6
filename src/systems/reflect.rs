//! Reflect: numbered events tell every subscriber what became of the frame.

use super::budget::Budget;
use super::journal::Journal;
use super::pipeline::Pipeline;
use super::port::Sent;
use super::problems::Problems;
use super::quarantine::Quarantine;
use super::schedule::FrameSystems;
use crate::components::{EntityObjects, ObjectData, ObjectIndex};
use crate::object::{Event, EventBody, LogEvent, LogLevel, Object, ObjectRef, Objects, StateUpdateEvent, Status};
use crate::persistence::AwakeningReport;
use bevy::prelude::*;
use crossbeam_channel::{Sender, TrySendError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Events of this frame, in order.
#[derive(Resource, Default)]
pub(super) struct Outbox(Vec<(Option<u64>, EventBody)>);

impl Outbox {
    /// For every subscriber.
    pub(super) fn publish(&mut self, event: StateUpdateEvent) {
        self.0.push((None, EventBody::State(event)));
    }

    /// For one port.
    pub(super) fn tell(&mut self, port: u64, event: StateUpdateEvent) {
        self.0.push((Some(port), EventBody::State(event)));
    }

    /// A line for every transcript.
    pub(super) fn log(&mut self, level: LogLevel, message: String) {
        self.0.push((None, EventBody::Log(LogEvent { level, message, turn: None })));
    }
}

struct Subscriber {
    sender_id: String,
    events: Sender<Sent>,
    /// Bytes of events that it has not received.
    ahead: Budget,
    /// Whether it lost some, and nothing was sent since.
    lost: Arc<AtomicBool>,
    sequence: u64,
    wants: Wants,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Wants {
    Events,
    /// It asked for the full state: told after the events of the frame.
    FullState,
    /// It opened in this frame: the full state is its first event.
    First,
}

impl Subscriber {
    /// A full queue swallows the event of so many bytes, but not its number: the subscriber sees the gap. False where nobody listens.
    fn send(&mut self, body: EventBody, bytes: usize) -> bool {
        self.sequence += 1;
        let Some(share) = self.ahead.ask(bytes) else {
            self.lost.store(true, Ordering::SeqCst);
            return true;
        };
        let sent = self.events.try_send(Sent { event: Event { sequence: self.sequence, body }, share });
        self.lost.store(sent.is_err(), Ordering::SeqCst);
        !matches!(sent, Err(TrySendError::Disconnected(_)))
    }

    /// Where it took in all that it did not lose, and lost what came last: an event by which it sees that.
    fn show_loss(&mut self, status: &Status) {
        if self.lost.load(Ordering::SeqCst) && self.events.is_empty() {
            self.send(EventBody::State(StateUpdateEvent::Status(status.clone())), 0);
        }
    }
}

/// Who is told.
#[derive(Resource, Default)]
pub(super) struct Subscribers(BTreeMap<u64, Subscriber>);

impl Subscribers {
    pub(super) fn open(&mut self, port: u64, sender_id: String, events: Sender<Sent>, lost: Arc<AtomicBool>) {
        let (ahead, wants) = (Budget::default(), Wants::First);
        let subscriber = Subscriber { sender_id, events, ahead, lost, sequence: 0, wants };
        self.0.insert(port, subscriber);
    }

    pub(super) fn ask_full_state(&mut self, port: u64) {
        if let Some(subscriber) = self.0.get_mut(&port)
            && subscriber.wants == Wants::Events
        {
            subscriber.wants = Wants::FullState;
        }
    }

    pub(super) fn sender_id(&self, port: u64) -> String {
        self.0.get(&port).map_or_else(String::new, |subscriber| subscriber.sender_id.clone())
    }
}

/// The status that subscribers know.
#[derive(Resource, Default)]
struct Told(Status);

pub(super) fn plugin(app: &mut App, awakening: &AwakeningReport) {
    let mut outbox = Outbox::default();
    let level = if awakening.wants_notice() { LogLevel::Warning } else { LogLevel::Info };
    outbox.log(level, awakening.to_string());
    app.insert_resource(outbox)
        .init_resource::<Subscribers>()
        .init_resource::<Told>()
        .add_systems(Update, tell_subscribers.in_set(FrameSystems::Reflect));
}

fn tell_subscribers(
    index: Res<ObjectIndex>,
    objects: Query<ObjectData>,
    journal: Res<Journal>,
    pipeline: Res<Pipeline>,
    problems: Res<Problems>,
    quarantine: Res<Quarantine>,
    mut outbox: ResMut<Outbox>,
    mut subscribers: ResMut<Subscribers>,
    mut told: ResMut<Told>,
) {
    let status = Status {
        durable: journal.durable(),
        waiting: pipeline.waiting() as u64,
        objects: index.len(),
        problems: problems.len(),
        quarantined: quarantine.entries().len(),
        read_only: journal.read_only().map(ToString::to_string),
        unanswered_s: journal.unanswered_s(),
        room: journal.room(),
        unclean_exit: journal.unclean_exit(),
    };
    if status != told.0 {
        outbox.publish(StateUpdateEvent::Status(status.clone()));
        told.0 = status;
    }
    if subscribers.0.is_empty() {
        // The first lines wait for the first listener.
        outbox.0.retain(|(_, body)| matches!(body, EventBody::Log(_)));
        return;
    }
    let events = std::mem::take(&mut outbox.0).into_iter().map(|(to, body)| (to, body.bytes(), body));
    let events: Vec<(Option<u64>, usize, EventBody)> = events.collect();
    let mut whole: Option<EventBody> = None;
    let mut full_state = || {
        whole
            .get_or_insert_with(|| {
                let world = EntityObjects::new(&index, &objects);
                let all: Vec<Object> =
                    world.ids().into_iter().filter_map(|id| world.object(id).map(ObjectRef::to_object)).collect();
                let tombstones = world.tombstones().into_iter().map(|(id, tombstone)| (id, tombstone.clone()));
                EventBody::State(StateUpdateEvent::FullState {
                    objects: Arc::new(all),
                    tombstones: Arc::new(tombstones.collect()),
                    problems: Arc::new(problems.iter().cloned().collect()),
                    quarantine: Arc::new(quarantine.entries().to_vec()),
                    status: told.0.clone(),
                })
            })
            .clone()
    };
    subscribers.0.retain(|port, subscriber| {
        let wants = std::mem::replace(&mut subscriber.wants, Wants::Events);
        let mut listens = wants != Wants::First || subscriber.send(full_state(), 0);
        for (to, bytes, body) in &events {
            let concerns = match to {
                Some(to) => to == port,
                // What happened in the frame is in the full state already.
                None => wants != Wants::First || matches!(body, EventBody::Log(_)),
            };
            if listens && concerns {
                listens = subscriber.send(body.clone(), *bytes);
            }
        }
        if listens && wants == Wants::FullState {
            listens = subscriber.send(full_state(), 0);
        }
        subscriber.show_loss(&told.0);
        listens
    });
}
