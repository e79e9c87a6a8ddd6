//! A clock that jumps: between two runs, and while the world goes on. The order of the log, what timers do, and the world that wakes
//! don't depend on it.

use super::super::producers::{SETTING, START, bring_to_rest};
use super::super::program::{Session, answers, log, show, verified_hash};
use super::{injected, injector};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;

fn beats(world: &Path) -> u64 {
    show(world, "beats")["slots"]["n"].as_u64().unwrap()
}

/// Brings it to rest and closes it; its hash.
fn close(mut session: Session, world: &Path) -> String {
    bring_to_rest(&mut session);
    assert_eq!(session.close().1, Some(0));
    verified_hash(world)
}

#[test]
fn a_clock_that_jumps_changes_neither_the_order_nor_the_world_that_wakes() {
    let parent = tempfile::tempdir().unwrap();
    let Some(library) = injector(parent.path()) else { return };
    let [world, wrong, said] = ["world", "wrong", "said"].map(|name| parent.path().join(name));
    let set = |days: i64| fs::write(&wrong, (days * DAY_MS).to_string()).unwrap();
    let open = || {
        let mut command = injected(&library, &world, &said);
        command.env("INJECTOR_CLOCK", &wrong);
        Session::begin(command, &world)
    };
    assert_eq!(answers(&world, SETTING.as_bytes()).1, Some(0));
    // A day ahead, then a day behind, then what it is.
    for days in [1, -1, 0] {
        set(days);
        let mut session = open();
        START.lines().for_each(|line| assert_eq!(session.ask(line)["status"], "completed"));
        let before = beats(&world);
        let after = session.ask("= (function() after(0.05, world.beats, 'beat') return now() end)()");
        let now = after["result"].as_f64().unwrap();
        // It jumps while everything moves: back, and there again.
        set(days - 2);
        (0..10).for_each(|_| assert_eq!(session.ask("count tally")["status"], "completed"));
        std::thread::sleep(Duration::from_millis(100));
        let then = session.ask("= now()")["result"].as_f64().unwrap();
        assert!(then < now - DAY_MS as f64, "the clock did not jump");
        set(days);
        while beats(&world) < before + 3 {
            assert_eq!(session.ask("count tally")["status"], "completed");
        }
        let hash = close(session, &world);
        // Also by another clock.
        set(days - 5);
        assert_eq!(open().close(), (vec![], Some(0)));
        assert_eq!(verified_hash(&world), hash, "another world woke");
    }
    let entries = log(&world);
    let numbers = |entries: Vec<&Json>, field: &str| entries.iter().filter_map(|entry| entry[field].as_u64()).collect();
    let positions: Vec<u64> = numbers(entries.iter().collect(), "position");
    assert!(positions.iter().copied().eq(1..=entries.len() as u64));
    let envelopes: Vec<&Json> = entries.iter().filter(|entry| entry["kind"] == "envelope").collect();
    let issued: Vec<u64> = numbers(envelopes.clone(), "issued_at");
    let sequences: Vec<u64> = numbers(envelopes.clone(), "seq");
    assert!(sequences.iter().copied().eq(1..=envelopes.len() as u64), "numbered in the order of the log");
    assert!(issued.windows(2).filter(|pair| pair[1] + DAY_MS as u64 <= pair[0]).count() >= 3, "it went back");
    // What fired was sent once, and counted once. A timer that is stopped while it fires fails, and sends nothing.
    let is_completed = |entry: &&&Json| {
        entries.iter().any(|end| end["kind"] == "outcome" && end["seq"] == entry["seq"] && end["status"] == "completed")
    };
    let fired = envelopes.iter().filter(|entry| entry["sender_id"] == "timer").filter(is_completed).count() as u64;
    let beaten = envelopes.iter().filter(|entry| entry["selector"] == "beat").count() as u64;
    assert_eq!((fired, beaten), (beaten, beats(&world)));
}
