//! Kills at random moments during a stream of messages: nothing acknowledged is missing, nothing is applied twice.
//!
//! `WORKBENCH_KILLS=200 cargo test kills` runs as many as it says.

use super::program::{answers, log, talk_until_killed, verified_hash};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Kills in an ordinary run.
const KILLS: u64 = 12;
/// Messages offered to each process: more than it takes in before it is killed.
const OFFERED: usize = 50_000;

#[test]
fn no_kill_loses_an_acknowledged_message_or_applies_one_twice() {
    let kills = std::env::var("WORKBENCH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let teach = "create_counter tally n=0\n\
                 add_method tally selector=count source=\"function(self) self.n += 1 return self.n end\"\n";
    assert_eq!(answers(&world, teach.as_bytes()).1, Some(0));
    let (mut random, mut acknowledged, mut all) = (0x9e37_79b9_7f4a_7c15_u64, 0, 0_usize);
    for kill in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let counts = count_until_killed(&world, Duration::from_micros(2_000 + random % 400_000));
        all += counts.len();
        // Each count is one more than the one before: none is applied twice, none is skipped.
        assert!(counts.windows(2).all(|pair| pair[1] == pair[0] + 1), "kill {kill}: {counts:?}");
        if let Some(first) = counts.first() {
            assert!(*first > acknowledged, "kill {kill}: {first} came again after {acknowledged}");
        }
        acknowledged = counts.last().copied().unwrap_or(acknowledged);
    }
    let (told, code) = answers(&world, b"get tally n\n");
    assert_eq!(code, Some(0));
    let n = told[0]["result"].as_u64().unwrap();
    assert!(n >= acknowledged, "{n} after {acknowledged} was acknowledged");
    assert_eq!(n, completed_counts(&world), "counts in the log");
    let first = verified_hash(&world);
    assert_eq!(answers(&world, b"").1, Some(0));
    assert_eq!(verified_hash(&world), first);
    println!("{kills} kills, {all} messages acknowledged, {n} applied");
}

/// Streams messages and kills the process; the acknowledged counts.
fn count_until_killed(world: &Path, after: Duration) -> Vec<u64> {
    let answers = talk_until_killed(world, std::iter::repeat_n("count tally\n".to_string(), OFFERED), after);
    answers.iter().map(|answer| answer["result"].as_u64().unwrap_or_else(|| panic!("{answer}"))).collect()
}

/// Counts whose outcome says that they were applied. One that was being delivered at two deaths in a row is given up:
/// it was never acknowledged, and waits among the problems.
fn completed_counts(world: &Path) -> u64 {
    let entries = log(world);
    let asked: HashSet<u64> = entries
        .iter()
        .filter(|entry| entry["kind"] == "envelope" && entry["selector"] == "count")
        .filter_map(|entry| entry["seq"].as_u64())
        .collect();
    let ended = entries.iter().filter(|entry| entry["kind"] == "outcome");
    let (mut completed, mut seen) = (0, HashSet::new());
    for entry in ended.filter(|entry| entry["seq"].as_u64().is_some_and(|sequence| asked.contains(&sequence))) {
        assert!(seen.insert(entry["seq"].as_u64()), "two outcomes: {entry}");
        match entry["status"].as_str() {
            Some("completed") => completed += 1,
            _ => assert_eq!(entry["error"]["kind"], "internal", "{entry}"),
        }
    }
    let given_up = seen.len() as u64 - completed;
    println!("{given_up} given up");
    completed
}

#[test]
fn no_kill_lets_an_undo_take_back_another_turn_than_it_would_have() {
    const KILLS: u64 = 5;
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let teach = "create_counter tally n=0\n\
                 add_method tally selector=count source=\"function(self) self.n += 1 return self.n end\"\n";
    assert_eq!(answers(&world, teach.as_bytes()).1, Some(0));
    for kill in 0..KILLS {
        let lines = std::iter::repeat_n("count tally\ncount tally\nundo\nredo\nundo\n".to_string(), OFFERED);
        talk_until_killed(&world, lines, Duration::from_micros(150_000 + 70_001 * kill));
    }
    let n = answers(&world, b"get tally n\n").0[0]["result"].as_i64().unwrap();
    let entries = log(&world);
    let selectors: std::collections::HashMap<u64, &str> = entries
        .iter()
        .filter(|entry| entry["kind"] == "envelope")
        .filter_map(|entry| Some((entry["seq"].as_u64()?, entry["selector"].as_str()?)))
        .collect();
    let (mut expected, mut undos) = (0, 0);
    let completed = entries.iter().filter(|entry| entry["kind"] == "outcome" && entry["status"] == "completed");
    for outcome in completed {
        match outcome["seq"].as_u64().and_then(|sequence| selectors.get(&sequence)) {
            Some(&"count" | &"redo") => expected += 1,
            Some(&"undo") => {
                expected -= 1;
                undos += 1;
            }
            _ => {}
        }
    }
    assert!(undos > 0);
    assert_eq!(n, expected);
    verified_hash(&world);
    println!("{KILLS} kills, {undos} undone");
}
