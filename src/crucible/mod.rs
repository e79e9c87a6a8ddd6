//! The Crucible: the gates that a method passes before it may enter an object, cheapest first.
//!
//! 1 *parse*: the text is one method; 2 *static*: what its text says it uses; 3 *rehearsal*: it is run in a
//! shadow of the world against its contract. A text without a contract, written by hand, is not run: it may
//! be right and yet fail without arguments. Who wrote the method, and what becomes of it, is not known here.

mod parse;
mod rehearsal;
mod statics;
#[cfg(test)]
mod tests;

use crate::language::{MethodSyntax, Vm};
use crate::object::{Contract, Fault, Name, ObjectId, Objects};
use thiserror::Error;

/// A method at the gates.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The object that it is for.
    pub target: ObjectId,
    /// The selector that it is to answer.
    pub selector: &'a Name,
    /// Luau: `function(self, …) … end`.
    pub source: &'a str,
    /// What it promises; `None` for a text written by hand.
    pub contract: Option<&'a Contract>,
}

/// The gates, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The text is one method.
    Parse,
    /// Selector, globals, slots and sends, as the text names them.
    Static,
    /// Examples, frame, determinism and laws, run in a shadow of the world.
    Rehearsal,
}

impl Gate {
    /// The word that begins the gate's verdict.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Static => "static",
            Self::Rehearsal => "rehearsal",
        }
    }
}

/// A method that passed.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What its text says about itself.
    pub syntax: MethodSyntax,
    /// What each gate found: one line a gate, in order.
    pub verdicts: Vec<String>,
    /// What its author may want to look at: names that do not exist yet.
    pub notes: Vec<String>,
}

/// A method that did not pass.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}: {}", gate.word(), fault.message)]
pub struct Rejected {
    /// The gate that refused it.
    pub gate: Gate,
    /// Why, with the line where one is known.
    pub fault: Box<Fault>,
}

/// Sends a method through the gates, up to the first that refuses it. Equal arguments give an equal answer.
///
/// `vm` runs the rehearsal, and forgets every object before and after: it must not be one that delivers turns.
///
/// # Errors
/// The gate that refused the method, and why.
pub fn judge(candidate: &Candidate<'_>, objects: &dyn Objects, vm: &mut Vm) -> Result<Judged, Rejected> {
    let at = |gate: Gate| move |fault: Fault| Rejected { gate, fault: Box::new(fault) };
    let (syntax, parsed) = parse::pass(candidate).map_err(at(Gate::Parse))?;
    let (used, notes) = statics::pass(candidate, &syntax, objects).map_err(at(Gate::Static))?;
    let rehearsed = rehearsal::pass(candidate, &syntax, objects, vm).map_err(at(Gate::Rehearsal))?;
    let verdicts = [(Gate::Parse, parsed), (Gate::Static, used), (Gate::Rehearsal, rehearsed)];
    let verdicts = verdicts.into_iter().map(|(gate, found)| format!("{}: {found}", gate.word())).collect();
    Ok(Judged { syntax, verdicts, notes })
}

/// `x`, `x and y`, `x, y and z`; `nothing` where there is none.
fn listed(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => "nothing".into(),
        [one] => one.as_ref().into(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", rest.join(", "), last.as_ref())
        }
    }
}

/// `1 example`, `2 examples`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
