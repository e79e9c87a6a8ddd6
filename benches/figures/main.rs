//! The figures of `docs/performance.md`. Every ratio is taken within one run: both sides in turns, and the median of their
//! rounds.
//!
//! `cargo bench` prints all of them; a name after `--` prints one section: `language`, `journal`, `objects`, `balls`.
//! `hour` is printed only where it is named: a whole hour of the balls.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::print_stdout, unsafe_code)] // it measures, on a terminal

mod balls;
mod hosted;
mod journal;
mod language;
mod objects;

use living_workbench::object::{Argument, Envelope, Name, Target};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// Rounds of which the median counts.
const ROUNDS: usize = 31;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [what, dir] = args.as_slice()
        && what == objects::CHILD
    {
        return objects::wake(Path::new(dir));
    }
    let is_asked = |section: &str| args.is_empty() || args.iter().any(|arg| arg == section);
    let folder = std::env::temp_dir().join(format!("living-workbench-figures-{}", std::process::id()));
    if is_asked("language") {
        language::print();
    }
    if is_asked("journal") {
        journal::print(&folder);
    }
    if is_asked("objects") {
        objects::print(&folder.join("objects"));
    }
    if is_asked("balls") {
        balls::print(&folder.join("balls"), 2);
    }
    if args.iter().any(|arg| arg == "hour") {
        balls::print(&folder.join("hour"), 60);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn median<T: PartialOrd + Copy>(mut rounds: Vec<T>) -> T {
    rounds.sort_by(|a, b| a.partial_cmp(b).expect("figures are numbers"));
    rounds[rounds.len() / 2]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A message to the object that the sections call `thing`.
fn envelope(selector: &str, args: Vec<Argument>) -> Envelope {
    Envelope {
        message_id: Uuid::nil(),
        correlation_id: None,
        sender_id: "bench".into(),
        target: Target::Name("thing".into()),
        selector: name(selector),
        args,
        issued_at: 0,
        retries: None,
    }
}
