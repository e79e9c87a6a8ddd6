//! The one grammar of names: objects, slots, selectors and parameters.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// Most bytes a name may have.
const MAX_BYTES: usize = 64;

/// Words that Luau keeps for itself.
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

/// File names that Windows refuses in every folder; object names become file names.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A name: `[a-z_][a-z0-9_]*`, at most 64 bytes, not a word of Luau. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum NameError {
    /// Nothing at all.
    #[error("a name can't be empty")]
    Empty,
    /// More than 64 bytes.
    #[error("a name has at most {MAX_BYTES} bytes, this one has {0}")]
    Long(usize),
    /// A character outside the grammar.
    #[error("`{0}` is not a name: names are made of a–z, 0–9 and _, and don't begin with a digit")]
    Character(String),
    /// A word of the language.
    #[error("`{0}` is a word of the language and can't be a name")]
    Keyword(String),
    /// A device name of Windows, for objects only.
    #[error("`{0}` can't name an object: Windows keeps it for a device")]
    Device(String),
}

impl Name {
    /// Checks a text against the grammar.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(NameError::Long(text.len()));
        }
        let fits =
            |index: usize, byte: u8| byte.is_ascii_lowercase() || byte == b'_' || (index > 0 && byte.is_ascii_digit());
        if !text.bytes().enumerate().all(|(index, byte)| fits(index, byte)) {
            return Err(NameError::Character(text.to_string()));
        }
        if KEYWORDS.contains(&text) {
            return Err(NameError::Keyword(text.to_string()));
        }
        Ok(Self(text.into()))
    }

    /// Checks a text as the name of an object, which must also be a possible file name.
    pub fn of_object(text: &str) -> Result<Self, NameError> {
        let name = Self::new(text)?;
        let port = |prefix: &str| {
            text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
        };
        if DEVICES.contains(&text) || port("com") || port("lpt") {
            return Err(NameError::Device(text.to_string()));
        }
        Ok(name)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_grammar() {
        for good in ["a", "_", "move_by", "x2", &"a".repeat(64)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "2x", "Point", "a b", "é", "a-b", "end", "nil", &"a".repeat(65)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        assert!(Name::new("con").is_ok());
        for device in ["con", "nul", "com1", "lpt9"] {
            assert!(matches!(Name::of_object(device), Err(NameError::Device(_))), "{device}");
        }
        assert!(Name::of_object("com10").is_ok());
    }
}
