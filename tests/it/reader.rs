//! A reader of worlds that shares no code with the program: `tests/reader/read_world.py` follows `docs/file-format.md` alone.
//! Where it reads what the program says, the description is whole.

use super::program::{answers, log, run, verified_hash, workbench};
use serde_json::Value as Json;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Something of everything that a record can hold, and that ends up in the snapshots.
const CONVERSATION: &str = r##"
create_point point x=1.5 y=-0 label="é \"q\" \\ \n 世界 🌍"
create_shape brick color=[0.2, 0.6, 1] nothing=nil yes=true
set point friend=@brick far=inf near=-inf none=nan list=[[], [1, [2]], {a = {b = @brick}}] map={}
set point odd={[1] = 1, [3] = "x", [true] = 2, ref = "brick"}
= world.brick:set("self_map", { [world.brick] = 1, [world.point] = { world.brick } })
= world.point:set("long", table.create(900, "an element"))
clone point
= world.point:set("child", world.point:clone())
copy brick as=second
add_parent second parent=@point
nonsense point
dismiss 12
create_point lost
delete lost
create_point back
delete back
undo
rename second to=third
undo
remove_slot brick slot=yes
undo
document brick slot=color text="what it looks like"
add_method point selector=move_by source="function(self, dx, dy)\n  self.x = self.x + dx\n  self.y = self.y + dy\n  return self\nend"
move_by point dx=10 dy=20
reprogram_method point instructions="Create a method to move the point by a given dx and dy" selector=move_by
undo_method point selector=move_by
add_method point selector=short_lived source="function(self) return 1 end"
undo
add_method point selector=stir source="function(self) self.odd.k = { 1, 2 } table.remove(self.long, 7) table.insert(self.long, 3, 'x') self.long[#self.long] = nil self.odd[3] = nil print('stirred') post(self, 'move_by', 1, 2) return self.odd end"
stir point
undo
redo
set nobody x=1
"##;

/// What Python there is; none, with the reason printed, where there is none that is new enough.
fn python() -> Option<&'static str> {
    let is_fit = |name: &&str| {
        let mut command = Command::new(name);
        command.args(["-I", "-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
        command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "python"].into_iter().find(is_fit);
    if found.is_none() {
        println!("not tested: there is no Python 3.8 or newer on the PATH");
    }
    found
}

/// Runs the reader; its exit code and what it said on both streams.
fn read(python: &str, world: &Path, what: &[&str]) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/read_world.py");
    let mut command = Command::new(python);
    command.arg("-I").arg(script).arg(world).args(what);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    // 1 is how Python ends where a program does not catch what it should.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{said}");
    (output.status.code(), said)
}

/// Fails unless the reader finds the world sound; without Python nothing is checked.
pub(crate) fn checked_by_python(world: &Path) {
    if let Some(python) = python() {
        let (code, said) = read(python, world, &["--check"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

fn lines(python: &str, world: &Path, what: &[&str]) -> Vec<Json> {
    let (code, said) = read(python, world, what);
    assert_eq!(code, Some(0), "{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares what the reader says of a world with what the program says; answers the records as the reader has them.
fn agree(python: &str, world: &Path) -> Vec<Json> {
    let records = lines(python, world, &[]);
    let entries = log(world);
    let told = |record: &Json| {
        let body = &record["body"];
        let ended = body["end"].as_object().map(|end| end.keys().next().unwrap().clone());
        (
            record["position"].clone(),
            record["sequence"].clone(),
            record["kind"].clone(),
            body["selector"].clone(),
            ended,
        )
    };
    let expected = |entry: &Json| {
        let ended = entry["status"].as_str().map(str::to_string);
        (entry["position"].clone(), entry["seq"].clone(), entry["kind"].clone(), entry["selector"].clone(), ended)
    };
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), entries.iter().map(expected).collect::<Vec<_>>());

    let (code, said) = read(python, world, &["--check"]);
    assert_eq!(code, Some(0), "{said}");
    let hash = said.lines().find_map(|line| line.strip_prefix("world hash ")).unwrap().trim();
    assert_eq!(hash, verified_hash(world), "{said}");

    let mut command = workbench(["show", "--json", "--world"]);
    command.arg(world);
    let shown: Json = serde_json::from_slice(&run(command, b"").stdout).unwrap();
    let named = |object: &Json| (object["id"].clone(), object["name"].clone());
    let kept = lines(python, world, &["--objects"]);
    let kept: Vec<_> = kept.iter().filter(|kept| kept["kind"] == "snapshot").map(|kept| named(&kept["body"])).collect();
    assert_eq!(kept, shown.as_array().unwrap().iter().map(named).collect::<Vec<_>>());
    records
}

#[test]
fn a_reader_that_follows_the_description_alone_reads_what_was_written() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let (told, _) = answers(&world, CONVERSATION.as_bytes());
    assert_eq!(told.len(), CONVERSATION.trim().lines().count(), "{told:#?}");
    assert!(told.iter().filter(|answer| answer["status"] == "completed").count() > 30, "{told:#?}");
    let records = agree(python, &world);
    let text = records.iter().map(Json::to_string).collect::<String>();
    for part in [
        "世界 🌍",
        "\"edit_slot\"",
        "\"remove_version\"",
        "\"failed\"",
        "\"resolves\":[12]",
        "\"set_parents\"",
        "\"nan\"",
    ] {
        assert!(text.contains(part), "no {part} was written");
    }
    let objects = lines(python, &world, &["--objects"]);
    let tombstones: Vec<_> = objects.iter().filter(|object| object["kind"] == "tombstone").collect();
    assert!(matches!(tombstones.as_slice(), [one] if one["body"]["name"] == "lost"), "{tombstones:?}");

    // A world that moves by itself, and is opened again.
    let mut command = workbench(["--headless", "--json", "--world"]);
    let mut child = command.arg(&world).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let moving = "add_method point selector=step source=\"function(self) self.x += 1 end\"\nstart_stepping point\n\
                  = after(0.05, world.brick, 'describe')\n";
    input.write_all(moving.as_bytes()).unwrap();
    let moved = |records: &[Json]| {
        let has = |field: &str, word: &str| records.iter().any(|record| record[field] == word);
        has("kind", "step") && has("sender_id", "timer")
    };
    let has_moved = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        moved(&log(&world))
    });
    assert!(has_moved);
    input.write_all(b"stop_stepping point\nset point y=3\n").unwrap();
    drop(input);
    assert!(child.wait_with_output().unwrap().status.success());
    let before = agree(python, &world);

    // Its archive, and damage to that.
    let mut command = workbench(["archive", "--world"]);
    command.arg(&world);
    assert_eq!(run(command, b"").status.code(), Some(0));
    assert_eq!(agree(python, &world), before);
    let segment = fs::read_dir(world.join("archive")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&segment).unwrap();
    for at in [0, 20, 64, 78, 81, 100, 111, 200, whole.len() - 1] {
        let mut hurt = whole.clone();
        hurt[at] ^= 4;
        fs::write(&segment, hurt).unwrap();
        let (code, said) = read(python, &world, &["--check"]);
        assert!(code == Some(4) && said.contains("segment"), "byte {at}: {said}");
    }
}

#[test]
fn the_reader_reads_the_worlds_of_earlier_versions() {
    let Some(python) = python() else { return };
    let worlds = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds")).unwrap();
    let worlds: Vec<PathBuf> = worlds.map(|world| world.unwrap().path()).collect();
    assert!(!worlds.is_empty());
    for world in worlds {
        let (code, said) = read(python, &world, &["--check"]);
        assert_eq!(code, Some(0), "{}: {said}", world.display());
        let hash = fs::read_to_string(world.join("world_hash.txt")).unwrap();
        assert!(said.contains(hash.trim()), "{}: {said}", world.display());
    }
}

/// Where the bytes of a log record stand in a data file, old copies of its page included, and how many they are.
fn places_of(file: &[u8], position: u64) -> Vec<(usize, usize)> {
    let is_header = |at: &usize| {
        file[*at..].starts_with(b"HW\x01") && file.get(at + 8..at + 16) == Some(&position.to_le_bytes()[..])
    };
    let stored = |at: usize| u32::from_le_bytes(file[at + 24..at + 28].try_into().unwrap()) as usize;
    let is_of_log = |at: &usize| file[at + 3] < 64;
    (0..file.len() - 48).filter(is_header).filter(is_of_log).map(|at| (at, 48 + stored(at))).collect()
}

#[test]
fn the_reader_finds_damage_and_never_loses_its_head() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (world, copy) = (dir.path().join("world"), dir.path().join("copy"));
    answers(&world, CONVERSATION.as_bytes());
    fs::create_dir(&copy).unwrap();
    let mut whole = Vec::new(); // of a file that may be as long as the map
    fs::File::open(world.join("data.mdb")).unwrap().take(256 * 4096).read_to_end(&mut whole).unwrap();
    let damaged = |bytes: &[u8]| {
        fs::write(copy.join("data.mdb"), bytes).unwrap();
        read(python, &copy, &["--check"])
    };
    assert_eq!(damaged(&whole).0, Some(0));
    for position in [1, 5, 20] {
        let mut flipped = whole.clone();
        let places = places_of(&whole, position);
        assert!(!places.is_empty());
        for (at, length) in places {
            flipped[at + length / 2] ^= 1;
        }
        let (code, said) = damaged(&flipped);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(&format!("log record {position}: its checksum is wrong")), "{said}");
        assert_eq!(read(python, &copy, &[]).0, Some(4));
    }
    assert_eq!(damaged(b"").0, Some(4));
    assert_eq!(damaged(&whole[..2 * 4096]).0, Some(4));
    let mut found = 0;
    for page in (0..whole.len() / 4096).step_by(3) {
        let mut zeroed = whole.clone();
        zeroed[page * 4096..][..4096].fill(0);
        found += usize::from(damaged(&zeroed).0 == Some(4)); // a free page may hold anything
    }
    assert!(found > 3, "{found}");
}
