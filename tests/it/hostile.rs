//! Methods that try to hang, exhaust, escape, corrupt or differ: `hostile/*.luau`, each with how it must end.
//!
//! Each is sent in two worlds, in which it must end in the same way; then the witness must be as it was, and answer.

use super::library::quoted;
use super::program::answers;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far more than the slowest attack takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

struct Attack {
    name: String,
    ends: String,
    answers: Option<String>,
    first: Vec<String>,
    source: String,
}

impl Attack {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
        let headers: Vec<&str> = text.lines().take_while(|line| line.starts_with("-- ")).collect();
        let header = |key: &str| {
            let prefix = format!("-- {key}: ");
            headers.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_string).collect::<Vec<_>>()
        };
        let source = text.lines().skip(headers.len()).collect::<Vec<_>>().join("\n");
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            ends: header("ends").concat(),
            answers: header("answers").into_iter().next(),
            first: header("first"),
            source: source.trim().to_string(),
        }
    }

    /// The lines of a world in which it is sent, and how many of them come before it is accepted.
    fn lines(&self) -> (String, usize) {
        let mut lines: Vec<String> = [
            "create_villain villain items=[1, 2, 3] map={a = 1, b = 2} n=0 s=\"text\"",
            "clone villain as=henchman",
            "create_witness witness x=1 list=[1, 2, 3] map={a = 1} friend=@villain",
            "add_method witness selector=hello source=\"function(self) return 'hello' end\"",
        ]
        .map(str::to_string)
        .to_vec();
        lines.extend(self.first.iter().cloned());
        lines.push("describe witness".into());
        let before = lines.len();
        lines.push(format!("add_method villain selector=attack source={}", quoted(&self.source)));
        lines.push("attack villain".into());
        lines.push("describe witness".into());
        lines.push("hello witness".into());
        (lines.into_iter().map(|line| line + "\n").collect(), before)
    }

    /// What is wrong with how it ended, if anything is.
    fn fails(&self) -> Option<String> {
        let (lines, before) = self.lines();
        #[allow(clippy::disallowed_methods)] // how long an attack takes is what is asked
        let start = Instant::now();
        // What only lasts long differs from nothing.
        let worlds = if self.name.starts_with("hang_") { 1 } else { 2 };
        let ends: Vec<Vec<Json>> = (0..worlds)
            .map(|_| {
                let dir = tempfile::tempdir().unwrap();
                answers(&dir.path().join("world"), lines.as_bytes()).0
            })
            .collect();
        let wrong = |told: String| Some(format!("{}: {told}", self.name));
        if start.elapsed() > PATIENCE {
            return wrong(format!("it took {:?}", start.elapsed()));
        }
        let end = &ends[0];
        if end.len() != before + 4 {
            return wrong(format!("the program ended: {end:?}"));
        }
        // How far a bound let it go is no part of its end.
        let told = |end: &[Json]| {
            let mut end = end.to_vec();
            for answer in &mut end {
                if answer["error"]["kind"] == "bound" {
                    answer["error"] = Json::from("bound");
                }
            }
            end
        };
        if let Some(other) = ends.get(1)
            && told(end) != told(other)
        {
            return wrong(format!("it ends in two ways: {} and {}", end[before + 1], other[before + 1]));
        }
        if let Some(answer) = end[..before].iter().find(|answer| answer["status"] != "completed") {
            return wrong(format!("it was not set up: {answer}"));
        }
        let accepted = end[before]["status"] == "completed";
        let decisive = if accepted { &end[before + 1] } else { &end[before] };
        let found = match decisive["status"].as_str() {
            Some("completed") => "completed",
            _ => decisive["error"]["kind"].as_str().unwrap_or("nothing"),
        };
        if found != self.ends {
            return wrong(format!("it should end as {}: {decisive}", self.ends));
        }
        if let Some(expected) = &self.answers {
            let found = match &decisive["result"] {
                Json::String(text) => text.clone(),
                Json::Null => "nil".to_string(),
                other => other.to_string(),
            };
            if found.replace(' ', "") != expected.replace(' ', "") {
                return wrong(format!("it should answer {expected}: {found}"));
            }
        }
        let witness = |at: usize| &end[at]["result"];
        if self.ends != "completed" && witness(before - 1) != witness(before + 2) {
            return wrong(format!("the witness is another: {}", end[before + 2]));
        }
        if end[before + 3]["result"] != "hello" {
            return wrong(format!("the witness does not answer: {}", end[before + 3]));
        }
        None
    }
}

#[test]
fn nothing_a_method_does_takes_the_world_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 80);
    let attacks: Vec<Attack> = files.iter().map(|path| Attack::read(path)).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = attacks
            .chunks(attacks.len().div_ceil(threads))
            .map(|part| scope.spawn(move || part.iter().filter_map(Attack::fails).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
