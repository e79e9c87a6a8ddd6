//! A method's text and where it came from.

use super::Name;

/// One accepted text of a method. A method has no identity apart from object, selector and number.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodVersion {
    /// Counts from 1 for each selector of an object, never reused.
    pub number: u32,
    /// The version that this one took the place of; undoing goes there. 0: none, the slot was not a method before.
    pub follows: u32,
    /// Parameter names after `self`, in order.
    pub params: Vec<Name>,
    /// Luau: `function(self, …) … end`.
    pub source: String,
    /// What it does, in words; empty where nobody said.
    pub doc: String,
    /// Provenance.
    pub origin: Origin,
}

impl MethodVersion {
    /// Whether it takes any number of arguments beyond its parameters.
    pub fn is_variadic(&self) -> bool {
        // Only such a method has `...` in its parameters' parentheses.
        self.source.split(')').next().unwrap_or_default().contains("...")
    }
}

/// Where a method's text came from. Times stand in the log, under the sequence number.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Who wrote it: `person`, `composer`, `genesis`, later a model's name.
    pub author: String,
    /// The instruction it answers; empty for text written by hand.
    pub instruction: String,
    /// What the method promises: one sentence a line; empty for text written by hand.
    pub contract: Vec<String>,
    /// What each gate found, one line a gate.
    pub verdicts: Vec<String>,
    /// Sequence number of the message that brought it; 0 in the first image.
    pub sequence: u64,
}
