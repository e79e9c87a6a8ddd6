//! The words of an instruction: from text to tokens. Synonyms, number words and stop words are data.
//!
//! Nothing that carries meaning is left out: a word that no table knows stays a token, and a reading that
//! does not account for it fails.

use super::refusal::refuse;
use crate::object::{Fault, Value};

/// Longest instruction that is read.
const MAX_BYTES: usize = 2_000;

/// Words that are read as another one, by the other one.
pub(super) const SYNONYMS: &[(&str, &[&str])] = &[
    ("move", &["moves", "moving", "shift", "shifts", "shifting", "translate", "translates", "displace", "displaces"]),
    ("set", &["sets", "setting", "change", "changes", "changing", "assign", "assigns", "store", "stores"]),
    ("get", &["gets", "getting", "return", "returns", "returning", "answer", "answers", "read", "reads", "fetch"]),
    ("add", &["adds", "adding"]),
    ("subtract", &["subtracts", "subtracting", "deduct", "deducts", "take"]),
    ("increase", &["increases", "increasing", "raise", "raises", "grow", "grows"]),
    ("decrease", &["decreases", "decreasing", "lower", "lowers", "reduce", "reduces", "shrink", "shrinks"]),
    ("increment", &["increments", "incrementing"]),
    ("decrement", &["decrements", "decrementing"]),
    ("toggle", &["toggles", "toggling", "flip", "flips", "flipping", "invert", "inverts"]),
    ("reset", &["resets", "resetting", "restore", "restores", "restoring"]),
    ("place", &["places", "placing", "put", "puts", "putting"]),
    ("right", &["rightward", "rightwards"]),
    ("left", &["leftward", "leftwards"]),
    ("up", &["upward", "upwards"]),
    ("down", &["downward", "downwards"]),
    ("horizontally", &["sideways"]),
    ("pixels", &["pixel", "px", "units", "unit", "steps", "step"]),
    ("value", &["values"]),
];

const NUMBERS: [&str; 13] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Passed over: they only point.
const ARTICLES: &[&str] = &["the", "its", "my", "this", "that", "both", "of", "'s"];
/// The next word is a parameter.
const MARKERS: &[&str] = &[
    "a",
    "an",
    "given",
    "some",
    "certain",
    "any",
    "new",
    "specified",
    "specific",
    "particular",
    "parameter",
    "parameters",
    "argument",
    "arguments",
];
/// Words that ask for a method and say nothing of what it does; passed over at the beginning.
const ASKING: &[&str] = &[
    "please", "kindly", "can", "could", "would", "you", "i", "we", "want", "need", "like", "me", "to", "that", "which",
    "for", "so", "it", "should", "will", "let", "lets", "teach", "method", "function", "message", "a", "an",
];
/// Before `method` they ask as well.
const MAKING: &[&str] = &["create", "write", "define", "build", "generate", "implement", "make", "add", "give"];
const METHOD: &[&str] = &["method", "function", "message"];
const CALLED: &[&str] = &["called", "named"];

/// Words that turn an instruction round. None of them is ever passed over.
pub(super) const NEGATIONS: &[&str] = &[
    "not",
    "never",
    "no",
    "without",
    "except",
    "unless",
    "nothing",
    "neither",
    "nor",
    "cannot",
    "don't",
    "doesn't",
    "can't",
    "won't",
    "shouldn't",
    "avoid",
    "stop",
    "if",
    "when",
    "while",
    "until",
    "only",
];
/// Words by which one instruction follows another.
pub(super) const SEQUENCES: &[&str] = &["then", "afterwards", "afterward", "also", "after", "before", "finally", ";"];

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word,
    /// A number, a text in quotes, a truth value, a colour.
    Constant(Value),
}

/// One word with what stood before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// In lower case, a synonym replaced by the word it stands for.
    pub(super) text: String,
    /// In lower case.
    pub(super) raw: String,
    pub(super) kind: Kind,
    /// Whether "a", "given" and the like make it a parameter.
    pub(super) marked: bool,
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    pub(super) fn is_among(&self, words: &[&str]) -> bool {
        self.kind == Kind::Word && (words.contains(&self.text.as_str()) || words.contains(&self.raw.as_str()))
    }
}

/// An instruction without what only asks for a method.
pub(super) struct Phrase {
    pub(super) tokens: Vec<Token>,
    /// How the words call the method.
    pub(super) called: Option<String>,
}

/// Reads an instruction.
pub(super) fn read(text: &str) -> Result<Phrase, Fault> {
    if text.len() > MAX_BYTES {
        return Err(refuse(format!("the instruction has {} bytes; {MAX_BYTES} are read at most", text.len())));
    }
    let mut words = split(text)?;
    let called = take_name(&mut words);
    let asking = |words: &[Token]| {
        let before_method = words.iter().skip(1).find(|word| !word.is_among(&["a", "an", "it", "new", "me", "the"]));
        words[0].is_among(ASKING)
            || (words[0].is_among(MAKING) && before_method.is_some_and(|word| word.is_among(METHOD)))
            || (words[0].is_among(&["the", "new"]) && before_method.is_some_and(|word| word.is_among(METHOD)))
    };
    while !words.is_empty() && asking(&words) {
        words.remove(0);
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut marked = false;
    for mut word in words {
        if word.is_among(ARTICLES) {
            continue;
        }
        if word.is_among(MARKERS) {
            marked = true;
            continue;
        }
        // "a given dx and dy": what is joined to a parameter is one.
        let joined =
            tokens.len() >= 2 && tokens[tokens.len() - 1].is_among(&["and", ","]) && tokens[tokens.len() - 2].marked;
        word.marked = word.kind == Kind::Word && (marked || joined) && !word.is_among(&["and", ","]);
        marked = false;
        tokens.push(word);
    }
    Ok(Phrase { tokens, called })
}

/// "called grow", "named grow": at the place where a method is named.
fn take_name(words: &mut Vec<Token>) -> Option<String> {
    let at = words.iter().position(|word| word.is_among(CALLED))?;
    if at + 1 >= words.len() {
        return None;
    }
    let name = words[at + 1].raw.trim_matches('"').to_string();
    words.drain(at..=at + 1);
    Some(name)
}

fn split(text: &str) -> Result<Vec<Token>, Fault> {
    let text = text.replace(['\u{2019}', '\u{2018}'], "'");
    let mut tokens = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | ':' | '(' | ')' | '`' | '?'));
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if matches!(first, '"' | '\u{201c}') {
            let body = &rest[first.len_utf8()..];
            let Some(end) = body.find(['"', '\u{201d}']) else {
                return Err(refuse("the text in quotes has no end".to_string()));
            };
            tokens.push(constant(&body[..end].to_lowercase(), Value::Text(body[..end].to_string())));
            rest = body[end..].trim_start_matches(['"', '\u{201d}']);
            continue;
        }
        if matches!(first, ',' | ';') {
            tokens.push(word(&rest[..1]));
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '`' | '!' | '?'));
        let (found, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        let found = &*found.trim_end_matches(['.', ':']).to_lowercase();
        let found = found.strip_suffix("'s").unwrap_or(found);
        tokens.push(match found {
            "true" | "yes" => constant(found, Value::Boolean(true)),
            "false" => constant(found, Value::Boolean(false)),
            found => match (found.parse::<f64>(), NUMBERS.iter().position(|word| *word == found)) {
                (Ok(number), _) if number.is_finite() && found.contains(|c: char| c.is_ascii_digit()) => {
                    constant(found, Value::Number(number))
                }
                (_, Some(number)) => constant(found, Value::Number(number as f64)),
                _ if is_color(found) => constant(found, Value::Text(found.to_string())),
                _ => word(found),
            },
        });
    }
}

fn is_color(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn constant(raw: &str, value: Value) -> Token {
    Token { text: raw.to_string(), raw: raw.to_string(), kind: Kind::Constant(value), marked: false }
}

fn word(raw: &str) -> Token {
    let meant = SYNONYMS.iter().find(|(_, words)| words.contains(&raw)).map_or(raw, |(meant, _)| meant);
    Token { text: meant.to_string(), raw: raw.to_string(), kind: Kind::Word, marked: false }
}
