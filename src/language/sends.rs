//! The selectors that a method's text sends, read without parsing it: fast enough to ask every method of a world.
//!
//! What stands in comments and texts is passed over; what is in the braces of an interpolated text counts.

/// Selectors as in `o:name(…)`, in order; one that is sent twice comes twice.
pub(super) fn selectors_sent(source: &str) -> Vec<&str> {
    let mut reader = Reader { text: source, at: 0, braces: Vec::new() };
    let mut found = Vec::new();
    while let Some(byte) = reader.byte(0) {
        match byte {
            b'-' if reader.byte(1) == Some(b'-') => reader.comment(),
            b'[' if reader.long_text() => {}
            b'\'' | b'"' => reader.quoted(byte),
            b'`' => reader.interpolated(),
            b'{' => {
                if let Some(depth) = reader.braces.last_mut() {
                    *depth += 1;
                }
                reader.at += 1;
            }
            b'}' => match reader.braces.last_mut() {
                Some(0) => {
                    reader.braces.pop();
                    reader.interpolated();
                }
                Some(depth) => {
                    *depth -= 1;
                    reader.at += 1;
                }
                None => reader.at += 1,
            },
            b':' => found.extend(reader.send()),
            _ => reader.at += 1,
        }
    }
    found
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Open braces within each interpolated text that is open.
    braces: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn skip(&mut self, is_passed: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&is_passed) {
            self.at += 1;
        }
    }

    fn comment(&mut self) {
        self.at += 2;
        if !(self.byte(0) == Some(b'[') && self.long_text()) {
            self.skip(|byte| byte != b'\n');
        }
    }

    /// Passes over `[[…]]`, `[=[…]=]` and so on, if one begins here.
    fn long_text(&mut self) -> bool {
        let level = self.text.as_bytes()[self.at + 1..].iter().take_while(|byte| **byte == b'=').count();
        if self.byte(level + 1) != Some(b'[') {
            return false;
        }
        let close = format!("]{}]", "=".repeat(level)).into_bytes();
        let body = &self.text.as_bytes()[self.at + level + 2..];
        let end = memchr::memmem::find(body, &close).map_or(body.len(), |place| place + close.len());
        self.at += level + 2 + end;
        true
    }

    fn quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == quote {
                return;
            }
        }
    }

    /// From the beginning or a closing brace of an interpolated text to its end or the next brace.
    fn interpolated(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            match byte {
                b'`' => return,
                b'{' => {
                    self.braces.push(0);
                    return;
                }
                _ => {}
            }
        }
    }

    fn send(&mut self) -> Option<&'a str> {
        self.at += 1;
        if self.byte(0) == Some(b':') {
            self.at += 1;
            return None;
        }
        self.skip(|byte| byte.is_ascii_whitespace());
        let start = self.at;
        self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name = self.text.get(start..self.at)?;
        let end = self.at;
        self.skip(|byte| byte.is_ascii_whitespace());
        let is_call = match self.byte(0) {
            Some(b'(' | b'{' | b'"' | b'\'' | b'`') => true,
            Some(b'[') => matches!(self.byte(1), Some(b'[' | b'=')),
            _ => false,
        };
        self.at = end;
        (is_call && !name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sends_are_found_and_words_about_them_are_not() {
        let sent = |text| selectors_sent(text).join(" ");
        assert_eq!(sent("function(self) self:a() self.b:c { 1 }:d'x' : e [[y]] end"), "a c d e");
        assert_eq!(sent("local t: number = self:a(1) :: any -- self:b()\n --[[ self:c()\n ]] self:d()"), "a d");
        assert_eq!(sent("return 'x:a()' .. \"\\\":b()\" .. [==[ ]] :c() ]==] .. self:d()"), "d");
        assert_eq!(sent("return `x:a() {self:b({ 1, `{self:c()}` })} :d() \\{ self:e()`:f()"), "b c f");
        assert_eq!(sent("if x then self:a(function(b: string) return b:c() end) end"), "a c");
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[-:a(){}\\[\\]='\"`\\\\ \néx]{0,40}") {
            selectors_sent(&text);
        }
    }
}
