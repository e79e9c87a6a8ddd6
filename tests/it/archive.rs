//! `archive` as people use it: the log is as long as before, the data file is not.

use super::program::{Session, answers, log, run, show, verified, verified_hash, workbench};
use std::fs;
use std::path::Path;

/// Runs a task on a world; its exit code and what it said on both streams.
fn task(words: &[&str], world: &Path) -> (Option<i32>, String) {
    let mut command = workbench(words);
    command.arg("--world").arg(world);
    let output = run(command, b"");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_log_that_is_archived_is_read_on_and_its_world_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (world, copy) = (dir.path().join("world"), dir.path().join("copy"));
    let sets = (0..3_000).map(|n| format!("set tally n={n}\n")).collect::<String>();
    assert_eq!(answers(&world, format!("create_counter tally n=0\nset nobody x=1\n{sets}").as_bytes()).1, Some(1));
    let (before, hash, records) = (log(&world), verified_hash(&world), verified(&world, "records"));
    let length = || fs::metadata(world.join("data.mdb")).unwrap().len();
    let long = length();

    let mut talk = Session::open(&world);
    talk.ask("get tally n");
    let (code, said) = task(&["archive"], &world);
    assert!(code == Some(3) && said.contains("is open in another workbench"), "{said}");
    assert_eq!(talk.close().1, Some(0));
    let asked = log(&world);

    let (code, said) = task(&["archive", "--older-than", "1"], &world);
    assert!(code == Some(0) && said.contains("there is nothing to move"), "{said}");
    let (code, said) = task(&["archive"], &world);
    assert!(code == Some(0) && said.contains("are in the archive now"), "{said}");
    assert!(length() < long / 3, "{} of {long}: {said}", length());
    assert_eq!((log(&world), &asked[..before.len()]), (asked.clone(), &before[..]));
    assert_ne!(verified(&world, "records"), records);
    assert_eq!((verified_hash(&world), show(&world, "tally")["slots"]["n"].clone()), (hash.clone(), 2_999.into()));

    // What waits among the problems, and what can be taken back, stands in the archive now.
    let (told, code) = answers(&world, b"problems\nundo\nget tally n\n");
    assert_eq!(code, Some(0), "{told:?}");
    assert!(told[0].to_string().contains("nobody"), "{}", told[0]);
    assert_eq!(told[2]["result"].as_f64(), Some(2_998.0), "{told:?}");

    assert_eq!(task(&["backup", copy.to_str().unwrap()], &world).0, Some(0));
    assert_eq!(log(&copy), log(&world));
    let segment = fs::read_dir(world.join("archive")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&segment).unwrap();
    let (code, said) = task(&["verify"], &world);
    assert!(code == Some(4) && said.contains("no file in the folder `archive` has them"), "{said}");
    let (code, said) = task(&["log"], &world);
    assert!(code == Some(0) && said.contains("records 1 to"), "{said}");
    assert_eq!(answers(&world, b"get tally n\n").1, Some(0), "it goes on without");
}
