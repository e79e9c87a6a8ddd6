//! World behaviour in the console's own language: `scripts/*.txt` hold lines and what each must answer.
//!
//! A line that begins with `> ` is typed into a new world; what follows it is the expected answer.
//! With `UPDATE_SCRIPTS=1` the answers are written instead of compared.

use super::program::{run, workbench};
use std::fs;
use std::path::Path;

#[test]
fn every_script_answers_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts");
    let mut scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for script in scripts {
        let expected = fs::read_to_string(&script).unwrap().replace("\r\n", "\n");
        let found = play(&expected);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            fs::write(&script, &found).unwrap();
        } else {
            assert_eq!(found, expected, "{} answers otherwise", script.display());
        }
    }
}

/// Types the script's lines, and puts the answers under them.
fn play(script: &str) -> String {
    let lines: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let comments = script.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n"));
    let told = lines.iter().zip(answers_to(&lines)).map(|(line, answer)| format!("> {line}\n{answer}"));
    comments.chain(told).collect()
}

/// Types lines into a new world, each after the answer to the one before. Answers one text a line.
pub(crate) fn answers_to(lines: &[&str]) -> Vec<String> {
    const END: &str = "help get";
    let dir = tempfile::tempdir().unwrap();
    // A known answer between the lines tells where one ends.
    let input: String = lines.iter().map(|line| format!("{line}\n{END}\n")).collect();
    let mut command = workbench(["--headless", "--world"]);
    command.arg(dir.path().join("world"));
    let output = String::from_utf8(run(command, input.as_bytes()).stdout).unwrap();
    let mark = "get OBJECT slot=…\n  Answers a slot's value, own or inherited.\n  for example: get point slot=x\n";
    let mut answers: Vec<String> = output.split(mark).map(str::to_string).collect();
    assert_eq!(answers.len(), lines.len() + 1, "{output}");
    answers.pop();
    answers.iter().map(|answer| without_moments(answer)).collect()
}

/// The same with one moment in place of each that an answer tells, which differs from run to run.
fn without_moments(answer: &str) -> String {
    const MOMENT: &str = "2026-03-01 at 09:05:07 UTC";
    let shape = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    let mut out = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some(c) = rest.chars().next() {
        match rest.get(..MOMENT.len()) {
            Some(text) if shape(text) == shape(MOMENT) => {
                out.push_str(MOMENT);
                rest = &rest[MOMENT.len()..];
            }
            _ => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}
