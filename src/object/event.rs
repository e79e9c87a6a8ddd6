//! What comes out of the world: numbered events that panels, consoles and programs subscribe to.

use super::{Change, Envelope, Fault, Object, ObjectId, Outcome, Quarantined, Room, Tombstone};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One event. Numbers are gapless for each subscriber: one that finds a gap asks for the full state.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts from 1.
    pub sequence: u64,
    /// What happened.
    pub body: EventBody,
}

/// The two kinds of events.
#[derive(Clone, Debug)]
pub enum EventBody {
    /// The world changed, or is told whole.
    State(StateUpdateEvent),
    /// A line for the transcript.
    Log(LogEvent),
}

/// What changed in the world.
#[derive(Clone, Debug)]
pub enum StateUpdateEvent {
    /// Everything: the first event of a subscription, and the answer to a request for it.
    FullState {
        /// All objects, by ascending id.
        objects: Arc<Vec<Object>>,
        /// What stays of deleted ones.
        tombstones: Arc<BTreeMap<ObjectId, Tombstone>>,
        /// Failed messages that wait, newest last.
        problems: Arc<Vec<Problem>>,
        /// What awakenings set aside because it was damaged, by ascending number.
        quarantine: Arc<Vec<Arc<Quarantined>>>,
        /// The figures of the status bar.
        status: Status,
    },
    /// A turn ended and its changes are in the world.
    TurnSettled {
        /// The message.
        sequence: u64,
        /// What was asked.
        envelope: Arc<Envelope>,
        /// What came of it.
        outcome: Arc<Outcome>,
    },
    /// Objects moved by themselves. No outcome tells of it.
    Ticked {
        /// In the order in which they were made.
        changes: Arc<Vec<Change>>,
    },
    /// The outcomes of these messages are on disk.
    TurnsDurable {
        /// Sequence numbers.
        sequences: Vec<u64>,
    },
    /// A command could not become a message.
    CommandRefused {
        /// The ticket that the sender gave it.
        ticket: u64,
        /// Why.
        fault: Fault,
    },
    /// A command became the message with this number.
    CommandAccepted {
        /// The ticket that the sender gave it.
        ticket: u64,
        /// The message.
        sequence: u64,
    },
    /// A failed message no longer waits.
    ProblemSolved {
        /// The message.
        sequence: u64,
    },
    /// An entry of the quarantine is not kept any longer, durably.
    LetGo {
        /// The entry.
        number: u64,
    },
    /// The figures of the status bar changed.
    Status(Status),
}

/// Figures of the status bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Every message up to this number is on disk with its outcome.
    pub durable: u64,
    /// Messages that were taken in and have no durable outcome yet.
    pub waiting: u64,
    /// Objects in the world.
    pub objects: usize,
    /// Failed messages that wait.
    pub problems: usize,
    /// Damaged records that were set aside and are kept.
    pub quarantined: usize,
    /// Why the world is read-only, if it is.
    pub read_only: Option<String>,
    /// For how many whole seconds the disk has not answered; from two on.
    pub unanswered_s: Option<u64>,
    /// How much room the disk has.
    pub room: Room,
    /// Whether the world was not closed in order the last time.
    pub unclean_exit: bool,
}

/// A failed message that waits to be tried again or dismissed.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The message's number; `retry` and `dismiss` take it.
    pub sequence: u64,
    /// What was asked.
    pub envelope: Arc<Envelope>,
    /// What went wrong.
    pub fault: Fault,
}

/// A line for the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEvent {
    /// How much it matters.
    pub level: LogLevel,
    /// One line.
    pub message: String,
    /// The message whose turn wrote it, if one did.
    pub turn: Option<u64>,
}

/// Levels of a [`LogEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Good to know.
    Info,
    /// Look at it when there is time.
    Warning,
    /// Something failed.
    Error,
}
