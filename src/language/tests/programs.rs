//! Random worlds and messages: a grammar of console lines and of the Luau in them, expanded by chance.
//!
//! A program is nothing but lines of the console, ticks and pauses, so one that fails prints as what a person can paste. The
//! first alternative of every rule is its simplest: that is where a failing program shrinks to.

use crate::object::quoted;
use proptest::prelude::*;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// Rules, each with its alternatives and their weights. `$word` stands for an alternative of that rule, `$$word` for one in
/// quotes. What `low` selectors run posts and sends nothing, so no program goes on for ever.
const GRAMMAR: &str = include_str!("programs.txt");

type Rules = HashMap<&'static str, Vec<(u32, &'static str)>>;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let (mut rules, mut name) = (Rules::new(), "");
    for line in GRAMMAR.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("  ").and_then(|line| line.split_once(' ')) {
            Some((weight, text)) => rules.entry(name).or_default().push((weight.parse().unwrap(), text)),
            None => name = line,
        }
    }
    rules
});

/// A text of a rule. Chance is a row of numbers; where it ends, the first alternative is taken.
fn expand(rule: &str, chance: &mut impl Iterator<Item = u16>) -> String {
    let alternatives = RULES.get(rule).unwrap_or_else(|| panic!("no rule is called {rule}"));
    let all: u32 = alternatives.iter().map(|(weight, _)| weight).sum();
    let mut at = u32::from(chance.next().unwrap_or(0)) % all;
    let chosen = alternatives.iter().find(|(weight, _)| match at.checked_sub(*weight) {
        Some(rest) => {
            at = rest;
            false
        }
        None => true,
    });
    let mut parts = chosen.unwrap().1.split('$');
    let mut text = parts.next().unwrap_or_default().to_string();
    let mut in_quotes = false;
    for part in parts {
        if part.is_empty() {
            in_quotes = true;
            continue;
        }
        let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let inner = expand(&part[..end], chance);
        text.push_str(&if std::mem::take(&mut in_quotes) { quoted(&inner) } else { inner });
        text.push_str(&part[end..]);
    }
    text
}

/// One thing that happens to a world.
#[derive(Clone, PartialEq)]
pub(crate) enum Step {
    /// A line of the console.
    Line(String),
    /// So many ticks.
    Ticks(u8),
    /// So many milliseconds, after which timers are due.
    Pause(u16),
}

/// A world, and what happens to it.
#[derive(Clone)]
pub(crate) struct Program {
    /// Fuel of a turn.
    pub(crate) fuel: i64,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line),
            Self::Ticks(ticks) => write!(f, "-- {ticks} ticks"),
            Self::Pause(ms) => write!(f, "-- {ms} ms"),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "with {} fuel a turn:", self.fuel)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n{step:?}"))?;
        f.write_str("\n")
    }
}

/// Choices of one line.
const MOST_CHOICES: usize = 160;

/// A line of a rule.
fn line(rule: &'static str) -> impl Strategy<Value = Step> {
    prop::collection::vec(any::<u16>(), 0..MOST_CHOICES)
        .prop_map(move |chance| Step::Line(expand(rule, &mut chance.into_iter())))
}

/// Worlds of four objects that may have methods and several parents, and up to so many things that happen to them.
pub(crate) fn programs(most: usize) -> impl Strategy<Value = Program> {
    let things = prop::collection::vec(prop::collection::vec(any::<u16>(), 0..9), 4).prop_map(|chances| {
        let made = ["proto as=a", "a as=b", "a as=c", "b as=d"].into_iter().zip(chances);
        made.map(|(of, chance)| Step::Line(format!("clone {of} {}", expand("slots", &mut chance.into_iter()))))
            .collect::<Vec<_>>()
    });
    // What every heir of `a` answers at the beginning.
    let known = [
        ("note", "lowmethod"),
        ("tell", "lowmethod"),
        ("go", "highmethod"),
        ("run", "highmethod"),
        ("step", "stepmethod"),
    ]
    .map(|(selector, rule)| {
        let source = prop::collection::vec(any::<u16>(), 0..MOST_CHOICES)
            .prop_map(|chance| quoted(&expand(rule, &mut chance.into_iter())));
        source.prop_map(move |source| Step::Line(format!("add_method a selector={selector} source={source}")))
    });
    let taught = (known.prop_map(Vec::from), prop::collection::vec(line("teach"), 0..9))
        .prop_map(|(known, more)| [known, more].concat());
    let step = prop_oneof![
        14 => line("line"),
        3 => (1..6_u8).prop_map(Step::Ticks),
        1 => (1..700_u16).prop_map(Step::Pause),
    ];
    let fuel = prop_oneof![4 => Just(1_000_000_i64), 2 => Just(250_000_i64), 1 => 500..120_000_i64];
    (fuel, things, taught, prop::collection::vec(step, 1..most))
        .prop_map(|(fuel, things, taught, steps)| Program { fuel, steps: [things, taught, steps].concat() })
}

#[test]
fn every_rule_is_used_and_every_line_is_one() {
    use crate::language::console::{ConsoleLine, parse_line};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    for alternatives in RULES.values() {
        for (_, text) in alternatives {
            for word in text.split('$').skip(1).filter(|part| !part.is_empty()) {
                let end = word.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(word.len());
                assert!(RULES.contains_key(&word[..end]), "{text}");
            }
        }
    }
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let program = programs(30).new_tree(&mut runner).unwrap().current();
        for step in &program.steps {
            if let Step::Line(line) = step {
                assert!(matches!(parse_line(line), Ok(ConsoleLine::Message(_))), "{line}");
            }
        }
    }
}
