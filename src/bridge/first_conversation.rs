//! The first conversation, checked by itself: make an object, teach it, kill the process, wake it, call what it learned.

use super::exit;
use crate::object::quoted;
use serde_json::Value as Json;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

const INSTRUCTIONS: &str = "Create a method to move the point by a given dx and dy";
/// Notes that must be acknowledged before the process is killed while it takes in more.
const NOTES_BEFORE_THE_KILL: u64 = 40;
/// Notes that are offered: more than any machine takes in before it is killed.
const NOTES: u64 = 20_000;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The conversation did not go as it must.
#[derive(Debug, Error)]
enum ConversationError {
    /// A process, a folder or a pipe failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// An answer was missing, or another than expected.
    #[error("{0}")]
    Broken(String),
}

/// A workbench in a process of its own.
struct Workbench {
    process: Child,
    input: Option<ChildStdin>,
    answers: mpsc::Receiver<Json>,
    reader: Option<JoinHandle<()>>,
}

impl Workbench {
    fn start(world: &Path) -> Result<Self, ConversationError> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--headless", "--json", "--world"])
            .arg(world)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let (sender, answers) = mpsc::channel();
        let reader = process.stdout.take().map(|output| {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(answer) = serde_json::from_str(&line)
                        && sender.send(answer).is_err()
                    {
                        return;
                    }
                }
            })
        });
        Ok(Self { process, input, answers, reader })
    }

    fn ask(&mut self, line: &str) -> Result<Json, ConversationError> {
        if let Some(input) = &mut self.input {
            writeln!(input, "{line}")?;
            input.flush()?;
        }
        self.answer(line)
    }

    fn answer(&mut self, line: &str) -> Result<Json, ConversationError> {
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.map_err(|_| ConversationError::Broken(format!("no answer came to: {line}")))?;
        if answer["status"] == "completed" {
            return Ok(answer);
        }
        Err(ConversationError::Broken(format!("{line}\n  was answered: {answer}")))
    }

    /// Offers notes without end and kills the process in the middle. Answers the last note that was acknowledged.
    fn kill_while_it_takes_notes(mut self) -> Result<u64, ConversationError> {
        let input = self.input.take();
        let writer = std::thread::spawn(move || {
            let Some(mut input) = input else { return };
            for note in 1..=NOTES {
                if writeln!(input, "set point note={note}").is_err() {
                    return; // killed
                }
            }
        });
        let mut acknowledged = 0;
        while acknowledged < NOTES_BEFORE_THE_KILL {
            self.answer("set point note=…")?;
            acknowledged += 1;
        }
        self.process.kill()?;
        self.process.wait()?;
        let _ = writer.join();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        // What was printed before the kill was acknowledged too.
        Ok(acknowledged + self.answers.try_iter().filter(|answer| answer["status"] == "completed").count() as u64)
    }

    fn close(mut self) -> Result<(), ConversationError> {
        drop(self.input.take());
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(ConversationError::Broken(format!("it ended with {status}"))) }
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the conversation in `keep`, or in a folder that is removed afterwards. Answers the exit code.
///
/// # Errors
/// The report could not be written.
pub fn first_conversation(keep: Option<PathBuf>, out: &mut dyn Write) -> io::Result<u8> {
    let scratch = std::env::temp_dir().join(format!("living-workbench-first-{}", std::process::id()));
    let world = keep.clone().unwrap_or_else(|| scratch.join("world"));
    if keep.is_none() {
        std::fs::create_dir_all(&scratch)?;
    }
    let result = converse(&world, out);
    if keep.is_none() {
        let _ = std::fs::remove_dir_all(&scratch);
    } else {
        writeln!(out, "\nThe world is kept in {}.", world.display())?;
    }
    match result {
        Ok(()) => {
            writeln!(out, "\nThe conversation went as promised: nothing acknowledged was lost.")?;
            Ok(exit::DONE)
        }
        Err(error) => {
            writeln!(out, "\nThe conversation broke off: {error}")?;
            Ok(exit::FAILED)
        }
    }
}

fn converse(world: &Path, out: &mut dyn Write) -> Result<(), ConversationError> {
    let mut step = {
        let mut number = 0;
        move |out: &mut dyn Write, text: &str| {
            number += 1;
            writeln!(out, "\n{number}. {text}")
        }
    };
    let say = |out: &mut dyn Write, workbench: &mut Workbench, line: &str| -> Result<Json, ConversationError> {
        writeln!(out, "   > {line}")?;
        let answer = workbench.ask(line)?;
        writeln!(out, "     message {}, durable: {}", answer["seq"], answer["result"])?;
        Ok(answer)
    };

    step(out, "A workbench starts. Nothing is called `point`, so the message makes it.")?;
    let mut first = Workbench::start(world)?;
    say(out, &mut first, "create_point point")?;

    step(out, "It is taught in plain words.")?;
    say(out, &mut first, &format!("reprogram_method point instructions={}", quoted(INSTRUCTIONS)))?;
    let shown = show_point(world)?;
    for line in shown["methods"]["move_by"]["source"].as_str().unwrap_or_default().lines() {
        writeln!(out, "     {line}")?;
    }

    step(out, "The process is killed while it takes in a stream of messages.")?;
    let acknowledged = first.kill_while_it_takes_notes()?;
    writeln!(out, "     {acknowledged} notes were acknowledged; then it was gone, without warning.")?;

    step(out, "Another workbench wakes the same world.")?;
    let mut second = Workbench::start(world)?;
    say(out, &mut second, "move_by point dx=10 dy=20")?;
    second.close()?;

    step(out, "What is on disk:")?;
    let point = show_point(world)?;
    let slots = &point["slots"];
    let params = &point["methods"]["move_by"]["params"];
    writeln!(out, "     point: x = {}, y = {}, note = {}", slots["x"], slots["y"], slots["note"])?;
    writeln!(out, "     move_by takes {params}")?;

    let expect = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(ConversationError::Broken(format!("expected {what}, found {point}"))) }
    };
    expect(slots["x"] == 10 && slots["y"] == 20, "x = 10 and y = 20")?;
    expect(*params == serde_json::json!(["dx", "dy"]), "move_by with dx and dy")?;
    expect(slots["note"].as_u64().is_some_and(|note| note >= acknowledged), "every acknowledged note")?;
    Ok(())
}

fn show_point(world: &Path) -> Result<Json, ConversationError> {
    let mut shown = Vec::new();
    super::show(world, "point", true, &mut shown).map_err(|error| ConversationError::Broken(error.to_string()))?;
    serde_json::from_slice(&shown).map_err(|error| ConversationError::Broken(error.to_string()))
}
