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
/// Whether the load closes the world twice in between, and has it archived each time.
const ARCHIVE_VARIABLE: &str = "POWERCUT_ARCHIVE";

/// A path that the environment of a child names.
pub(super) fn child_variable(variable: &str) -> Option<PathBuf> {
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
    let (Some(dir), Some(marks)) = (child_variable(WORLD_VARIABLE), child_variable(MARKS_VARIABLE)) else { return };
    if std::env::var_os(MESSAGES_VARIABLE).is_none() {
        return;
    }
    let messages: u64 = std::env::var(MESSAGES_VARIABLE).unwrap().parse().unwrap();
    let protocol = if std::env::var_os(HASTY_VARIABLE).is_some() { Protocol::Hasty } else { Protocol::USUAL };
    let mut marks = Marks(OpenOptions::new().create(true).append(true).open(marks).unwrap());
    if std::env::var_os(ARCHIVE_VARIABLE).is_none() {
        return write(&dir, protocol, messages, &mut marks);
    }
    for _ in 0..3 {
        write(&dir, protocol, messages / 3, &mut marks);
        archive_in(&dir, None, 7, &Progress::new(), 90).unwrap();
    }
}

/// Wakes the world, sends so many messages, and closes it.
fn write(dir: &Path, protocol: Protocol, messages: u64, marks: &mut Marks) {
    let (awakened, alembic) = open_twins(dir, protocol);
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
    let (Some(dir), Some(marks)) = (child_variable(WORLD_VARIABLE), child_variable(MARKS_VARIABLE)) else { return };
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

mod disk;

/// The library that records what a program does to its files; `None`, said with its reason, where it can't be built.
fn recorder(dir: &Path) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        println!("skipped: what a program does to its files is recorded on Linux only");
        return None;
    }
    let library = dir.join("recorder.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/recorder.c");
    let built = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    match built {
        Ok(status) if status.success() => Some(library),
        other => {
            println!("skipped: there is no C compiler `cc` for the recorder ({other:?})");
            None
        }
    }
}

/// A process that runs one test of this binary.
pub(super) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// A load whose power is cut.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    messages: u64,
    is_hasty: bool,
    archives: bool,
    /// The sync that fails.
    fail: Option<u64>,
}

/// What a load did to its disk.
fn trace(dir: &Path, recorder: &Path, load: Load) -> Vec<disk::Operation> {
    let Load { messages, is_hasty, archives, fail } = load;
    let (folder, marks, trace) = (dir.join("disk"), dir.join("marks"), dir.join("trace"));
    fs::create_dir(&folder).unwrap();
    let mut load = child("persistence::tests::powercut::load");
    load.env("LD_PRELOAD", recorder)
        .env("RECORDER_FOLDER", &folder)
        .env("RECORDER_MARKS", &marks)
        .env("RECORDER_TRACE", &trace)
        .env(WORLD_VARIABLE, folder.join("w"))
        .env(MARKS_VARIABLE, &marks)
        .env(MESSAGES_VARIABLE, messages.to_string());
    for (is_so, variable) in [(is_hasty, HASTY_VARIABLE), (archives, ARCHIVE_VARIABLE)] {
        if is_so {
            load.env(variable, "1");
        }
    }
    if let Some(fail) = fail {
        load.env("RECORDER_FAIL", fail.to_string());
    }
    let ended = load.output().unwrap();
    // One whose world could not even be made ends with an error, as it should.
    assert!(fail.is_some() || ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let operations = disk::read_trace(&fs::read(&trace).unwrap()).unwrap();
    fs::remove_dir_all(dir).unwrap();
    operations
}

/// Cuts the power so often at moments that the seed chooses, half of them right after something was acknowledged. Answers what
/// the check said where it refused.
fn refused(dir: &Path, operations: &[disk::Operation], cuts: u64, seed: u64) -> Vec<String> {
    let mut chance = disk::Chance(seed);
    let marks: Vec<usize> =
        (0..operations.len()).filter(|at| matches!(operations[*at], disk::Operation::Mark(_))).collect();
    let mut moments: Vec<usize> = (0..cuts)
        .map(|_| match marks.is_empty() || chance.below(2) == 0 {
            true => chance.below(operations.len() + 1),
            false => marks[chance.below(marks.len())] + 1,
        })
        .collect();
    moments.sort_unstable();
    let mut disk = disk::Disk::new(&dir.join("disk"));
    let mut done = 0;
    let mut refused = Vec::new();
    for (cut, moment) in moments.into_iter().enumerate() {
        for operation in &operations[done..moment] {
            disk.follow(operation).expect("the trace fits");
        }
        done = moment;
        let (left, marks) = (dir.join("left"), dir.join("marks"));
        disk.cut(&mut chance, &left).unwrap();
        fs::write(&marks, &disk.marks).unwrap();
        let checked = child("persistence::tests::powercut::check")
            .env(WORLD_VARIABLE, left.join("w"))
            .env(MARKS_VARIABLE, &marks)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
        if !checked.status.success() {
            refused.push(format!("cut {cut}, seed {seed}, after {moment} operations: {said}"));
        }
        fs::remove_dir_all(&left).unwrap();
    }
    refused
}

/// How many cuts a test makes: as many as `WORKBENCH_CUTS` says, or the given number.
fn cuts(usual: u64) -> u64 {
    std::env::var("WORKBENCH_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Cuts a load's power so often; the check's refusals, or nothing where the rig can't run.
fn cut(load: Load, cuts: u64) -> Option<Vec<String>> {
    let parent = tempfile::tempdir().unwrap();
    let recorder = recorder(parent.path())?;
    let dir = parent.path().canonicalize().unwrap().join("rig");
    fs::create_dir(&dir).unwrap();
    let operations = trace(&dir, &recorder, load);
    fs::create_dir(&dir).unwrap();
    Some(refused(&dir, &operations, cuts, load.fail.unwrap_or(0) + 1))
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if let Some(refused) = cut(Load { messages: 400, ..Load::default() }, cuts(40)) {
        assert!(refused.is_empty(), "{} refused; the first: {}", refused.len(), refused[0]);
    }
}

#[test]
fn what_was_archived_survives_a_power_cut() {
    if let Some(refused) = cut(Load { messages: 400, archives: true, ..Load::default() }, cuts(40)) {
        assert!(refused.is_empty(), "{} refused; the first: {}", refused.len(), refused[0]);
    }
}

#[test]
fn the_rig_catches_a_build_that_acknowledges_before_its_sync() {
    if let Some(refused) = cut(Load { messages: 400, is_hasty: true, ..Load::default() }, cuts(40)) {
        assert!(!refused.is_empty());
        // Missed by the check's marks, or by what the world itself had noted as seen.
        let odd = refused.iter().find(|said| !said.contains("acknowledged") && !said.contains("WentBack"));
        assert_eq!(odd, None);
        println!("{} refused", refused.len());
    }
}

#[test]
fn a_sync_that_fails_loses_nothing_that_was_acknowledged() {
    for fail in [4, 5, 6, 11] {
        if let Some(refused) = cut(Load { messages: 150, fail: Some(fail), ..Load::default() }, cuts(10)) {
            assert!(refused.is_empty(), "sync {fail}: {} refused; the first: {}", refused.len(), refused[0]);
        }
    }
}
