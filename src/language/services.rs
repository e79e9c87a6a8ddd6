//! What a turn needs from rooms that the language doesn't know: somebody who writes methods, somebody who judges them, and the
//! memory of what can be taken back.

use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, PastTurns};

/// A method that somebody wrote, already judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Authored {
    /// Who: `composer`, later a model's name.
    pub author: String,
    /// Selector, given or found.
    pub selector: Name,
    /// Parameters after `self`.
    pub params: Vec<Name>,
    /// Luau.
    pub source: String,
    /// What it does, for the slot's documentation.
    pub doc: String,
    /// How the instruction was understood: one sentence.
    pub paraphrase: String,
    /// What it promises: sentences.
    pub contract: Vec<String>,
    /// What each gate found: one line a gate.
    pub verdicts: Vec<String>,
}

/// What the gates say about a text written by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// Parameters after `self`.
    pub params: Vec<Name>,
    /// What each gate found: one line a gate.
    pub verdicts: Vec<String>,
    /// What its author may want to look at.
    pub notes: Vec<String>,
}

/// What a turn needs from rooms that the language doesn't know. All are pure functions of their arguments and the log.
pub trait Services {
    /// Writes a method from plain words, and judges it.
    fn author(
        &mut self,
        objects: &dyn Objects,
        target: ObjectId,
        instructions: &str,
        selector: Option<&Name>,
    ) -> Result<Authored, Fault>;

    /// Judges a method's text.
    fn judge(
        &mut self,
        objects: &dyn Objects,
        target: ObjectId,
        selector: &Name,
        source: &str,
    ) -> Result<Passed, Fault>;

    /// The turns before this one that can be taken back.
    fn past(&self) -> Result<&PastTurns, Fault> {
        Err(Fault::new(FaultKind::Refused, "nothing can be taken back in a rehearsal"))
    }
}

/// For turns that may not change methods: rehearsals, tests.
pub struct NoServices;

impl Services for NoServices {
    fn author(&mut self, _: &dyn Objects, _: ObjectId, _: &str, _: Option<&Name>) -> Result<Authored, Fault> {
        Err(Fault::new(FaultKind::Refused, "no method can be written in a rehearsal"))
    }

    fn judge(&mut self, _: &dyn Objects, _: ObjectId, _: &Name, _: &str) -> Result<Passed, Fault> {
        Err(Fault::new(FaultKind::Refused, "no method can be accepted in a rehearsal"))
    }
}
