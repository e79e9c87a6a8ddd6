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
    count tally\ncount tally\ncreate_point far x=900\n";

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
    let places: Vec<usize> = (0..bytes.len() - 3).filter(|at| bytes[*at..].starts_with(b"far")).collect();
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&data, &bytes).unwrap();
    let (code, said) = repair(&world, None);
    assert!(code == Some(4) && said.contains("lost       2 records"), "{said}");
    assert!(said.contains("nothing is left of 1 messages: 6"), "{said}");
    let (code, said) = repair(&world, Some(&new));
    assert!(code == Some(0) && said.contains("is the repair"), "{said}");
    verified_hash(&new);
    checked_by_python(&new);
    let (told, code) = answers(&new, b"count tally\nget far x\n");
    assert_eq!((told[0]["result"].as_u64(), code), (Some(3), Some(1)), "{told:?}");
    let (code, said) = repair(&new, None);
    assert!(code == Some(0) && said.contains("nothing to repair"), "{said}");
}
