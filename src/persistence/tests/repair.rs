//! Repair: whatever is done to a data file, what is intact in it comes into a new world that verifies, and the old one stays.

use super::reading::{Counting, Event, Written, events};
use super::*;
use crate::persistence::repair::Repair;

const PAGE: usize = 4096;

/// Everything in a folder.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

/// The bodies of records, by position and without their places in the chain.
fn bodies(dir: &Path) -> Vec<Entry> {
    Reader::open(dir).unwrap().log(1).map(Result::unwrap).collect()
}

/// Repairs a world, checks what always holds, and answers the plan and the log of the new one.
fn repaired(dir: &Path) -> (RepairPlan, Vec<Entry>, Image) {
    let before = files(dir);
    let progress = Progress::new();
    let is_told_to_its_end = || progress.steps().0 == progress.steps().1;
    let repair = Repair::survey_watched(dir, &mut Counting, &progress).unwrap();
    assert!(is_told_to_its_end(), "{progress}");
    let to = dir.with_extension("new");
    let made = repair.rebuild(&to, 77, &mut Counting).unwrap();
    assert!(is_told_to_its_end(), "{progress}");
    let plan = repair.plan.clone();
    drop(repair);
    assert_eq!(files(dir), before, "the damaged world stays as it is");
    assert_eq!(made.report.damages, []);
    assert_eq!(made.report.world_id, plan.world_id);
    assert_eq!(made.report.world_hash, plan.world_hash);
    assert_eq!(made.message.is_some(), plan.lost() > 0);
    let log = bodies(&to);
    let lost = log.iter().filter(|entry| entry.kind == "lost").count() as u64;
    assert_eq!(lost, plan.lost(), "{plan:?}");
    let reader = Reader::open(&to).unwrap();
    let image = reader.image(&mut Counting).unwrap();
    drop(reader);
    // It wakes, and what waits is what the plan says.
    let (awakened, alembic) = open(&to, None, 99, &mut Counting, || {}).unwrap();
    let waiting = awakened.pending.len() + awakened.report.given_up.len();
    assert_eq!((waiting as u64, awakened.report.damages), (plan.pending, vec![]));
    alembic.close();
    std::fs::remove_dir_all(&to).unwrap();
    (plan, log, image)
}

/// What is intact up to the first hole is there as it was, and so is what was found behind it.
fn is_kept(log: &[Entry], original: &[Entry], plan: &RepairPlan) {
    for (entry, was) in log.iter().zip(original) {
        let is_lost = plan.lost_records.iter().any(|(first, last)| (*first..=*last).contains(&entry.position));
        if is_lost {
            assert_eq!(entry.kind, "lost");
        } else {
            assert_eq!(entry, was);
        }
    }
    assert!(log.len() >= original.len(), "{} of {}", log.len(), original.len());
}

/// A small world with a bit of everything, snapshots in the middle, closed.
fn world(dir: &Path, messages: u64) -> (Vec<Entry>, Image) {
    let mut written = Written::new();
    for number in 0..messages {
        written.happen(&match number % 9 {
            3 => Event::Fails,
            5 => Event::Ticks(2),
            6 => Event::Set { object: (number % 5) as u8, bytes: 5_000 },
            _ => Event::Set { object: (number % 5) as u8, bytes: 20 },
        });
        if number == messages / 2 {
            written.snapshot();
        }
    }
    written.happen(&Event::Stays { attempts: 1 });
    let records = written.records();
    written.store(dir, &records);
    (bodies(dir), written.image.clone())
}

fn damage(dir: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join("data.mdb");
    let mut bytes = std::fs::read(&path).unwrap();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn used_pages(dir: &Path) -> usize {
    let bytes = std::fs::read(dir.join("data.mdb")).unwrap();
    1 + bytes.chunks(PAGE).rposition(|page| page.iter().any(|byte| *byte != 0)).unwrap()
}

/// Whether a page of a file holds no records: meta and branch pages. The pages of a long value but the first have no header.
fn is_of_trees(file: &[u8], page: usize) -> bool {
    let bytes = &file[page * PAGE..(page + 1) * PAGE];
    bytes[..8] == (page as u64).to_le_bytes() && bytes[10] & (1 | 8) != 0
}

#[test]
fn a_whole_world_needs_no_repair() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    std::fs::create_dir(&dir).unwrap();
    let (original, image) = world(&dir, 40);
    let repair = Repair::survey(&dir, &mut Counting).unwrap();
    assert!(!repair.plan.is_needed(), "{:?}", repair.plan);
    assert!(repair.plan.snapshots_are_whole && repair.plan.unlinked.is_empty() && repair.plan.lost() == 0);
    assert_eq!((repair.plan.records, repair.plan.pending), (original.len() as u64, 1));
    assert_eq!(repair.plan.world_hash, hash(&image));
    drop(repair);
    let (_, log, made) = repaired(&dir);
    assert_eq!((log, made), (original, image));
}

#[test]
fn every_page_may_be_zeroed_or_flipped() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    std::fs::create_dir(&dir).unwrap();
    let (original, image) = world(&dir, 40);
    let whole = std::fs::read(dir.join("data.mdb")).unwrap();
    let pages = used_pages(&dir);
    let (mut noticed, mut exact) = (0, 0);
    for page in 0..pages {
        for flip in [false, true] {
            let at = page * PAGE..(page + 1) * PAGE;
            damage(&dir, |bytes| {
                bytes.copy_from_slice(&whole);
                match flip {
                    true => bytes[at.clone()].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x11),
                    false => bytes[at.clone()].fill(0),
                }
            });
            let (plan, log, made) = repaired(&dir);
            is_kept(&log, &original, &plan);
            noticed += u32::from(plan.is_needed());
            if plan.lost() == 0 {
                exact += 1;
                assert_eq!(log, original, "page {page}");
                assert_eq!(hash(&made), hash(&image), "page {page}");
            } else {
                assert!(plan.is_needed() && !is_of_trees(&whole, page), "page {page}");
            }
        }
    }
    assert!(noticed as usize > pages && exact > 8, "{noticed} noticed, {exact} exact, {pages} pages");
}

#[test]
fn a_file_may_be_cut_at_every_page() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    std::fs::create_dir(&dir).unwrap();
    let (original, _) = world(&dir, 40);
    let whole = std::fs::read(dir.join("data.mdb")).unwrap();
    for pages in 2..used_pages(&dir) {
        std::fs::write(dir.join("data.mdb"), &whole[..pages * PAGE - 5]).unwrap();
        let repair = Repair::survey(&dir, &mut Counting).unwrap();
        assert!(repair.plan.is_needed(), "{pages} pages");
        let is_nothing = repair.plan.records == 0;
        if is_nothing {
            assert!(repair.rebuild(&parent.path().join("none"), 1, &mut Counting).unwrap_err().is_damage());
            continue;
        }
        drop(repair);
        let (plan, log, _) = repaired(&dir);
        for (entry, was) in log.iter().zip(&original) {
            let is_lost = plan.lost_records.iter().any(|(first, last)| (*first..=*last).contains(&entry.position));
            assert!(is_lost || entry == was || entry.position > plan.records, "{entry:?}");
        }
    }
}

#[test]
fn damaged_trees_cost_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    std::fs::create_dir(&dir).unwrap();
    let (original, image) = world(&dir, 900);
    let whole = std::fs::read(dir.join("data.mdb")).unwrap();
    let trees: Vec<usize> = (0..used_pages(&dir)).filter(|page| is_of_trees(&whole, *page)).collect();
    assert!(trees.len() > 2, "{trees:?}");
    let zeroed = |pages: &[usize]| {
        damage(&dir, |bytes| {
            bytes.copy_from_slice(&whole);
            pages.iter().for_each(|page| bytes[page * PAGE..(page + 1) * PAGE].fill(0));
        });
    };
    for pages in [&trees[..], &[0, 1]] {
        zeroed(pages);
        let (plan, log, made) = repaired(&dir);
        assert!(plan.is_needed() && plan.lost() == 0 && !plan.is_new_id, "{plan:?}");
        assert_eq!(log, original);
        assert_eq!(hash(&made), hash(&image));
    }
}

#[test]
fn a_lost_record_is_named_and_its_message_becomes_a_problem() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    for sequence in 2..=9 {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        let outcome = if sequence == 4 { failed() } else { done(vec![set_x(ObjectId::proto(), sequence as f64)]) };
        alembic.append_outcome(sequence, outcome, vec![], vec![]);
    }
    alembic.close();
    let original = bodies(&dir);
    let place = |kind: &str, sequence: u64| {
        original.iter().find(|entry| entry.kind == kind && entry.sequence == sequence).unwrap().position
    };
    // The outcome of one message, the text of a failed one, and the last outcome of all.
    let (outcome, text, last) = (place("outcome", 3), place("envelope", 4), place("outcome", 9));
    [outcome, text, last].into_iter().for_each(|position| flip_in_file(&dir, position));
    let (plan, log, image) = repaired(&dir);
    assert_eq!((outcome + 1, plan.lost_records.clone()), (text, vec![(outcome, text), (last, last)]));
    assert_eq!(plan.lost_outcomes, [3, 9]);
    assert_eq!((plan.lost_messages.clone(), plan.pending), (vec![], 0));
    is_kept(&log, &original, &plan);
    // No snapshot tells of the last turn.
    assert_eq!(x_of(&image), 8.0);
    assert_eq!(plan.uncertain, [(ObjectId::proto(), "proto".to_string())]);
    assert!(!plan.is_new_id && plan.world_id == WORLD);

    let to = parent.path().join("again");
    let made = Repair::survey(&dir, &mut Counting).unwrap().rebuild(&to, 5, &mut Counting).unwrap();
    let (awakened, alembic) = wake(&to);
    let waiting: Vec<u64> = awakened.problems.iter().map(|problem| problem.sequence).collect();
    assert_eq!(waiting, [3, 9], "the failed message without a text does not wait");
    assert_eq!(awakened.next_sequence, made.message.unwrap() + 1);
    alembic.close();
}

#[test]
fn what_lost_records_did_is_taken_from_the_snapshots() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    std::fs::create_dir(&dir).unwrap();
    let mut written = Written::new();
    (0..30).for_each(|number| written.happen(&Event::Set { object: number % 4, bytes: 30 }));
    written.snapshot();
    (0..4).for_each(|number| written.happen(&Event::Set { object: number % 2, bytes: 30 }));
    let records = written.records();
    written.store(&dir, &records);
    // All but the first records that stand before the snapshots.
    let data = std::fs::read(dir.join("data.mdb")).unwrap();
    damage(&dir, |bytes| {
        for (_, record) in &records[4..50] {
            let places = (0..data.len() - record.len()).filter(|at| data[*at..].starts_with(record));
            places.for_each(|at| bytes[at + 50] ^= 1);
        }
    });
    let (plan, _, image) = repaired(&dir);
    assert_eq!(plan.lost_records, [(5, 50)]);
    assert!(plan.snapshots_are_whole && plan.uncertain.is_empty() && plan.lost_objects.is_empty(), "{plan:?}");
    assert!(!plan.from_snapshots.is_empty());
    assert_eq!(hash(&image), hash(&written.image));
}

#[test]
fn a_world_that_is_open_or_of_a_newer_program_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    let refused = Repair::survey(&dir, &mut Still).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    alembic.close();
    let repair = Repair::survey(&dir, &mut Still).unwrap();
    let inside = repair.rebuild(&dir.join("inside"), 1, &mut Still).unwrap_err();
    assert!(matches!(inside, OpenError::Unusable { .. }), "{inside}");
    assert!(matches!(repair.rebuild(&dir, 1, &mut Still).unwrap_err(), OpenError::Taken(_)));
    drop(repair);
    tamper(&dir, |batch, _, meta| {
        let record = encoded(record::Kind::Horizon, 1_000, 0, b"", 0);
        batch.sapwood.insert(vec![1; 16], Some(record));
        meta
    });
    assert!(matches!(Repair::survey(&dir, &mut Still).unwrap_err(), OpenError::Newer { .. }));
}

#[test]
fn a_wrong_list_of_problems_and_a_wrong_snapshot_are_found_and_made_anew() {
    let parent = tempfile::tempdir().unwrap();
    for wrong in 0..2 {
        let dir = parent.path().join(format!("w{wrong}"));
        let (_, alembic) = wake(&dir);
        alembic.append_envelope(2, envelope(2)).unwrap();
        alembic.append_outcome(2, failed(), vec![], vec![]);
        alembic.close();
        tamper(&dir, |batch, store, meta| {
            let txn = store.read().unwrap();
            if wrong == 0 {
                batch.suspended.insert(2_u64.to_be_bytes().to_vec(), None);
            } else {
                let key = ObjectId::proto().0.as_bytes().to_vec();
                let mut bytes = store.dbs.sapwood.get(&txn, &key).unwrap().unwrap().to_vec();
                bytes[60] ^= 1;
                batch.sapwood.insert(key, Some(bytes));
            }
            meta
        });
        let (plan, _, _) = repaired(&dir);
        assert!(plan.is_needed() && plan.lost() == 0 && plan.faults.len() == 1, "{plan:?}");
    }
}

#[test]
fn of_two_logs_in_one_file_the_one_that_was_seen_is_taken() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let messages = |sequences: std::ops::RangeInclusive<u64>, by: f64| {
        let (_, alembic) = wake(&dir);
        for sequence in sequences {
            alembic.append_envelope(sequence, envelope(sequence)).unwrap();
            let change = set_x(ObjectId::proto(), sequence as f64 * by);
            alembic.append_outcome(sequence, done(vec![change]), vec![], vec![]);
        }
        alembic.close();
    };
    messages(2..=5, 1.0);
    let begun = files(&dir);
    // What a power cut took away, longer than what came after.
    messages(6..=20, 1.0);
    let gone = std::fs::read(dir.join("data.mdb")).unwrap();
    begun.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());
    messages(6..=9, 2.0);
    let original = bodies(&dir);
    for with_trees in [true, false] {
        damage(&dir, |bytes| {
            bytes.extend_from_slice(&gone);
            if !with_trees {
                bytes[..2 * PAGE].fill(0);
            }
        });
        let (plan, log, image) = repaired(&dir);
        assert_eq!((plan.lost(), x_of(&image), plan.is_needed()), (0, 18.0, !with_trees), "{plan:?}");
        assert_eq!(log, original);
    }
}

fn cases() -> u32 {
    std::env::var("WORKBENCH_REPAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_is_damaged_the_new_world_is_sound_and_holds_what_is_left(
        before in events(),
        after in events(),
        holes in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..6_000, any::<bool>()), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("w");
        std::fs::create_dir(&dir).unwrap();
        let mut written = Written::new();
        before.iter().for_each(|event| written.happen(event));
        written.snapshot();
        after.iter().for_each(|event| written.happen(event));
        let records = written.records();
        written.store(&dir, &records);
        let original = bodies(&dir);
        damage(&dir, |bytes| {
            for (index, length, zero) in &holes {
                let from = index.index(bytes.len());
                let until = (from + length).min(bytes.len());
                bytes[from..until].iter_mut().for_each(|byte| *byte = if *zero { 0 } else { *byte ^ 0x55 });
            }
            if let Some(cut) = &cut {
                let length = cut.index(bytes.len());
                bytes.truncate(length);
            }
        });
        let repair = Repair::survey(&dir, &mut Counting).unwrap();
        if repair.plan.records == 0 {
            return Ok(());
        }
        drop(repair);
        let (plan, log, image) = repaired(&dir);
        for (entry, was) in log.iter().zip(&original).take(plan.records as usize) {
            let is_lost = plan.lost_records.iter().any(|(first, last)| (*first..=*last).contains(&entry.position));
            prop_assert!(is_lost || entry == was, "{:?} was {:?}", entry, was);
        }
        let is_whole = plan.lost() == 0 && plan.records == original.len() as u64;
        prop_assert!(!is_whole || hash(&image) == hash(&written.image));
        prop_assert!(plan.is_needed() || is_whole);
    }
}

#[test]
fn a_world_whose_beginning_is_lost_goes_on_from_its_snapshots() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("w");
    let (_, alembic) = wake(&dir);
    alembic.append_envelope(2, envelope(2)).unwrap();
    alembic.close();
    flip_in_file(&dir, 2);
    let (plan, _, image) = repaired(&dir);
    assert_eq!((plan.lost_records.clone(), plan.lost_outcomes.clone()), (vec![(2, 2)], vec![]));
    assert!(plan.snapshots_are_whole && plan.pending == 1 && plan.lost_objects.is_empty(), "{plan:?}");
    assert_eq!(plan.from_snapshots, [(ObjectId::proto(), "proto".to_string())]);
    assert_eq!(x_of(&image), 0.0);
}
