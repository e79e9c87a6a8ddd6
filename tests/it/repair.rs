//! `repair` as people use it: what it says, its exit codes, and the world that it makes.

use super::program::{answers, run, verified_hash, workbench};
use super::reader::checked_by_python;
use std::fs;
use std::path::Path;

/// Runs `repair`; its exit code and what it said on both streams.
fn repair(world: &Path, into: Option<&Path>) -> (Option<i32>, String) {
    let mut command = workbench(["repair", "--world"]);
    command.arg(world);
    if let Some(into) = into {
        command.arg("--into").arg(into);
    }
    let output = run(command, b"");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn files(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

const TEACH: &[u8] = b"create_counter tally n=0\n\
    add_method tally selector=count source=\"function(self) self.n += 1 return self.n end\"\n\
    count tally\ncount tally\ncreate_point remote_one x=900\n";

#[test]
fn a_world_that_cannot_be_opened_comes_back_in_a_new_folder() {
    let dir = tempfile::tempdir().unwrap();
    let [world, new] = ["world", "new"].map(|name| dir.path().join(name));
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let hash = verified_hash(&world);
    let sound = files(&world);
    let (code, said) = repair(&world, Some(&new));
    assert!(code == Some(0) && said.contains("nothing to repair") && !new.exists(), "{said}");

    // Neither of the database's two beginnings is left.
    let data = world.join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    bytes[..2 * 4096].fill(0);
    fs::write(&data, &bytes).unwrap();
    let (_, code) = answers(&world, b"get tally n\n");
    assert_eq!(code, Some(4));
    let damaged = files(&world);
    let (code, said) = repair(&world, None);
    assert!(code == Some(4) && said.contains("page 0") && said.contains("nothing was changed"), "{said}");
    assert!(said.contains("repair --into DIR"), "{said}");
    let (code, said) = repair(&world, Some(&new));
    assert!(code == Some(0) && said.contains(&hash) && said.contains("all checked"), "{said}");
    assert_eq!(files(&world), damaged, "the damaged world stays as it is");
    assert_ne!(sound, damaged);
    assert_eq!(verified_hash(&new), hash);
    checked_by_python(&new);
    let (told, code) = answers(&new, b"get tally n\ncount tally\n");
    assert!(code == Some(0) && told[1]["result"].as_u64() == Some(3), "{told:?}");
    let (code, said) = repair(&world, Some(&new));
    assert!(code == Some(3) && said.contains("already"), "{said}");
}

#[test]
fn what_is_lost_is_named_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let [world, new] = ["world", "new"].map(|name| dir.path().join(name));
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let data = world.join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    // Every record and snapshot that has the name.
    let places: Vec<usize> = (0..bytes.len() - 10).filter(|at| bytes[*at..].starts_with(b"remote_one")).collect();
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&data, &bytes).unwrap();
    let (code, said) = repair(&world, None);
    assert!(code == Some(4) && said.contains("lost       2: records"), "{said}");
    assert!(said.contains("nothing is left of these messages: 6"), "{said}");
    let (code, said) = repair(&world, Some(&new));
    assert!(code == Some(0) && said.contains("is the repair"), "{said}");
    verified_hash(&new);
    checked_by_python(&new);
    let (told, code) = answers(&new, b"count tally\nget remote_one x\n");
    assert_eq!((told[0]["result"].as_u64(), code), (Some(3), Some(1)), "{told:?}");
    let (code, said) = repair(&new, None);
    assert!(code == Some(0) && said.contains("nothing to repair"), "{said}");
}

/// Runs `quarantine`; its exit code and what it said on both streams.
fn quarantine(world: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = workbench(["quarantine"]);
    command.args(args).arg("--world").arg(world);
    let output = run(command, b"");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn what_is_in_quarantine_is_told_shown_and_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let (code, said) = quarantine(&world, &[]);
    assert!(code == Some(0) && said.contains("nothing is in quarantine"), "{said}");
    let (code, said) = quarantine(&world, &["1"]);
    assert!(code == Some(1) && said.contains("nothing is in quarantine"), "{said}");

    let data = world.join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 10).filter(|at| bytes[*at..].starts_with(b"remote_one")).collect();
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&data, &bytes).unwrap();
    let (told, code) = answers(&world, b"count tally\n");
    assert!(code == Some(0) && told[0]["result"].as_u64() == Some(3), "{told:?}");

    let (code, said) = quarantine(&world, &[]);
    let entries: Vec<&str> = said.lines().collect();
    assert!(code == Some(0) && entries.len() > 3, "{said}");
    let find = |what: &str| 1 + entries.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{said}"));
    let (outcome, snapshot) = (find("(outcome of message 6)"), find("snapshot of "));
    assert!(entries[outcome - 1].contains("its checksum is wrong") && entries[outcome - 1].contains("lost"), "{said}");
    // The records that made it are damaged as well.
    assert!(entries[snapshot - 1].contains("no such object is in the world"), "{said}");
    let (code, shown) = quarantine(&world, &[&outcome.to_string()]);
    assert!(code == Some(0) && shown.contains("message 6") && shown.contains("00000000  48 57 01 02"), "{shown}");

    let (code, gone) = quarantine(&world, &[&outcome.to_string(), "--let-go"]);
    assert!(code == Some(0) && gone.contains("not kept any longer"), "{gone}");
    // The damaged record is still in the log, and the awakening finds it again where it reads that far; its snapshot is not.
    let (_, left) = quarantine(&world, &[]);
    assert!(!left.contains("(outcome of message 6)"), "{left}");
    assert!(left.contains("snapshot of "), "{left}");
    let (code, said) = quarantine(&world, &["99", "--let-go"]);
    assert!(code == Some(1) && said.contains("no entry 99"), "{said}");
}

#[test]
fn the_console_lists_shows_and_lets_go_what_is_in_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    assert_eq!(answers(&world, TEACH).1, Some(0));
    let (told, code) = answers(&world, b"quarantine\nquarantine 1\n");
    assert_eq!((told[0]["result"].as_array().map(Vec::len), code), (Some(0), Some(1)), "{told:?}");
    assert_eq!(told[1]["error"]["message"], "nothing is in quarantine");

    let data = world.join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 10).filter(|at| bytes[*at..].starts_with(b"remote_one")).collect();
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&data, &bytes).unwrap();
    let (told, code) = answers(&world, b"quarantine\n");
    let entries = told[0]["result"].as_array().unwrap();
    assert!(code == Some(0) && entries.len() > 2, "{told:?}");
    let find = |field: &str, is: serde_json::Value| entries.iter().find(|entry| entry[field] == is).unwrap();
    let outcome = find("kind", "outcome".into());
    assert_eq!((&outcome["seq"], &outcome["now"]), (&6.into(), &"lost".into()), "{outcome}");
    assert!(outcome["bytes"].as_str().unwrap().starts_with("48570102"), "{outcome}");
    let number = &outcome["number"];

    // Each answer is told of the world as the lines before left it.
    let lines = format!(
        "quarantine {number}\nquarantine {number} rebuild\nquarantine {number} let-go\nquarantine {number}\n\
         quarantine {number} let-go\nquarantine\n"
    );
    let (told, code) = answers(&world, lines.as_bytes());
    assert_eq!(code, Some(1), "{told:?}");
    assert_eq!(told[0]["result"]["position"], outcome["position"]);
    assert!(told[1]["result"].as_str().unwrap().contains("it can't be rebuilt"), "{told:?}");
    assert!(told[2]["result"].as_str().unwrap().contains("is not kept any longer"), "{told:?}");
    assert_eq!((&told[3]["status"], &told[4]["status"]), (&"refused".into(), &"refused".into()), "{told:?}");
    assert_eq!(told[5]["result"].as_array().map(Vec::len), Some(entries.len() - 1));
    let mut command = workbench(["--headless", "--world"]);
    command.arg(&world);
    let said = String::from_utf8(run(command, b"quarantine\nquarantine 1\n").stdout).unwrap();
    assert!(said.contains("found") && said.contains("`quarantine N let-go` keeps it no longer"), "{said}");
    assert!(said.contains("00000000  48 57 01"), "{said}");
}
