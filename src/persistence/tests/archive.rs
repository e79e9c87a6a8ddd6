//! The archive: what was moved there is read as before, whatever is done to its files is found, and nothing of it is served.

use super::reading::{Counting, Event, Written};
use super::*;
use crate::persistence::archive::FOLDER;
use crate::persistence::repair::Repair;
use std::fs;
use std::path::PathBuf;

fn archive(dir: &Path, segment: u64) -> Archived {
    let archived = archive_in(dir, None, 7, &Progress::new(), segment).unwrap();
    assert_eq!(archived.not_compacted, None);
    archived
}

fn log(dir: &Path) -> Vec<Entry> {
    Reader::open(dir).unwrap().log(1).map(Result::unwrap).collect()
}

fn verify(dir: &Path) -> VerifyReport {
    Reader::open(dir).unwrap().verify(&mut Counting).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join(FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A world with a bit of everything whose snapshots hold all; closed.
fn world(dir: &Path, messages: u64) -> (Vec<Entry>, Image) {
    let mut written = Written::new();
    for number in 0..messages {
        written.happen(&match number % 9 {
            3 => Event::Fails,
            5 => Event::Ticks(2),
            6 => Event::Set { object: (number % 5) as u8, bytes: 3_000 },
            _ => Event::Set { object: (number % 5) as u8, bytes: 20 },
        });
    }
    written.snapshot();
    let records = written.records();
    written.store(dir, &records);
    (log(dir), written.image.clone())
}

fn hurt_a_snapshot(dir: &Path) {
    tamper(dir, |batch, store, meta| {
        let txn = store.read().unwrap();
        let (key, bytes) = store.dbs.sapwood.first(&txn).unwrap().unwrap();
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        batch.sapwood.insert(key.to_vec(), Some(bytes));
        meta
    });
}

#[test]
fn what_was_archived_is_read_as_before_and_the_data_file_gives_back_its_room() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let (before, image) = world(dir, 400);
    let hash = verify(dir).world_hash;
    let archived = archive(dir, 150);
    let last = before.len() as u64;
    assert_eq!((archived.records, archived.kept), (Some((1, last - 1)), 1));
    assert!(archived.bytes.1 < archived.bytes.0 / 2, "{archived:?}");
    assert!(archived.data_file.1 < archived.data_file.0 / 4, "{archived:?}");
    assert_eq!(segments(dir).len() as u64, (last - 1).div_ceil(150));
    assert_eq!(log(dir), before);
    // From a position on, also from the middle of a block.
    for from in [2, 149, 150, 151, last - 1, last] {
        let read: Vec<Entry> = Reader::open(dir).unwrap().log(from).map(Result::unwrap).collect();
        assert_eq!(read, before[from as usize - 1..]);
    }
    let report = verify(dir);
    assert_eq!((report.damages, report.records, report.world_hash), (vec![], last, hash));
    #[cfg(unix)]
    for file in [segments(dir), vec![dir.join("data.mdb")]].concat() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o77, 0, "it is nobody else's to read");
    }
    // A second time there is nothing to move, and only what came since the next time.
    assert_eq!(archive(dir, 150).records, None);
    let (awakened, alembic) = open(dir, None, 9, &mut Counting, || {}).unwrap();
    assert_eq!((&awakened.image, awakened.report.records), (&image, 0));
    alembic.append_envelope(awakened.next_sequence, envelope(awakened.next_sequence)).unwrap();
    let change = set_x(ObjectId::proto(), 5.0);
    let mut image = image;
    image.apply(&change);
    alembic.append_outcome(awakened.next_sequence, done(vec![change]), vec![], vec![]);
    alembic.snapshot(vec![(ObjectId::proto(), Snapshot::of(&image, ObjectId::proto()))]);
    alembic.close();
    assert_eq!(archive(dir, 150).records, Some((last, last + 2)));
    assert_eq!(log(dir)[..before.len()], before);
    assert_eq!(verify(dir).damages, []);
}

#[test]
fn only_what_is_older_than_a_time_is_archived() {
    let parent = tempfile::tempdir().unwrap();
    let (before, _) = world(parent.path(), 50);
    let is_later = |entry: &Entry| matches!(&entry.body, EntryBody::Envelope(envelope) if envelope.issued_at >= 1_020);
    let first = before.iter().find(|entry| is_later(entry)).unwrap().position;
    let archived = archive_in(parent.path(), Some(1_020), 7, &Progress::new(), 1_000).unwrap();
    assert_eq!(archived.records, Some((1, first - 1)));
    assert_eq!(log(parent.path()), before);
}

#[test]
fn a_damaged_snapshot_is_rebuilt_from_the_archive_or_the_world_does_not_wake() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let (_, image) = world(dir, 60);
    archive(dir, 50);
    hurt_a_snapshot(dir);
    let hidden = parent.path().join("hidden");
    let segment = segments(dir)[1].clone();
    fs::rename(&segment, &hidden).unwrap();
    let refused = open(dir, None, 9, &mut Counting, || {}).unwrap_err();
    assert!(refused.is_damage() && refused.to_string().contains("snapshot of"), "{refused}");
    assert!(refused.to_string().contains("no file in the folder `archive` has them"), "{refused}");
    fs::rename(&hidden, &segment).unwrap();
    let (awakened, alembic) = open(dir, None, 9, &mut Counting, || {}).unwrap();
    assert_eq!((awakened.image, awakened.report.damages.len()), (image, 1));
    alembic.close();
    assert_eq!(verify(dir).damages, []);
}

#[test]
fn no_bit_of_a_segment_that_flips_is_served() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let (before, image) = world(dir, 30);
    archive(dir, 60);
    let path = segments(dir)[0].clone();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut hurt = whole.clone();
        hurt[at] ^= 1 << (at % 8);
        fs::write(&path, hurt).unwrap();
        damage_is_found(dir, &before, &image, &format!("byte {at}"));
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        damage_is_found(dir, &before, &image, &format!("cut to {length}"));
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    damage_is_found(dir, &before, &image, "longer");
    fs::write(&path, whole).unwrap();
    assert_eq!(verify(dir).damages, []);
}

/// A check tells of it, each record that is read is as it was, and the world wakes as it was.
fn damage_is_found(dir: &Path, before: &[Entry], image: &Image, how: &str) {
    let report = verify(dir);
    let is_of_archive = |damage: &Damage| match damage.part {
        DamagedPart::Archive(..) => true,
        DamagedPart::Suspended => damage.reason.contains("archive"),
        _ => false,
    };
    assert!(!report.damages.is_empty() && report.damages.iter().all(is_of_archive), "{how}: {:?}", report.damages);
    for entry in log(dir) {
        let is_told = matches!(entry.body, EntryBody::Damaged(_));
        assert!(is_told || entry == before[entry.position as usize - 1], "{how}: {entry:?}");
    }
    let woken = Reader::open(dir).unwrap().image(&mut Counting);
    assert!(woken.is_ok_and(|woken| woken == *image), "{how}");
}

#[test]
fn a_segment_of_another_world_or_under_another_name_is_none() {
    let parent = tempfile::tempdir().unwrap();
    let (ours, theirs) = (parent.path().join("ours"), parent.path().join("theirs"));
    [&ours, &theirs].iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let (before, image) = world(&ours, 40);
    archive(&ours, 20);
    let mut other = Written::new();
    other.ledger = Ledger::new(Uuid::from_u128(8));
    (0..40).for_each(|_| other.happen(&Event::Set { object: 0, bytes: 20 }));
    other.snapshot();
    let records = other.records();
    other.store(&theirs, &records);
    archive(&theirs, 20);
    let (mine, foreign) = (segments(&ours), segments(&theirs));
    fs::copy(&foreign[1], &mine[1]).unwrap();
    damage_is_found(&ours, &before, &image, "of another world");
    fs::copy(&mine[0], &mine[1]).unwrap();
    damage_is_found(&ours, &before, &image, "another one of ours");
}

#[test]
fn what_an_attempt_that_died_left_is_no_part_of_the_log() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let (before, _) = world(dir, 60);
    let copy = dir.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(dir.join("data.mdb"), copy.join("data.mdb")).unwrap();
    // Segments of all of it, and a database that still has it.
    archive(&copy, 40);
    fs::rename(copy.join(FOLDER), dir.join(FOLDER)).unwrap();
    let half = dir.join(FOLDER).join(format!("000000000001.{}.new", WORLD.simple()));
    fs::write(&half, "half").unwrap();
    let of_another_world = dir.join(FOLDER).join("000000000001.00000000000000000000000000000009.new");
    fs::write(&of_another_world, "half").unwrap();
    fs::write(dir.join("data.mdb.new"), "half").unwrap();
    assert_eq!(log(dir), before);
    assert_eq!(verify(dir).damages, []);
    let last = before.len() as u64;
    assert_eq!(archive(dir, 25).records, Some((1, last - 1)));
    assert!(!half.exists());
    fs::remove_file(of_another_world).unwrap();
    assert_eq!(segments(dir).len() as u64, (last - 1).div_ceil(40), "{:?}", segments(dir));
    assert!(!dir.join("data.mdb.new").exists());
    assert_eq!(log(dir), before);
    assert_eq!(verify(dir).damages, []);
}

/// Two worlds with the same log up to a position, and another one behind it, archived.
fn two_ways_of_one_world(parent: &Path) -> [(PathBuf, Vec<Entry>, Image); 2] {
    ["one", "other"].map(|name| {
        let dir = parent.join(name);
        fs::create_dir(&dir).unwrap();
        let mut written = Written::new();
        (0..20).for_each(|_| written.happen(&Event::Set { object: 0, bytes: 20 }));
        (0..40).for_each(|_| written.happen(&Event::Set { object: 1, bytes: 10 + name.len() }));
        written.snapshot();
        let records = written.records();
        written.store(&dir, &records);
        archive(&dir, 20);
        let read = log(&dir);
        (dir, read, written.image.clone())
    })
}

#[test]
fn a_segment_of_another_way_that_the_world_went_is_none() {
    let parent = tempfile::tempdir().unwrap();
    let [(one, before, image), (other, ..)] = two_ways_of_one_world(parent.path());
    let (mine, foreign) = (segments(&one), segments(&other));
    assert_eq!(fs::read(&mine[0]).unwrap(), fs::read(&foreign[0]).unwrap(), "up to here it is one");
    let last = mine.len() - 1;
    for at in [2, last] {
        let kept = fs::read(&mine[at]).unwrap();
        fs::copy(&foreign[at], &mine[at]).unwrap();
        damage_is_found(&one, &before, &image, "of another log");
        assert_eq!(verify(&one).damages.len(), 1, "what is whole is not blamed");
        hurt_a_snapshot(&one);
        assert!(Reader::open(&one).unwrap().image(&mut Counting).is_err(), "it is no base for anything");
        // Heal it.
        fs::write(&mine[at], kept).unwrap();
        hurt_a_snapshot(&one);
        assert_eq!(verify(&one).damages, []);
    }
}

#[cfg(unix)]
#[test]
fn an_archive_of_two_worlds_is_refused_and_nothing_of_it_goes() {
    let parent = tempfile::tempdir().unwrap();
    let shared = parent.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let [one, other] = ["one", "other"].map(|name| parent.path().join(name));
    for dir in [&one, &other] {
        fs::create_dir(dir).unwrap();
        std::os::unix::fs::symlink(&shared, dir.join(FOLDER)).unwrap();
    }
    let (before, _) = world(&one, 60);
    let mut written = Written::new();
    written.ledger = Ledger::new(Uuid::from_u128(8));
    (0..40).for_each(|_| written.happen(&Event::Set { object: 0, bytes: 20 }));
    written.snapshot();
    let records = written.records();
    written.store(&other, &records);
    archive(&one, 20);
    let theirs = log(&other);
    let refused = archive_in(&other, None, 7, &Progress::new(), 20).unwrap_err().to_string();
    assert!(refused.contains("move it elsewhere"), "{refused}");
    assert_eq!((log(&other), verify(&other).damages), (theirs, vec![]));
    assert_eq!((log(&one), verify(&one).damages), (before, vec![]));
}

#[test]
fn what_no_awakening_would_take_over_is_not_archived() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    world(dir, 60);
    let older = fs::read(dir.join("data.mdb")).unwrap();
    let (awakened, alembic) = open(dir, None, 9, &mut Counting, || {}).unwrap();
    let sequence = awakened.next_sequence;
    alembic.append_envelope(sequence, envelope(sequence)).unwrap();
    alembic.append_outcome(sequence, done(vec![]), vec![], vec![]);
    await_until(&alembic, |_, settled| settled.contains(&sequence));
    alembic.close();
    archive(dir, 20);
    let whole = segments(dir);
    let newer = fs::read(dir.join("data.mdb")).unwrap();
    let refused = || archive_in(dir, None, 9, &Progress::new(), 20).unwrap_err();
    // An older data file was put back: what it would archive again are not the newest segments.
    fs::write(dir.join("data.mdb"), older).unwrap();
    assert!(matches!(refused(), OpenError::WentBack { .. }), "{:?}", refused());
    assert_eq!(segments(dir), whole);
    // The archive can't be reached.
    fs::write(dir.join("data.mdb"), newer).unwrap();
    let away = dir.join("away");
    fs::rename(dir.join(FOLDER), &away).unwrap();
    assert!(refused().to_string().contains("no segment is there"), "{}", refused());
    fs::rename(away, dir.join(FOLDER)).unwrap();
    archive(dir, 20);
    // The end of the log is gone from the database.
    let last = log(dir).len() as u64;
    let store = Store::open(dir, SMALL_MAP, Protocol::Plain).unwrap();
    let txn = store.read().unwrap();
    let meta = store.dbs.meta.get(&txn, super::super::store::META_KEY).unwrap().unwrap().to_vec();
    drop(txn);
    store.forget(last, &meta).unwrap();
    store.close();
    assert!(refused().is_damage(), "{:?}", refused());
}

#[test]
fn a_segment_ends_where_the_chain_is_sure() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let mut written = Written::new();
    (0..40).for_each(|_| written.happen(&Event::Set { object: 0, bytes: 20 }));
    written.snapshot();
    let mut records = written.records();
    // Two records are hurt where segments would end: the body of one, the chain value of the other.
    for (position, at) in [(20, 60), (41, 32)] {
        records[position - 1].1[at] ^= 1;
    }
    written.store(dir, &records);
    let before: Vec<Entry> = Reader::open(dir).unwrap().log(1).filter_map(Result::ok).collect();
    let damages = verify(dir).damages;
    archive(dir, 20);
    let names: Vec<_> = segments(dir).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names[..2], ["000000000001-000000000021.segment", "000000000022-000000000043.segment"]);
    let after: Vec<Entry> = Reader::open(dir).unwrap().log(1).filter_map(Result::ok).collect();
    assert_eq!((after, verify(dir).damages), (before, damages));
}

#[test]
fn who_reads_while_it_is_archived_sees_one_whole_log() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path();
    let (before, _) = world(dir, 2_000);
    let reader = Reader::open(dir).unwrap();
    let mut entries = reader.log(1);
    let mut read: Vec<Entry> = entries.by_ref().take(700).map(Result::unwrap).collect();
    // Another process: in this one the environment can't be opened twice.
    let archived = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "persistence::tests::archive::an_archive_in_another_process", "--nocapture"])
        .env("WORKBENCH_ARCHIVE", dir)
        .output()
        .unwrap();
    assert!(archived.status.success(), "{archived:?}");
    assert!(segments(dir).len() > 10);
    read.extend(entries.map(Result::unwrap));
    // What the other one wrote, it wrote to its new file, where it could make one.
    let whole = if cfg!(windows) { &read[..before.len()] } else { &read };
    assert!(whole == before);
    drop(reader);
    assert_eq!(verify(dir).damages, []);
    assert_eq!(log(dir)[..before.len()], before);
}

/// The other process of the test above; in the test run itself it has nothing to do.
#[test]
fn an_archive_in_another_process() {
    let Some(dir) = std::env::var_os("WORKBENCH_ARCHIVE").map(PathBuf::from) else { return };
    // And it is written on, a few commits each time, while the other one still has the file of before.
    for commits in 0..4 {
        // On Windows no file can take the place of one that another process has open.
        let archived = archive_in(&dir, None, 7, &Progress::new(), 200).unwrap();
        assert_eq!(archived.not_compacted.is_some(), cfg!(windows), "{archived:?}");
        let (awakened, alembic) = open(&dir, None, 9, &mut Counting, || {}).unwrap();
        for sequence in awakened.next_sequence..awakened.next_sequence + commits {
            alembic.append_envelope(sequence, envelope(sequence)).unwrap();
            alembic.append_outcome(sequence, done(vec![]), vec![], vec![]);
            await_until(&alembic, |_, settled| settled.contains(&sequence));
        }
        alembic.close();
        assert_eq!(awakened.report.damages, []);
    }
}

#[test]
fn a_backup_has_the_archive_too() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, copy) = (parent.path().join("w"), parent.path().join("copy"));
    fs::create_dir(&dir).unwrap();
    let (before, _) = world(&dir, 60);
    archive(&dir, 40);
    copy_world(&dir, &copy, 5, &mut Counting, &Progress::new()).unwrap();
    assert_eq!(log(&copy), before);
    fs::remove_file(&segments(&dir)[1]).unwrap();
    let again = parent.path().join("again");
    assert!(copy_world(&dir, &again, 5, &mut Counting, &Progress::new()).unwrap_err().is_damage());
    assert!(!again.exists());
}

#[test]
fn repair_takes_nothing_from_a_segment_of_another_world() {
    let parent = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| parent.path().join(name));
    [&ours, &theirs].iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let (before, image) = world(&ours, 40);
    archive(&ours, 20);
    let mut other = Written::new();
    other.ledger = Ledger::new(Uuid::from_u128(8));
    (0..40).for_each(|_| other.happen(&Event::Set { object: 0, bytes: 20 }));
    other.snapshot();
    let records = other.records();
    other.store(&theirs, &records);
    archive(&theirs, 20);
    let (mine, foreign) = (segments(&ours), segments(&theirs));
    fs::copy(&foreign[1], &mine[1]).unwrap();
    let repair = Repair::survey(&ours, &mut Counting).unwrap();
    assert_eq!(repair.plan.lost_records, [(21, 40)]);
    assert!(repair.plan.faults.iter().any(|fault| fault.contains("of another world")), "{:?}", repair.plan.faults);
    let to = parent.path().join("new");
    repair.rebuild(&to, 5, &mut Counting).unwrap();
    assert_eq!(Reader::open(&to).unwrap().image(&mut Counting).unwrap(), image);
    let kept: Vec<Entry> = log(&to).into_iter().take(20).collect();
    assert_eq!(kept, before[..20]);
}

#[test]
fn repair_takes_what_is_whole_from_the_archive() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, to) = (parent.path().join("w"), parent.path().join("new"));
    fs::create_dir(&dir).unwrap();
    let (before, image) = world(&dir, 60);
    archive(&dir, 40);
    let plan = |dir: &Path| Repair::survey(dir, &mut Counting).unwrap().plan;
    assert!(!plan(&dir).is_needed(), "{:?}", plan(&dir));
    // Without its meta pages the database leads to nothing.
    let data = fs::read(dir.join("data.mdb")).unwrap();
    fs::write(dir.join("data.mdb"), [&vec![0; 8_192], &data[8_192..]].concat()).unwrap();
    let repair = Repair::survey(&dir, &mut Counting).unwrap();
    assert_eq!((repair.plan.lost(), repair.plan.records), (0, before.len() as u64));
    repair.rebuild(&to, 5, &mut Counting).unwrap();
    drop(repair);
    assert_eq!(log(&to)[..before.len()], before);
    assert_eq!(Reader::open(&to).unwrap().image(&mut Counting).unwrap(), image);
    fs::write(dir.join("data.mdb"), data).unwrap();
    // A block that is lost is a hole, and the snapshots say what it did.
    let segment = segments(&dir)[1].clone();
    let mut bytes = fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&segment, bytes).unwrap();
    let found = plan(&dir);
    assert_eq!(found.lost_records, [(41, 80)]);
    assert!(found.faults.iter().any(|fault| fault.contains("archived records 41 to 80")), "{:?}", found.faults);
    let again = parent.path().join("again");
    Repair::survey(&dir, &mut Counting).unwrap().rebuild(&again, 5, &mut Counting).unwrap();
    assert_eq!(Reader::open(&again).unwrap().image(&mut Counting).unwrap(), image);
    assert_eq!(verify(&again).damages, []);
}
