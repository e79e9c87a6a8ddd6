//! Lines of a piped input: each has a number, a bound, and an encoding.

use crate::language::console::MAX_LINE_BYTES;
use crate::object::{Fault, FaultKind};
use std::io::{self, BufRead};

/// One line of input.
#[derive(Debug)]
pub(super) struct RawLine {
    /// Counts from 1, blank lines too.
    pub(super) number: u64,
    /// The text without its end, or why there is none.
    pub(super) text: Result<String, Fault>,
}

/// Reads lines one by one, never more than a line's bound into memory.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next line; `None` at the end of input.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine>> {
        let mut kept: Vec<u8> = Vec::new();
        let mut size = 0_usize;
        let mut ended = false;
        while !ended {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if size == 0 {
                    return Ok(None);
                }
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = (MAX_LINE_BYTES + 2).saturating_sub(kept.len());
            kept.extend_from_slice(&part[..part.len().min(room)]);
            size += part.len() + usize::from(end.is_some());
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            self.input.consume(used);
        }
        let size = size - usize::from(ended);
        if ended || size > 0 {
            self.number += 1;
        }
        Ok(Some(RawLine { number: self.number, text: self.text(kept, size) }))
    }

    fn text(&self, mut bytes: Vec<u8>, size: usize) -> Result<String, Fault> {
        if bytes.last() == Some(&b'\r') && bytes.len() == size {
            bytes.pop();
        }
        let refused = |message: String| Fault::new(FaultKind::BadArgument, message);
        if size > MAX_LINE_BYTES + 1 {
            let message =
                format!("the line has {size} bytes; a line has at most {MAX_LINE_BYTES}. Nothing was changed");
            return Err(refused(message));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to() + 1;
            refused(format!("the line is not UTF-8: byte {at} belongs to no character. Nothing was changed"))
        })?;
        // Windows programs like to begin a text with a byte order mark.
        let text = if self.number == 1 {
            text.strip_prefix('\u{feff}').map(ToString::to_string).unwrap_or(text)
        } else {
            text
        };
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.number, line.text.map_err(|fault| fault.message)));
        }
        all
    }

    #[test]
    fn lines_are_numbered_with_blank_ones_and_without_their_ends() {
        let texts = |input: &[u8]| read(input).into_iter().map(|(n, text)| (n, text.unwrap())).collect::<Vec<_>>();
        let owned = |lines: &[(u64, &str)]| lines.iter().map(|(n, text)| (*n, (*text).to_string())).collect::<Vec<_>>();
        assert_eq!(texts(b"\xef\xbb\xbfa\r\n\nb"), owned(&[(1, "a"), (2, ""), (3, "b")]));
        assert_eq!(texts(b"a\n"), owned(&[(1, "a")]));
        assert!(read(b"").is_empty());
    }

    #[test]
    fn a_megabyte_and_a_strange_encoding_are_answers() {
        let mut input = vec![b'x'; 1 << 20];
        input.extend(b"\n\xff\xfe\nok\n");
        let lines = read(&input);
        assert!(lines[0].1.as_ref().unwrap_err().contains("1048576 bytes"));
        assert!(lines[1].1.as_ref().unwrap_err().contains("not UTF-8: byte 1"));
        assert_eq!(lines[2], (3, Ok("ok".into())));
        let exact = "y".repeat(MAX_LINE_BYTES);
        assert_eq!(read(format!("{exact}\r\n").as_bytes())[0].1.as_ref().unwrap().len(), MAX_LINE_BYTES);
    }
}
