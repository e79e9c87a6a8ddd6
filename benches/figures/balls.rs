//! A world of balls that move by themselves: what a frame with a tick costs, how the log grows, and how long the world
//! wakes.
//!
//! The frames, the journal and the disk are the real ones. Only the clock is not: each frame finds that a sixtieth of a
//! second has gone by, so that ticks come as fast as they can be run.

use crate::hosted::Hosted;
use crate::{median, millis};
use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions};
use living_workbench::object::TICKS_A_SECOND;
use living_workbench::systems::Clock;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BALLS: usize = 1_000;
/// Ticks after the last snapshots: the most that run again when the world wakes, for there are snapshots every 600.
const TICKS_AGAIN: u64 = 599;

const MAKE: &str = "function(self, n) for i = 1, n do local ball = self:clone() ball.x = i % 40 * 20 ball.y = i // 40 * 20 \
                    ball.vx = i % 7 * 30 - 90 ball.vy = i % 5 * 40 - 80 ball.stepping = true end end";
const STEP: &str = "function(self, seconds) self.x += self.vx * seconds self.y += self.vy * seconds \
                    if self.x < 0 or self.x > 800 then self.vx = -self.vx end \
                    if self.y < 0 or self.y > 600 then self.vy = -self.vy end end";

/// Nanoseconds that have gone by, as the world is told.
static NOW: AtomicU64 = AtomicU64::new(0);

/// Prints the section for balls that move so many minutes.
pub(crate) fn print(dir: &Path, minutes: u64) {
    let mut world = Hosted::open(dir, clock());
    world.connect();
    let lines = [
        "create_ball ball".to_string(),
        format!("add_method ball selector=step source=\"{STEP}\""),
        format!("add_method ball selector=make source=\"{MAKE}\""),
        format!("make ball n={BALLS}"),
    ];
    world.ask(&lines);
    drop(world);
    let made = log(dir);
    let mut world = Hosted::open(dir, clock()); // its first frame runs a tick
    let ticks = minutes * 60 * u64::from(TICKS_A_SECOND) + TICKS_AGAIN;
    let start = Instant::now();
    let mut frames: Vec<f64> = (1..ticks)
        .map(|_| {
            NOW.fetch_add(1_000_000_000 / u64::from(TICKS_A_SECOND) + 1, Ordering::Relaxed);
            millis(world.frame())
        })
        .collect();
    let ran = start.elapsed();
    frames.sort_by(f64::total_cmp);
    let late = frames[frames.len() * 95 / 100];
    // Not closed in order: what moved since the last snapshots is not kept.
    drop(world);
    let (records, bytes) = log(dir);
    let (records, bytes) = (records - made.0, bytes - made.1);
    let file = std::fs::metadata(dir.join("data.mdb")).map_or(0, |data| data.len());
    let start = Instant::now();
    let world = Hosted::open(dir, clock());
    let woken = start.elapsed();
    world.close();
    println!("{BALLS} balls for {ticks} ticks of a sixtieth of a second, run in {:.0} s:", ran.as_secs_f64());
    println!("  a frame with a tick {:.2} ms, 19 of 20 within {late:.2} ms", median(frames));
    println!(
        "  the log grew by {records} records, {bytes} bytes: {:.0} KiB an hour; the whole file has {:.1} MiB",
        bytes as f64 / 1024.0 * 3_600.0 * f64::from(TICKS_A_SECOND) / ticks as f64,
        file as f64 / f64::from(1 << 20)
    );
    println!("  awake again in {:.2} s, {TICKS_AGAIN} ticks of it run again", woken.as_secs_f64());
}

/// How many records the log of a world has that nobody has open, and their bytes with their keys.
fn log(dir: &Path) -> (u64, u64) {
    let mut options = EnvOpenOptions::new();
    options.max_dbs(5);
    // SAFETY: it is only read, and nobody writes it meanwhile; without a lock file of its own nothing is made.
    let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(dir) }.expect("the world's environment");
    let txn = env.read_txn().expect("a transaction");
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let opened = opener.open_database::<Bytes, Bytes>(txn, Some("heartwood"))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(opened))
    });
    let heartwood = opened.expect("a database").commit().flatten().expect("the log");
    let txn = env.read_txn().expect("a transaction");
    let records = heartwood.iter(&txn).expect("records");
    records.fold((0, 0), |(count, bytes), record| {
        let (key, value) = record.expect("a record");
        (count + 1, bytes + (key.len() + value.len()) as u64)
    })
}

fn clock() -> Clock {
    let monotonic = || Duration::from_nanos(NOW.load(Ordering::Relaxed));
    Clock { unix_ms: || 1_000 + NOW.load(Ordering::Relaxed) / 1_000_000, monotonic }
}
