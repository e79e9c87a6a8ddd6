//! From a line of text to a message.

use crate::object::{Argument, Fault, FaultKind, Literal, MAX_DEPTH, MapKey, Name, ObjectId, Target, UICommand, Value};
use std::collections::BTreeMap;

/// Longest line that is read.
pub const MAX_LINE_BYTES: usize = 65_536;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsoleLine {
    /// A message to an object.
    Message(UICommand),
    /// Something that the console answers from what it knows.
    Local(LocalCommand),
    /// Nothing.
    Blank,
}

/// Lines that are no messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalCommand {
    /// `help`, `help SELECTOR`.
    Help(Option<String>),
    /// `objects`.
    Objects,
    /// `problems`.
    Problems,
    /// `quarantine`, `quarantine N`.
    Quarantine(Option<u64>),
    /// `quarantine N rebuild`.
    Rebuild(u64),
    /// `quarantine N let-go`.
    LetGo(u64),
    /// `import FOLDER`.
    Import(String),
    /// `export FOLDER`.
    Export(String),
    /// `quit`.
    Quit,
}

/// Reads one line. The fault says what is wrong and where.
pub fn parse_line(text: &str) -> Result<ConsoleLine, Fault> {
    if text.len() > MAX_LINE_BYTES {
        let message = format!("the line has {} bytes; a line has at most {MAX_LINE_BYTES}", text.len());
        return Err(Fault::new(FaultKind::BadArgument, message));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(ConsoleLine::Blank);
    }
    if let Some(expression) = text.strip_prefix('=') {
        let expression = expression.trim();
        if expression.is_empty() {
            return Err(syntax("after `=` comes an expression, as in: = world.point.x + 1"));
        }
        return message("workspace", "evaluate", vec![("source", Value::Text(expression.to_string()))]);
    }
    let mut reader = Reader { text, at: 0 };
    let first = reader.word();
    reader.space();
    let rest = reader.rest().trim();
    match (first, rest) {
        ("help", "") => return Ok(ConsoleLine::Local(LocalCommand::Help(None))),
        ("help", selector) => return Ok(ConsoleLine::Local(LocalCommand::Help(Some(selector.to_string())))),
        ("objects", "") => return Ok(ConsoleLine::Local(LocalCommand::Objects)),
        ("problems", "") => return Ok(ConsoleLine::Local(LocalCommand::Problems)),
        ("quarantine", rest) => return quarantine(rest).map(ConsoleLine::Local),
        ("quit" | "exit", "") => return Ok(ConsoleLine::Local(LocalCommand::Quit)),
        ("import" | "export", "") => {
            return Err(syntax(&format!("`{first}` takes a folder of object files, as in: {first} shapes")));
        }
        ("import", folder) => return Ok(ConsoleLine::Local(LocalCommand::Import(unquoted(folder)))),
        ("export", folder) => return Ok(ConsoleLine::Local(LocalCommand::Export(unquoted(folder)))),
        ("retry" | "dismiss", number) if number.parse::<u64>().is_ok() => {
            let number: u64 = number.parse().unwrap_or_default();
            return message("workspace", first, vec![("number", Value::Number(number as f64))]);
        }
        ("undo" | "redo", "") => return message("workspace", first, vec![]),
        ("undo", number) if number.parse::<u64>().is_ok() => {
            let number: u64 = number.parse().unwrap_or_default();
            return message("workspace", first, vec![("message", Value::Number(number as f64))]);
        }
        ("retry" | "dismiss", _) => {
            return Err(syntax(&format!("`{first}` takes the number of a failed message; `problems` lists them")));
        }
        _ => {}
    }
    let selector = name(first, "selector")?;
    if rest.is_empty() {
        let message = format!(
            "`{first}` needs an object to go to, as in: {first} point. `objects` lists them, `help` tells more"
        );
        return Err(syntax(&message));
    }
    let target = reader.target()?;
    let mut args = Vec::new();
    loop {
        if !reader.space() && !reader.rest().is_empty() {
            return Err(reader.wrong("a space is missing"));
        }
        if reader.rest().is_empty() {
            break;
        }
        args.push(reader.argument()?);
    }
    Ok(ConsoleLine::Message(UICommand { target, selector, args }))
}

fn quarantine(rest: &str) -> Result<LocalCommand, Fault> {
    let mut words = rest.split_whitespace();
    let Some(first) = words.next() else { return Ok(LocalCommand::Quarantine(None)) };
    let entry = |number| match (words.next(), words.next()) {
        (None, _) => Some(LocalCommand::Quarantine(Some(number))),
        (Some("rebuild"), None) => Some(LocalCommand::Rebuild(number)),
        (Some("let-go"), None) => Some(LocalCommand::LetGo(number)),
        _ => None,
    };
    first.parse().ok().and_then(entry).ok_or_else(|| {
        syntax("`quarantine` takes the number of an entry: quarantine 1, quarantine 1 rebuild, quarantine 1 let-go")
    })
}

/// A path as it was meant: quotes around it are for spaces.
fn unquoted(path: &str) -> String {
    path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path).to_string()
}

/// Reads one value as it stands in a line: `5`, `"text"`, `[1, 2]`, `{a = 1}`, `@point`, `true`.
pub fn parse_literal(text: &str) -> Result<Literal, String> {
    let mut reader = Reader { text: text.trim(), at: 0 };
    let literal = reader.value(0, true).map_err(|fault| fault.message)?;
    reader.space();
    if reader.rest().is_empty() { Ok(literal) } else { Err(reader.wrong("the value ends before here").message) }
}

fn message(target: &str, selector: &str, args: Vec<(&str, Value)>) -> Result<ConsoleLine, Fault> {
    let mut arguments = Vec::new();
    for (key, value) in args {
        arguments.push((name(key, "parameter")?, value));
    }
    Ok(ConsoleLine::Message(UICommand::new(Target::Name(target.into()), name(selector, "selector")?, arguments)))
}

fn name(text: &str, what: &str) -> Result<Name, Fault> {
    Name::new(text).map_err(|error| Fault::new(FaultKind::BadName, format!("as a {what}, {error}")))
}

fn syntax(message: &str) -> Fault {
    Fault::new(FaultKind::BadArgument, message)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn space(&mut self) -> bool {
        let trimmed = self.rest().trim_start();
        let moved = trimmed.len() < self.rest().len();
        self.at = self.text.len() - trimmed.len();
        moved
    }

    fn word(&mut self) -> &'a str {
        self.until(char::is_whitespace)
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(stop).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn wrong(&self, what: &str) -> Fault {
        let column = self.text[..self.at].chars().count() + 1;
        let near: String = self.rest().chars().take(12).collect();
        let near = if near.is_empty() { "the end of the line".to_string() } else { format!("`{near}`") };
        syntax(&format!("{what} (column {column}, at {near})"))
    }

    fn target(&mut self) -> Result<Target, Fault> {
        if self.rest().starts_with("@<") {
            let id = self.until(char::is_whitespace);
            let inner = id.trim_start_matches("@<").trim_end_matches('>');
            return Ok(match uuid::Uuid::parse_str(inner) {
                Ok(id) => Target::Id(ObjectId(id)),
                Err(_) => Target::Name(format!("<{inner}>")),
            });
        }
        self.take('@');
        let word = self.word();
        if word.contains('=') {
            let message =
                format!("the second word is the object that the message goes to, and `{word}` is an argument");
            return Err(syntax(&message));
        }
        Ok(Target::Name(word.to_string()))
    }

    fn argument(&mut self) -> Result<Argument, Fault> {
        let start = self.at;
        let word = self.until(|c| c == '=' || c.is_whitespace() || matches!(c, '"' | '[' | '{' | '@'));
        if self.peek() == Some('=') && !word.is_empty() {
            let name = name(word, "parameter")?;
            self.take('=');
            if self.peek().is_none_or(char::is_whitespace) {
                return Err(self.wrong(&format!("the value of `{name}` is missing")));
            }
            return Ok(Argument { name: Some(name), value: self.value(0, false)? });
        }
        if word.is_empty() && self.peek() == Some('=') {
            return Err(self.wrong("no space stands around `=`: name=value"));
        }
        self.at = start;
        Ok(Argument { name: None, value: self.value(0, false)? })
    }

    /// One value. Inside brackets a bare word ends at a comma or a bracket; `alone`, it may have spaces.
    fn value(&mut self, depth: usize, alone: bool) -> Result<Literal, Fault> {
        if depth >= MAX_DEPTH && matches!(self.peek(), Some('[' | '{')) {
            return Err(self.wrong(&format!("lists and maps may be nested {MAX_DEPTH} deep")));
        }
        match self.peek() {
            None => Err(self.wrong("a value is missing")),
            Some('"') => Ok(Value::Text(self.quoted()?).into()),
            Some('[') => self.list(depth),
            Some('{') => self.map(depth),
            Some('@') => self.reference(),
            Some(_) if alone && depth == 0 => Ok(bare(self.until(|_| false).trim_end())),
            Some(_) if depth == 0 => Ok(bare(self.word())),
            Some(_) => {
                let word = self.until(|c| matches!(c, ',' | ']' | '}' | '[' | '{' | '=' | '"' | '@')).trim_end();
                if word.is_empty() { Err(self.wrong("a value is missing")) } else { Ok(bare(word)) }
            }
        }
    }

    fn reference(&mut self) -> Result<Literal, Fault> {
        self.take('@');
        if self.take('<') {
            let id = self.until(|c| c == '>');
            self.take('>');
            return match uuid::Uuid::parse_str(id) {
                Ok(id) => Ok(Value::Object(ObjectId(id)).into()),
                Err(_) => Ok(Literal::Named(format!("<{id}>"))),
            };
        }
        let word = self.until(|c| !(c.is_alphanumeric() || c == '_'));
        if word.is_empty() {
            Err(self.wrong("after `@` comes an object's name"))
        } else {
            Ok(Literal::Named(word.into()))
        }
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let open = self.at;
        self.take('"');
        let mut out = String::new();
        loop {
            let Some(character) = self.peek() else {
                self.at = open;
                return Err(self.wrong("the quoted text has no end"));
            };
            self.at += character.len_utf8();
            match character {
                '"' => return Ok(out),
                '\\' => {
                    let Some(escape) = self.peek() else { continue };
                    self.at += escape.len_utf8();
                    out.push(match escape {
                        '"' | '\\' => escape,
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'u' => self.code_point()?,
                        other => {
                            self.at -= other.len_utf8();
                            return Err(self.wrong("escapes are \\\" \\\\ \\n \\t \\r \\u{…}"));
                        }
                    });
                }
                other => out.push(other),
            }
        }
    }

    fn code_point(&mut self) -> Result<char, Fault> {
        let opened = self.take('{');
        let digits = self.until(|c| !c.is_ascii_hexdigit());
        let point = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        match point {
            Some(point) if opened && self.take('}') => Ok(point),
            _ => Err(self.wrong("\\u takes a code point in braces, as in \\u{e9}")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Literal, Fault> {
        self.take('[');
        let mut items = Vec::new();
        loop {
            self.space();
            if self.take(']') {
                break;
            }
            items.push(self.value(depth + 1, false)?);
            self.space();
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.wrong("a list goes on with `,` or ends with `]`"));
            }
        }
        let plain: Option<Vec<Value>> = items.iter().map(plain).collect();
        Ok(plain.map_or_else(|| Literal::List(items), |items| Value::list(items).into()))
    }

    fn map(&mut self, depth: usize) -> Result<Literal, Fault> {
        self.take('{');
        let mut entries: Vec<(MapKey, Literal)> = Vec::new();
        loop {
            self.space();
            if self.take('}') {
                break;
            }
            let key = self.key()?;
            self.space();
            if !self.take('=') {
                return Err(self.wrong("a key of a map is followed by `=`"));
            }
            self.space();
            let value = self.value(depth + 1, false)?;
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(self.wrong("a key stands twice in the map"));
            }
            entries.push((key, value));
            self.space();
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.wrong("a map goes on with `,` or ends with `}`"));
            }
        }
        let plain: Option<BTreeMap<MapKey, Value>> =
            entries.iter().map(|(key, value)| Some((key.clone(), plain(value)?))).collect();
        Ok(plain.map_or_else(|| Literal::Map(entries), |entries| Value::map(entries).into()))
    }

    fn key(&mut self) -> Result<MapKey, Fault> {
        if self.take('[') {
            self.space();
            let value = match self.peek() {
                Some('"') => Value::Text(self.quoted()?),
                Some('@') => match self.reference()? {
                    Literal::Value(value) => value,
                    _ => return Err(self.wrong("an object as a key reads [@<its whole id>]")),
                },
                _ => match bare(self.until(|c| c == ']').trim()) {
                    Literal::Value(value) => value,
                    _ => Value::Nil,
                },
            };
            self.space();
            let closed = self.take(']');
            let key = match value {
                Value::Text(text) => Some(MapKey::Text(text)),
                Value::Number(number) => MapKey::number(number),
                Value::Boolean(value) => Some(MapKey::Boolean(value)),
                Value::Object(id) => Some(MapKey::Object(id)),
                _ => None,
            };
            return match key {
                Some(key) if closed => Ok(key),
                _ => Err(self.wrong("a key in brackets is a number, a text, true or false")),
            };
        }
        let word = self.until(|c| c == '=' || c.is_whitespace() || c == '}' || c == ',');
        if word.is_empty() { Err(self.wrong("a key is missing")) } else { Ok(MapKey::Text(word.to_string())) }
    }
}

fn plain(literal: &Literal) -> Option<Value> {
    match literal {
        Literal::Value(value) => Some(value.clone()),
        _ => None,
    }
}

/// A word without quotes: a number if it is wholly one, a constant, else text.
fn bare(word: &str) -> Literal {
    let value = match word {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        "nil" => Value::Nil,
        "nan" => Value::Number(f64::NAN),
        "inf" => Value::Number(f64::INFINITY),
        "-inf" => Value::Number(f64::NEG_INFINITY),
        word => {
            let numeric = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
                && word.bytes().any(|byte| byte.is_ascii_digit());
            match word.parse::<f64>() {
                Ok(number) if numeric && number.is_finite() => Value::Number(number),
                _ => Value::Text(word.to_string()),
            }
        }
    };
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Image;
    use proptest::prelude::*;

    fn command(text: &str) -> UICommand {
        match parse_line(text) {
            Ok(ConsoleLine::Message(command)) => command,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_line_is_selector_target_and_arguments() {
        let line = command(r#"move_by point dx=10 dy=-2.5e1 label="a \"b\"\n\u{e9}" on=true word=hello"#);
        assert_eq!(line.target, Target::Name("point".into()));
        let values: Vec<Literal> = line.args.iter().map(|arg| arg.value.clone()).collect();
        let text = |text: &str| Literal::Value(Value::Text(text.into()));
        let number = |number: f64| Literal::Value(Value::Number(number));
        assert_eq!(values, [number(10.0), number(-25.0), text("a \"b\"\né"), Literal::Value(true_()), text("hello")]);
        let line = command("undo_method point move_by");
        assert_eq!(line.args, [Argument { name: None, value: text("move_by") }]);
        let line = command("add_parent p parent=@other list=[1, [two], {a = 1, [2] = @x}] map={}");
        assert_eq!(line.args[0].value, Literal::Named("other".into()));
        assert!(matches!(line.args[1].value, Literal::List(_)));
    }

    fn true_() -> Value {
        Value::Boolean(true)
    }

    #[test]
    fn the_quarantine_is_asked_by_numbers() {
        let cases = [
            ("quarantine", LocalCommand::Quarantine(None)),
            ("quarantine 12", LocalCommand::Quarantine(Some(12))),
            ("quarantine 1  rebuild ", LocalCommand::Rebuild(1)),
            ("quarantine 2 let-go", LocalCommand::LetGo(2)),
        ];
        for (line, command) in cases {
            assert_eq!(parse_line(line), Ok(ConsoleLine::Local(command)), "{line}");
        }
        for line in ["quarantine -1", "quarantine 1 rebuilt", "quarantine 1 let-go now", "quarantine 1 2"] {
            assert!(parse_line(line).unwrap_err().message.contains("the number of an entry"), "{line}");
        }
    }

    #[test]
    fn each_wrong_line_gets_its_own_sentence() {
        let lines = [
            ("Move point", "names are made of"),
            ("describe", "needs an object"),
            ("describe x=1", "is an argument"),
            ("set point x=", "the value of `x` is missing"),
            ("set point x=\"open", "no end"),
            ("set point x=[1, 2", "a list goes on"),
            ("set point x={1}", "followed by `=`"),
            ("set point x=\"a\"b", "a space is missing"),
            ("set point x=\"\\q\"", "escapes are"),
            ("retry it", "number of a failed message"),
            ("quarantine point", "number of an entry"),
            ("import", "a folder of object files, as in: import"),
            ("export ", "a folder of object files, as in: export"),
            ("=", "an expression"),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for (line, part) in lines {
            let fault = parse_line(line).unwrap_err();
            assert!(fault.message.contains(part), "{line}: {}", fault.message);
            assert!(seen.insert(fault.message));
        }
        assert!(parse_line(&"x".repeat(1 << 20)).unwrap_err().message.contains("bytes"));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Boolean),
            any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan()).prop_map(Value::Number),
            any::<String>().prop_map(Value::Text),
            any::<u128>().prop_map(|id| Value::Object(ObjectId(uuid::Uuid::from_u128(id)))),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let key = prop_oneof![
                any::<String>().prop_map(MapKey::Text),
                any::<bool>().prop_map(MapKey::Boolean),
                any::<i32>().prop_map(|n| MapKey::Number(f64::from(n))),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
                prop::collection::btree_map(key, inner, 1..4).prop_map(Value::map),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_text_of_a_value_reads_back(value in value()) {
            let text = value.text(&Image::default());
            let read = parse_literal(&text).map_err(TestCaseError::fail)?;
            let Literal::Value(read) = read else { return Err(TestCaseError::fail(text)) };
            prop_assert!(read.same(&value), "{text}");
        }

        #[test]
        fn no_line_panics(text in any::<String>()) {
            let _ = parse_line(&text);
            let _ = parse_literal(&text);
        }
    }
}
