//! The house: rooms look only left, every file says what it owns, and nothing is there twice.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from left to right; a room names none that stands in a later group, nor another of its own group.
const ROOMS: [&[&str]; 7] = [
    &["object"],
    &["language"],
    &["components"],
    &["persistence", "cognition", "crucible"],
    &["systems"],
    &["morphic"],
    &["workbench"],
];

fn sources(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn rooms_look_only_left() {
    for (place, group) in ROOMS.iter().enumerate() {
        for room in *group {
            let folder = root().join("src").join(room);
            if !folder.exists() {
                continue; // a room that is not built yet
            }
            let others = group.iter().filter(|other| *other != room);
            let right: Vec<&str> = ROOMS[place + 1..]
                .iter()
                .flat_map(|group| group.iter())
                .chain(others)
                .copied()
                .chain(["bridge"])
                .collect();
            for file in sources(&folder) {
                let text = fs::read_to_string(&file).unwrap();
                // Tests may stand anywhere and look anywhere.
                let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
                let end = tests.iter().filter_map(|begin| text.find(begin)).min().unwrap_or(text.len());
                let code = &text[..end];
                if file.ends_with("tests.rs") {
                    continue;
                }
                for other in &right {
                    let named = code.contains(&format!("crate::{other}"))
                        || code.contains(&format!("living_workbench::{other}"));
                    assert!(!named, "{} names the room `{other}`, which is not left of it", file.display());
                }
            }
        }
    }
    let known: Vec<&str> = ROOMS.iter().flat_map(|group| group.iter()).copied().chain(["bridge"]).collect();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(known.contains(&name.as_str()), "`{name}` is no room of the house");
        }
    }
}

#[test]
fn every_file_opens_by_saying_what_it_owns() {
    for folder in ["src", "tests", "benches"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{} has no opening", file.display());
        }
    }
}

#[test]
fn knotted_crates_are_there_once() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["egui", "wgpu", "bevy_ecs", "mlua-sys"] {
        let count = lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
        assert_eq!(count, 1, "{name} stands {count} times in Cargo.lock");
    }
}
