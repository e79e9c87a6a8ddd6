//! A conversation by lines: each is sent, followed to its durable outcome, and answered in order.

use crate::language::console::{ConsoleLine, LocalCommand, parse_line};
use crate::object::{EventBody, Fault, FaultKind, LogEvent, Outcome, Replica, StateUpdateEvent, Target, UICommand};
use crate::systems::{Busy, Port, Received};
use std::collections::VecDeque;
use std::sync::Arc;

/// How a line ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// It became a message, which completed or failed; durable.
    Message { outcome: Arc<Outcome>, told: Told },
    /// It became a message, and the world closed or turned read-only before its outcome was durable: what became of
    /// it is known at the next awakening.
    InDoubt { sequence: u64, why: String },
    /// It could not become a message.
    Refused(Fault),
    /// It asks for what the console knows.
    Local(LocalCommand),
}

/// An outcome as it was told when it settled, when all names in it still meant what the turn meant.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) json: serde_json::Map<String, serde_json::Value>,
}

/// A line that is under way.
struct Entry {
    line: u64,
    stage: Stage,
}

enum Stage {
    Unsent(UICommand),
    Sent { ticket: u64 },
    Accepted { sequence: u64 },
    Settled { sequence: u64, outcome: Arc<Outcome>, told: Told },
    Ended(Answer),
}

/// One port, the lines sent through it, and what it was told of the world.
pub(super) struct Conversation {
    port: Port,
    /// What the world looks like to this port.
    pub(super) replica: Replica,
    entries: VecDeque<Entry>,
    closed: bool,
}

impl Conversation {
    pub(super) fn new(port: Port) -> Self {
        Self { port, replica: Replica::default(), entries: VecDeque::new(), closed: false }
    }

    /// The port, for waiting on it.
    pub(super) fn port(&mut self) -> &mut Port {
        &mut self.port
    }

    /// Lines that have no answer yet.
    pub(super) fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Takes a line in. A blank one has no answer.
    pub(super) fn say(&mut self, line: u64, text: Result<String, Fault>) {
        let stage = match text.and_then(|text| parse_line(&text)) {
            Ok(ConsoleLine::Blank) => return,
            Ok(ConsoleLine::Local(command)) => Stage::Ended(Answer::Local(command)),
            Ok(ConsoleLine::Message(command)) => Stage::Unsent(command),
            Err(fault) => Stage::Ended(Answer::Refused(fault)),
        };
        self.entries.push_back(Entry { line, stage });
        self.send_what_may_go();
    }

    /// Whether another line may be taken in: one whose answer depends on the earlier ones waits for them.
    pub(super) fn may_say_more(&self) -> bool {
        self.entries
            .back()
            .is_none_or(|entry| !matches!(&entry.stage, Stage::Unsent(_) | Stage::Ended(Answer::Local(_))))
    }

    fn send_what_may_go(&mut self) {
        for index in 0..self.entries.len() {
            let Stage::Unsent(command) = &self.entries[index].stage else { continue };
            // `retry` and `dismiss` name a failed message, perhaps one of the lines before.
            if index > 0 && is_about_problems(command) {
                return;
            }
            match self.port.send(command.clone()) {
                Ok(ticket) => self.entries[index].stage = Stage::Sent { ticket },
                Err(Busy) => return, // sent with the next event
            }
        }
    }

    /// Takes in what the port brought. A line for the transcript comes back.
    pub(super) fn take_in(&mut self, received: Received) -> Option<LogEvent> {
        match received {
            Received::Event(EventBody::Log(event)) => return Some(event),
            Received::Event(EventBody::State(event)) => {
                self.replica.take_in(&event);
                self.follow(event);
            }
            Received::Gap(missed) => {
                return Some(LogEvent {
                    level: crate::object::LogLevel::Warning,
                    message: format!("{missed} events were lost here; the full state is asked for"),
                    turn: None,
                });
            }
            Received::Closed => {
                self.closed = true;
                self.give_up("the world closed");
            }
        }
        if let Some(reason) = self.replica.status.read_only.clone() {
            self.give_up(&format!("the world is read-only: {reason}"));
        }
        self.send_what_may_go();
        None
    }

    fn follow(&mut self, event: StateUpdateEvent) {
        match event {
            StateUpdateEvent::CommandAccepted { ticket, sequence } => {
                if let Some(entry) = self.sent(ticket) {
                    entry.stage = Stage::Accepted { sequence };
                }
            }
            StateUpdateEvent::CommandRefused { ticket, fault } => {
                if let Some(entry) = self.sent(ticket) {
                    entry.stage = Stage::Ended(Answer::Refused(fault));
                }
            }
            StateUpdateEvent::TurnSettled { sequence, envelope, outcome } => {
                let image = &self.replica.image;
                let accepted =
                    |entry: &&mut Entry| matches!(entry.stage, Stage::Accepted { sequence: of } if of == sequence);
                if let Some(entry) = self.entries.iter_mut().find(accepted) {
                    let told = Told {
                        text: crate::language::console::outcome_text(&envelope, &outcome, image),
                        json: super::json::outcome(sequence, &envelope, &outcome, image),
                    };
                    entry.stage = Stage::Settled { sequence, outcome, told };
                }
            }
            StateUpdateEvent::TurnsDurable { sequences } => {
                for entry in &mut self.entries {
                    let durable =
                        matches!(&entry.stage, Stage::Settled { sequence, .. } if sequences.contains(sequence));
                    if !durable {
                        continue;
                    }
                    let placeholder = Stage::Sent { ticket: 0 };
                    if let Stage::Settled { outcome, told, .. } = std::mem::replace(&mut entry.stage, placeholder) {
                        entry.stage = Stage::Ended(Answer::Message { outcome, told });
                    }
                }
            }
            StateUpdateEvent::FullState { .. }
            | StateUpdateEvent::ProblemSolved { .. }
            | StateUpdateEvent::Status(_) => {}
        }
    }

    fn sent(&mut self, ticket: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| matches!(entry.stage, Stage::Sent { ticket: of } if of == ticket))
    }

    fn give_up(&mut self, why: &str) {
        for entry in &mut self.entries {
            let answer = match entry.stage {
                Stage::Ended(_) => continue,
                Stage::Unsent(_) | Stage::Sent { .. } => Answer::Refused(Fault::new(FaultKind::Refused, why)),
                Stage::Accepted { sequence } | Stage::Settled { sequence, .. } => {
                    let told = format!(
                        "{why}. Message {sequence} was not acknowledged; after the next start \
                         `log --from {sequence}` shows whether it was done"
                    );
                    Answer::InDoubt { sequence, why: told }
                }
            };
            entry.stage = Stage::Ended(answer);
        }
    }

    /// The answer to the oldest line, once there is one.
    pub(super) fn next_answer(&mut self) -> Option<(u64, Answer)> {
        if !matches!(self.entries.front()?.stage, Stage::Ended(_)) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.send_what_may_go();
        match entry.stage {
            Stage::Ended(answer) => Some((entry.line, answer)),
            _ => None,
        }
    }

    /// Whether the world is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

fn is_about_problems(command: &UICommand) -> bool {
    matches!(&command.target, Target::Name(name) if name == "workspace")
        && matches!(command.selector.as_str(), "retry" | "dismiss")
}
