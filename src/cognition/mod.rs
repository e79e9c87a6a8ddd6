//! Cognition: who writes methods from plain words. The composer is the embedded default: no model, no
//! network, the same answer for the same words and the same world. It refuses rather than guesses.
//!
//! `words` (data) reads text as tokens; `grammar` (data) holds the shapes that can be asked for; `reading`
//! fits tokens to shapes, with the target's slots from `lexicon`; `writing` makes Luau, a contract, test sends
//! and a paraphrase of what was read; `refusal` says what was not understood. A further shape is a further row of
//! `grammar`; `docs/composer.md` publishes it. What is written is only proposed: gates judge it elsewhere.

mod grammar;
mod lexicon;
mod reading;
mod refusal;
#[cfg(test)]
mod tests;
mod words;
mod writing;

use crate::language::is_reserved;
use crate::object::{Contract, Fault, Name, ObjectId, Objects, lookup};
use lexicon::Lexicon;

/// What is asked of the composer.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The object that the method is for.
    pub target: ObjectId,
    /// Plain words.
    pub instructions: &'a str,
    /// The selector, where the asker gives one.
    pub selector: Option<&'a Name>,
    /// The world.
    pub objects: &'a dyn Objects,
}

/// A method that was understood and written.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// Given, called so in the instruction, or found.
    pub selector: Name,
    /// Parameters after `self`.
    pub params: Vec<Name>,
    /// Luau: `function(self, …) … end`.
    pub source: String,
    /// What it does, for the slot's documentation.
    pub doc: String,
    /// How the instruction was understood: one sentence.
    pub paraphrase: String,
    /// What it promises, as sentences and as sends that can be run.
    pub contract: Contract,
}

/// What can be asked for, in words, with an instruction as an example of each.
pub fn shapes() -> impl Iterator<Item = (&'static str, &'static str)> {
    grammar::SHAPES.iter().map(|shape| (shape.form, shape.example))
}

/// Writes a method. A pure function: the same words in the same world give the same method.
///
/// # Errors
/// Of kind `not_understood`, whenever a word is not accounted for, a slot is unknown or of the wrong kind, the words
/// say what not to do, or more than one thing is asked for. The message names the words.
pub fn compose(request: &Request<'_>) -> Result<Composed, Fault> {
    let lexicon = Lexicon::of(request.objects, request.target);
    let phrase = words::read(request.instructions)?;
    refusal::of_the_whole(&phrase.tokens)?;
    let read = match reading::read(&phrase.tokens, &lexicon) {
        Some(read) => read?,
        None => return Err(refusal::explain(&phrase.tokens, &lexicon)),
    };
    let called = phrase.called.as_deref().map(Name::new).transpose();
    let called = called.map_err(|error| refusal::refuse(format!("the method can't be called so: {error}")))?;
    let selector = match (request.selector, called) {
        (Some(given), Some(called)) if *given != called => {
            let message =
                format!("the words call the method `{called}`, and selector={given} stands beside them: give one");
            return Err(refusal::refuse(message));
        }
        (Some(given), _) => given.clone(),
        (None, Some(called)) => called,
        (None, None) => Name::new(&read.selector).map_err(|error| {
            refusal::refuse(format!("no name could be found for the method ({error}); give one with selector=…"))
        })?,
    };
    let taken = lookup(request.objects, request.target, &selector).is_some_and(|found| found.slot.as_value().is_some());
    if taken || is_reserved(&selector) {
        let why = if taken { "a slot that holds a value is" } else { "a message that every object answers is" };
        return Err(refusal::refuse(format!(
            "the method can't be called `{selector}`: {why} called so; give another name with selector=…"
        )));
    }
    Ok(writing::write(selector, &read, &lexicon))
}
