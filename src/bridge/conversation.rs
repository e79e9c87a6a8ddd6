//! A conversation by lines: each is sent, followed to its durable outcome, and answered in order.

use crate::language::console::{ConsoleLine, LocalCommand, let_go_text, parse_line, quarantine_fault};
use crate::object::{EventBody, Fault, FaultKind, LogEvent, Outcome, Replica, StateUpdateEvent, Target, UICommand};
use crate::persistence::{ExportOptions, ImportFolder, export_image};
use crate::systems::{Busy, Port, Received};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// How a line ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// It became a message, which completed or failed; durable.
    Message { outcome: Arc<Outcome>, told: Told },
    /// It became a message, or may have, and what became of it was not learned here: the world closed or turned
    /// read-only first, or the events that told it were lost. The log knows.
    InDoubt { sequence: Option<u64>, why: String },
    /// It could not become a message.
    Refused(Fault),
    /// It asks for what the console knows.
    Local(LocalCommand),
    /// The console did it.
    Told(String),
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
    /// The folder that it imports, if it does.
    folder: Option<ImportFolder>,
}

/// What a line asks of the world.
enum Request {
    Message(UICommand),
    LetGo(u64),
}

enum Stage {
    Unsent(Request),
    /// It asks for an entry of the quarantine to be let go, which is told when it is done.
    LettingGo {
        ticket: u64,
        number: u64,
    },
    Sent {
        ticket: u64,
    },
    Accepted {
        sequence: u64,
    },
    Settled {
        sequence: u64,
        outcome: Arc<Outcome>,
        told: Told,
    },
    Ended(Answer),
}

/// One port, the lines sent through it, and what it was told of the world.
pub(super) struct Conversation {
    port: Port,
    /// What the world looks like to this port.
    pub(super) replica: Replica,
    entries: VecDeque<Entry>,
    last_ticket: u64,
    /// After a gap, until the full state comes: events about tickets up to this one may be lost.
    lost_up_to: Option<u64>,
    /// Whether the replica is the world's: not before the full state came, and not after a gap.
    knows: bool,
    closed: bool,
}

impl Conversation {
    pub(super) fn new(port: Port) -> Self {
        let entries = VecDeque::new();
        Self {
            port,
            replica: Replica::default(),
            entries,
            last_ticket: 0,
            lost_up_to: None,
            knows: false,
            closed: false,
        }
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
            Ok(ConsoleLine::Local(LocalCommand::Import(folder))) => match ImportFolder::read(Path::new(&folder)) {
                Ok(folder) => return self.import(line, folder),
                Err(error) => Stage::Ended(Answer::Refused(Fault::new(FaultKind::Refused, error.to_string()))),
            },
            Ok(ConsoleLine::Local(LocalCommand::LetGo(number))) => Stage::Unsent(Request::LetGo(number)),
            Ok(ConsoleLine::Local(command)) => Stage::Ended(Answer::Local(command)),
            Ok(ConsoleLine::Message(command)) => Stage::Unsent(Request::Message(command)),
            Err(fault) => Stage::Ended(Answer::Refused(fault)),
        };
        self.entries.push_back(Entry { line, stage, folder: None });
        self.send_what_may_go();
    }

    /// Takes in a folder of object files as a line that imports it.
    pub(super) fn import(&mut self, line: u64, folder: ImportFolder) {
        let stage = match folder.command() {
            Ok(command) => Stage::Unsent(Request::Message(command)),
            Err(error) => Stage::Ended(Answer::Refused(Fault::new(FaultKind::Internal, error.to_string()))),
        };
        self.entries.push_back(Entry { line, stage, folder: Some(folder) });
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
            let Stage::Unsent(request) = &self.entries[index].stage else { continue };
            // `retry` and `dismiss` name a failed message, perhaps one of the lines before.
            if index > 0 && matches!(request, Request::Message(command) if is_about_problems(command)) {
                return;
            }
            let sent = match request {
                Request::Message(command) => {
                    self.port.send(command.clone()).map(|ticket| (ticket, Stage::Sent { ticket }))
                }
                Request::LetGo(number) => {
                    let number = *number;
                    self.port.let_go(number).map(|ticket| (ticket, Stage::LettingGo { ticket, number }))
                }
            };
            match sent {
                Ok((ticket, stage)) => {
                    self.entries[index].stage = stage;
                    self.last_ticket = ticket;
                }
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
                self.lost_up_to = Some(self.last_ticket);
                self.knows = false;
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
            StateUpdateEvent::TurnsDurable { sequences } => self.end_durable(|sequence| sequences.contains(&sequence)),
            StateUpdateEvent::FullState { status, .. } => {
                self.knows = true;
                // The world read these tickets before it was asked for the full state.
                let lost = self.lost_up_to.take().unwrap_or_default();
                for entry in &mut self.entries {
                    if matches!(entry.stage, Stage::Sent { ticket } if ticket <= lost) {
                        let why = "the events that told what became of this were lost here; `log` shows it".into();
                        entry.stage = Stage::Ended(Answer::InDoubt { sequence: None, why });
                    }
                }
                self.end_durable(|sequence| sequence <= status.durable);
                self.end_let_go_lost(lost);
            }
            StateUpdateEvent::LetGo { number } => self.end_let_go(number),
            StateUpdateEvent::Status(status) => self.end_durable(|sequence| sequence <= status.durable),
            StateUpdateEvent::ProblemSolved { .. } | StateUpdateEvent::Ticked { .. } => {}
        }
    }

    /// Ends the entries whose messages these are. One that never learned its outcome had the event lost.
    fn end_durable(&mut self, is_durable: impl Fn(u64) -> bool) {
        for entry in &mut self.entries {
            let sequence = match &entry.stage {
                Stage::Accepted { sequence } | Stage::Settled { sequence, .. } => *sequence,
                _ => continue,
            };
            if !is_durable(sequence) {
                continue;
            }
            let taken = std::mem::replace(&mut entry.stage, Stage::Accepted { sequence });
            entry.stage = Stage::Ended(match taken {
                Stage::Settled { outcome, told, .. } => Answer::Message { outcome, told },
                _ => {
                    let lost = format!("the event that told what became of message {sequence} was lost here");
                    Answer::InDoubt {
                        sequence: Some(sequence),
                        why: format!("{lost}; `log --from {sequence}` shows it"),
                    }
                }
            });
        }
    }

    /// Ends the lines that let an entry of the quarantine go, which is gone.
    fn end_let_go(&mut self, gone: u64) {
        for entry in &mut self.entries {
            if matches!(entry.stage, Stage::LettingGo { number, .. } if number == gone) {
                entry.stage = Stage::Ended(Answer::Told(let_go_text(gone, self.replica.quarantine.len())));
            }
        }
    }

    /// The same where the events about tickets up to `lost` are lost, by what is kept now.
    fn end_let_go_lost(&mut self, lost: u64) {
        for entry in &mut self.entries {
            let Stage::LettingGo { ticket, number } = entry.stage else { continue };
            if ticket > lost {
                continue;
            }
            entry.stage = Stage::Ended(if self.replica.quarantined(number).is_none() {
                Answer::Told(let_go_text(number, self.replica.quarantine.len()))
            } else {
                let why =
                    format!("the events that told what became of this were lost here; `quarantine {number}` shows it");
                Answer::InDoubt { sequence: None, why }
            });
        }
    }

    fn sent(&mut self, ticket: u64) -> Option<&mut Entry> {
        let is_it = |entry: &&mut Entry| match entry.stage {
            Stage::Sent { ticket: of } | Stage::LettingGo { ticket: of, .. } => of == ticket,
            _ => false,
        };
        self.entries.iter_mut().find(is_it)
    }

    fn give_up(&mut self, why: &str) {
        for entry in &mut self.entries {
            let answer = match entry.stage {
                Stage::Ended(_) => continue,
                Stage::Unsent(_) | Stage::Sent { .. } => Answer::Refused(Fault::new(FaultKind::Refused, why)),
                Stage::LettingGo { number, .. } => {
                    let told = format!("{why}. Whether entry {number} is still kept is shown by `quarantine` later");
                    Answer::InDoubt { sequence: None, why: told }
                }
                Stage::Accepted { sequence } | Stage::Settled { sequence, .. } => {
                    let told = format!(
                        "{why}. Message {sequence} was not acknowledged; after the next start \
                         `log --from {sequence}` shows whether it was done"
                    );
                    Answer::InDoubt { sequence: Some(sequence), why: told }
                }
            };
            entry.stage = Stage::Ended(answer);
        }
    }

    /// The answer to the oldest line, once there is one.
    pub(super) fn next_answer(&mut self) -> Option<(u64, Answer)> {
        match &self.entries.front()?.stage {
            // It is answered from the replica.
            Stage::Ended(Answer::Local(command)) if *command != LocalCommand::Quit && !self.knows && !self.closed => {
                return None;
            }
            Stage::Ended(_) => {}
            _ => return None,
        }
        let entry = self.entries.pop_front()?;
        self.send_what_may_go();
        match entry.stage {
            Stage::Ended(Answer::Local(LocalCommand::Export(folder))) => Some((entry.line, self.export(&folder))),
            Stage::Ended(Answer::Local(command)) => {
                let missing = quarantine_fault(&command, &self.replica);
                Some((entry.line, missing.map_or(Answer::Local(command), Answer::Refused)))
            }
            Stage::Ended(answer) => {
                if let (Some(folder), Answer::Message { outcome, .. }) = (entry.folder, &answer)
                    && matches!(**outcome, Outcome::Completed { .. })
                {
                    // The import is done. Where it can't be noted, the next export only asks before it replaces files.
                    let _ = folder.note_imported(&self.replica.image);
                }
                Some((entry.line, answer))
            }
            _ => None,
        }
    }

    fn export(&self, folder: &str) -> Answer {
        let refused = |why: String| Answer::Refused(Fault::new(FaultKind::Refused, why));
        match export_image(&self.replica.image, Path::new(folder), ExportOptions::default()) {
            Err(error) => refused(error.to_string()),
            Ok(exported) if exported.is_done => Answer::Told(exported.lines.join("\n")),
            Ok(exported) => refused(exported.lines.join("\n")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Status, Value};
    use crate::systems::Switchboard;

    fn conversation(lines: &[&str]) -> Conversation {
        let mut conversation = Conversation::new(Switchboard::to_nowhere().connect("test").unwrap());
        for (number, line) in (1..).zip(lines) {
            conversation.say(number, Ok(line.to_string()));
        }
        conversation
    }

    fn hear(conversation: &mut Conversation, event: StateUpdateEvent) {
        conversation.take_in(Received::Event(EventBody::State(event)));
    }

    fn full_state(durable: u64) -> StateUpdateEvent {
        let status = Status { durable, ..Status::default() };
        StateUpdateEvent::FullState {
            objects: Arc::default(),
            tombstones: Arc::default(),
            problems: Arc::default(),
            quarantine: Arc::default(),
            status,
        }
    }

    fn settled(sequence: u64) -> StateUpdateEvent {
        let outcome = Outcome::Completed { result: Value::Nil, changes: Vec::new(), logs: Vec::new() };
        let envelope = crate::object::Envelope {
            message_id: uuid::Uuid::nil(),
            correlation_id: None,
            sender_id: "test".into(),
            target: Target::Name("point".into()),
            selector: crate::object::Name::new("set").unwrap(),
            args: Vec::new(),
            issued_at: 0,
            retries: None,
        };
        StateUpdateEvent::TurnSettled { sequence, envelope: Arc::new(envelope), outcome: Arc::new(outcome) }
    }

    #[test]
    fn a_line_whose_events_were_lost_is_answered_as_in_doubt() {
        let mut conversation = conversation(&["set point x=1", "set point x=2", "set point x=3"]);
        hear(&mut conversation, StateUpdateEvent::CommandAccepted { ticket: 1, sequence: 7 });
        hear(&mut conversation, StateUpdateEvent::CommandAccepted { ticket: 2, sequence: 8 });
        hear(&mut conversation, settled(8));
        assert!(conversation.next_answer().is_none(), "nothing is durable yet");
        conversation.take_in(Received::Gap(3));
        conversation.say(4, Ok("set point x=4".into()));
        hear(&mut conversation, full_state(8));
        assert!(matches!(conversation.next_answer(), Some((1, Answer::InDoubt { sequence: Some(7), .. }))));
        assert!(matches!(conversation.next_answer(), Some((2, Answer::Message { .. }))), "it settled, and is durable");
        assert!(matches!(conversation.next_answer(), Some((3, Answer::InDoubt { sequence: None, .. }))));
        assert!(conversation.next_answer().is_none(), "the fourth was said after the gap");
    }

    #[test]
    fn what_the_console_knows_is_told_once_it_knows_it() {
        let mut conversation = conversation(&["objects", "quit"]);
        assert!(conversation.next_answer().is_none(), "nothing was told of the world yet");
        hear(&mut conversation, full_state(0));
        assert!(matches!(conversation.next_answer(), Some((1, Answer::Local(LocalCommand::Objects)))));
        conversation.take_in(Received::Gap(3));
        conversation.say(3, Ok("problems".into()));
        assert!(matches!(conversation.next_answer(), Some((2, Answer::Local(LocalCommand::Quit)))));
        assert!(conversation.next_answer().is_none(), "some of it was lost");
        hear(&mut conversation, full_state(0));
        assert!(matches!(conversation.next_answer(), Some((3, _))));
    }

    fn with_quarantine(numbers: &[u64]) -> StateUpdateEvent {
        use crate::language::console::test_quarantines::entry;
        let entries = numbers.iter().map(|number| Arc::new(entry(*number, 6, crate::object::Afterwards::Lost)));
        let StateUpdateEvent::FullState { objects, tombstones, problems, status, .. } = full_state(0) else {
            unreachable!()
        };
        let quarantine = Arc::new(entries.collect());
        StateUpdateEvent::FullState { objects, tombstones, problems, quarantine, status }
    }

    #[test]
    fn what_is_let_go_is_answered_when_it_is_gone() {
        let mut conversation = conversation(&["quarantine 2 let-go", "quarantine 2", "quarantine 3"]);
        hear(&mut conversation, with_quarantine(&[2, 3]));
        assert!(conversation.next_answer().is_none(), "it is still kept");
        hear(&mut conversation, StateUpdateEvent::LetGo { number: 3 });
        assert!(conversation.next_answer().is_none(), "that was another one");
        hear(&mut conversation, StateUpdateEvent::LetGo { number: 2 });
        let Some((1, Answer::Told(told))) = conversation.next_answer() else { panic!("no answer") };
        assert_eq!(told, "entry 2 of the quarantine is not kept any longer; nothing is left there");
        assert!(matches!(conversation.next_answer(), Some((2, Answer::Refused(_)))));
    }

    #[test]
    fn what_is_let_go_while_events_are_lost_is_told_by_the_full_state() {
        let mut conversation = conversation(&["quarantine 2 let-go", "quarantine 3 let-go", "quarantine 9 let-go"]);
        hear(&mut conversation, with_quarantine(&[2, 3]));
        let fault = Fault::new(FaultKind::BadArgument, "there is no entry 9");
        hear(&mut conversation, StateUpdateEvent::CommandRefused { ticket: 3, fault });
        conversation.take_in(Received::Gap(1));
        hear(&mut conversation, with_quarantine(&[3]));
        assert!(matches!(conversation.next_answer(), Some((1, Answer::Told(_)))));
        assert!(matches!(conversation.next_answer(), Some((2, Answer::InDoubt { sequence: None, .. }))));
        assert!(matches!(conversation.next_answer(), Some((3, Answer::Refused(_)))));
    }

    #[test]
    fn a_read_only_world_refuses_what_has_no_number_and_doubts_what_has_one() {
        let mut conversation = conversation(&["set point x=1", "set point x=2"]);
        hear(&mut conversation, StateUpdateEvent::CommandAccepted { ticket: 1, sequence: 7 });
        let status = Status { read_only: Some("the disk is full".into()), ..Status::default() };
        hear(&mut conversation, StateUpdateEvent::Status(status));
        assert!(matches!(conversation.next_answer(), Some((1, Answer::InDoubt { sequence: Some(7), .. }))));
        assert!(matches!(conversation.next_answer(), Some((2, Answer::Refused(_)))));
    }
}
