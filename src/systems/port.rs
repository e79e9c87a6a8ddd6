//! Ports: the typed channels by which consoles, panels and programs talk to the world.
//!
//! A port sends commands and receives numbered events. Both ways are bounded, in number and in bytes. A subscriber too slow for
//! its events loses some, sees the gap in their numbers, and is told the full state again.

use super::budget::{Budget, Share};
use crate::object::{Event, EventBody, StateUpdateEvent, UICommand};
use bevy::prelude::Resource;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Commands that may wait for the intake, of all ports together.
const COMMANDS: usize = 8_192;
/// Events that may wait for one subscriber.
const EVENTS: usize = 16_384;

/// Wakes the frame loop from another thread; cheap, and harmless when it is awake.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Asks for a frame soon.
    pub fn wake(&self) {
        (self.0)();
    }
}

/// The world takes no command at the moment: too many wait for the disk.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("busy: too many messages wait for the disk; nothing was taken, send it again in a moment")]
pub struct Busy;

pub(super) enum Request {
    Command { ticket: u64, command: UICommand },
    LetGo { ticket: u64, number: u64 },
    FullState,
    Open { sender_id: String, events: Sender<Sent>, lost: Arc<AtomicBool> },
}

/// An event on its way.
pub(super) struct Sent {
    pub(super) event: Event,
    /// Of the bytes that the subscriber has not received, until it has.
    pub(super) share: Share,
}

pub(super) struct Submission {
    pub(super) port: u64,
    pub(super) request: Request,
    /// Of the bytes of what ports ask, until the message is settled.
    pub(super) share: Share,
}

/// Where ports are connected; clones serve other threads.
#[derive(Resource, Clone)]
pub struct Switchboard {
    submissions: Sender<Submission>,
    ports: Arc<std::sync::atomic::AtomicU64>,
    waker: Waker,
    /// Bytes of what ports ask.
    pub(super) asked: Budget,
}

impl Switchboard {
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Submission>) {
        let (submissions, received) = bounded(COMMANDS);
        (Self { submissions, ports: Arc::default(), waker, asked: Budget::default() }, received)
    }

    /// A switchboard behind which nothing runs.
    #[cfg(test)]
    pub(crate) fn to_nowhere() -> Self {
        let (switchboard, submissions) = Self::new(Waker::new(|| {}));
        std::mem::forget(submissions);
        switchboard
    }

    /// Opens a port in the name of `sender_id`. The first event is the full state.
    pub fn connect(&self, sender_id: &str) -> Result<Port, Busy> {
        let id = self.ports.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (sender, events) = bounded(EVENTS);
        let lost = Arc::<AtomicBool>::default();
        let request = Request::Open { sender_id: sender_id.to_string(), events: sender, lost: lost.clone() };
        let Self { submissions, waker, asked, .. } = self.clone();
        let port = Port { id, submissions, events, lost, waker, asked, ticket: 0, seen: 0 };
        port.submit(request, port.asked.take(0))?;
        Ok(port)
    }

    /// The waker that ports use.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

/// One subscriber's connection: commands in, events out.
pub struct Port {
    id: u64,
    submissions: Sender<Submission>,
    events: Receiver<Sent>,
    /// Whether what came last was lost.
    lost: Arc<AtomicBool>,
    waker: Waker,
    asked: Budget,
    ticket: u64,
    seen: u64,
}

/// What [`Port::try_receive`] and [`Port::receive`] bring.
#[derive(Debug)]
pub enum Received {
    /// The next event.
    Event(EventBody),
    /// This many events were lost; the full state has been asked for and will come.
    Gap(u64),
    /// The world has closed.
    Closed,
}

/// What [`Port::receive_or`] brings.
#[derive(Debug)]
pub enum Either<T> {
    /// From the world.
    Received(Received),
    /// From the other queue; `None` once that has ended.
    Other(Option<T>),
}

impl Port {
    /// Sends a command. Answers the ticket under which `CommandAccepted` or `CommandRefused` will come.
    pub fn send(&mut self, command: UICommand) -> Result<u64, Busy> {
        let share = self.asked.ask(command.bytes()).ok_or(Busy)?;
        self.ticket += 1;
        self.submit(Request::Command { ticket: self.ticket, command }, share)?;
        Ok(self.ticket)
    }

    /// Asks that an entry of the quarantine is not kept any longer. Answers the ticket under which `CommandRefused` will come,
    /// unless `LetGo` names the entry.
    pub fn let_go(&mut self, number: u64) -> Result<u64, Busy> {
        self.ticket += 1;
        self.submit(Request::LetGo { ticket: self.ticket, number }, self.asked.take(0))?;
        Ok(self.ticket)
    }

    /// Asks to be told the full state.
    pub fn request_full_state(&self) -> Result<(), Busy> {
        self.submit(Request::FullState, self.asked.take(0))
    }

    /// The next event, if one waits.
    pub fn try_receive(&mut self) -> Option<Received> {
        match self.events.try_recv() {
            Ok(sent) => Some(self.check(sent)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Received::Closed),
        }
    }

    /// The next event, waiting for it.
    pub fn receive(&mut self) -> Received {
        match self.events.recv() {
            Ok(sent) => self.check(sent),
            Err(_) => Received::Closed,
        }
    }

    /// The next event or the next item of another queue, whichever comes first.
    pub fn receive_or<T>(&mut self, other: &Receiver<T>) -> Either<T> {
        crossbeam_channel::select! {
            recv(self.events) -> sent => Either::Received(match sent {
                Ok(sent) => self.check(sent),
                Err(_) => Received::Closed,
            }),
            recv(other) -> item => Either::Other(item.ok()),
        }
    }

    #[cfg(test)]
    pub(super) fn lose_next_event(&mut self) {
        let _ = self.events.try_recv();
    }

    fn check(&mut self, Sent { event, share }: Sent) -> Received {
        drop(share);
        if self.events.is_empty() && self.lost.load(Ordering::SeqCst) {
            // The next frame shows it.
            self.waker.wake();
        }
        let missed = event.sequence.saturating_sub(self.seen + 1);
        self.seen = event.sequence;
        let told_whole = matches!(event.body, EventBody::State(StateUpdateEvent::FullState { .. }));
        if missed == 0 || told_whole {
            return Received::Event(event.body);
        }
        match self.request_full_state() {
            Ok(()) => Received::Gap(missed),
            // The intake is full: the gap is found again at the next event, and asked for again.
            Err(Busy) => {
                self.seen = event.sequence - 1 - missed;
                Received::Gap(missed)
            }
        }
    }

    fn submit(&self, request: Request, share: Share) -> Result<(), Busy> {
        match self.submissions.try_send(Submission { port: self.id, request, share }) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            // A closed world is told by the events.
            Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Busy),
        }
    }
}
