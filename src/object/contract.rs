//! What a method promises, in a form that can be run: the author states it, the gates hold the method to it.
//!
//! A contract is written from the meaning of an instruction, never from the text of the method, so that
//! an error in the text is found by running both against each other.

use super::{Name, Value};

/// The promises of one method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contract {
    /// What it does, one sentence each.
    pub promises: Vec<String>,
    /// The frame: slots of the receiver that may change. Everything else in the world stays as it is.
    pub writes: Vec<Name>,
    /// Sends with their expected ends.
    pub examples: Vec<Example>,
    /// What holds for each example beyond its expected end.
    pub laws: Vec<Law>,
}

/// One send to the receiver, and what it must come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// Own slots that the receiver is given before the send.
    pub before: Vec<(Name, Value)>,
    /// Arguments in the order of the parameters.
    pub args: Vec<Value>,
    /// What slots of the receiver must hold afterwards.
    pub after: Vec<(Name, Value)>,
    /// What the send must answer; `None`: anything.
    pub result: Option<Value>,
}

/// A law between sends of the same method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A second send with every number negated restores the slots of the frame (up to 1e-9 of their size).
    Inverse,
    /// A second, equal send changes nothing more.
    Idempotent,
    /// A second, equal send restores the slots of the frame.
    Involution,
}

impl Law {
    /// The law in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Inverse => "the same with negated numbers takes it back",
            Self::Idempotent => "doing it twice is doing it once",
            Self::Involution => "doing it twice changes nothing",
        }
    }
}
