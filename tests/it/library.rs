//! The library that methods reach: `library/*.luau` hold facts about each function, as methods that assert them.
//!
//! A case begins with a line `---- the fact`; its text is added to a new object as the method `case` and sent. With
//! `self:each_way(items, check)` a case asserts the same of a plain table and of the list or map of a slot.

use super::program::answers;
use std::fs;
use std::path::Path;

const EACH_WAY: &str = "function(self, items, check)\n  local function deep(t)\n    if type(t) ~= 'table' or exists(t) then \
                        return t end\n    local copy = {}\n    for k, v in pairs(t) do copy[deep(k)] = deep(v) end\n    \
                        return copy\n  end\n  check(deep(items))\n  self.made = items\n  check(self.made)\nend";

#[test]
fn every_function_of_the_library_does_what_is_said_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/library");
    let mut failed = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap().replace("\r\n", "\n");
        let cases: Vec<(&str, &str)> = text.split("---- ").skip(1).map(|case| case.split_once('\n').unwrap()).collect();
        assert!(!cases.is_empty());
        let mut input = String::new();
        for (number, (_, source)) in cases.iter().enumerate() {
            let bench = format!("bench{number}");
            input +=
                &format!("create_{bench} {bench} list=[1, 2, 3] words=[\"b\", \"a\", \"c\"] map={{a = 1, b = 2}} ");
            input += "nested=[[1, 2], {k = [3]}] empty=[]\n";
            input += &format!("add_method {bench} selector=each_way source={}\n", quoted(EACH_WAY));
            input += &format!("rename {bench} to=bench\n");
            input += &format!("add_method bench selector=case source={}\ncase bench\n", quoted(source.trim()));
            input += &format!("rename bench to=was_{bench}\n");
        }
        let dir = tempfile::tempdir().unwrap();
        let (answers, _) = answers(&dir.path().join("world"), input.as_bytes());
        for (answers, (fact, _)) in answers.chunks(6).zip(&cases) {
            if let Some(answer) = answers.iter().find(|answer| answer["status"] != "completed") {
                failed.push(format!("{fact}: {}", answer["error"]));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A text as the console reads it.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"))
}
