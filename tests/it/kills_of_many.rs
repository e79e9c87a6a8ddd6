//! Kills at random moments while several produce messages at once. After each the whole log is held against itself, against what
//! was acknowledged, and against what stands on the disk.
//!
//! `WORKBENCH_KILLS=1000 cargo test kills` makes as many.

use super::producers::{SETTING, START, bring_to_rest};
use super::program::{Session, answers, log_from, show, talk_until_killed, verified_hash};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

/// Kills in an ordinary run.
const KILLS: u64 = 10;
/// Kills of one world: every check reads all of its log.
const KILLS_A_WORLD: u64 = 25;
/// Lines offered to each process.
const OFFERED: usize = 1_000;

/// Who counts, and by which message.
const COUNTERS: [(&str, &str); 3] = [("tally", "count"), ("beats", "beat"), ("ring", "hop")];

/// A message as the log tells it.
struct Message {
    selector: String,
    args: Vec<Json>,
    /// How it ended, once it has.
    status: Option<String>,
    /// Messages that its turn posted.
    posts: u64,
}

impl Message {
    /// How many messages its turn posts where it completes. What the console does itself posts nothing.
    fn posts_when_completed(&self) -> u64 {
        match self.selector.as_str() {
            "count" | "beat" | "fire" => 1,
            "hop" => 1 + u64::from(self.args[0]["value"].as_f64().unwrap() > 0.0),
            _ => 0,
        }
    }

    fn is_completed(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }
}

/// The log of a world as far as it was read, and what was acknowledged.
#[derive(Default)]
struct Books {
    messages: BTreeMap<u64, Message>,
    numbers: HashMap<String, u64>,
    position: u64,
    /// Messages that were posted in ticks.
    of_ticks: u64,
    acknowledged: u64,
    given_up: u64,
}

impl Books {
    /// Reads what the log has got. Every law that holds between records is checked.
    fn read(&mut self, world: &Path) {
        let from = self.messages.keys().next_back().copied().unwrap_or(1);
        let known = self.position;
        for entry in log_from(world, from).iter().filter(|entry| entry["position"].as_u64() > Some(known)) {
            self.position += 1;
            assert_eq!(entry["position"].as_u64(), Some(self.position), "a gap before {entry}");
            assert!(entry["damage"].is_null(), "{entry}");
            let sequence = entry["seq"].as_u64().unwrap();
            match entry["kind"].as_str().unwrap() {
                "envelope" => self.take_envelope(sequence, entry),
                "outcome" => {
                    let message = self.messages.get_mut(&sequence).unwrap_or_else(|| panic!("of no message: {entry}"));
                    let status = entry["status"].as_str().unwrap().to_string();
                    self.given_up += u64::from(entry["error"]["kind"] == "internal");
                    assert_eq!(message.status.replace(status), None, "a second outcome: {entry}");
                }
                _ => {}
            }
        }
        for (sequence, message) in &self.messages {
            let expected = if message.is_completed() { message.posts_when_completed() } else { 0 };
            assert_eq!(message.posts, expected, "message {sequence}, {}, {:?}", message.selector, message.status);
        }
    }

    fn take_envelope(&mut self, sequence: u64, entry: &Json) {
        assert_eq!(sequence, self.messages.len() as u64 + 1, "{entry}");
        if entry["sender_id"] == "post" {
            match entry["correlation_id"].as_str() {
                // With the outcome of what posted it: that stands before it, in the same commit.
                Some(cause) => {
                    let cause = self.messages.get_mut(&self.numbers[cause]).unwrap();
                    assert!(cause.is_completed(), "posted by a turn that is not there: {entry}");
                    cause.posts += 1;
                }
                None => self.of_ticks += 1,
            }
        }
        self.numbers.insert(entry["message_id"].as_str().unwrap().to_string(), sequence);
        let text = |field: &str| entry[field].as_str().unwrap().to_string();
        let args = entry["args"].as_array().unwrap().clone();
        self.messages.insert(sequence, Message { selector: text("selector"), args, status: None, posts: 0 });
    }

    /// What was told of is there, with the end that was told.
    fn hold_against(&mut self, told: &[Json]) {
        let mut last = None;
        for answer in told {
            let Some(sequence) = answer["seq"].as_u64() else { panic!("{answer}") };
            let message = self.messages.get(&sequence).unwrap_or_else(|| panic!("acknowledged and gone: {answer}"));
            assert_eq!(message.status.as_deref(), answer["status"].as_str(), "{answer}");
            self.acknowledged += 1;
            if message.selector == "count" && message.is_completed() {
                let n = answer["result"].as_u64().unwrap();
                assert!(last.is_none_or(|last| n == last + 1), "{last:?}, then {answer}");
                last = Some(n);
            }
        }
    }

    /// How many messages of a kind completed; where `of` is given, of those with this first argument.
    fn completed(&self, selector: &str, of: Option<&str>) -> u64 {
        let completed = self.messages.values().filter(|message| message.selector == selector && message.is_completed());
        completed.filter(|message| of.is_none_or(|of| message.args[0]["value"] == of)).count() as u64
    }

    /// Every counter on the disk is the number of the turns that the log has of it.
    fn hold_against_the_disk(&self, world: &Path) {
        let number = |of: &Json| of.as_f64().unwrap() as u64;
        let sink = show(world, "sink")["slots"].clone();
        for (name, selector) in COUNTERS {
            let n = number(&show(world, name)["slots"]["n"]);
            assert_eq!(n, self.completed(selector, None), "{name}");
        }
        for name in ["tally", "beats", "ring", "walker"] {
            assert_eq!(number(&sink[name]), self.completed("take", Some(name)), "sink.{name}");
        }
        // Ticks stand in the log by their number alone; what they posted, by itself.
        let steps = number(&show(world, "walker")["slots"]["n"]);
        let wait = self.messages.values().filter(|message| message.status.is_none()).count();
        assert_eq!(self.of_ticks, steps / 5, "of {steps} ticks, with {wait} messages that wait");
    }
}

/// What the console offers: counts mostly, chains of posts, timers, failures.
fn offered() -> impl Iterator<Item = String> + Send + 'static {
    let lines = (0..OFFERED).map(|at| match at % 20 {
        3 => "hop ring left=3\n".to_string(),
        9 => "= (function() after(0.05, world.beats, 'beat') end)()\n".to_string(),
        15 => "fail tally\n".to_string(),
        _ => "count tally\n".to_string(),
    });
    std::iter::once(START.to_string()).chain(lines)
}

#[test]
fn no_kill_loses_or_doubles_what_several_producers_do() {
    let kills = std::env::var("WORKBENCH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut all = [0; 4];
    for begin in (0..kills).step_by(KILLS_A_WORLD as usize) {
        let dir = tempfile::tempdir().unwrap();
        let world = dir.path().join("world");
        assert_eq!(answers(&world, SETTING.as_bytes()).1, Some(0));
        let mut books = Books::default();
        for _ in begin..kills.min(begin + KILLS_A_WORLD) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let told = talk_until_killed(&world, offered(), Duration::from_micros(2_000 + random % 300_000));
            verified_hash(&world);
            books.read(&world);
            books.hold_against(&told);
            books.hold_against_the_disk(&world);
        }
        // Brought to rest, every message has its outcome, and the world wakes as it was.
        let mut session = Session::open(&world);
        bring_to_rest(&mut session);
        assert!(matches!(session.close().1, Some(0 | 1)), "a message that was given up may fail again");
        let hash = verified_hash(&world);
        books.read(&world);
        books.hold_against_the_disk(&world);
        let open = books.messages.iter().find(|(_, message)| message.status.is_none());
        assert_eq!(open.map(|(sequence, _)| sequence), None, "without an outcome");
        for (name, selector) in COUNTERS {
            let missing = books.completed(selector, None) - books.completed("take", Some(name));
            assert!(missing <= books.given_up, "{name}: {missing} were not taken, and {} given up", books.given_up);
        }
        assert_eq!(answers(&world, b"").1, Some(0));
        assert_eq!(verified_hash(&world), hash, "another world woke");
        for (sum, of) in
            all.iter_mut().zip([books.acknowledged, books.messages.len() as u64, books.of_ticks, books.given_up])
        {
            *sum += of;
        }
    }
    let [acknowledged, messages, of_ticks, given_up] = all;
    assert!(acknowledged > 0 && of_ticks > 0, "{all:?}");
    println!(
        "{kills} kills, {messages} messages ({of_ticks} of ticks), {acknowledged} acknowledged, {given_up} given up"
    );
}
