//! What is left when the power fails: a load that says what was acknowledged, and a check of what came back.
//!
//! Both run as processes of their own, told what to do by the environment: they are tests of this binary that do nothing
//! otherwise. The load changes two objects alike in each turn, so that half a turn would show.

use super::*;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The world of the load or of the check.
const WORLD_VARIABLE: &str = "POWERCUT_WORLD";
/// The file of what was acknowledged.
const MARKS_VARIABLE: &str = "POWERCUT_MARKS";
/// How many messages the load has.
const MESSAGES_VARIABLE: &str = "POWERCUT_MESSAGES";
/// Whether the load acknowledges a commit before its sync: a broken build, which the rig must catch.
const HASTY_VARIABLE: &str = "POWERCUT_HASTY";

fn path_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

fn twin() -> ObjectId {
    ObjectId::genesis("twin")
}

fn twins() -> NewWorld {
    let other = Object { id: twin(), name: Some(name("twin")), ..proto() };
    NewWorld { world_id: WORLD, objects: vec![proto(), other] }
}

fn open_twins(dir: &Path, protocol: Protocol) -> (Awakened, Alembic) {
    open_with(dir, Some(twins()), 42, &mut Still, Box::new(|| {}), SMALL_MAP, protocol).unwrap()
}

fn turn(sequence: u64) -> Outcome {
    let x = sequence as f64;
    done(vec![set_x(ObjectId::proto(), x), set_x(twin(), x)])
}

/// Both objects as a turn leaves them.
fn stand(sequence: u64) -> Vec<(ObjectId, Option<Snapshot>)> {
    let objects = twins().objects.into_iter().map(|mut object| {
        object.slots.put(name("x"), 0, Slot::value(Value::Number(sequence as f64)));
        (object.id, Some(Snapshot::Object(object)))
    });
    objects.collect()
}

/// Writes down what is acknowledged, line by line.
struct Marks(File);

impl Marks {
    fn note(&mut self, kind: &str, sequences: &[u64]) {
        let lines: String = sequences.iter().map(|sequence| format!("{kind} {sequence}\n")).collect();
        self.0.write_all(lines.as_bytes()).unwrap();
    }
}

#[test]
fn load() {
    let (Some(dir), Some(marks)) = (path_of(WORLD_VARIABLE), path_of(MARKS_VARIABLE)) else { return };
    if std::env::var_os(MESSAGES_VARIABLE).is_none() {
        return;
    }
    let messages: u64 = std::env::var(MESSAGES_VARIABLE).unwrap().parse().unwrap();
    let protocol = if std::env::var_os(HASTY_VARIABLE).is_some() { Protocol::Hasty } else { Protocol::USUAL };
    let mut marks = Marks(OpenOptions::new().create(true).append(true).open(marks).unwrap());
    let (awakened, alembic) = open_twins(&dir, protocol);
    marks.note("awake", &[1]);
    let mut next = awakened.next_sequence;
    let end = next + messages;
    let mut random = 7_u64;
    let mut burst = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if random >> 62 == 0 { 1 } else { (random >> 33) % 40 + 1 }
    };
    while next < end {
        let sequences: Vec<u64> = (next..end.min(next + burst())).collect();
        next += sequences.len() as u64;
        let mut waiting: BTreeSet<u64> = sequences.iter().copied().collect();
        for sequence in sequences {
            // It is busy while the disk refuses something.
            while alembic.append_envelope(sequence, envelope(sequence)).is_err() {
                std::thread::yield_now();
            }
        }
        // A message is delivered when it is durable; what is delivered in one frame ends in it.
        while !waiting.is_empty() {
            let Reply::Durable { envelopes, outcomes, .. } = alembic.replies().recv().unwrap() else { continue };
            marks.note("envelope", &envelopes);
            marks.note("outcome", &outcomes);
            for sequence in envelopes {
                alembic.append_outcome(sequence, turn(sequence), vec![], vec![]);
                waiting.remove(&sequence);
                if sequence % 16 == 0 {
                    alembic.snapshot(stand(sequence));
                }
            }
        }
    }
    let replies = alembic.replies().clone();
    alembic.close();
    for reply in replies.try_iter() {
        if let Reply::Durable { envelopes, outcomes, .. } = reply {
            marks.note("envelope", &envelopes);
            marks.note("outcome", &outcomes);
        }
    }
}

#[test]
fn check() {
    let (Some(dir), Some(marks)) = (path_of(WORLD_VARIABLE), path_of(MARKS_VARIABLE)) else { return };
    if std::env::var_os(MESSAGES_VARIABLE).is_some() {
        return;
    }
    let marks = fs::read_to_string(marks).unwrap();
    let marked = |kind: &str| -> BTreeSet<u64> {
        let lines = marks.lines().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok());
        lines.collect()
    };
    assert!(dir.join("data.mdb").exists() || marked("awake").is_empty(), "a world that was awake is gone");
    let (first, alembic) = open_twins(&dir, Protocol::USUAL);
    drop(alembic);
    assert!(first.report.damages.is_empty(), "{:?}", first.report.damages);
    let reader = Reader::open(&dir).unwrap();
    let report = reader.verify(&mut Still).unwrap();
    assert_eq!(report.damages, []);
    let entries: Vec<Entry> = reader.log(1).map(Result::unwrap).collect();
    drop(reader);
    let mut envelopes = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut x = 0;
    for entry in &entries {
        match &entry.body {
            EntryBody::Envelope(_) => assert!(envelopes.insert(entry.sequence), "{} twice", entry.sequence),
            EntryBody::Outcome(outcome, _) if entry.sequence > 1 => {
                assert!(envelopes.contains(&entry.sequence), "an outcome before its message");
                assert!(ended.insert(entry.sequence), "{} has two outcomes", entry.sequence);
                assert_eq!(**outcome, turn(entry.sequence));
                x = entry.sequence;
            }
            _ => {}
        }
    }
    assert!(envelopes.iter().copied().eq(1..=envelopes.len() as u64), "messages are missing in between");
    let missing = |kind: &str, found: &BTreeSet<u64>| marked(kind).difference(found).copied().collect::<Vec<_>>();
    assert_eq!(missing("envelope", &envelopes), [0; 0], "acknowledged messages are gone");
    assert_eq!(missing("outcome", &ended), [0; 0], "acknowledged outcomes are gone");
    let slot = |image: &Image, id| image.object(id).unwrap().slots.get("x").unwrap().as_value().cloned();
    for id in [ObjectId::proto(), twin()] {
        assert_eq!(slot(&first.image, id), Some(Value::Number(x as f64)), "half a turn");
    }
    // It wakes again as it was, and goes on.
    let (second, alembic) = open_twins(&dir, Protocol::USUAL);
    assert_eq!(hash(&second.image), hash(&first.image));
    let next = second.next_sequence;
    alembic.append_envelope(next, envelope(next)).unwrap();
    alembic.redeliver();
    let mut delivered = Vec::new();
    while !delivered.contains(&next) {
        match alembic.replies().recv_timeout(Duration::from_secs(20)).unwrap() {
            Reply::Durable { envelopes, .. } => {
                for sequence in &envelopes {
                    alembic.append_outcome(*sequence, turn(*sequence), vec![], vec![]);
                }
                delivered.extend(envelopes);
            }
            other => panic!("{other:?}"),
        }
    }
    alembic.close();
    println!("checked");
}
