//! From the text of an object file to its one literal: tables, texts, numbers, `true` and `false`, each with its line.
//!
//! What the words in it mean is not known here. Nesting is bounded before it is followed.

/// Deepest nesting of tables: what values may have, with a wrapper around each, and the object around all.
const MAX_TABLES: usize = 80;

/// What may follow the first brace, for people who find the file.
pub(super) const HEADER: &str = "-- living-workbench object";

const ONLY_LITERALS: &str = "only literals stand in an object file: no names, calls or operators";
const SHAPE: &str = "an object file is `return` and one table";

/// A literal with the line where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Counts from 1.
    pub(super) line: usize,
    /// The line where what stands inside it begins: of a long bracket often the next.
    pub(super) inner_line: usize,
    pub(super) literal: Literal,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Boolean(bool),
    Number(f64),
    Text(String),
    /// Entries in order: key (none for an element of a list) and value.
    Table(Vec<(Option<Part>, Part)>),
}

/// What is wrong, with its line.
pub(super) type Read<T> = Result<T, (usize, String)>;

/// Reads `return` and one table.
pub(super) fn parse(text: &str) -> Read<Part> {
    let mut reader = Reader { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, line: 1 };
    reader.space()?;
    if reader.word() != "return" {
        return Err((reader.line, SHAPE.into()));
    }
    reader.space()?;
    if reader.peek() != Some(b'{') {
        return Err((reader.line, SHAPE.into()));
    }
    let root = reader.table(0, true)?;
    reader.space()?;
    if reader.take(b';') {
        reader.space()?;
    }
    if reader.peek().is_some() {
        Err((reader.line, format!("after the table nothing follows: {SHAPE}")))
    } else {
        Ok(root)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Read<T> {
        Err((self.line, message.into()))
    }

    /// Passes what means nothing.
    fn space(&mut self) -> Read<()> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                b'-' if self.rest().starts_with("--") => {
                    return self.wrong("comments stand only inside methods; what a slot is for goes into its `doc`");
                }
                _ => return Ok(()),
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The comment that opens a file, where it stands alone on the rest of its line.
    fn header(&mut self) {
        let rest = self.rest().trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix(HEADER)
            && after.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
        {
            self.at = self.text.len() - after.len();
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn value(&mut self, depth: usize) -> Read<Part> {
        let line = self.line;
        let mut inner_line = line;
        let literal = match self.peek() {
            Some(b'{') => return self.table(depth, false),
            Some(b'"' | b'\'') => Literal::Text(self.quoted()?),
            Some(b'[') => {
                let (text, below) = self.long_bracket()?;
                inner_line += usize::from(below);
                Literal::Text(text)
            }
            Some(b'-') => {
                self.at += 1;
                Literal::Number(-self.number()?)
            }
            Some(b'0'..=b'9' | b'.') => Literal::Number(self.number()?),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => constant(self.word(), line)?,
            Some(_) => return self.wrong(ONLY_LITERALS),
            None => return self.wrong("the file ends before the table does"),
        };
        Ok(Part { line, inner_line, literal })
    }

    fn table(&mut self, depth: usize, is_root: bool) -> Read<Part> {
        let line = self.line;
        if depth >= MAX_TABLES {
            return self.wrong(format!("tables are nested more than {MAX_TABLES} deep"));
        }
        self.take(b'{');
        if is_root {
            self.header();
        }
        let mut entries = Vec::new();
        loop {
            self.space()?;
            if self.take(b'}') {
                return Ok(Part { line, inner_line: line, literal: Literal::Table(entries) });
            }
            entries.push(self.field(depth + 1)?);
            self.space()?;
            if !self.take(b',') && !self.take(b';') && self.peek() != Some(b'}') {
                let told = if self.peek().is_none() { "the file ends before the table does" } else { ONLY_LITERALS };
                return self.wrong(told);
            }
        }
    }

    fn field(&mut self, depth: usize) -> Read<(Option<Part>, Part)> {
        let line = self.line;
        let key = match self.peek() {
            Some(b'[') if !self.is_long_bracket() => {
                self.at += 1;
                self.space()?;
                let key = self.value(depth)?;
                self.space()?;
                if !self.take(b']') {
                    return self.wrong("a key in brackets ends with `]`");
                }
                key
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let word = self.word();
                self.space()?;
                if self.peek() != Some(b'=') {
                    return Ok((None, Part { line, inner_line: line, literal: constant(word, line)? }));
                }
                Part { line, inner_line: line, literal: Literal::Text(word.into()) }
            }
            _ => return Ok((None, self.value(depth)?)),
        };
        self.space()?;
        if !self.take(b'=') {
            return self.wrong("a key is followed by `=`");
        }
        self.space()?;
        Ok((Some(key), self.value(depth)?))
    }

    fn number(&mut self) -> Read<f64> {
        let rest = self.rest();
        let mut before = b' ';
        let is_part = |byte: u8| {
            let sign = matches!(byte, b'+' | b'-') && matches!(before, b'e' | b'E');
            before = byte;
            !(sign || byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
        };
        let end = rest.bytes().position(is_part).unwrap_or(rest.len());
        self.at += end;
        let text = &rest[..end];
        let decimal = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        match text.parse::<f64>() {
            Ok(number) if decimal && number.is_finite() => Ok(number),
            Ok(_) if decimal => self.wrong("this number is too large; infinity is written { number = \"inf\" }"),
            _ if text.is_empty() => self.wrong(ONLY_LITERALS),
            _ => self.wrong(format!("`{}` is no decimal number", crate::object::shortened(text, 40))),
        }
    }

    fn quoted(&mut self) -> Read<String> {
        let rest = self.rest();
        let mut characters = rest.char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        let mut out = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                _ if Some(character) == quote => {
                    self.at += at + 1;
                    return Ok(out);
                }
                '\n' => break,
                '\\' => out.push(match characters.next().map(|(_, escape)| escape) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(same @ ('\\' | '"' | '\'')) => same,
                    Some('u') => self.code_point(&mut characters)?,
                    other => {
                        let other = other.filter(|c| !c.is_control()).unwrap_or(' ');
                        return self.wrong(format!(
                            "the escape \\{other} is not known here; escapes are \\\" \\' \\\\ \\n \\r \\t \\u{{…}}"
                        ));
                    }
                }),
                other => out.push(other),
            }
        }
        self.wrong("the quoted text has no end in its line")
    }

    fn code_point(&self, characters: &mut std::str::CharIndices<'_>) -> Read<char> {
        let mut code = 0_u32;
        let opened = characters.next().is_some_and(|(_, open)| open == '{');
        let mut digits = 0;
        for (_, character) in characters.by_ref().take_while(|(_, character)| opened && *character != '}') {
            digits += 1;
            match character.to_digit(16) {
                Some(digit) if digits <= 6 => code = code * 16 + digit,
                _ => return self.wrong("\\u takes a code point in braces, as in \\u{e9}"),
            }
        }
        match char::from_u32(code) {
            Some(point) if digits > 0 => Ok(point),
            _ => self.wrong("\\u takes a code point in braces, as in \\u{e9}"),
        }
    }

    fn is_long_bracket(&self) -> bool {
        let after = self.rest().strip_prefix('[').map(|rest| rest.trim_start_matches('='));
        after.is_some_and(|rest| rest.starts_with('['))
    }

    /// `[[…]]`, `[=[…]=]`: a line feed right after the opening is no part of the text, which begins below then. CR LF
    /// is LF.
    fn long_bracket(&mut self) -> Read<(String, bool)> {
        if !self.is_long_bracket() {
            return self.wrong(ONLY_LITERALS);
        }
        let rest = self.rest();
        let level = rest.bytes().skip(1).take_while(|byte| *byte == b'=').count();
        let body = &rest[level + 2..];
        let close = format!("]{}]", "=".repeat(level));
        let Some(end) = body.find(&close) else { return self.wrong("the long bracket has no end") };
        self.at += level + 2 + end + close.len();
        self.line += body[..end].bytes().filter(|byte| *byte == b'\n').count();
        let text = body[..end].replace("\r\n", "\n");
        match text.strip_prefix('\n') {
            Some(below) => Ok((below.to_string(), true)),
            None => Ok((text, false)),
        }
    }
}

fn constant(word: &str, line: usize) -> Read<Literal> {
    match word {
        "true" => Ok(Literal::Boolean(true)),
        "false" => Ok(Literal::Boolean(false)),
        "nil" => Err((line, "nil is written { none = true }".into())),
        _ => Err((line, ONLY_LITERALS.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> (usize, String) {
        parse(text).unwrap_err()
    }

    #[test]
    fn each_thing_that_is_no_literal_is_refused_with_its_line() {
        let refused = [
            ("return {\n a = f() }", 2, "only literals"),
            ("return {\n a = 1 + 2 }", 2, "only literals"),
            ("return {\n a = \"x\" .. \"y\" }", 2, "only literals"),
            ("return {\n a = name }", 2, "only literals"),
            ("return {\n a = - 1 }", 2, "only literals"),
            ("return {\n\n a = nil }", 3, "none = true"),
            ("return {\n a = 1, -- why\n}", 2, "comments"),
            ("-- why\nreturn {}", 1, "comments"),
            ("return {\n a = 0x10 }", 2, "decimal"),
            ("return {\n a = 1e999 }", 2, "too large"),
            ("return {\n a = \"x\n\" }", 2, "no end"),
            ("return {\n a = \"\\q\" }", 2, "escape"),
            ("return {\n a = \"\\u{110000}\" }", 2, "code point"),
            ("return {\n a = [[x ", 2, "no end"),
            ("return {\n a = {", 2, "ends before"),
            ("return {}\nreturn {}", 2, "nothing follows"),
            ("local x = 1 return {}", 1, "`return` and one table"),
            ("return 1", 1, "`return` and one table"),
            ("", 1, "`return` and one table"),
        ];
        for (text, line, part) in refused {
            let (found, message) = told(text);
            assert!(found == line && message.contains(part), "{text:?}: line {found}, {message}");
        }
    }

    #[test]
    fn no_nesting_is_too_deep_for_the_stack() {
        for open in ["{", "{a=", "{[1]=", "{[{"] {
            let (_, message) = told(&format!("return {}", open.repeat(1_000_000)));
            assert!(message.contains("nested"), "{message}");
        }
    }

    #[test]
    fn long_brackets_fold_line_ends_and_count_lines() {
        let part = parse("return { a = [=[\r\nx\r\ny]]]=],\n b = \"\\u{e9}\\n\" }").unwrap();
        let Literal::Table(entries) = part.literal else { panic!() };
        assert_eq!(entries[0].1.literal, Literal::Text("x\ny]]".into()));
        assert_eq!((entries[1].1.line, &entries[1].1.literal), (4, &Literal::Text("é\n".into())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), soup in "(return )?[{}\\[\\]=\"'\\\\u0-9a-e.,;\n -]{0,60}") {
            let _ = parse(&text);
            let _ = parse(&soup);
        }
    }
}
