//! How a turn ended.

use super::{Change, ObjectId, Value};

/// The end of a turn: all of its changes, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The changes apply.
    Completed {
        /// The first value that the method returned.
        result: Value,
        /// In the order in which they were made.
        changes: Vec<Change>,
        /// What the turn wrote to the transcript, one entry a line.
        logs: Vec<String>,
    },
    /// Nothing applies; the message is kept and can be tried again.
    Failed(Fault),
}

impl Outcome {
    /// What the turn changed, in order.
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Completed { changes, .. } => changes,
            Self::Failed(_) => &[],
        }
    }
}

/// What went wrong, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Class, for programs.
    pub kind: FaultKind,
    /// What happened and what to do next.
    pub message: String,
    /// Nearest names, best first.
    pub suggestions: Vec<String>,
    /// Where: `point.move_by:3`, innermost first.
    pub trace: Vec<String>,
    /// What the turn wrote to the transcript before it failed, one entry a line.
    pub logs: Vec<String>,
    /// The object that the message went to, where it went to one: `retry` sends it there again.
    pub receiver: Option<ObjectId>,
}

/// Classes of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No object has the target's name.
    UnknownObject,
    /// Nothing on the delegation path answers the selector.
    DoesNotUnderstand,
    /// A parameter that the message doesn't have, too many of them, one missing, or one of the wrong kind.
    BadArgument,
    /// A name outside the grammar, or one that is taken.
    BadName,
    /// The object a reference points to was deleted.
    Gone,
    /// The object's own code raised an error.
    Error,
    /// Fuel, memory, depth or another bound of a turn was reached.
    Bound,
    /// A value that a slot can't hold.
    BadValue,
    /// A method's text that is no method, or that a gate refused.
    BadMethod,
    /// An instruction that the composer did not understand.
    NotUnderstood,
    /// Something that is not allowed, such as shadowing a reserved selector.
    Refused,
    /// The program itself is at fault, or the message ended the process twice.
    Internal,
}

impl FaultKind {
    /// All kinds with the word that stands for them in files and JSON.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::UnknownObject, "unknown_object"),
        (Self::DoesNotUnderstand, "does_not_understand"),
        (Self::BadArgument, "bad_argument"),
        (Self::BadName, "bad_name"),
        (Self::Gone, "gone"),
        (Self::Error, "error"),
        (Self::Bound, "bound"),
        (Self::BadValue, "bad_value"),
        (Self::BadMethod, "bad_method"),
        (Self::NotUnderstood, "not_understood"),
        (Self::Refused, "refused"),
        (Self::Internal, "internal"),
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("internal", |(_, word)| word)
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

impl Fault {
    /// A fault without suggestions, trace or logs.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            suggestions: Vec::new(),
            trace: Vec::new(),
            logs: Vec::new(),
            receiver: None,
        }
    }

    /// The same with suggestions.
    pub fn suggesting(mut self, suggestions: Vec<String>) -> Self {
        self.suggestions = suggestions;
        self
    }
}
