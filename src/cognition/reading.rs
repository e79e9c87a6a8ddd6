//! Fitting tokens to shapes: what was captured, and what it comes to for this object.

use super::grammar::{Effect, Of, SHAPES, Shape};
use super::lexicon::Lexicon;
use super::refusal::refuse;
use super::words::{Kind, Token};
use crate::object::{Fault, Name, Value};

/// What an effect works with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Parameter(Name),
    Constant(Value),
}

/// One line of the method.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Add(Name, Operand, f64),
    Set(Name, Operand),
    Get(Name),
    Toggle(Name),
}

/// What was understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    /// Proposed by the shape.
    pub(super) selector: String,
    pub(super) params: Vec<Name>,
    pub(super) steps: Vec<Step>,
}

/// How much a pattern may leave open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Slots are the object's.
    Strict,
    /// Any word may be a slot: for finding out which one is unknown.
    AnySlot,
}

/// What a pattern caught.
#[derive(Clone, Debug, Default)]
pub(super) struct Caught {
    slots: Vec<Name>,
    /// The slots as the instruction calls them, for the selector.
    called: Vec<String>,
    operands: Vec<Operand>,
    /// Words that stand where a slot should.
    pub(super) unknown: Vec<String>,
}

/// The meaning of the tokens; `None` where no shape fits.
pub(super) fn read(tokens: &[Token], lexicon: &Lexicon) -> Option<Result<Read, Fault>> {
    let (shape, caught) = fit(tokens, lexicon, Strictness::Strict)?;
    Some(meaning(shape, &caught, lexicon))
}

/// The first shape that fits.
pub(super) fn fit(tokens: &[Token], lexicon: &Lexicon, strictness: Strictness) -> Option<(&'static Shape, Caught)> {
    SHAPES.iter().find_map(|shape| {
        shape.patterns.iter().find_map(|pattern| {
            let parts: Vec<&str> = pattern.split_whitespace().collect();
            Fitting { lexicon, strictness }.fits(&parts, tokens, Caught::default()).map(|caught| (shape, caught))
        })
    })
}

struct Fitting<'a> {
    lexicon: &'a Lexicon,
    strictness: Strictness,
}

impl Fitting<'_> {
    fn fits(&self, parts: &[&str], tokens: &[Token], caught: Caught) -> Option<Caught> {
        let Some((part, parts)) = parts.split_first() else { return tokens.is_empty().then_some(caught) };
        match *part {
            "<me>" => {
                let after = tokens.split_first().filter(|(token, _)| self.lexicon.is_me(&token.raw));
                after
                    .and_then(|(_, rest)| self.fits(parts, rest, caught.clone()))
                    .or_else(|| self.fits(parts, tokens, caught))
            }
            "<slot>" => self.slots(1, parts, tokens, caught),
            "<pair>" => self.slots(2, parts, tokens, caught),
            "<slots>" => self.slot_list(parts, tokens, caught),
            "<amount>" | "<value>" => {
                let (token, rest) = tokens.split_first()?;
                let operand = operand(token, *part == "<amount>")?;
                let mut caught = caught;
                caught.operands.push(operand);
                self.fits(parts, rest, caught)
            }
            part => {
                if let Some(word) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
                    let after = tokens.split_first().filter(|(token, _)| token.is(word));
                    return after
                        .and_then(|(_, rest)| self.fits(parts, rest, caught.clone()))
                        .or_else(|| self.fits(parts, tokens, caught));
                }
                let (token, rest) = tokens.split_first()?;
                if !part.split('|').any(|word| token.is(word)) {
                    return None;
                }
                self.fits(parts, rest, caught)
            }
        }
    }

    /// A word for exactly so many slots; the object's name may stand before it or behind it.
    fn slots(&self, count: usize, parts: &[&str], tokens: &[Token], caught: Caught) -> Option<Caught> {
        let (token, rest) = tokens.split_first()?;
        if let Some(found) = self.slot_at(token, &caught)
            && (found.slots.len() - caught.slots.len() == count || !found.unknown.is_empty())
        {
            // "the x of the point": the articles are gone already.
            let owner = rest.split_first().filter(|(token, _)| self.lexicon.is_me(&token.raw));
            let after_owner = owner.and_then(|(_, rest)| self.fits(parts, rest, found.clone()));
            if let Some(caught) = after_owner.or_else(|| self.fits(parts, rest, found)) {
                return Some(caught);
            }
        }
        if self.lexicon.is_me(&token.raw) {
            return self.slots(count, parts, rest, caught);
        }
        None
    }

    fn slot_list(&self, parts: &[&str], tokens: &[Token], caught: Caught) -> Option<Caught> {
        let (token, rest) = tokens.split_first()?;
        let caught = self.slot_at(token, &caught)?;
        let (mut more, mut joined) = (rest, false);
        while let Some((token, rest)) = more.split_first().filter(|(token, _)| token.is("and") || token.is(",")) {
            let _ = token;
            (more, joined) = (rest, true);
        }
        if joined && let Some(caught) = self.slot_list(parts, more, caught.clone()) {
            return Some(caught);
        }
        self.fits(parts, rest, caught)
    }

    fn slot_at(&self, token: &Token, caught: &Caught) -> Option<Caught> {
        if token.kind != Kind::Word || token.marked {
            return None;
        }
        let mut caught = caught.clone();
        let found = self.lexicon.slots_of(&token.raw);
        if found.is_empty() {
            if self.strictness == Strictness::Strict || Name::new(&token.raw).is_err() {
                return None;
            }
            caught.unknown.push(token.raw.clone());
            return Some(caught);
        }
        let called = if found.len() == 1 { found[0].to_string() } else { token.raw.clone() };
        caught.called.push(called);
        caught.slots.extend(found);
        Some(caught)
    }
}

/// Words that are parameters where an amount is wanted, without "a given".
pub(super) const AMOUNTS: &[&str] = &["dx", "dy", "n", "amount", "delta", "distance", "offset"];

/// A constant, or a parameter: a word after "a given", or one that can only be the name of an amount.
fn operand(token: &Token, amount: bool) -> Option<Operand> {
    match &token.kind {
        Kind::Constant(value @ Value::Number(_)) => Some(Operand::Constant(value.clone())),
        Kind::Constant(value) => (!amount).then(|| Operand::Constant(value.clone())),
        Kind::Word if token.marked || (amount && AMOUNTS.contains(&token.raw.as_str())) => {
            Name::new(&token.raw).ok().map(Operand::Parameter)
        }
        Kind::Word => None,
    }
}

fn meaning(shape: &Shape, caught: &Caught, lexicon: &Lexicon) -> Result<Read, Fault> {
    let mut params: Vec<Name> = Vec::new();
    for operand in &caught.operands {
        if let Operand::Parameter(name) = operand {
            if params.contains(name) || **name == *"self" {
                return Err(refuse(format!("two parameters can't both be called `{name}`")));
            }
            params.push(name.clone());
        }
    }
    let mut steps = Vec::new();
    for effect in shape.effects {
        let (Effect::Add(of, ..)
        | Effect::AddNumber(of, _)
        | Effect::Set(of, _)
        | Effect::Get(of)
        | Effect::Toggle(of)
        | Effect::Reset(of)) = effect;
        let slots: Vec<Name> = match of {
            Of::Named(name) => lexicon.slots_of(name),
            Of::Captured(index) => caught.slots.get(*index).cloned().into_iter().collect(),
            Of::EachCaptured => caught.slots.clone(),
        };
        if slots.is_empty() {
            return Err(refuse(format!("{} has no place: no slots x and y", lexicon.title)));
        }
        for slot in slots {
            steps.push(step(effect, slot, &caught.operands, lexicon)?);
        }
    }
    let selector = shape.selector.replace("{}", &caught.called.join("_and_"));
    Ok(Read { selector, params, steps })
}

fn step(effect: &Effect, slot: Name, operands: &[Operand], lexicon: &Lexicon) -> Result<Step, Fault> {
    let known = lexicon.slots.get(&slot);
    let holds = known.map_or(&Value::Nil, |known| &known.value);
    let operand = |index: usize| operands.get(index).cloned().unwrap_or(Operand::Constant(Value::Nil));
    let number = |slot: Name| match holds {
        Value::Number(_) => Ok(slot),
        other => Err(refuse(format!(
            "{slot} of {} holds {}, and only a number can be added to",
            lexicon.title,
            other.kind()
        ))),
    };
    Ok(match effect {
        Effect::Add(_, index, sign) => Step::Add(number(slot)?, operand(*index), *sign),
        Effect::AddNumber(_, by) => Step::Add(number(slot)?, Operand::Constant(Value::Number(by.abs())), by.signum()),
        Effect::Set(_, index) => match (operand(*index), holds) {
            (Operand::Constant(value), holds) if *holds != Value::Nil && value.kind() != holds.kind() => {
                let (title, kind, new) = (&lexicon.title, holds.kind(), value.kind());
                return Err(refuse(format!("{slot} of {title} holds {kind}, and the instruction sets it to {new}")));
            }
            (operand, _) => Step::Set(slot, operand),
        },
        Effect::Get(_) => Step::Get(slot),
        Effect::Toggle(_) => match holds {
            Value::Boolean(_) => Step::Toggle(slot),
            other => {
                let message = format!(
                    "{slot} of {} holds {}, and only true and false can be toggled",
                    lexicon.title,
                    other.kind()
                );
                return Err(refuse(message));
            }
        },
        Effect::Reset(_) => {
            let to = known.and_then(|known| known.inherited.clone()).or_else(|| match holds {
                Value::Number(_) => Some(Value::Number(0.0)),
                Value::Boolean(_) => Some(Value::Boolean(false)),
                Value::Text(_) => Some(Value::Text(String::new())),
                _ => None,
            });
            match to {
                Some(to @ (Value::Number(_) | Value::Boolean(_) | Value::Text(_))) => {
                    Step::Set(slot, Operand::Constant(to))
                }
                _ => {
                    return Err(refuse(format!("it is not clear to what {slot} goes back; say it: reset {slot} to …")));
                }
            }
        }
    })
}
