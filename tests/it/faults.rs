//! Faults of disks, files and clocks, as the program meets them. Here is what the tests share: a world that counts, a library
//! that makes calls fail, file systems of the test's own.
//!
//! `WORKBENCH_FAULTS=all cargo test faults -- --nocapture` tries every call and every length; an ordinary run tries some.

use super::program::{Session, answers, log, verified_hash, workbench};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod calls;
mod clock;
mod disks;
mod files;

/// A counter that answers how far it is.
const TEACH: &str = "create_counter tally n=0\n\
    add_method tally selector=count source=\"function(self) self.n += 1 return self.n end\"\n";

/// Whether everything is tried.
fn is_thorough() -> bool {
    std::env::var_os("WORKBENCH_FAULTS").is_some()
}

/// The library that makes calls fail; `None`, said with its reason, where it can't be built.
fn injector(dir: &Path) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        println!("skipped: calls are made to fail on Linux only");
        return None;
    }
    let library = dir.join("injector.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/injector.c");
    match Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status() {
        Ok(status) if status.success() => Some(library),
        other => {
            println!("skipped: there is no C compiler `cc` for the injector ({other:?})");
            None
        }
    }
}

/// The program with that library, for the files of a folder; what it says beside its answers goes to `said`.
fn injected(library: &Path, folder: &Path, said: &Path) -> Command {
    let mut command = workbench::<&str>([]);
    command.env("LD_PRELOAD", library).env("INJECTOR_FOLDER", folder);
    command.stderr(fs::File::create(said).unwrap());
    command
}

/// A file system of the test's own, let go at the end.
struct Mount(PathBuf);

impl Mount {
    /// A small one in memory. `None`, said with its reason, where none may be mounted.
    fn in_memory(at: &Path, bytes: u64) -> Option<Self> {
        Self::of(at, &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
    }

    fn of(at: &Path, what: &[&str]) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(what).arg(at).stderr(Stdio::piped()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_path_buf())),
            Ok(output) => {
                println!("skipped: no file system can be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: there is no `mount`: {error}");
                None
            }
        }
    }

    /// Mounts it anew with these options. Answers whether the system did.
    fn again(&self, options: &str) -> bool {
        let mounted = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output();
        mounted.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The numbers and ends of the messages that were acknowledged: completed, or failed and on record.
fn acknowledged(answers: &[Json]) -> Vec<(u64, String)> {
    let told = answers.iter().filter(|answer| answer["error"]["kind"] != "in_doubt");
    told.filter_map(|answer| Some((answer["seq"].as_u64()?, answer["status"].as_str()?.to_string()))).collect()
}

/// A world after a fault, without it: sound, with all that was acknowledged, with each count applied once, and going on.
/// Answers its hash.
fn hold_against(world: &Path, told: &[Json]) -> String {
    // A reader may find nothing to read where nothing was acknowledged: the world was never made.
    let (woke, code) = answers(world, b"");
    assert_eq!((woke, code), (vec![], Some(0)));
    let hash = verified_hash(world);
    let entries = log(world);
    let end_of = |sequence: u64| {
        let mut ends = entries.iter().filter(|entry| entry["kind"] == "outcome" && entry["seq"] == sequence);
        let end = ends.next().map(|entry| entry["status"].as_str().unwrap().to_string());
        assert!(ends.next().is_none(), "two outcomes of {sequence}");
        end
    };
    for (sequence, status) in acknowledged(told) {
        assert_eq!(end_of(sequence).as_deref(), Some(status.as_str()), "message {sequence} was acknowledged");
    }
    let counts = entries.iter().filter(|entry| entry["kind"] == "envelope" && entry["selector"] == "count");
    let counts = counts.filter(|entry| end_of(entry["seq"].as_u64().unwrap()).as_deref() == Some("completed")).count();
    if acknowledged(told).len() >= 2 {
        let (more, code) = answers(world, b"get tally n\ncount tally\n");
        assert_eq!(code, Some(0), "{more:?}");
        assert_eq!(more[0]["result"].as_u64(), Some(counts as u64));
        assert_eq!(more[1]["result"].as_u64(), Some(counts as u64 + 1));
    }
    hash
}

/// Asks until an answer is as wished, for half a minute at most; what was acknowledged on the way is added to `told`.
fn ask_until(session: &mut Session, line: &str, told: &mut Vec<Json>, is_wished: impl Fn(&Json) -> bool) {
    for _ in 0..300 {
        let answer = session.ask(line);
        told.push(answer.clone());
        if is_wished(&answer) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("never answered as wished: {:?}", told.last());
}
