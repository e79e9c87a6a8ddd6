//! Laws of the room as a whole: what was acknowledged comes back, and what is damaged is found.

use super::alembic::{self, Beginning};
use super::archiving::archive_in;
use super::awakening::open_with;
use super::batch::Batch;
use super::ledger::{Ledger, SUSPENDED_KEPT};
use super::store::{Protocol, Store};
use super::writer::{LogEnd, Shelf};
use super::*;
use crate::object::{Afterwards, Objects, Origin, Outcome, Readable, Slot, Target, Tombstone, Value};
use crate::object::{
    Argument, Burial, Change, Edit, EditKind, Fault, FaultKind, Literal, MapKey, MethodVersion, Name, ObjectId,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod archive;
pub(crate) mod gate;
mod messages;
mod powercut;
mod promises;
mod reading;
mod repair;
mod storage;
pub(crate) mod tmpfs;

const WORLD: Uuid = Uuid::from_u128(7);
const SMALL_MAP: usize = 1 << 20;

/// For worlds in which nothing steps.
struct Still;

impl Ticker for Still {
    fn begin(&mut self, _: Uuid) {}
    fn touched(&mut self, _: ObjectId) {}
    fn tick(&mut self, _: &Image, _: Tick) -> Vec<Change> {
        Vec::new()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn envelope(sequence: u64) -> Envelope {
    Envelope {
        message_id: Envelope::id_of(WORLD, sequence),
        correlation_id: None,
        sender_id: "console".into(),
        target: Target::Name("proto".into()),
        selector: name("set"),
        args: vec![Argument { name: Some(name("x")), value: Value::Number(sequence as f64).into() }],
        issued_at: 1_000 + sequence,
        retries: None,
    }
}

fn proto() -> Object {
    let mut object = Object::new(ObjectId::proto());
    object.name = Some(name("proto"));
    object.slots.push(name("x"), Slot::value(Value::Number(0.0)));
    object
}

fn set_x(id: ObjectId, x: f64) -> Change {
    Change::SetSlot { id, slot: name("x"), place: 0, before: None, after: Some(Slot::value(Value::Number(x))) }
}

fn done(changes: Vec<Change>) -> Outcome {
    Outcome::Completed { result: Value::Nil, changes, logs: vec!["said".into()] }
}

fn failed() -> Outcome {
    Outcome::Failed(Fault::new(FaultKind::Error, "no"))
}

fn wake(dir: &Path) -> (Awakened, Alembic) {
    let new = NewWorld { world_id: WORLD, objects: vec![proto()] };
    open_with(dir, Some(new), 42, &mut Still, Box::new(|| {}), SMALL_MAP, Protocol::USUAL).unwrap()
}

/// Messages that may be delivered and outcomes that are durable, in the order of the answers, up to `last`.
fn await_until(alembic: &Alembic, done: impl Fn(&[u64], &[u64]) -> bool) -> (Vec<u64>, Vec<u64>) {
    let (mut delivered, mut settled) = (Vec::new(), Vec::new());
    while !done(&delivered, &settled) {
        match alembic.replies().recv_timeout(std::time::Duration::from_secs(20)).unwrap() {
            Reply::Durable { envelopes, outcomes, .. } => {
                delivered.extend(envelopes);
                settled.extend(outcomes);
            }
            Reply::Room(_) | Reply::LetGo(_) => {}
            Reply::ReadOnly(reason) | Reply::Writable(reason) => panic!("{reason}"),
        }
    }
    (delivered, settled)
}

fn hash(image: &Image) -> String {
    world_hash(image)
}

fn x_of(image: &Image) -> f64 {
    match image.object(ObjectId::proto()).unwrap().slots.get("x").unwrap().as_value() {
        Some(Value::Number(x)) => *x,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_acknowledged_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/world");
    let (awakened, alembic) = wake(&dir);
    assert!(awakened.report.created && awakened.pending.is_empty());
    assert_eq!((awakened.next_sequence, awakened.durable, awakened.world_id), (2, 1, WORLD));
    for sequence in 2..=40 {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        alembic.append_outcome(sequence, done(vec![set_x(ObjectId::proto(), sequence as f64)]), vec![], vec![]);
    }
    alembic.append_envelope(41, envelope(41)).unwrap();
    alembic.append_outcome(41, failed(), vec![], vec![]);
    alembic.close();
    let (again, alembic) = wake(&dir);
    assert_eq!(x_of(&again.image), 40.0);
    assert_eq!((again.next_sequence, again.durable), (42, 41));
    let past = &again.past;
    assert!(past.len() == 39 && past.get(40).is_some() && past.get(1).is_none() && past.get(41).is_none());
    assert_eq!(
        again.problems,
        [Problem { sequence: 41, envelope: envelope(41).into(), fault: Fault::new(FaultKind::Error, "no") }]
    );
    assert!(again.report.clean_exit && !again.report.created && again.report.damages.is_empty());
    alembic.close();
    let reader = Reader::open(&dir).unwrap();
    assert_eq!(reader.image(&mut Still).unwrap(), again.image);
    assert_eq!(reader.problems(&mut Still).unwrap(), again.problems);
    let report = reader.verify(&mut Still).unwrap();
    assert_eq!(report.damages, []);
    assert_eq!((report.envelopes, report.outcomes, report.objects), (41, 41, 1));
    assert_eq!(report.world_hash, hash(&again.image));
    let positions: Vec<u64> = reader.log(1).map(|entry| entry.unwrap().position).collect();
    assert_eq!(positions, (1..=report.records).collect::<Vec<_>>());
    let kinds: Vec<&str> = reader.log(1).take(3).map(|entry| entry.unwrap().kind).collect();
    assert_eq!(kinds, ["envelope", "outcome", "epoch"]);
}

#[test]
fn the_snapshots_make_the_log_short() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    for sequence in 2..=200 {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        alembic.append_outcome(sequence, done(vec![set_x(ObjectId::proto(), sequence as f64)]), vec![], vec![]);
    }
    let mut object = proto();
    object.as_mut().apply(&set_x(ObjectId::proto(), 200.0));
    alembic.snapshot(vec![(object.id, Some(Snapshot::Object(object)))]);
    alembic.close();
    let (again, alembic) = wake(&dir);
    assert_eq!((x_of(&again.image), again.report.records), (200.0, 0));
    alembic.close();
}

#[test]
fn a_message_without_outcome_is_delivered_again_and_given_up_after_two_deaths() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    alembic.append_envelope(2, envelope(2)).unwrap();
    alembic.append_envelope(3, envelope(3)).unwrap();
    alembic.close();
    for _ in 0..3 {
        // A process that dies before it could deliver anything tells nothing against a message.
        let (awakened, alembic) = wake(&dir);
        assert!(awakened.report.given_up.is_empty());
        alembic.close();
    }
    for _ in 0..2 {
        let (awakened, alembic) = wake(&dir);
        alembic.redeliver();
        assert_eq!(awakened.pending, [(2, envelope(2)), (3, envelope(3))]);
        assert_eq!((awakened.durable, awakened.next_sequence), (1, 4));
        // Message 3 waits for the outcome of message 2, which never comes.
        assert_eq!(await_until(&alembic, |delivered, _| !delivered.is_empty()).0, [2]);
        alembic.close();
    }
    let (awakened, alembic) = wake(&dir);
    assert_eq!(awakened.report.given_up, [2]);
    assert_eq!(awakened.pending, [(3, envelope(3))]);
    assert!(awakened.problems[0].fault.message.contains("ended the process twice"));
    alembic.append_envelope(4, envelope(4)).unwrap();
    alembic.redeliver();
    assert_eq!(await_until(&alembic, |delivered, _| !delivered.is_empty()).0, [3]);
    alembic.append_outcome(3, done(vec![]), vec![], vec![]);
    assert_eq!(await_until(&alembic, |delivered, _| !delivered.is_empty()), (vec![4], vec![3]));
    alembic.close();
    assert_eq!(Reader::open(&dir).unwrap().verify(&mut Still).unwrap().damages, []);
}

#[test]
fn the_newest_thousand_failed_messages_wait() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    let last = SUSPENDED_KEPT as u64 + 6;
    for sequence in 2..=last {
        while alembic.append_envelope(sequence, envelope(sequence)).is_err() {
            std::thread::yield_now();
        }
        alembic.append_outcome(sequence, failed(), vec![], vec![]);
    }
    alembic.append_envelope(last + 1, envelope(last + 1)).unwrap();
    alembic.append_outcome(last + 1, done(vec![]), vec![last], vec![]);
    alembic.close();
    let (awakened, alembic) = wake(&dir);
    assert_eq!(awakened.problems.len(), SUSPENDED_KEPT - 1);
    assert_eq!((awakened.problems[0].sequence, awakened.problems.last().unwrap().sequence), (7, last - 1));
    alembic.close();
    assert_eq!(Reader::open(&dir).unwrap().verify(&mut Still).unwrap().damages, []);
}

#[test]
fn a_full_map_grows() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    let text = "x".repeat(300_000);
    for sequence in 2..12 {
        let mut big = envelope(sequence);
        big.args[0].value = Literal::Value(Value::Text(text.clone()));
        alembic.append_envelope(sequence, big).unwrap();
    }
    await_until(&alembic, |delivered, _| delivered.len() == 10);
    alembic.close();
    assert_eq!(Reader::open(&dir).unwrap().verify(&mut Still).unwrap().envelopes, 11);
}

#[test]
fn what_is_no_world_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let absent = open(&parent.path().join("none"), None, 0, &mut Still, || {}).unwrap_err();
    assert!(matches!(absent, OpenError::Absent(_)) && !absent.is_damage());
    assert!(Reader::open(&parent.path().join("none")).is_err() && !parent.path().join("none").exists());
    std::fs::write(parent.path().join("letter.txt"), "dear").unwrap();
    let new = NewWorld { world_id: WORLD, objects: vec![proto()] };
    let taken = open(parent.path(), Some(new), 0, &mut Still, || {}).unwrap_err();
    assert!(matches!(taken, OpenError::NotAWorld(_)), "{taken}");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
    let empty = parent.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    wake(&empty).1.close();
    assert!(Reader::open(&empty).is_ok());
}

#[test]
fn a_second_workbench_is_refused_by_name() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    let error = open(&dir, None, 0, &mut Still, || {}).unwrap_err().to_string();
    assert!(
        error.contains(&format!("process {}", std::process::id())) && error.contains("since 1970-01-01"),
        "{error}"
    );
    alembic.close();
    open(&dir, None, 0, &mut Still, || {}).unwrap().1.close();
}

#[test]
fn a_reader_in_another_process_looks_beside_the_writer() {
    const VARIABLE: &str = "PERSISTENCE_TEST_WORLD";
    if let Some(dir) = std::env::var_os(VARIABLE) {
        let reader = Reader::open(Path::new(&dir)).unwrap();
        print!(
            "seen {} {}",
            x_of(&reader.image(&mut Still).unwrap()),
            reader.verify(&mut Still).unwrap().damages.len()
        );
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    alembic.append_envelope(2, envelope(2)).unwrap();
    alembic.append_outcome(2, done(vec![set_x(ObjectId::proto(), 5.0)]), vec![], vec![]);
    await_until(&alembic, |_, settled| settled == [2]);
    let test = "persistence::tests::a_reader_in_another_process_looks_beside_the_writer";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(VARIABLE, &dir)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("seen 5 0"), "{output}");
    alembic.close();
}

/// Writes one entry of the log or the Sapwood anew.
fn tamper(dir: &Path, edit: impl FnOnce(&mut Batch, &Store, Vec<u8>) -> Vec<u8>) {
    let store = Store::open(dir, SMALL_MAP, Protocol::Plain).unwrap();
    let mut batch = Batch::default();
    let txn = store.read().unwrap();
    let meta = store.dbs.meta.get(&txn, super::store::META_KEY).unwrap().unwrap().to_vec();
    drop(txn);
    let meta = edit(&mut batch, &store, meta);
    store.write(&batch, &meta, false).unwrap();
    Store::close(store);
}

#[test]
fn a_world_that_is_stopped_while_it_is_read_stays_as_it_was() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    wake(&dir).1.close();
    let data = std::fs::read(dir.join("data.mdb")).unwrap();
    let progress = Progress::new();
    assert!(progress.stop());
    let stopped = open_watched(&dir, None, 0, &mut Still, || {}, &progress).err();
    assert!(matches!(stopped, Some(OpenError::Stopped(_))), "{stopped:?}");
    // A file that is mapped may be longer.
    assert!(std::fs::read(dir.join("data.mdb")).unwrap().starts_with(&data));
    let (awakened, alembic) = wake(&dir);
    assert!(awakened.report.clean_exit);
    alembic.close();
}

#[test]
fn how_far_a_copy_is_is_told_to_its_end() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    wake(&dir).1.close();
    let progress = Progress::new();
    let report = copy_world(&dir, &parent.path().join("copy"), 5, &mut Still, &progress).unwrap();
    // The snapshots and the whole log, and what of it stands above them.
    let (done, of) = progress.steps();
    assert!(done == of && of >= report.records + report.snapshots, "{progress}");
    assert_eq!(progress.to_string(), format!("what was made is checked: {of} of {of} records"));
}

#[test]
fn a_damaged_snapshot_is_rebuilt_from_the_log() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    alembic.append_envelope(2, envelope(2)).unwrap();
    alembic.append_outcome(2, done(vec![set_x(ObjectId::proto(), 9.0)]), vec![], vec![]);
    alembic.close();
    tamper(&dir, |batch, store, meta| {
        let key = ObjectId::proto().0.as_bytes().to_vec();
        let txn = store.read().unwrap();
        let mut bytes = store.dbs.sapwood.get(&txn, &key).unwrap().unwrap().to_vec();
        bytes[60] ^= 1;
        batch.sapwood.insert(key, Some(bytes));
        meta
    });
    let found = Reader::open(&dir).unwrap().verify(&mut Still).unwrap().damages;
    assert_eq!(found.iter().map(|damage| damage.part).collect::<Vec<_>>(), [DamagedPart::Sapwood(ObjectId::proto())]);
    let (awakened, alembic) = wake(&dir);
    assert_eq!((x_of(&awakened.image), awakened.report.damages.len()), (9.0, 1));
    alembic.close();
    let report = Reader::open(&dir).unwrap().verify(&mut Still).unwrap();
    assert_eq!((report.damages, report.quarantined), (vec![], 1));
    // The awakening knew already what a reader sees now.
    let (kept, _) = Reader::open(&dir).unwrap().quarantine(&mut Still).unwrap();
    assert_eq!(awakened.quarantine, kept);
    let [entry] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((entry.number, entry.object, entry.kind), (1, Some(ObjectId::proto()), "snapshot"));
    let last = Reader::open(&dir).unwrap().log(1).last().unwrap().unwrap().position;
    assert_eq!(entry.now, Afterwards::Rebuilt { at: last, whole: true });
}

#[test]
fn a_damaged_outcome_becomes_a_problem_and_the_others_wake() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    let other = Object::new(ObjectId::genesis("other"));
    let id = other.id;
    for (sequence, change) in
        [(2, Change::Create(Box::new(other), None)), (3, set_x(ObjectId::proto(), 3.0)), (4, set_x(id, 4.0))]
    {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        alembic.append_outcome(sequence, done(vec![change]), vec![], vec![]);
    }
    alembic.close();
    let position = Reader::open(&dir)
        .unwrap()
        .log(1)
        .map(Result::unwrap)
        .find(|e| e.kind == "outcome" && e.sequence == 3)
        .unwrap()
        .position;
    flip_in_file(&dir, position);
    let (awakened, alembic) = wake(&dir);
    assert_eq!(
        awakened.report.damages.iter().map(|damage| damage.part).collect::<Vec<_>>(),
        [DamagedPart::Heartwood(position)]
    );
    assert_eq!((x_of(&awakened.image), awakened.problems.len(), awakened.problems[0].sequence), (0.0, 1, 3));
    let [entry] = awakened.quarantine.as_slice() else { panic!("{:?}", awakened.quarantine) };
    assert_eq!((entry.position, entry.sequence, entry.now), (Some(position), 3, Afterwards::Waits));
    assert!(awakened.image.object(id).unwrap().slots.get("x").is_some());
    alembic.close();
    let (again, alembic) = wake(&dir);
    assert_eq!((again.problems.len(), again.pending.len()), (1, 0));
    assert_eq!(again.quarantine, awakened.quarantine);
    // What is let go is told once no reader finds it any more.
    let key = again.quarantine[0].key.clone();
    alembic.let_go(key.clone());
    let told = alembic.replies().iter().find(|reply| matches!(reply, Reply::LetGo(_)));
    assert_eq!(told, Some(Reply::LetGo(vec![key])));
    alembic.close();
    assert_eq!(Reader::open(&dir).unwrap().quarantine(&mut Still).unwrap().0, []);
    let report = Reader::open(&dir).unwrap().verify(&mut Still).unwrap();
    assert!(report.damages.iter().any(|damage| damage.part == DamagedPart::Heartwood(position)));
}

/// Flips a bit in the body of a log record, in the file itself.
fn flip_in_file(dir: &Path, position: u64) {
    let store = Store::open(dir, SMALL_MAP, Protocol::Plain).unwrap();
    let record = {
        let txn = store.read().unwrap();
        store.dbs.heartwood.get(&txn, &position.to_be_bytes()).unwrap().unwrap().to_vec()
    };
    Store::close(store);
    let path = dir.join("data.mdb");
    let mut file = std::fs::read(&path).unwrap();
    let places: Vec<usize> = (0..file.len() - record.len()).filter(|at| file[*at..].starts_with(&record)).collect();
    assert!(!places.is_empty());
    for at in places {
        file[at + record.len() - 1] ^= 4;
    }
    std::fs::write(path, file).unwrap();
}

#[test]
fn a_record_whose_place_in_the_chain_alone_is_damaged_is_taken_in() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    alembic.append_envelope(2, envelope(2)).unwrap();
    alembic.append_outcome(2, done(vec![set_x(ObjectId::proto(), 9.0)]), vec![], vec![]);
    drop(alembic);
    let at = Reader::open(&dir).unwrap().log(1).map(Result::unwrap).find(|e| e.kind == "outcome" && e.sequence == 2);
    let position = at.unwrap().position;
    tamper(&dir, |batch, store, meta| {
        let key = position.to_be_bytes().to_vec();
        let txn = store.read().unwrap();
        let mut bytes = store.dbs.heartwood.get(&txn, &key).unwrap().unwrap().to_vec();
        bytes[34] ^= 1;
        batch.quarantine("heartwood", &key, "its chain value is wrong", &bytes, 5).unwrap();
        batch.quarantine("heartwood", &[1], &record::RecordError::Chain.to_string(), &bytes, 5).unwrap();
        batch.quarantine("sapwood", &[7; 16], "its checksum is wrong", &[0; 1_000], 5).unwrap();
        meta
    });
    let (kept, _) = Reader::open(&dir).unwrap().quarantine(&mut Still).unwrap();
    let [record, odd, snapshot] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((record.position, record.now), (Some(position), Afterwards::TakenIn));
    assert!(
        matches!(&record.readable, Some(Readable::Outcome(outcome)) if matches!(**outcome, Outcome::Completed { .. }))
    );
    assert_eq!((odd.number, odd.position, odd.now), (2, None, Afterwards::Lost), "a key that is no position");
    assert_eq!((snapshot.now, snapshot.head.len(), snapshot.size), (Afterwards::Gone, 512, 1_000));
}

#[test]
fn a_world_of_a_newer_program_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    wake(&dir).1.close();
    tamper(&dir, |_, _, mut meta| {
        meta[2] = 9;
        meta
    });
    for error in [open(&dir, None, 0, &mut Still, || {}).err(), Reader::open(&dir).unwrap().image(&mut Still).err()] {
        assert!(matches!(error, Some(OpenError::Newer { .. })), "{error:?}");
    }
}

#[test]
fn a_cut_file_is_found_and_kills_nobody() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    wake(&dir).1.close();
    let whole = std::fs::read(dir.join("data.mdb")).unwrap();
    // A file may be longer than what is used of it.
    let used = 1 + whole.chunks(4096).rposition(|page| page.iter().any(|byte| *byte != 0)).unwrap();
    for pages in 0..used {
        std::fs::write(dir.join("data.mdb"), &whole[..pages * 4096]).unwrap();
        let read = Reader::open(&dir).and_then(|reader| reader.verify(&mut Still));
        assert!(read.is_err_and(|error| error.is_damage()), "{pages} pages");
    }
}

#[test]
fn a_world_that_went_back_in_time_is_noticed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let messages = |sequences: std::ops::RangeInclusive<u64>, by: f64| {
        let (_, alembic) = wake(&dir);
        for sequence in sequences {
            alembic.append_envelope(sequence, envelope(sequence)).unwrap();
            alembic.append_outcome(
                sequence,
                done(vec![set_x(ObjectId::proto(), sequence as f64 * by)]),
                vec![],
                vec![],
            );
        }
        alembic.close();
    };
    let opened = || open_with(&dir, None, 43, &mut Still, Box::new(|| {}), SMALL_MAP, Protocol::USUAL);
    messages(2..=5, 1.0);
    let [data, seen] = ["data.mdb", "world.seen"].map(|name| dir.join(name));
    let older = std::fs::read(&data).unwrap();
    let seen_then = std::fs::read(&seen).unwrap();
    messages(6..=6, 1.0);
    // The older file alone is noticed, and nothing is changed by that.
    std::fs::write(&data, &older).unwrap();
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("went back in time") && error.contains("world.seen"), "{error}");
    assert_eq!(std::fs::read(&data).unwrap(), older);
    // So is one that went on otherwise from there.
    let seen_last = std::fs::read(&seen).unwrap();
    std::fs::write(&seen, &seen_then).unwrap();
    messages(6..=30, 2.0);
    std::fs::write(&seen, &seen_last).unwrap();
    assert!(matches!(opened().unwrap_err(), OpenError::WentBack { .. }));
    // Without what was seen it goes on as it is; a whole older folder is an older world.
    std::fs::remove_file(&seen).unwrap();
    let (awakened, alembic) = opened().unwrap();
    assert_eq!(awakened.next_sequence, 31);
    alembic.close();
}

/// A disk that is full from some write on until there is room.
struct Filling {
    writes_left: u32,
    room: Arc<AtomicBool>,
    end: LogEnd,
}

impl Shelf for Filling {
    fn write(&mut self, batch: &Batch, _: &[u8], _: bool) -> Result<bool, String> {
        self.writes_left = self.writes_left.saturating_sub(1);
        if self.writes_left == 0 && !self.room.load(Ordering::Relaxed) {
            return Err("the disk is full".into());
        }
        if let Some((position, record)) = batch.heartwood.iter().last() {
            assert_eq!(batch.heartwood.iter().next().map(|(first, _)| first), Some(self.end.position + 1));
            self.end = LogEnd { position, chain: record::decode(record, None).unwrap().chain };
        }
        Ok(true)
    }

    fn sync(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn reopen(&mut self) -> Result<LogEnd, String> {
        Ok(self.end)
    }

    fn close(self: Box<Self>) {}
}

/// An Alembic over a disk that takes so many writes, the first of them that of its beginning.
fn filling(writes: u32) -> (Alembic, Arc<AtomicBool>) {
    let (room, end) = (Arc::new(AtomicBool::new(false)), LogEnd { position: 0, chain: 0 });
    let shelf = Box::new(Filling { writes_left: writes + 1, room: room.clone(), end });
    let (first, ledger) = (Batch::default(), Ledger::new(WORLD));
    let beginning = Beginning {
        shelf,
        ledger,
        redeliver: VecDeque::new(),
        snapshots: vec![],
        first,
        end,
        witness: None,
        room: None,
        lock: None,
    };
    (alembic::start(beginning, Box::new(|| {})).unwrap(), room)
}

#[test]
fn a_full_disk_stops_the_writing_and_it_goes_on_when_there_is_room() {
    let (alembic, room) = filling(2);
    let durable = |envelopes, outcomes, position| Reply::Durable { envelopes, outcomes, position };
    alembic.append_envelope(1, envelope(1)).unwrap();
    assert_eq!(alembic.replies().recv().unwrap(), durable(vec![1], vec![], 1));
    alembic.append_envelope(2, envelope(2)).unwrap();
    assert_eq!(alembic.replies().recv().unwrap(), Reply::ReadOnly("the disk is full".into()));
    assert_eq!(alembic.append_envelope(3, envelope(3)), Err(Full));
    alembic.append_outcome(1, failed(), vec![], vec![]);
    room.store(true, Ordering::Relaxed);
    assert_eq!(alembic.replies().recv().unwrap(), Reply::Writable("the disk is full".into()));
    assert_eq!(alembic.replies().recv().unwrap(), durable(vec![2], vec![], 3), "an epoch stands at 3");
    assert_eq!(alembic.replies().recv().unwrap(), durable(vec![], vec![1], 4));
    alembic.append_envelope(3, envelope(3)).unwrap();
    assert_eq!(alembic.replies().recv().unwrap(), durable(vec![3], vec![], 5));
    alembic.close();
}

#[test]
fn whichever_write_of_a_flood_fails_all_is_told_once_and_in_order() {
    for writes in 0..6 {
        let (alembic, room) = filling(writes);
        let messages = |first: u64| (first..first + 3_000).map(|number| (number, Arc::new(envelope(number))));
        let mut told = Vec::new();
        let mut refused = 0;
        for first in [1, 3_001, 6_001, 9_001] {
            // While nothing can be written none is let in.
            while alembic.append_envelopes(messages(first).collect()).is_err() {
                room.store(true, Ordering::Relaxed);
                std::thread::yield_now();
            }
        }
        while told.len() < 12_000 {
            match alembic.replies().recv().unwrap() {
                Reply::Durable { envelopes, .. } => told.extend(envelopes),
                Reply::ReadOnly(_) => {
                    refused += 1;
                    room.store(true, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        assert!(told.iter().copied().eq(1..=12_000), "{writes} writes");
        assert!(refused <= 1);
        alembic.close();
    }
}

#[test]
fn a_world_that_is_closed_while_the_disk_is_full_acknowledges_nothing_more() {
    let (alembic, _) = filling(1);
    alembic.append_envelope(1, envelope(1)).unwrap();
    assert!(matches!(alembic.replies().recv().unwrap(), Reply::ReadOnly(_)));
    alembic.append_outcome(1, failed(), vec![], vec![]);
    let replies = alembic.replies().clone();
    alembic.close();
    assert!(replies.iter().all(|reply| matches!(reply, Reply::ReadOnly(_))));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_map(Value::Number),
        ".{0,8}".prop_map(Value::Text),
        any::<u128>().prop_map(|id| Value::Object(ObjectId(Uuid::from_u128(id)))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop_oneof![
            any::<bool>().prop_map(MapKey::Boolean),
            any::<i32>().prop_map(|number| MapKey::number(f64::from(number) / 4.0).unwrap()),
            ".{0,4}".prop_map(MapKey::Text),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| Value::List(items.into())),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|entries| Value::Map(entries.into())),
        ]
    })
}

fn names() -> impl Strategy<Value = Name> {
    "[a-z]{1,3}_[a-z0-9]{0,2}".prop_map(|text| name(&text))
}

fn methods() -> impl Strategy<Value = MethodVersion> {
    (any::<u32>(), any::<u32>(), prop::collection::vec(names(), 0..3), ".{0,9}", ".{0,9}", any::<u64>()).prop_map(
        |(number, follows, params, source, doc, sequence)| MethodVersion {
            number,
            follows,
            params,
            source,
            origin: Origin {
                author: doc.clone(),
                instruction: doc.clone(),
                contract: vec![doc.clone()],
                verdicts: vec![],
                sequence,
            },
            doc,
        },
    )
}

fn slots() -> impl Strategy<Value = Slot> {
    prop_oneof![values().prop_map(Slot::value), methods().prop_map(Slot::method)]
}

fn objects() -> impl Strategy<Value = Object> {
    let versions = prop::collection::btree_map(names(), prop::collection::vec(methods(), 1..3), 0..2);
    let own = prop::collection::vec((names(), slots()), 0..4);
    (any::<u128>(), prop::option::of(names()), prop::collection::vec(any::<u128>(), 0..3), own, versions).prop_map(
        |(id, name, parents, own, versions)| {
            let mut object = Object::new(ObjectId(Uuid::from_u128(id)));
            object.name = name;
            object.parents = parents.into_iter().map(|id| ObjectId(Uuid::from_u128(id))).collect();
            own.into_iter().for_each(|(name, slot)| object.slots.push(name, slot));
            object.versions = versions;
            object
        },
    )
}

fn edits() -> impl Strategy<Value = Edit> {
    let key = prop_oneof![".{0,4}".prop_map(MapKey::Text), any::<bool>().prop_map(MapKey::Boolean)];
    let maybe = || prop::option::of(values());
    let kind = prop_oneof![
        (key.clone(), maybe(), maybe()).prop_map(|(key, before, after)| EditKind::Set { key, before, after }),
        (any::<u16>(), values()).prop_map(|(place, value)| EditKind::Insert { place: place.into(), value }),
        (any::<u16>(), values()).prop_map(|(place, value)| EditKind::Remove { place: place.into(), value }),
    ];
    (prop::collection::vec(key, 0..3), kind).prop_map(|(path, kind)| Edit { path, kind })
}

fn tombstones() -> impl Strategy<Value = Tombstone> {
    let parts = (names(), any::<u64>(), any::<u64>());
    parts.prop_map(|(name, deleted_at, message)| Tombstone { name, deleted_at, message })
}

fn changes() -> impl Strategy<Value = Change> {
    let id = ObjectId::proto();
    let maybe = || prop::option::of(slots());
    let version = || (names(), methods());
    prop_oneof![
        (objects(), prop::option::of(tombstones())).prop_map(|(object, of)| Change::Create(Box::new(object), of)),
        (objects(), prop::option::of(tombstones())).prop_map(|(object, of)| Change::Delete(Box::new(object), of)),
        (names(), any::<u16>(), maybe(), maybe()).prop_map(move |(slot, place, before, after)| Change::SetSlot {
            id,
            slot,
            place: place.into(),
            before,
            after
        }),
        (names(), prop::collection::vec(edits(), 0..3)).prop_map(move |(slot, edits)| Change::EditSlot {
            id,
            slot,
            edits
        }),
        version().prop_map(move |(selector, v)| Change::AddVersion { id, selector, version: Box::new(v) }),
        version().prop_map(move |(selector, v)| Change::RemoveVersion { id, selector, version: Box::new(v) }),
        (prop::option::of(names()), prop::option::of(names())).prop_map(move |(before, after)| Change::Rename {
            id,
            before,
            after
        }),
        objects().prop_map(move |object| Change::SetParents { id, before: object.parents.clone(), after: vec![id] }),
    ]
}

/// NaN is unlike itself, so what is compared is the text of it all.
fn same(a: &impl std::fmt::Debug, b: &impl std::fmt::Debug) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn outcomes_read_back(result in values(), changes in prop::collection::vec(changes(), 0..4), resolves: Vec<u64>) {
        use super::wire_message::WireOutcome;
        use super::wire_object::{from_bytes, to_bytes};
        let outcome = Outcome::Completed { result, changes, logs: vec!["line".into()] };
        let bytes = to_bytes(&WireOutcome::new(&outcome, &resolves)).unwrap();
        let (read, read_resolves) = from_bytes::<WireOutcome>(&bytes).unwrap().into_parts().unwrap();
        prop_assert!(same(&read, &outcome));
        prop_assert_eq!(read_resolves, resolves);
    }

    #[test]
    fn failures_read_back(logs: Vec<String>, receiver in prop::option::of(any::<u128>()), resolves: Vec<u64>) {
        use super::wire_message::WireOutcome;
        use super::wire_object::{from_bytes, to_bytes};
        let receiver = receiver.map(|id| ObjectId(Uuid::from_u128(id)));
        let fault = Fault { logs, receiver, trace: vec!["a.b:1".into()], ..Fault::new(FaultKind::Gone, "gone") };
        let outcome = Outcome::Failed(fault);
        let bytes = to_bytes(&WireOutcome::new(&outcome, &resolves)).unwrap();
        let read = from_bytes::<WireOutcome>(&bytes).unwrap().into_parts().unwrap();
        prop_assert_eq!(read, (outcome, resolves));
    }

    #[test]
    fn the_world_hash_tells_objects_apart_and_not_their_order(a in objects(), b in objects()) {
        let of = |objects: [Option<&Object>; 2]| {
            let mut image = Image::default();
            objects.into_iter().flatten().for_each(|object| image.insert(object.clone()));
            hash(&image)
        };
        if a.id != b.id {
            prop_assert_eq!(of([Some(&a), Some(&b)]), of([Some(&b), Some(&a)]));
        }
        prop_assert_eq!(of([Some(&a), None]) == of([Some(&b), None]), same(&a, &b));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Delete(u8),
    Set(u8, u8),
    Rename(u8, Option<u8>),
    Snapshot(Vec<u8>),
    Reopen,
    /// In segments of so many records.
    Archive(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..5_u8;
    let step = prop_oneof![
        3 => which.clone().prop_map(Step::Create),
        1 => which.clone().prop_map(Step::Delete),
        5 => (which.clone(), any::<u8>()).prop_map(|(id, x)| Step::Set(id, x)),
        2 => (which.clone(), prop::option::of(0..3_u8)).prop_map(|(id, name)| Step::Rename(id, name)),
        2 => prop::collection::vec(which, 0..5).prop_map(Step::Snapshot),
        1 => Just(Step::Reopen),
        1 => (1_u64..9).prop_map(Step::Archive),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn snapshots_in_any_order_wake_the_world_that_the_log_tells_of(steps in steps()) {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("w");
        let (awakened, mut alembic) = wake(&dir);
        let (mut image, mut sequence) = (awakened.image, awakened.next_sequence);
        let id = |number: u8| ObjectId(Uuid::from_u128(100 + u128::from(number)));
        for step in steps {
            let change = match step {
                Step::Create(n) if image.object(id(n)).is_none() => Change::Create(Box::new(Object::new(id(n))), None),
                Step::Delete(n) => match image.object(id(n)) {
                    Some(object) => {
                        let object = object.to_object();
                        let tombstone = Burial { deleted_at: 7, message: sequence }.of(&object);
                        Change::Delete(Box::new(object), tombstone)
                    }
                    None => continue,
                },
                Step::Set(n, x) => set_x(id(n), x.into()),
                Step::Rename(n, to) => {
                    let after = to.map(|to| name(&format!("name{to}")));
                    if after.as_ref().is_some_and(|after| image.named(after).is_some()) { continue }
                    Change::Rename { id: id(n), before: None, after }
                }
                Step::Snapshot(of) => {
                    let objects = of.into_iter().map(|n| (id(n), Snapshot::of(&image, id(n))));
                    alembic.snapshot(objects.collect());
                    continue;
                }
                Step::Reopen => {
                    alembic.close();
                    let (again, next) = wake(&dir);
                    prop_assert_eq!(&again.image, &image);
                    alembic = next;
                    continue;
                }
                Step::Archive(segment) => {
                    alembic.close();
                    let archived = archive_in(&dir, None, 7, &Progress::new(), segment).unwrap();
                    prop_assert_eq!(archived.not_compacted, None);
                    let (again, next) = wake(&dir);
                    prop_assert_eq!(&again.image, &image);
                    prop_assert_eq!(again.report.damages, vec![]);
                    alembic = next;
                    continue;
                }
                Step::Create(_) => continue,
            };
            image.apply(&change);
            alembic.append_envelope(sequence, envelope(sequence)).unwrap();
            alembic.append_outcome(sequence, done(vec![change]), vec![], vec![]);
            sequence += 1;
        }
        alembic.close();
        let reader = Reader::open(&dir).unwrap();
        prop_assert_eq!(&reader.image(&mut Still).unwrap(), &image);
        prop_assert_eq!(reader.verify(&mut Still).unwrap().damages, vec![]);
    }
}

/// A record with any bytes for a body and any chain value.
fn encoded(kind: record::Kind, position: u64, sequence: u64, body: &[u8], chain: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(body);
        Ok(())
    };
    record::write(&mut bytes, kind, position, sequence, put, |_| chain).unwrap();
    bytes
}

/// The example of `docs/file-format.md`.
#[test]
fn the_document_shows_a_record_as_it_is_written() {
    let mut bytes = Vec::new();
    let body =
        |bytes: &mut Vec<u8>| super::wire_object::write_to(bytes, &super::wire_message::WireAttempt { alone: true });
    let link = |crc| super::record::chain(1, 5, crc);
    let (crc, _) = super::record::write(&mut bytes, super::record::Kind::Attempt, 5, 2, body, link).unwrap();
    let hex: Vec<String> = bytes
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
        .collect();
    let document = include_str!("../../docs/file-format.md");
    for row in &hex {
        assert!(document.contains(row.as_str()), "{}", hex.join("\n"));
    }
    assert!(document.contains(&format!("{crc:08x}")), "{crc:08x}");
    let kinds: BTreeMap<&str, u8> = [
        ("envelope", 1),
        ("outcome", 2),
        ("attempt", 4),
        ("epoch", 5),
        ("snapshot", 64),
        ("meta", 65),
        ("tombstone", 66),
        ("lost", 128),
    ]
    .into();
    for (word, byte) in kinds {
        assert!(document.contains(&format!("| {byte} | {word} |")), "{word}");
    }
}
