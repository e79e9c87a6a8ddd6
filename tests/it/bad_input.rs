//! What people and programs get wrong: each has its own sentence and exit code, and changes nothing.

use super::program::{answers, run, verified_hash, workbench};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Command;

fn code_and_words(command: Command) -> (Option<i32>, String) {
    let output = run(command, b"");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn bad_lines_get_their_own_sentences_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    answers(&world, b"create_point point\n");
    let before = verified_hash(&world);
    let mut input =
        b"mve_by point\n\nset point x=\nset pont x=1\nset point 1 x=2\nclone point as=Bad\n\xff\xfe\n".to_vec();
    input.extend(vec![b'x'; 1 << 20]);
    input.extend("\nset point clone=1\nrename point to=\u{e9}\nnull\0byte point\nset point x=1 x=".bytes());
    let (answers, code) = answers(&world, &input);
    assert_eq!(code, Some(1));
    let messages: Vec<&str> = answers.iter().filter_map(|answer| answer["error"]["message"].as_str()).collect();
    assert_eq!(messages.len(), answers.len());
    let distinct: std::collections::BTreeSet<_> = messages.iter().collect();
    assert_eq!(distinct.len(), messages.len(), "{messages:#?}");
    let lines: Vec<u64> = answers.iter().filter_map(|answer| answer["line"].as_u64()).collect();
    assert_eq!(lines, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(answers[2]["error"]["suggestions"][0], "point");
    assert_eq!(verified_hash(&world), before);
}

#[test]
fn arguments_and_worlds_have_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let (code, words) = code_and_words(workbench(["--nonsense"]));
    assert_eq!(code, Some(2), "{words}");
    let nowhere = dir.path().join("nowhere");
    for task in ["show", "log", "verify"] {
        let mut command = workbench([task, "--world"]);
        command.arg(&nowhere);
        let (code, words) = code_and_words(command);
        assert_eq!(code, Some(3), "{words}");
        assert!(words.contains("no world"), "{words}");
    }
    assert!(!nowhere.exists());

    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "dear").unwrap();
    let mut command = workbench(["--headless", "--world"]);
    command.arg(&other);
    let (code, words) = code_and_words(command);
    assert_eq!(code, Some(3));
    assert!(words.contains("not a world"), "{words}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);

    let world = dir.path().join("world");
    answers(&world, b"create_point point\n");
    let mut command = workbench(["show", "pont", "--world"]);
    command.arg(&world);
    let (code, words) = code_and_words(command);
    assert_eq!(code, Some(1));
    assert!(words.contains("nearest: point"), "{words}");
}

#[test]
fn a_second_workbench_is_refused_and_reports_still_work() {
    use std::io::{BufRead, BufReader, Write};
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let mut command = workbench(["--headless", "--json", "--world"]);
    command.arg(&world).stdin(std::process::Stdio::piped());
    let mut first = command.spawn().unwrap();
    let mut input = first.stdin.take().unwrap();
    writeln!(input, "create_point point").unwrap();
    let mut answer = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    assert!(answer.contains("completed"), "{answer}");

    let mut second = workbench(["--headless", "--world"]);
    second.arg(&world);
    let (code, words) = code_and_words(second);
    assert_eq!(code, Some(3));
    assert!(words.contains("open in another workbench") && words.contains(&first.id().to_string()), "{words}");
    assert_eq!(super::program::show(&world, "point")["slots"]["x"], 0);

    drop(input);
    assert!(first.wait().unwrap().success());
}

#[test]
fn runaway_methods_end_as_failed_turns() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let bodies = [
        ("spin", "while true do end"),
        ("eat", "local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end"),
        ("dive", "return self:dive() + 1"),
        ("hide", "while true do pcall(function() while true do end end) end"),
    ];
    let mut input = String::from("create_thing thing n=1\n");
    for (selector, body) in bodies {
        input += &format!(
            "add_method thing selector={selector} source=\"function(self) self.n = 2 {body} end\"\n{selector} thing\n"
        );
    }
    let (answers, _) = answers(&world, format!("{input}get thing n\n").as_bytes());
    let failed: Vec<&serde_json::Value> = answers.iter().filter(|answer| answer["status"] == "failed").collect();
    assert_eq!(failed.len(), bodies.len(), "{answers:#?}");
    assert!(failed.iter().all(|answer| answer["error"]["kind"] == "bound"), "{failed:#?}");
    assert_eq!(answers.last().unwrap()["result"], 1);
}

#[test]
fn no_damaged_page_ends_a_report_without_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let lines: String = (0..200).map(|at| format!("create_point p{at} x={at}\n")).collect();
    assert_eq!(answers(&world, lines.as_bytes()).1, Some(0));
    let mut file = fs::File::options().read(true).write(true).open(world.join("data.mdb")).unwrap();
    let pages = file.metadata().unwrap().len().min(80 * 4096) / 4096; // it may be as long as the map
    let mut damaged = 0;
    for page in 2..pages {
        let place = SeekFrom::Start(page * 4096);
        let mut whole = [0; 4096];
        file.seek(place).and_then(|_| file.read_exact(&mut whole)).unwrap();
        file.seek(place).and_then(|_| file.write_all(&[0; 4096])).unwrap();
        let mut command = workbench(["verify", "--world"]);
        command.arg(&world);
        let code = run(command, b"").status.code();
        assert!(matches!(code, Some(0 | 4)), "page {page}: {code:?}"); // a free page may hold anything
        damaged += usize::from(code == Some(4));
        file.seek(place).and_then(|_| file.write_all(&whole)).unwrap();
    }
    assert!(damaged > 3, "{damaged}");
}
