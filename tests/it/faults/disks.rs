//! Disks that are full, or can only be read: real ones, small and in memory, and one that its kernel stops writing to.

use super::super::program::{Session, answers, run, show, verified_hash, workbench};
use super::{Mount, TEACH, ask_until, hold_against};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A session whose world counts, and what it says beside its answers.
fn teach(world: &Path, said: &Path) -> (Session, Vec<Json>) {
    let mut command = workbench::<&str>([]);
    command.stderr(fs::File::create(said).unwrap());
    let mut session = Session::begin(command, world);
    let told = TEACH.lines().map(|line| session.ask(line)).collect();
    (session, told)
}

/// Whether this says that nothing is taken in because the disk is full, or is so nearly.
fn is_for_lack_of_room(text: &str) -> bool {
    text.contains("the world is read-only: the disk") || text.contains("the disk is nearly full")
}

/// Says what needs room until it is refused. Every answer is added to `told`.
fn fill(session: &mut Session, told: &mut Vec<Json>) {
    for number in 0..10_000 {
        let line = match number % 4 {
            0 => "count tally".to_string(),
            _ => format!("set tally words=\"{}\"", "words ".repeat(500)),
        };
        let answer = session.ask(&line);
        told.push(answer.clone());
        if answer["status"] != "completed" {
            assert!(is_for_lack_of_room(answer["error"]["message"].as_str().unwrap()), "{answer}");
            return;
        }
    }
    panic!("the disk was never full");
}

#[test]
fn a_small_disk_that_is_full_makes_the_world_read_only_until_there_is_room() {
    let parent = tempfile::tempdir().unwrap();
    let [at, said] = ["disk", "said"].map(|name| parent.path().join(name));
    let Some(_disk) = Mount::in_memory(&at, 3 << 20) else { return };
    let [world, filler] = ["world", "filler"].map(|name| at.join(name));
    fs::write(&filler, vec![7; 1 << 20]).unwrap();
    let (mut session, mut told) = teach(&world, &said);
    fill(&mut session, &mut told);
    let refused = session.ask("count tally");
    assert_eq!(refused["status"], "refused", "{refused}");
    assert!(is_for_lack_of_room(refused["error"]["message"].as_str().unwrap()), "{refused}");
    assert!(show(&world, "tally")["slots"]["n"].as_u64() > Some(0), "what is there can be looked at");
    fs::remove_file(&filler).unwrap();
    ask_until(&mut session, "count tally", &mut told, |answer| answer["status"] == "completed");
    told.push(session.ask("count tally"));
    assert_eq!(told.last().unwrap()["status"], "completed");
    assert_eq!(session.close().1, Some(1), "some lines were refused");
    let said = fs::read_to_string(said).unwrap();
    assert!(is_for_lack_of_room(&said), "{said}");
    assert_eq!(said.contains("read-only"), said.contains("the world can be written again"), "{said}");
    hold_against(&world, &told);
}

#[test]
fn a_world_on_a_full_disk_wakes_whole_when_there_is_room() {
    let parent = tempfile::tempdir().unwrap();
    let [at, said] = ["disk", "said"].map(|name| parent.path().join(name));
    let Some(_disk) = Mount::in_memory(&at, 3 << 20) else { return };
    let [world, filler] = ["world", "filler"].map(|name| at.join(name));
    fs::write(&filler, vec![7; 1 << 20]).unwrap();
    let (mut session, mut told) = teach(&world, &said);
    fill(&mut session, &mut told);
    told.extend(session.kill());
    // The last byte is taken.
    let mut rest = fs::File::create(at.join("rest")).unwrap();
    let taken = (0..).try_for_each(|_| std::io::Write::write_all(&mut rest, &[7; 512]));
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    verified_hash(&world);
    let mut command = workbench(["--headless", "--json", "--world"]);
    command.arg(&world);
    let output = run(command, b"count tally\n");
    let said = String::from_utf8_lossy(&output.stderr);
    let answers = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        // Free pages of its file may do for a while.
        Some(0) => told.extend(answers.lines().map(|line| serde_json::from_str::<Json>(line).unwrap())),
        Some(1) => assert!(is_for_lack_of_room(&said), "{said}"),
        Some(3) => assert!(said.contains("can't be used") && answers.is_empty(), "{said}"),
        other => panic!("{other:?}: {said}"),
    }
    fs::remove_file(&filler).unwrap();
    hold_against(&world, &told);
}

#[test]
fn a_disk_that_can_only_be_read_is_refused_with_a_sentence_and_reports_still_work() {
    let parent = tempfile::tempdir().unwrap();
    let [at, said] = ["disk", "said"].map(|name| parent.path().join(name));
    let Some(disk) = Mount::in_memory(&at, 16 << 20) else { return };
    let world = at.join("world");
    let (mut session, mut told) = teach(&world, &said);
    (0..20).for_each(|_| told.push(session.ask("count tally")));
    told.extend(session.kill());
    let hash = verified_hash(&world);
    assert!(disk.again("ro"));
    let mut command = workbench(["--headless", "--json", "--world"]);
    command.arg(&world);
    let output = run(command, b"count tally\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the disk can only be read; make it writable"), "{said}");
    assert_eq!(verified_hash(&world), hash);
    assert_eq!(show(&world, "tally")["slots"]["n"], 20);
    assert!(disk.again("rw"));
    assert_eq!(hold_against(&world, &told), hash);
}

/// A file system in a file, whose kernel can be told by the second path that it is at fault: then it is written no more, also not
/// by who has its files open. `None`, said with its reason, where there can be none.
fn fragile(image: &Path, at: &Path) -> Option<(Mount, std::path::PathBuf)> {
    let mount = Mount::of(at, &["-o", "loop,errors=remount-ro", image.to_str()?])?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == at.to_str())?;
    let device = Path::new(line.split(' ').next()?).file_name()?;
    let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
    if !trigger.exists() {
        println!("skipped: this kernel can't be told of a fault by {}", trigger.display());
        return None;
    }
    Some((mount, trigger))
}

#[test]
fn a_disk_that_turns_read_only_under_a_running_workbench_loses_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let [image, at, said] = ["image", "disk", "said"].map(|name| parent.path().canonicalize().unwrap().join(name));
    fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
    let mut command = Command::new("mkfs.ext4");
    let made = command.args(["-q", "-O", "^has_journal"]).arg(&image).stderr(Stdio::null()).status();
    if !made.as_ref().is_ok_and(|status| status.success()) {
        println!("skipped: there is no `mkfs.ext4` ({made:?})");
        return;
    }
    let Some((disk, trigger)) = fragile(&image, &at) else { return };
    let world = at.join("world");
    let (mut session, mut told) = teach(&world, &said);
    (0..20).for_each(|_| told.push(session.ask("count tally")));
    fs::write(trigger, "as it was told to").unwrap();
    let refused = session.ask("count tally");
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("read-only: the disk can only be read"),
        "{refused}"
    );
    told.push(refused);
    assert_eq!(session.ask("count tally")["status"], "refused");
    assert_eq!(show(&world, "tally")["slots"]["n"].as_u64().map(|n| n >= 20), Some(true));
    assert_eq!(session.close().1, Some(1));
    drop(disk);
    let Some((_disk, _)) = fragile(&image, &at) else { return };
    hold_against(&world, &told);
    assert_eq!(answers(&world, b"count tally\n").1, Some(0));
}
