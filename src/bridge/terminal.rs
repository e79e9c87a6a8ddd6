//! The console on a terminal: a line editor with history and completion.

use super::conversation::{Answer, Conversation};
use super::piped::Ended;
use super::printable;
use crate::language::console::{LocalCommand, fault_text, local_answer, selectors_of};
use crate::object::{Objects, Outcome, Replica};
use crate::systems::Port;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use std::io::{self, Write};
use std::path::PathBuf;

/// Completes the first word to a selector and the second to an object.
struct Words(Replica);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let start = before.rfind([' ', '@', '=']).map_or(0, |place| place + 1);
        let word = &before[start..];
        let known: Vec<String> = if start == 0 {
            let target = line.split_whitespace().nth(1).and_then(|name| self.0.image.named(name));
            selectors_of(&self.0.image, target)
        } else {
            self.0.image.names().iter().map(ToString::to_string).collect()
        };
        Ok((start, known.into_iter().filter(|name| name.starts_with(word)).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

/// Talks with a person until they say `quit` or end the input.
pub(super) fn converse(port: Port, history: PathBuf) -> Ended {
    match talk(port, &history) {
        Ok(ended) => ended,
        Err(error) => {
            let _ = writeln!(io::stderr(), "the terminal could not be used any further: {error}");
            Ended::WithFailures
        }
    }
}

fn talk(port: Port, history: &PathBuf) -> rustyline::Result<Ended> {
    let mut editor: Editor<Words, FileHistory> = Editor::new()?;
    let _ = editor.load_history(history); // there is none at first
    let mut conversation = Conversation::new(port);
    let mut out = io::stdout();
    writeln!(out, "Everything here is an object. Try: create_point point, describe point, help")?;
    let mut failed = false;
    let mut number = 0;
    while !conversation.is_closed() {
        while let Some(received) = conversation.port().try_receive() {
            let closed = matches!(received, crate::systems::Received::Closed);
            if let Some(event) = conversation.take_in(received) {
                writeln!(out, "{}", event.message)?;
            }
            if closed {
                break;
            }
        }
        editor.set_helper(Some(Words(conversation.replica.clone())));
        let line = match editor.readline("> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        };
        let _ = editor.add_history_entry(&line);
        number += 1;
        conversation.say(number, Ok(line));
        while conversation.waiting() > 0 {
            if let Some((_, answer)) = conversation.next_answer() {
                match answer {
                    Answer::Message { told, outcome, .. } => {
                        failed |= matches!(*outcome, Outcome::Failed(_));
                        writeln!(out, "{}", printable(&told.text))?;
                    }
                    Answer::InDoubt { why, .. } => {
                        failed = true;
                        writeln!(out, "{why}")?;
                    }
                    Answer::Refused(fault) => {
                        failed = true;
                        writeln!(out, "{}", printable(&fault_text(&fault)))?;
                    }
                    Answer::Told(text) => writeln!(out, "{}", printable(&text))?,
                    Answer::Local(LocalCommand::Quit) => {
                        let _ = editor.save_history(history);
                        return Ok(if failed { Ended::WithFailures } else { Ended::Well });
                    }
                    Answer::Local(command) => {
                        let text = local_answer(&command, &conversation.replica);
                        writeln!(out, "{}", printable(&text))?;
                    }
                }
                continue;
            }
            let received = conversation.port().receive();
            if let Some(event) = conversation.take_in(received) {
                writeln!(out, "{}", event.message)?;
            }
        }
    }
    let _ = editor.save_history(history);
    Ok(if failed { Ended::WithFailures } else { Ended::Well })
}
