//! Refusals: which words were not understood, what is near, what to do.

use super::grammar::SHAPES;
use super::lexicon::Lexicon;
use super::reading::{AMOUNTS, Strictness, fit};
use super::words::{Kind, NEGATIONS, SEQUENCES, SYNONYMS, Token};
use crate::object::{Fault, FaultKind, Name, nearest};

/// What can be asked for, in short; `docs/composer.md` has it all.
const KNOWN: &str = "the composer can move by and to, set, get, add to, subtract from, increment, decrement, toggle and \
                     reset slots";
/// Most characters of the asker's own words in an answer.
const SHOWN: usize = 60;

/// A refusal in these words.
pub(super) fn refuse(message: String) -> Fault {
    Fault::new(FaultKind::NotUnderstood, format!("{message}. Nothing was written"))
}

/// Instructions that say nothing, what not to do, or more than one thing.
pub(super) fn of_the_whole(tokens: &[Token]) -> Result<(), Fault> {
    if tokens.is_empty() {
        return Err(refuse(format!("the instruction says nothing that a method could do; {}", KNOWN)));
    }
    if let Some(token) = tokens.iter().find(|token| token.is_among(NEGATIONS)) {
        let message =
            format!("`{}` makes it a condition or its opposite: say what the method does, and only that", token.raw);
        return Err(refuse(message));
    }
    let starts = |token: &Token| {
        SHAPES
            .iter()
            .flat_map(|shape| shape.patterns)
            .filter_map(|pattern| pattern.split_whitespace().next())
            .any(|first| first.split('|').any(|verb| token.is(verb) && !token.marked))
    };
    let second = (1..tokens.len()).find(|index| {
        tokens[*index].is_among(SEQUENCES) || (starts(&tokens[*index]) && tokens[*index - 1].is_among(&["and", ","]))
    });
    match second {
        Some(index) => {
            let message =
                format!("that asks for more than one thing, at `{}`: ask for one method at a time", tokens[index].raw);
            Err(refuse(message))
        }
        None => Ok(()),
    }
}

/// Why no shape fits.
pub(super) fn explain(tokens: &[Token], lexicon: &Lexicon) -> Fault {
    if let Some((_, caught)) = fit(tokens, lexicon, Strictness::AnySlot)
        && let Some(word) = caught.unknown.first()
    {
        let near = nearest(word, lexicon.slots.keys().map(Name::as_str));
        let title = &lexicon.title;
        let told = match near.as_slice() {
            [] => lexicon.slots.keys().map(Name::as_str).collect::<Vec<_>>().join(", "),
            near => format!("nearest: {}", near.join(", ")),
        };
        return refuse(format!("{title} has no slot `{word}` ({told}); add it with: set {title} {word}=…"))
            .suggesting(near);
    }
    let strange: Vec<String> = tokens
        .iter()
        .filter(|token| !is_known(token, lexicon))
        .map(|token| format!("“{}”", shown(&token.raw)))
        .collect();
    if strange.is_empty() {
        let all: Vec<&str> = tokens.iter().map(|token| token.raw.as_str()).collect();
        let message = format!(
            "each word is known, but not “{}” as a whole; a parameter reads “a given amount”, a text stands \
                               in quotes; {}",
            shown(&all.join(" ")),
            KNOWN
        );
        return refuse(message);
    }
    let strange: Vec<String> = strange.into_iter().take(8).collect();
    refuse(format!("not understood: {}; {}", strange.join(", "), KNOWN))
}

fn is_known(token: &Token, lexicon: &Lexicon) -> bool {
    let in_a_pattern = || {
        SHAPES
            .iter()
            .flat_map(|shape| shape.patterns)
            .flat_map(|pattern| pattern.split_whitespace())
            .any(|part| part.trim_matches(['[', ']']).split('|').any(|word| token.is(word)))
    };
    token.kind != Kind::Word
        || token.marked
        || lexicon.is_me(&token.raw)
        || AMOUNTS.contains(&token.raw.as_str())
        || !lexicon.slots_of(&token.raw).is_empty()
        || SYNONYMS.iter().any(|(word, _)| token.is(word))
        || in_a_pattern()
}

fn shown(text: &str) -> String {
    let shown: String = text.chars().filter(|character| !character.is_control()).take(SHOWN).collect();
    if shown.chars().count() == SHOWN { format!("{shown}…") } else { shown }
}
