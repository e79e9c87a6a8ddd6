//! Runs the program under test.

use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The id of every world made here, so that equal input gives equal hashes.
pub(crate) const WORLD_ID: &str = "00000000-0000-4000-8000-000000000001";

/// The program with these arguments.
pub(crate) fn workbench<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workbench"));
    command.args(args).env("WORKBENCH_WORLD_ID", WORLD_ID).env_remove("WORKBENCH_WORLD");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it with this input to its end.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the input is written");
    output
}

/// Answers of a headless world, one JSON object a line.
pub(crate) fn answers(world: &Path, input: &[u8]) -> (Vec<Json>, Option<i32>) {
    let mut command = workbench(["--headless", "--json", "--world"]);
    command.arg(world);
    let output = run(command, input);
    let text = String::from_utf8(output.stdout).expect("answers are UTF-8");
    let answers = text.lines().map(|line| serde_json::from_str(line).expect("each answer is JSON")).collect();
    (answers, output.status.code())
}

/// The world hash that `verify` prints; fails unless all is sound.
pub(crate) fn verified_hash(world: &Path) -> String {
    let mut command = workbench(["verify", "--world"]);
    command.arg(world);
    let output = run(command, b"");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let hash = text.lines().find_map(|line| line.strip_prefix("world hash ")).expect("a hash");
    hash.to_string()
}

/// `show OBJECT --json`.
pub(crate) fn show(world: &Path, object: &str) -> Json {
    let mut command = workbench(["show", object, "--json", "--world"]);
    command.arg(world);
    serde_json::from_slice(&run(command, b"").stdout).expect("JSON")
}

/// `log --json`: every record.
pub(crate) fn log(world: &Path) -> Vec<Json> {
    let mut command = workbench(["log", "--json", "--world"]);
    command.arg(world);
    let log = String::from_utf8(run(command, b"").stdout).expect("UTF-8");
    log.lines().map(|line| serde_json::from_str(line).expect("each record is JSON")).collect()
}
