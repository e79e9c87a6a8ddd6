//! Promises of `docs/durability.md` that no other test stands for: a disk that stands still, snapshots that are gone, bits
//! that flipped, an end without a close.

use super::powercut::{child, child_variable};
use super::*;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A disk that stands still until it is let go.
struct Stalled(Arc<(Mutex<bool>, Condvar)>);

impl Shelf for Stalled {
    fn write(&mut self, _: &Batch, _: &[u8], may_lag: bool) -> Result<bool, String> {
        let (goes, changed) = &*self.0;
        drop(changed.wait_while(goes.lock().unwrap(), |goes| !*goes).unwrap());
        Ok(!may_lag)
    }

    fn sync(&mut self) -> Result<(), String> {
        self.write(&Batch::default(), &[], false).map(drop)
    }

    fn reopen(&mut self) -> Result<LogEnd, String> {
        Err("it stands still".into())
    }

    fn close(self: Box<Self>) {}
}

#[test]
fn while_the_disk_stands_still_nothing_is_delivered_nobody_waits_and_the_intake_is_bounded() {
    let goes = Arc::new((Mutex::new(true), Condvar::new()));
    let end = LogEnd { position: 0, chain: 0 };
    let beginning = Beginning {
        shelf: Box::new(Stalled(goes.clone())),
        ledger: Ledger::new(WORLD),
        redeliver: VecDeque::new(),
        snapshots: vec![],
        first: Batch::default(),
        end,
        witness: None,
        room: None,
        lock: None,
    };
    let alembic = alembic::start(beginning, Box::new(|| {})).unwrap();
    alembic.append_envelope(1, envelope(1)).unwrap();
    await_until(&alembic, |delivered, _| delivered == [1]);
    *goes.0.lock().unwrap() = false;
    // None of these waits for the disk: the test would stand still with it.
    let accepted = (2..).take_while(|sequence| alembic.append_envelope(*sequence, envelope(*sequence)).is_ok()).count();
    assert_eq!(accepted, 12_288);
    alembic.append_outcome(1, failed(), vec![], vec![]);
    alembic.append_tick(Tick { number: 1, started_at: 0, index: 0 }, vec![]);
    assert!(alembic.replies().recv_timeout(Duration::from_millis(100)).is_err());
    *goes.0.lock().unwrap() = true;
    goes.1.notify_all();
    let (delivered, _) = await_until(&alembic, |delivered, settled| delivered.len() == accepted && settled == [1]);
    assert!(delivered.iter().copied().eq(2..accepted as u64 + 2));
    alembic.close();
}

/// A world with some history, closed in order, and its hash.
fn history(dir: &Path) -> String {
    let (_, alembic) = wake(dir);
    for sequence in 2..60 {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        let mut object = Object::new(ObjectId::genesis(&format!("object {sequence}")));
        object.slots.push(name("text"), Slot::value(Value::Text(format!("text of {sequence}"))));
        let changes = vec![Change::Create(Box::new(object.clone()), None), set_x(ObjectId::proto(), sequence as f64)];
        alembic.append_outcome(sequence, done(changes), vec![], vec![]);
        alembic.snapshot(vec![(object.id, Some(Snapshot::Object(object)))]);
    }
    alembic.close();
    Reader::open(dir).unwrap().verify(&mut Still).unwrap().world_hash
}

#[test]
fn losing_the_snapshots_costs_time_and_nothing_else() {
    for every in [1, 2, 7] {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("w");
        let whole = history(&dir);
        tamper(&dir, |batch, store, meta| {
            let txn = store.read().unwrap();
            let keys = store.dbs.sapwood.iter(&txn).unwrap().map(|entry| entry.unwrap().0.to_vec());
            batch.sapwood.extend(keys.step_by(every).map(|key| (key, None)));
            meta
        });
        let (awakened, alembic) = wake(&dir);
        assert_eq!(hash(&awakened.image), whole, "one in {every} is lost");
        alembic.close();
        assert_eq!(Reader::open(&dir).unwrap().verify(&mut Still).unwrap().damages, []);
    }
}

#[test]
fn an_end_without_a_close_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let [dir, copy] = ["w", "copy"].map(|name| parent.path().join(name));
    let (first, alembic) = wake(&dir);
    assert!(first.report.clean_exit);
    alembic.append_envelope(2, envelope(2)).unwrap();
    await_until(&alembic, |delivered, _| delivered == [2]);
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(dir.join("data.mdb"), copy.join("data.mdb")).unwrap();
    alembic.close();
    let [(closed, one), (left, other)] = [&dir, &copy].map(|dir| wake(dir));
    assert!(closed.report.clean_exit && !left.report.clean_exit);
    assert!(left.report.to_string().contains("not closed in order"), "{}", left.report);
    one.close();
    other.close();
}

/// What the process says that looks at a world with a flipped bit.
#[test]
fn look() {
    let Some(dir) = child_variable("FLIPPED_WORLD") else { return };
    let seen = Reader::open(&dir).and_then(|reader| Ok((reader.image(&mut Still)?, reader.verify(&mut Still)?)));
    match seen {
        Ok((image, report)) => println!("seen {} {}", hash(&image), report.damages.len()),
        Err(error) => println!("error {error}"),
    }
}

#[test]
fn no_flipped_bit_is_served() {
    let flips = std::env::var("WORKBENCH_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let parent = tempfile::tempdir().unwrap();
    let [dir, hurt] = ["w", "hurt"].map(|name| parent.path().join(name));
    let whole = history(&dir);
    let bytes = std::fs::read(dir.join("data.mdb")).unwrap();
    std::fs::create_dir(&hurt).unwrap();
    let (mut found, mut without_effect, mut died, mut random) = (0, 0, 0, 5_u64);
    for flip in 0..flips {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (random >> 20) as usize % (bytes.len() * 8);
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(hurt.join("data.mdb"), &flipped).unwrap();
        let looked = child("persistence::tests::promises::look").env("FLIPPED_WORLD", &hurt).output().unwrap();
        let said = String::from_utf8_lossy(&looked.stdout).into_owned();
        let seen = said.lines().find_map(|line| line.strip_prefix("seen ")).map(|seen| seen.split_once(' ').unwrap());
        match seen {
            Some((seen, "0")) => {
                assert_eq!(seen, whole, "flip {flip}, bit {bit}: another world was served as sound");
                without_effect += 1;
            }
            Some(_) => found += 1,
            None if said.contains("error ") => found += 1,
            None => died += 1,
        }
    }
    println!("{flips} flips: {found} found, {without_effect} without effect, {died} ended the process that looked");
    assert!(found > 0);
}

/// Each as some version of the program left it: `data.mdb`, segments where there are any, and the hash of what it holds.
#[test]
fn the_worlds_of_every_format_open() {
    let worlds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds");
    let (mut opened, mut archived) = (0, 0);
    for entry in std::fs::read_dir(worlds).unwrap().map(Result::unwrap) {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("w");
        std::fs::create_dir(&dir).unwrap();
        std::fs::copy(entry.path().join("data.mdb"), dir.join("data.mdb")).unwrap();
        if entry.path().join("archive").is_dir() {
            archived += 1;
            crate::persistence::archive::copy(&entry.path(), u64::MAX, &dir).unwrap();
        }
        let expected = std::fs::read_to_string(entry.path().join("world_hash.txt")).unwrap();
        let report = Reader::open(&dir).unwrap().verify(&mut Still).unwrap();
        assert_eq!((report.damages, report.world_hash.as_str()), (vec![], expected.trim()), "{:?}", entry.path());
        let (awakened, alembic) =
            open_with(&dir, None, 42, &mut Still, Box::new(|| {}), SMALL_MAP, Protocol::USUAL).unwrap();
        assert_eq!(hash(&awakened.image), expected.trim());
        alembic.close();
        opened += 1;
    }
    assert!(opened > 0 && archived > 0);
}

// On Windows no open file can be taken away.
#[cfg(unix)]
#[test]
fn a_data_file_that_is_gone_is_not_made_anew_after_a_failure() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let whole = history(&dir);
    let [data, aside] = [dir.join("data.mdb"), parent.path().join("aside")];
    let mut press =
        crate::persistence::store::Press::new(Store::open(&dir, SMALL_MAP, Protocol::Plain).unwrap(), &dir, SMALL_MAP);
    let end = press.reopen().unwrap();
    std::fs::rename(&data, &aside).unwrap();
    assert!(press.reopen().unwrap_err().contains("put it back"));
    assert!(!data.exists());
    std::fs::rename(&aside, &data).unwrap();
    assert_eq!(press.reopen(), Ok(end));
    Box::new(press).close();
    assert_eq!(Reader::open(&dir).unwrap().verify(&mut Still).unwrap().world_hash, whole);
}

#[test]
fn ticks_that_a_whole_set_of_snapshots_holds_are_not_run_again() {
    let [still, stepper] = ["still", "stepper"].map(ObjectId::genesis);
    let (mut ledger, mut batch) = (Ledger::new(WORLD), Batch::default());
    let tick = |number| Tick { number, started_at: 0, index: number - 1 };
    let log = |ledger: &mut Ledger, number| ledger.step(tick(number), 1, &mut Batch::default()).unwrap();
    log(&mut ledger, 1);
    ledger.note_change(still, 1);
    ledger.note_handed_over();
    log(&mut ledger, 2);
    ledger.note_handed_over();
    log(&mut ledger, 3);
    ledger.note_change(still, 3);
    // Both sets are written only now, when what the first one holds has changed again.
    ledger.snapshot(still, None, 1, &mut batch).unwrap();
    ledger.note_snapshot_set(1);
    ledger.snapshot(stepper, None, 2, &mut batch).unwrap();
    ledger.note_snapshot_set(2);
    assert_eq!(ledger.snapshots_through(), 2);
}
