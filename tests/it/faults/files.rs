//! Files that are held, stale, gone, or cut short.

use super::super::program::{Session, answers, run, verified_hash, workbench};
#[cfg(unix)]
use super::ask_until;
use super::{TEACH, hold_against, is_thorough};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file of a world, and what is in it.
fn files(world: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(world).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Whether every file is as it was. What is in `lock.mdb` means nothing.
fn are_as_before(world: &Path, before: &[(PathBuf, Vec<u8>)]) -> bool {
    let now = files(world);
    let is_same = |(one, other): (&(PathBuf, Vec<u8>), &(PathBuf, Vec<u8>))| {
        one.0 == other.0 && (one.1 == other.1 || name(&one.0) == "lock.mdb")
    };
    now.len() == before.len() && now.iter().zip(before).all(is_same)
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// A closed world that counted to twenty, and what it acknowledged.
fn counted(world: &Path) -> Vec<Json> {
    let (told, code) = answers(world, format!("{TEACH}{}", "count tally\n".repeat(20)).as_bytes());
    assert_eq!(code, Some(0));
    told
}

/// Runs the program; its exit code, and what it said on both streams.
fn told(args: &[&str], world: &Path, input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = workbench(args);
    command.arg("--world").arg(world);
    let output = run(command, input);
    let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), out, said)
}

#[cfg(unix)]
// On Windows no open file can be taken away.
#[cfg(unix)]
#[test]
fn a_data_file_that_is_taken_away_from_a_running_world_stops_it_until_it_is_back() {
    let parent = tempfile::tempdir().unwrap();
    let [world, away, said] = ["world", "away", "said"].map(|name| parent.path().join(name));
    let mut command = workbench::<&str>([]);
    command.stderr(fs::File::create(&said).unwrap());
    let mut session = Session::begin(command, &world);
    let mut told: Vec<Json> = TEACH.lines().map(|line| session.ask(line)).collect();
    told.push(session.ask("count tally"));
    // An older copy in its place is another file, too.
    let copy = fs::read(world.join("data.mdb")).unwrap();
    for is_another_there in [false, true] {
        fs::rename(world.join("data.mdb"), &away).unwrap();
        if is_another_there {
            fs::write(world.join("data.mdb"), &copy).unwrap();
        }
        let answer = session.ask("count tally");
        assert_ne!(answer["status"], "completed", "{answer}");
        assert!(answer.to_string().contains("`data.mdb` is gone"), "{answer}");
        told.push(answer);
        fs::rename(&away, world.join("data.mdb")).unwrap();
        ask_until(&mut session, "count tally", &mut told, |answer| answer["status"] == "completed");
    }
    session.close();
    hold_against(&world, &told);
    assert!(fs::read_to_string(said).unwrap().contains("the world can be written again"));
}

#[test]
fn a_world_is_made_by_a_name_beside_the_place_where_one_stands() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut command = workbench(["--headless", "--json", "--world", "here"]);
        command.current_dir(dir.path());
        let output = run(command, b"objects\n");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    verified_hash(&dir.path().join("here"));
}

/// Ways to a world through a link to it, and through one to its parent. On Windows not everybody may make one.
fn links_to(parent: &Path, world: &Path) -> Vec<PathBuf> {
    #[cfg(unix)]
    {
        let [link, other] = ["link", "other"].map(|name| parent.join(name));
        std::os::unix::fs::symlink(world, &link).unwrap();
        std::os::unix::fs::symlink(parent, &other).unwrap();
        vec![link, other.join("world")]
    }
    #[cfg(not(unix))]
    {
        let _ = (parent, world);
        Vec::new()
    }
}

#[test]
fn a_second_workbench_is_refused_by_whatever_path_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let mut session = Session::open(&world);
    assert_eq!(session.ask("create_counter tally n=0")["status"], "completed");
    let paths = [vec![world.clone(), world.join("..").join("world")], links_to(dir.path(), &world)].concat();
    for path in &paths {
        let (code, _, said) = told(&["--headless"], path, b"set tally n=1\n");
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("open in another workbench") && said.contains(&session.id().to_string()), "{said}");
    }
    let mut hard = workbench(["restore"]);
    hard.arg(&world).arg("--world").arg(&paths[paths.len() - 1]);
    assert_eq!(run(hard, b"").status.code(), Some(3), "nothing is restored over a world");
    session.kill();
    assert_eq!(answers(&paths[1], b"get tally n\n").0[0]["result"], 0);
}

#[test]
fn what_a_dead_process_left_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let mut acknowledged = counted(&world);
    let stale = [
        ("world.owner", &b"999999\n1\n"[..]),
        ("world.owner", b"1\n1\n"), // a process that there is, and that is another
        ("world.owner", b"\xff\xfe no number"),
        ("world.lock", b"held, says this"),
        ("world.owner", b""),
        ("lock.mdb", b""),
        ("lock.mdb", &[0xa5; 8192]),
        ("lock.mdb", &[0xa5; 100]),
    ];
    for (file, bytes) in stale {
        fs::write(world.join(file), bytes).unwrap();
        let (told, code) = answers(&world, b"count tally\n");
        assert_eq!(code, Some(0), "{file} {bytes:?}");
        acknowledged.extend(told);
        // It is written again, for who comes while this one is open.
        assert!(file != "world.owner" || fs::read(world.join(file)).unwrap() != bytes);
    }
    hold_against(&world, &acknowledged);
}

#[test]
fn a_file_of_a_closed_world_that_is_gone_is_made_anew_or_missed() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let acknowledged = counted(&world);
    let hash = verified_hash(&world);
    let whole = files(&world);
    let names: Vec<&str> = whole.iter().map(|(path, _)| name(path)).collect();
    assert_eq!(names, ["data.mdb", "lock.mdb", "world.lock", "world.owner", "world.seen"]);
    // Each alone, each pair, all but one, and all but two.
    let some = (0..1_u32 << whole.len()).filter(|gone| *gone != (1 << whole.len()) - 1 && *gone != 0);
    for gone in some {
        let is_gone = |at: usize| gone >> at & 1 == 1;
        fs::remove_dir_all(&world).unwrap();
        fs::create_dir(&world).unwrap();
        for (at, (path, bytes)) in whole.iter().enumerate() {
            if !is_gone(at) {
                fs::write(path, bytes).unwrap();
            }
        }
        let left = files(&world);
        let reports = ["verify", "show", "log"].map(|report| told(&[report], &world, b""));
        assert!(are_as_before(&world, &left), "{gone:b}: a report made or changed something");
        if is_gone(0) {
            // Whatever else is there: no new world takes the place of one whose data is gone.
            for (code, out, said) in reports.into_iter().chain([told(&["--headless"], &world, b"count tally\n")]) {
                assert!(
                    code == Some(3) && out.is_empty() && said.contains("no `data.mdb`"),
                    "{gone:b} {code:?} {said}"
                );
            }
            assert!(are_as_before(&world, &left), "{gone:b}");
        } else {
            assert!(reports.iter().all(|(code, ..)| *code == Some(0)), "{gone:b} {reports:?}");
            if gone.count_ones() == 1 || is_thorough() {
                assert_eq!(hold_against(&world, &acknowledged), hash, "{gone:b}");
            }
        }
    }
}

/// Lengths at which a file is cut.
fn lengths(whole: u64) -> Vec<u64> {
    let page = 4096;
    let mut lengths: Vec<u64> = vec![0, 1, 47, 63, 64, 65, 127, whole / 2, whole.saturating_sub(1)];
    for border in (0..=whole / page).map(|at| at * page) {
        lengths.extend([border, border + 1, border + 100, border + page / 2, border + page - 1]);
    }
    lengths.retain(|length| *length < whole);
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

#[test]
fn no_file_that_is_cut_short_is_served_as_whole() {
    let dir = tempfile::tempdir().unwrap();
    let [world, hurt] = ["world", "hurt"].map(|name| dir.path().join(name));
    counted(&world);
    let hash = verified_hash(&world);
    let (mut cuts, mut found, mut woke, mut died) = (0, 0, 0, 0);
    for (path, bytes) in files(&world) {
        let is_data = name(&path) == "data.mdb";
        let usual = if is_data { 13 } else { 5 };
        let step = if is_thorough() { 1 } else { usual };
        for length in lengths(bytes.len() as u64).into_iter().step_by(step) {
            let _ = fs::remove_dir_all(&hurt);
            fs::create_dir(&hurt).unwrap();
            for (other, bytes) in files(&world) {
                fs::write(hurt.join(name(&other)), bytes).unwrap();
            }
            let cut = hurt.join(name(&path));
            fs::write(&cut, &bytes[..length as usize]).unwrap();
            cuts += 1;
            let at = format!("{} cut at {length}", name(&path));
            let (code, out, said) = told(&["verify"], &hurt, b"");
            match code {
                Some(0) => assert!(out.contains(&hash), "{at}: {out}"),
                Some(3 | 4) => {
                    assert!(is_data && said.lines().count() + out.lines().count() > 0, "{at}: {said}");
                    found += 1;
                }
                other => panic!("{at}: {other:?}"),
            }
            let (shown, out, said) = told(&["show", "tally", "--json"], &hurt, b"");
            match shown {
                Some(0) => assert_eq!(serde_json::from_str::<Json>(&out).unwrap()["slots"]["n"], 20, "{at}"),
                Some(3 | 4) => assert!(is_data && out.is_empty() && said.contains("damaged"), "{at}: {out}{said}"),
                other => panic!("{at}: {other:?}"),
            }
            let (awake, out, said) = told(&["--headless", "--json"], &hurt, b"get tally n\n");
            match awake {
                Some(0) => {
                    assert_eq!(serde_json::from_str::<Json>(&out).unwrap()["result"], 20, "{at}");
                    // Where snapshots were damaged, the world wakes from its log.
                    assert_eq!(verified_hash(&hurt), hash, "{at}");
                    woke += 1;
                }
                Some(3 | 4) => assert!(out.is_empty() && said.contains(hurt.to_str().unwrap()), "{at}: {out}{said}"),
                // LMDB itself ended the process on a page that is gone.
                None => {
                    assert!(out.is_empty(), "{at}: {out}");
                    died += 1;
                }
                other => panic!("{at}: {other:?} {out}{said}"),
            }
        }
    }
    assert!(found > 0 && woke > 0);
    println!(
        "{cuts} cuts: {found} found by verify; of the wakings {woke} whole, {died} ended by a signal, the rest refused"
    );
}
