//! The piped console: lines in, answers out in the same order, each only once its outcome is on disk.

use super::conversation::{Answer, Conversation};
use super::lines::{Lines, RawLine};
use super::{json, printable};
use crate::language::console::{LocalCommand, fault_text, local_answer};
use crate::object::{LogLevel, Outcome};
use crate::systems::{Either, Port};
use crossbeam_channel::{Receiver, bounded};
use serde_json::{Map, Value as Json, json};
use std::io::{self, BufRead, Write};

/// Lines that may be under way at once.
const PIPELINED: usize = 1_024;

/// How the conversation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every line completed.
    Well,
    /// A line failed or was refused, or the output went away.
    WithFailures,
}

/// Reads lines until the input ends or says `quit`; writes one answer for each that is not blank.
pub(super) fn converse(
    input: impl BufRead + Send + 'static,
    output: &mut dyn Write,
    diagnostics: &mut dyn Write,
    port: Port,
    as_json: bool,
) -> Ended {
    let lines = read_ahead(input);
    let mut talk = Talk { conversation: Conversation::new(port), output, diagnostics, as_json, failed: false };
    let ran = talk.run(&lines);
    match &ran {
        Ok(()) if !talk.failed => return Ended::Well,
        // A reader that went away has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(talk.diagnostics, "the answer could not be written: {error}");
        }
        _ => {}
    }
    Ended::WithFailures
}

fn read_ahead(input: impl BufRead + Send + 'static) -> Receiver<io::Result<RawLine>> {
    let (sender, lines) = bounded(PIPELINED);
    std::thread::spawn(move || {
        let mut input = Lines::new(input);
        loop {
            let sent = match input.next() {
                Ok(Some(line)) => sender.send(Ok(line)).is_ok(),
                Ok(None) => false,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    false
                }
            };
            if !sent {
                return;
            }
        }
    });
    lines
}

struct Talk<'a> {
    conversation: Conversation,
    output: &'a mut dyn Write,
    diagnostics: &'a mut dyn Write,
    as_json: bool,
    failed: bool,
}

impl Talk<'_> {
    fn run(&mut self, lines: &Receiver<io::Result<RawLine>>) -> io::Result<()> {
        let never = crossbeam_channel::never();
        let mut reading = true;
        loop {
            while let Some((line, answer)) = self.conversation.next_answer() {
                if self.answer(line, &answer)? {
                    reading = false; // `quit`
                }
            }
            self.output.flush()?;
            if (self.conversation.waiting() == 0 && !reading) || self.conversation.is_closed() {
                return Ok(());
            }
            let room = self.conversation.waiting() < PIPELINED && self.conversation.may_say_more();
            let source = if reading && room { lines } else { &never };
            match self.conversation.port().receive_or(source) {
                Either::Received(received) => self.take_in(received)?,
                Either::Other(Some(Ok(RawLine { number, text }))) => self.conversation.say(number, text),
                Either::Other(Some(Err(error))) => {
                    writeln!(self.diagnostics, "the input could not be read any further: {error}")?;
                    self.failed = true;
                    reading = false;
                }
                Either::Other(None) => reading = false,
            }
            // Whatever else is there already, before the output is flushed.
            while let Some(received) = self.conversation.port().try_receive() {
                let closed = matches!(received, crate::systems::Received::Closed);
                self.take_in(received)?;
                if closed {
                    break;
                }
            }
        }
    }

    fn take_in(&mut self, received: crate::systems::Received) -> io::Result<()> {
        match self.conversation.take_in(received) {
            Some(event) if event.level != LogLevel::Info => writeln!(self.diagnostics, "{}", event.message),
            _ => Ok(()),
        }
    }

    /// Writes one answer. Says whether it was `quit`.
    fn answer(&mut self, line: u64, answer: &Answer) -> io::Result<bool> {
        self.failed |= match answer {
            Answer::Message { outcome, .. } => matches!(**outcome, Outcome::Failed(_)),
            Answer::InDoubt { .. } | Answer::Refused(_) => true,
            Answer::Local(_) | Answer::Told(_) => false,
        };
        let quit = matches!(answer, Answer::Local(LocalCommand::Quit));
        if self.as_json {
            let mut out = Map::from_iter([("line".to_string(), json!(line))]);
            out.extend(self.json(answer));
            writeln!(self.output, "{}", Json::Object(out))?;
        } else {
            let text = match answer {
                Answer::Message { told, .. } => told.text.clone(),
                Answer::InDoubt { why, .. } => why.clone(),
                Answer::Refused(fault) => fault_text(fault),
                Answer::Told(text) => text.clone(),
                Answer::Local(command) => local_answer(command, &self.conversation.replica),
            };
            if !quit {
                writeln!(self.output, "{}", printable(&text))?;
            }
        }
        Ok(quit)
    }

    fn json(&self, answer: &Answer) -> Map<String, Json> {
        let replica = &self.conversation.replica;
        let local =
            |result: Json| Map::from_iter([("status".to_string(), json!("answered")), ("result".to_string(), result)]);
        match answer {
            Answer::Message { told, .. } => told.json.clone(),
            Answer::InDoubt { sequence, why } => {
                let mut out = Map::new();
                out.extend(sequence.map(|sequence| ("seq".to_string(), json!(sequence))));
                let error = json!({"kind": "in_doubt", "message": why, "suggestions": [], "trace": []});
                out.extend([("status".to_string(), json!("failed")), ("error".to_string(), error)]);
                out
            }
            Answer::Refused(fault) => {
                Map::from_iter([("status".to_string(), json!("refused")), ("error".to_string(), json::fault(fault))])
            }
            Answer::Told(text) => local(json!(text)),
            Answer::Local(LocalCommand::Objects) => {
                local(replica.image.iter().map(|object| json::summary(object, &replica.image)).collect())
            }
            Answer::Local(LocalCommand::Problems) => {
                let problem = |problem: &crate::object::Problem| {
                    let failed = Outcome::Failed(problem.fault.clone());
                    Json::Object(json::outcome(problem.sequence, &problem.envelope, &failed, &replica.image))
                };
                local(replica.problems.iter().map(problem).collect())
            }
            Answer::Local(LocalCommand::Quarantine(number)) => {
                let entry = |number: &u64| replica.quarantined(*number).map(|entry| json::quarantined(entry, replica));
                match number {
                    Some(number) => local(json!(entry(number))),
                    None => local(replica.quarantine.iter().map(|entry| json::quarantined(entry, replica)).collect()),
                }
            }
            Answer::Local(LocalCommand::Quit) => local(Json::Null),
            Answer::Local(command) => local(json!(local_answer(command, replica))),
        }
    }
}
