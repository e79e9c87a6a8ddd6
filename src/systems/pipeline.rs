//! Where each message stands between intake and its durable outcome.

use super::budget::{Budget, Share};
use crate::object::{Argument, Envelope, Name, Outcome, Post, Target};
use bevy::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The clocks that the world may read: given to it, so that tests can stop them.
#[derive(Resource, Clone, Copy, Debug)]
pub struct Clock {
    /// Milliseconds since 1970 (UTC), for `issued_at`.
    pub unix_ms: fn() -> u64,
    /// Time since some beginning, for the budget of a frame.
    pub monotonic: fn() -> Duration,
}

/// How long a frame may deliver turns; the turn in which the time runs out is finished.
#[derive(Resource, Clone, Copy, Debug)]
pub struct DeliveryBudget(pub Duration);

impl Default for DeliveryBudget {
    fn default() -> Self {
        Self(Duration::from_millis(8))
    }
}

/// Messages that may be under way; beyond it turns that post fail, and timers and steps wait.
pub(super) const UNDER_WAY: usize = 16_384;
/// So many more may come from ports, and beyond it commands wait on the switchboard: objects that post to each other for ever leave
/// those a way in who want to end it.
const ASKED_BESIDES: usize = 1_024;
/// The sender of messages that turns posted.
pub(super) const POST: &str = Envelope::POST;
/// The sender of messages to timers that are due.
pub(super) const TIMER: &str = Envelope::TIMER;

/// A numbered message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) sequence: u64,
    pub(super) envelope: Arc<Envelope>,
    /// Of the bytes of what ports ask, or of what else is under way.
    _share: Share,
}

/// A turn that ended in this frame.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) message: Message,
    pub(super) outcome: Arc<Outcome>,
    pub(super) posts: Vec<Post>,
    /// Of the bytes of messages of the world itself: what it posted, until that is numbered.
    pub(super) posted: Share,
    /// Of the bytes of outcomes.
    pub(super) share: Share,
}

/// Every message that has no durable outcome yet, by how far it came.
#[derive(Resource, Debug)]
pub(super) struct Pipeline {
    pub(super) world_id: Uuid,
    pub(super) next_sequence: u64,
    /// Numbered, not with the Alembic yet.
    pub(super) numbered: VecDeque<Message>,
    /// Whether the Alembic took no more of them in this frame.
    pub(super) waits_for_disk: bool,
    /// With the Alembic, not durable yet.
    pub(super) journaling: BTreeMap<u64, Message>,
    /// Durable, not delivered yet, in order.
    pub(super) ready: VecDeque<Message>,
    /// Delivered in this frame, not settled yet.
    pub(super) delivered: Vec<Turn>,
    /// Settled; the outcome is not durable yet, and holds its share.
    pub(super) settled: BTreeMap<u64, Share>,
    /// Bytes of messages of the world itself, until they are settled. What ports ask has a budget of its own.
    pub(super) posted: Budget,
    /// Bytes of outcomes that are not durable yet. A turn that ran has its outcome journaled whatever it takes; where this is full,
    /// none runs.
    pub(super) outcomes: Budget,
    /// Until when, on the monotonic clock, a world that closes delivers what objects post.
    pub(super) closes_by: Option<Duration>,
    /// Whether that time is over.
    pub(super) left: bool,
}

impl Pipeline {
    /// An envelope that may become the next message.
    pub(super) fn envelope(
        &self,
        sender_id: &str,
        target: Target,
        selector: Name,
        args: Vec<Argument>,
        issued_at: u64,
    ) -> Envelope {
        Envelope {
            message_id: Envelope::id_of(self.world_id, self.next_sequence),
            correlation_id: None,
            sender_id: sender_id.to_string(),
            target,
            selector,
            args,
            issued_at,
            retries: None,
        }
    }

    /// Makes it the next message, of the world itself.
    pub(super) fn number(&mut self, envelope: Envelope) -> Message {
        let share = self.posted.take(envelope.bytes());
        self.number_asked(envelope, share)
    }

    /// Makes it the next message; its bytes have their share.
    pub(super) fn number_asked(&mut self, envelope: Envelope, share: Share) -> Message {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Message { sequence, _share: share, envelope: Arc::new(envelope) }
    }

    /// Whether nothing more can be taken in.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= UNDER_WAY + ASKED_BESIDES
    }

    /// How many messages timers and steps may begin, which can wait.
    pub(super) fn room(&self) -> usize {
        if self.posted.is_full() { 0 } else { UNDER_WAY.saturating_sub(self.waiting()) }
    }

    /// How many messages a turn may post, which fails where it has no room.
    pub(super) fn room_for_posts(&self) -> usize {
        if self.posted.is_overdrawn() { 0 } else { UNDER_WAY.saturating_sub(self.waiting()) }
    }

    /// Whether turns may run.
    pub(super) fn can_deliver(&self) -> bool {
        !self.ready.is_empty() && !self.outcomes.is_full()
    }

    /// Whether the world comes to its end.
    pub(super) fn is_closing(&self) -> bool {
        self.closes_by.is_some()
    }

    /// Leaves messages that nobody waits for to the next awakening: objects that post to each other never come to an end.
    pub(super) fn leave_unasked(&mut self) {
        let asked = |message: &Message| ![POST, TIMER].contains(&message.envelope.sender_id.as_str());
        self.journaling.retain(|_, message| asked(message));
        self.ready.retain(asked);
        self.left = true;
    }

    /// Messages without a durable outcome.
    pub(super) fn waiting(&self) -> usize {
        self.numbered.len() + self.journaling.len() + self.ready.len() + self.delivered.len() + self.settled.len()
    }

    /// Whether the failed message is being tried again already.
    pub(super) fn retries(&self, failed: u64) -> bool {
        let queues = self.numbered.iter().chain(self.journaling.values()).chain(&self.ready);
        queues.into_iter().any(|message| message.envelope.retries == Some(failed))
    }

    /// Whether a message of a person has not been delivered yet.
    pub(super) fn awaits_delivery(&self) -> bool {
        let queues = self.numbered.iter().chain(self.journaling.values()).chain(&self.ready);
        queues.into_iter().any(|message| message.envelope.is_of_person())
    }

    /// Whether no message is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting() == 0
    }

    /// Whether the next frame can go on with something by itself.
    pub(super) fn has_work(&self) -> bool {
        self.can_deliver() || !self.numbered.is_empty() && !self.waits_for_disk
    }
}

pub(super) fn plugin(app: &mut App, world_id: Uuid, next_sequence: u64, pending: Vec<(u64, Envelope)>) {
    let posted = Budget::default();
    let again = |(sequence, envelope): (u64, Envelope)| {
        (sequence, Message { sequence, _share: posted.take(envelope.bytes()), envelope: Arc::new(envelope) })
    };
    let journaling = pending.into_iter().map(again).collect();
    app.insert_resource(Pipeline {
        world_id,
        next_sequence,
        numbered: VecDeque::new(),
        waits_for_disk: false,
        // The Alembic knows them, and releases each once it is on record that its delivery is tried again.
        journaling,
        ready: VecDeque::new(),
        delivered: Vec::new(),
        settled: BTreeMap::new(),
        posted,
        outcomes: Budget::default(),
        closes_by: None,
        left: false,
    });
}
