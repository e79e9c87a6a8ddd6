//! The worlds in `assets/worlds`: imported, and used as a person would. What moves by itself has no script: its answers
//! tell the moment.

use super::program::{answers, run, show, workbench};
use serde_json::Value as Json;
use std::path::Path;
use tempfile::TempDir;

/// A new world with one of the folders in it.
fn imported(folder: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/worlds").join(folder);
    // An import notes in the folder what it brought in.
    let copy = dir.path().join("files");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let mut command = workbench(["import"]);
    command.arg(&copy).arg("--world").arg(dir.path().join("world"));
    let output = run(command, b"");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    dir
}

/// Says lines, each of which completes; their results.
fn said(dir: &TempDir, lines: &str) -> Vec<Json> {
    let (answers, _) = answers(&dir.path().join("world"), lines.as_bytes());
    let result = |answer: &Json| {
        assert_eq!(answer["status"], "completed", "{answer}");
        answer["result"].clone()
    };
    answers.iter().map(result).collect()
}

#[test]
fn the_clock_shows_the_time_by_itself() {
    let dir = imported("clock");
    let shows = r#"= string.match(world.clock.text, "^%d%d:%d%d:%d%d$") ~= nil"#;
    let told = said(&dir, &format!("step clock\n{shows}\n"));
    assert_eq!(told[1], true);
    said(&dir, "set clock hours_from_utc=5 stepping=false text=\"\"\n");
    let ahead = "= (function() world.clock:step() return (now() // 3600000 + 5) % 24 == tonumber(string.sub(world.clock.text, 1, 2)) end)()";
    assert_eq!(said(&dir, ahead)[0], true);
}

#[test]
fn balls_stay_in_their_arena() {
    let dir = imported("bouncing_balls");
    said(&dir, "slide_to gravity value=700\nclicked more_balls\nclicked more_balls\n");
    let world = dir.path().join("world");
    assert_eq!(show(&world, "arena")["slots"]["gravity"], 700);
    let run_on = "= (function() for i = 1, 600 do for _, ball in reflect(world.ball).children do ball:step(1 / 60) end end end)()";
    let inside = "= (function() local a, n = world.arena, 0 for _, b in reflect(world.ball).children do \
                  assert(b.x >= a.x and b.x + b.w <= a.x + a.w and b.y >= a.y and b.y + b.h <= a.y + a.h) n += 1 end return n end)()";
    let told = said(
        &dir,
        &format!("{run_on}\n{inside}\ncalm arena\n= world.ball_1.stepping\ngo arena\n= world.ball.stepping\n"),
    );
    assert_eq!((&told[1], &told[3], &told[5]), (&6.into(), &false.into(), &true.into()));
    let fault = show(&world, "ball")["slots"]["step_fault"].clone();
    assert_eq!(fault, Json::Null);
}
