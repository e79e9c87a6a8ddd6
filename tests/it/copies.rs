//! `backup` and `restore` as people use them: while the world goes on, whole or not at all, and never over something else.

use super::program::{answers, run, verified_hash, workbench};
use serde_json::Value as Json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

/// Runs `WHAT DIR --world WORLD`; its exit code and what it said on both streams.
fn task(what: &str, dir: &Path, world: &Path) -> (Option<i32>, String) {
    let mut command = workbench([what]);
    command.arg(dir).arg("--world").arg(world);
    let output = run(command, b"");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

const TEACH: &[u8] = b"create_counter tally n=0\n\
    add_method tally selector=count source=\"function(self) self.n += 1 return self.n end\"\n";

#[test]
fn a_backup_under_load_is_one_moment_and_comes_back_as_a_world() {
    let dir = tempfile::tempdir().unwrap();
    let [world, backup, again] = ["world", "backups/monday", "again"].map(|name| dir.path().join(name));
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let mut command = workbench(["--headless", "--json", "--world"]);
    let mut child = command.arg(&world).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let writer = std::thread::spawn(move || (0..20_000).try_for_each(|_| input.write_all(b"count tally\n")));
    let count = |line: String| serde_json::from_str::<Json>(&line).unwrap()["result"].as_u64().unwrap();
    let before = count(output.next().unwrap().unwrap());
    let (code, said) = task("backup", &backup, &world);
    assert_eq!(code, Some(0), "{said}");
    let after = output.map(|line| count(line.unwrap())).last().unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    let hash = verified_hash(&backup);
    assert!(said.contains(&hash) && said.contains("all checked"), "{said}");

    assert_eq!(task("restore", &backup, &again).0, Some(0));
    assert_eq!(verified_hash(&again), hash);
    let (told, code) = answers(&again, b"get tally n\ncount tally\n");
    assert_eq!(code, Some(0), "{told:?}");
    let n = told[0]["result"].as_u64().unwrap();
    assert!((before..after).contains(&n), "{before} ≤ {n} < {after}");
    assert_eq!(told[1]["result"].as_u64(), Some(n + 1));
    assert_eq!(verified_hash(&backup), hash, "the backup is as it was");
}

#[test]
fn nothing_that_is_there_is_written_over_and_no_damage_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let [world, backup, other] = ["world", "backup", "other"].map(|name| dir.path().join(name));
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let (code, said) = task("backup", &world, &world);
    assert!(code == Some(3) && said.contains("already"), "{said}");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "mine").unwrap();
    let (code, said) = task("backup", &other, &world);
    assert!(code == Some(3) && said.contains("other files"), "{said}");
    let (code, said) = task("restore", &backup, &other);
    assert!(code == Some(3) && said.contains("no world"), "{said}");

    let data = world.join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    // Some of them lie in pages that are not in use any more.
    let places: Vec<usize> = (0..bytes.len() - 5).filter(|at| bytes[*at..].starts_with(b"tally")).collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(&data, &bytes).unwrap();
    let (code, said) = task("backup", &backup, &world);
    assert!(code == Some(4) && said.contains("damaged"), "{said}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
