//! `docs/language.md` and `docs/prototypes.md` are true of the program: their examples are played; the methods of the
//! language's page are accepted, and its names complete.
//!
//! A block ```` ```console ```` holds lines that begin with `> ` and what each answers in a new world; one marked
//! ```` ```console continued ```` goes on in the world of the one before. A block ```` ```luau ```` is the text of a method.
//! With `UPDATE_SCRIPTS=1` the answers are written instead of compared.

use super::library::quoted;
use super::program::answers;
use super::scripts::answers_to;
use living_workbench::language::{GLOBALS, NATIVES};
use std::fs;
use std::path::PathBuf;

/// A fenced block: what stands behind the opening fence, and its text.
struct Block<'a> {
    info: &'a str,
    text: &'a str,
}

const LANGUAGE: &str = "docs/language.md";

fn path(page: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page)
}

fn text_of(page: &str) -> String {
    fs::read_to_string(path(page)).unwrap().replace("\r\n", "\n")
}

/// Every block of a page, in order.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, fenced)) = rest.split_once("\n```") {
        let (info, fenced) = fenced.split_once('\n').unwrap();
        let (text, after) = fenced.split_once("```").unwrap();
        found.push(Block { info, text });
        rest = after;
    }
    found
}

/// The lines that a block has typed.
fn typed<'a>(block: &Block<'a>) -> Vec<&'a str> {
    block.text.lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

#[test]
fn every_example_answers_as_written() {
    for page in [LANGUAGE, "docs/prototypes.md"] {
        let written = text_of(page);
        let found = played(&written);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            fs::write(path(page), &found).unwrap();
        } else {
            for (found, written) in found.lines().zip(written.lines()) {
                assert_eq!(found, written, "{page} answers otherwise");
            }
            assert_eq!(found, written, "{page} answers otherwise");
        }
    }
}

/// The page with what its examples answer now.
fn played(page: &str) -> String {
    let examples: Vec<Block<'_>> = blocks(page).into_iter().filter(|block| block.info.starts_with("console")).collect();
    let worlds: Vec<&[Block<'_>]> = examples.chunk_by(|_, next| next.info == "console continued").collect();
    assert!(worlds.len() > 5, "the page has {} examples", worlds.len());
    let mut found = page.to_string();
    for world in worlds {
        let lines: Vec<&str> = world.iter().flat_map(typed).collect();
        let mut answers = answers_to(&lines).into_iter();
        for block in world {
            let told: String = typed(block)
                .into_iter()
                .zip(answers.by_ref())
                .map(|(line, answer)| format!("> {line}\n{answer}"))
                .collect();
            let fence = |text: &str| format!("```{}\n{text}```", block.info);
            found = found.replace(&fence(block.text), &fence(&told));
        }
    }
    found
}

#[test]
fn every_method_of_the_page_is_accepted() {
    let page = text_of(LANGUAGE);
    let methods: Vec<Block<'_>> = blocks(&page).into_iter().filter(|block| block.info == "luau").collect();
    assert!(!methods.is_empty());
    let mut input = String::from("clone proto as=bench\n");
    for (number, method) in methods.iter().enumerate() {
        input += &format!("add_method bench selector=method_{number} source={}\n", quoted(method.text.trim()));
    }
    let dir = tempfile::tempdir().unwrap();
    let (answers, _) = answers(&dir.path().join("world"), input.as_bytes());
    assert_eq!(answers.len(), methods.len() + 1);
    for (answer, method) in answers[1..].iter().zip(&methods) {
        assert_eq!(answer["status"], "completed", "{}\n{}", answer["error"], method.text);
    }
}

#[test]
fn every_name_of_the_language_is_on_the_page() {
    let page = text_of(LANGUAGE);
    let libraries = ["bit32", "math", "string", "table", "utf8"];
    let walk = |library: &&str| {
        format!(
            "= (function() local names = {{}} for name in {library} do table.insert(names, name) end return names end)()"
        )
    };
    let lines: Vec<String> = libraries.iter().map(walk).collect();
    let listed = answers_to(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let functions = libraries.iter().zip(&listed).flat_map(|(library, names)| {
        assert!(names.lines().count() > 5, "{names}");
        names.lines().map(move |name| format!("{library}.{name}"))
    });
    let globals = GLOBALS.iter().filter(|name| !libraries.contains(name)).map(ToString::to_string);
    let messages = NATIVES.iter().map(|native| native.selector.to_string());
    let is_told = |name: &String| [".", "(", "`"].iter().any(|end| page.contains(&format!("`{name}{end}")));
    let missing: Vec<String> = globals.chain(messages).chain(functions).filter(|name| !is_told(name)).collect();
    assert!(missing.is_empty(), "docs/language.md says nothing of {}", missing.join(", "));
}
