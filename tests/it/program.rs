//! Runs the program under test.

use serde_json::Value as Json;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

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
    verified(world, "world hash")
}

/// A figure that `verify` prints; fails unless all is sound.
pub(crate) fn verified(world: &Path, figure: &str) -> String {
    let mut command = workbench(["verify", "--world"]);
    command.arg(world);
    let output = run(command, b"");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let found = text.lines().find_map(|line| line.strip_prefix(figure)).expect("a figure");
    found.trim().to_string()
}

/// `show OBJECT --json`.
pub(crate) fn show(world: &Path, object: &str) -> Json {
    let mut command = workbench(["show", object, "--json", "--world"]);
    command.arg(world);
    serde_json::from_slice(&run(command, b"").stdout).expect("JSON")
}

/// `log --json`: every record.
pub(crate) fn log(world: &Path) -> Vec<Json> {
    log_from(world, 1)
}

/// `log --json --from`: the records from a message's envelope on.
pub(crate) fn log_from(world: &Path, sequence: u64) -> Vec<Json> {
    let mut command = workbench(["log", "--json", "--from", &sequence.to_string(), "--world"]);
    command.arg(world);
    let log = String::from_utf8(run(command, b"").stdout).expect("UTF-8");
    log.lines().map(|line| serde_json::from_str(line).expect("each record is JSON")).collect()
}

/// Opens the world, says the lines as fast as they are taken, and kills it after a while. The answers that came whole: the one
/// that the kill cut off is no acknowledgement.
pub(crate) fn talk_until_killed(
    world: &Path,
    lines: impl Iterator<Item = String> + Send + 'static,
    after: Duration,
) -> Vec<Json> {
    let mut command = workbench(["--headless", "--json", "--world"]);
    let mut child = command.arg(world).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let output = child.stdout.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        for line in lines {
            if input.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
        // Without an end of the input the world goes on until it is killed.
        while input.write_all(b"\n").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    });
    std::thread::sleep(after);
    child.kill().expect("the program is there");
    child.wait().expect("the program ends");
    writer.join().expect("the input is written");
    reader.join().expect("the answers are read")
}

/// A headless world that is talked to line by line, as a process.
pub(crate) struct Session {
    child: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Session {
    /// Opens the world with this program; what it says beside its answers goes where `command` sends it.
    pub(crate) fn begin(mut command: Command, world: &Path) -> Self {
        command.args(["--headless", "--json", "--world"]).arg(world);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let input = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, input, answers }
    }

    /// Opens the world with the usual program, and lets go by what it says beside its answers.
    pub(crate) fn open(world: &Path) -> Self {
        let mut command = workbench::<&str>([]);
        command.stderr(Stdio::null());
        Self::begin(command, world)
    }

    /// Says some lines, few enough for the pipes. What a process that is gone does not hear is not answered either.
    pub(crate) fn say(&mut self, lines: &str) {
        let _ = self.input.write_all(lines.as_bytes());
    }

    /// The next answer; `None` where the process is gone, also while it was answering.
    pub(crate) fn hear(&mut self) -> Option<Json> {
        serde_json::from_str(&self.answers.next()?.ok()?).ok()
    }

    /// Says one line and hears the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Json {
        self.say(&format!("{line}\n"));
        self.hear().unwrap_or_else(|| panic!("no answer to {line}"))
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by the end of its input. The answers that were not heard yet, and the exit code; none after a signal.
    pub(crate) fn close(self) -> (Vec<Json>, Option<i32>) {
        let Self { mut child, input, answers } = self;
        drop(input);
        let answers = answers.map_while(|line| serde_json::from_str(&line.ok()?).ok()).collect();
        (answers, child.wait().expect("the program ends").code())
    }

    /// Ends it at once. The answers that were not heard yet.
    pub(crate) fn kill(self) -> Vec<Json> {
        let Self { mut child, input: _input, answers } = self;
        child.kill().expect("the program is there");
        child.wait().expect("the program ends");
        answers.map_while(|line| serde_json::from_str(&line.ok()?).ok()).collect()
    }
}
