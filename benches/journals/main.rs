//! The journal beside others: how many records a second are safe on disk, and how long a world takes to wake.
//!
//! Only ratios within one run count. All contenders lie on the same disk and take turns, because a disk's speed changes by
//! the minute. `docs/performance.md` has the figures.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::print_stdout)] // it measures, on a terminal

mod awakening;
mod journal;
mod lmdb;
mod machine;
mod others;
mod speed;

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the journal beside bare LMDB, SQLite, redb and fjall, and the awakening of a large world.
#[derive(Debug, Parser)]
struct Args {
    /// A folder on the disk to measure; without it the system's temporary folder.
    folder: Option<PathBuf>,
    /// Only this section.
    #[arg(long)]
    only: Option<Section>,
    /// Rounds of which the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only batches of so many records; may be given several times.
    #[arg(long)]
    batch: Vec<u64>,
    /// Milliseconds that each contender has in a round.
    #[arg(long, default_value_t = 500)]
    slice: u64,
    /// Messages of the world that wakes.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Objects of the world that wakes.
    #[arg(long, default_value_t = 100_000)]
    objects: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Section {
    Speed,
    Awakening,
}

fn main() {
    let args = Args::parse();
    let parent = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("journals-").tempdir_in(&parent).expect("a folder of our own");
    let system = machine::file_system(folder.path()).map_or_else(String::new, |name| format!(", on {name}"));
    println!("in {}{system}", parent.display());
    if args.only != Some(Section::Awakening) {
        speed::print(folder.path(), args.rounds.max(1), Duration::from_millis(args.slice), &args.batch);
    }
    if args.only != Some(Section::Speed) {
        awakening::print(&folder.path().join("awakening"), args.messages, args.objects.max(1));
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
