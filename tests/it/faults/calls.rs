//! Each call of the program on its files fails, one after the other, once or for a while or from then on, until none is left that
//! could fail.

use super::super::program::{Session, answers, log, run, verified_hash};
use super::{TEACH, hold_against, injected, injector, is_thorough};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
/// As many as it takes.
const FOR_EVER: u64 = 1 << 40;

/// A world is made and talked to while calls fail. Answers what it said, or nothing where no call failed: there were fewer.
fn talk(library: &Path, dir: &Path, fault: &str) -> Option<Vec<Json>> {
    let [folder, said, failed] = ["folder", "said", "failed"].map(|name| dir.join(name));
    fs::create_dir(&folder).unwrap();
    let mut command = injected(library, &folder, &said);
    command.env("INJECTOR_FAULT", fault).env("INJECTOR_TOLD", &failed);
    let mut session = Session::begin(command, &folder.join("world"));
    let mut told = Vec::new();
    for line in TEACH.lines().chain(["count tally"; 6]) {
        session.say(&format!("{line}\n"));
        let Some(answer) = session.hear() else { break };
        told.push(answer);
    }
    let (rest, code) = session.close();
    assert_eq!(rest, [] as [Json; 0]);
    let said = fs::read_to_string(said).unwrap();
    assert!(matches!(code, Some(0 | 1 | 3 | 4)), "{fault}: {code:?} {said}");
    assert!(code != Some(3) || (told.is_empty() && said.contains("can't be used")), "{fault}: {said}");
    failed.exists().then_some(told)
}

/// Lets each call of these kinds fail in turn: it, and as many after it as `count` says.
fn exhaust(kinds: &str, count: u64, error: i32, usual: u64) {
    let parent = tempfile::tempdir().unwrap();
    let Some(library) = injector(parent.path()) else { return };
    let step = if is_thorough() { 1 } else { usual };
    let (next, acknowledged, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    // Most of the time a process waits for the disk to be tried again.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(step, Ordering::Relaxed);
                    let dir = parent.path().canonicalize().unwrap().join(first.to_string());
                    fs::create_dir(&dir).unwrap();
                    let fault = format!("{kinds} {first} {count} {error}");
                    let Some(told) = talk(&library, &dir, &fault) else { return };
                    println!("{fault}: {} answers", told.len());
                    hold_against(&dir.join("folder/world"), &told);
                    let left =
                        fs::read_dir(dir.join("folder")).unwrap().map(|of| of.unwrap().file_name()).collect::<Vec<_>>();
                    // Where nothing could be taken away any more, a folder without a lock may stay: it is nobody's world.
                    let others = left.iter().filter(|name| *name != "world").collect::<Vec<_>>();
                    let is_site = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with(".world.new-");
                    assert!(
                        others.iter().all(is_site) && (count == FOR_EVER || others.is_empty()),
                        "{fault}: {left:?}"
                    );
                    acknowledged.fetch_add(super::acknowledged(&told).len() as u64, Ordering::Relaxed);
                    failed.fetch_add(1, Ordering::Relaxed);
                    fs::remove_dir_all(&dir).unwrap();
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed > 0);
    println!("{kinds}, error {error}: {failed} faults, {acknowledged:?} messages acknowledged, none lost");
}

#[test]
fn whichever_write_or_sync_fails_once_nothing_acknowledged_is_lost() {
    exhaust("ws", 1, EIO, 17);
}

#[test]
fn whichever_write_is_cut_short_by_a_full_disk_nothing_acknowledged_is_lost() {
    exhaust("hs", 3, ENOSPC, 23);
}

#[test]
fn whenever_the_disk_turns_read_only_for_good_nothing_acknowledged_is_lost() {
    exhaust("wson", FOR_EVER, EROFS, 29);
}

#[test]
fn whichever_read_fails_nothing_acknowledged_is_lost() {
    exhaust("r", 1, EIO, 3);
}

#[test]
fn whichever_name_can_not_be_opened_or_made_nothing_acknowledged_is_lost() {
    exhaust("on", 1, EACCES, 5);
}

/// The log and the world hash.
fn stand(world: &Path) -> (Vec<Json>, String) {
    (log(world), verified_hash(world))
}

#[test]
fn whichever_call_fails_while_a_log_is_archived_no_record_is_lost() {
    let parent = tempfile::tempdir().unwrap();
    let Some(library) = injector(parent.path()) else { return };
    let dir = parent.path().canonicalize().unwrap();
    let [first, folder, said, failed] = ["first", "folder", "said", "failed"].map(|name| dir.join(name));
    let counts = "count tally\n".repeat(300);
    assert_eq!(answers(&first, format!("{TEACH}{counts}").as_bytes()).1, Some(0));
    let before = stand(&first);
    let archive = |world: &Path| {
        let mut command = injected(&library, &folder, &said);
        command.args(["archive", "--world"]).arg(world);
        command
    };
    let mut faults = 0;
    for (kinds, count, error) in [("wsnor", 1, EIO), ("hs", 2, ENOSPC), ("wsn", FOR_EVER, EROFS)] {
        for at in (0..).step_by(if is_thorough() { 1 } else { 7 }) {
            let world = folder.join("world");
            fs::create_dir_all(&world).unwrap();
            fs::copy(first.join("data.mdb"), world.join("data.mdb")).unwrap();
            let mut command = archive(&world);
            command.env("INJECTOR_FAULT", format!("{kinds} {at} {count} {error}")).env("INJECTOR_TOLD", &failed);
            let output = run(command, b"");
            let told = format!("{kinds} {at}: {output:?} {}", fs::read_to_string(&said).unwrap());
            assert!(matches!(output.status.code(), Some(0 | 3)), "{told}");
            if !failed.exists() {
                assert_eq!(output.status.code(), Some(0), "{told}");
                break;
            }
            fs::remove_file(&failed).unwrap();
            assert_eq!(stand(&world), before, "{told}");
            assert_eq!(run(archive(&world), b"").status.code(), Some(0), "{told}");
            assert_eq!(stand(&world), before, "{told}");
            fs::remove_dir_all(&folder).unwrap();
            faults += 1;
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    println!("{faults} faults, no record lost");
}
