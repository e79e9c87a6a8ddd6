//! From what was understood to Luau, a contract, test sends and a paraphrase.
//!
//! The contract is computed from the meaning, never from the text, so that the two check each other.

use super::Composed;
use super::lexicon::Lexicon;
use super::reading::{Operand, Read, Step};
use crate::object::{Contract, Example, Image, Law, Name, Value, number_text, quoted};
use std::collections::BTreeMap;

/// Numbers that parameters get in the examples, by example and place.
const TRIALS: [[f64; 3]; 3] = [[3.0, 5.0, 7.0], [-4.0, 2.5, 11.0], [0.0, -6.0, 1.0]];
/// What touched number slots hold before the examples.
const BEFORE: [f64; 3] = [10.0, -20.0, 0.5];

/// Writes the method.
pub(super) fn write(selector: Name, read: &Read, lexicon: &Lexicon) -> Composed {
    let params: Vec<&str> = read.params.iter().map(Name::as_str).collect();
    let mut source = format!("function({})\n", [&["self"], params.as_slice()].concat().join(", "));
    for step in &read.steps {
        source.push_str(&format!("  {}\n", line(step)));
    }
    source.push_str("end");
    let told: Vec<String> = read.steps.iter().map(sentence).collect();
    let doc = format!("{}.", joined(&told));
    let writes: Vec<Name> = read.steps.iter().filter(|step| !matches!(step, Step::Get(_))).map(slot_of).collect();
    let frame = match writes.as_slice() {
        [] => "changes nothing".to_string(),
        writes => {
            format!("changes nothing but {}", joined(&writes.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    };
    let mut promises = told;
    promises.push(frame);
    let contract = Contract { promises, writes, examples: examples(read, lexicon), laws: laws(read) };
    let paraphrase = format!("{selector}({}) {doc}", params.join(", "));
    Composed { selector, params: read.params.clone(), source, doc, paraphrase, contract }
}

fn slot_of(step: &Step) -> Name {
    let (Step::Add(slot, ..) | Step::Set(slot, _) | Step::Get(slot) | Step::Toggle(slot)) = step;
    slot.clone()
}

fn luau(operand: &Operand) -> String {
    match operand {
        Operand::Parameter(name) => name.to_string(),
        Operand::Constant(Value::Text(text)) => quoted(text),
        Operand::Constant(Value::Number(number)) => number_text(*number),
        Operand::Constant(value) => value.text(&Image::default()),
    }
}

fn line(step: &Step) -> String {
    match step {
        Step::Add(slot, by, sign) => format!("self.{slot} {}= {}", if *sign < 0.0 { "-" } else { "+" }, luau(by)),
        Step::Set(slot, to) => format!("self.{slot} = {}", luau(to)),
        Step::Get(slot) => format!("return self.{slot}"),
        Step::Toggle(slot) => format!("self.{slot} = not self.{slot}"),
    }
}

fn sentence(step: &Step) -> String {
    match step {
        Step::Add(slot, by, sign) if *sign < 0.0 => format!("subtracts {} from {slot}", luau(by)),
        Step::Add(slot, by, _) => format!("adds {} to {slot}", luau(by)),
        Step::Set(slot, to) => format!("sets {slot} to {}", luau(to)),
        Step::Get(slot) => format!("answers {slot}"),
        Step::Toggle(slot) => format!("turns {slot} from true to false and back"),
    }
}

fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Sends with what they must come to: one for each row of trial numbers.
fn examples(read: &Read, lexicon: &Lexicon) -> Vec<Example> {
    let kind_of = |param: &Name| {
        read.steps.iter().find_map(|step| match step {
            Step::Set(slot, Operand::Parameter(name)) if name == param => {
                lexicon.slots.get(slot).map(|known| known.value.clone())
            }
            _ => None,
        })
    };
    let example = |trial: usize| {
        let args: BTreeMap<&Name, Value> = read
            .params
            .iter()
            .enumerate()
            .map(|(place, param)| {
                let value = match kind_of(param) {
                    Some(Value::Text(_)) => Value::Text(format!("sample {trial}")),
                    Some(Value::Boolean(_)) => Value::Boolean(trial.is_multiple_of(2)),
                    _ => Value::Number(TRIALS[trial][place % 3]),
                };
                (param, value)
            })
            .collect();
        let value = |operand: &Operand| match operand {
            Operand::Parameter(name) => args.get(name).cloned().unwrap_or(Value::Nil),
            Operand::Constant(value) => value.clone(),
        };
        let (mut before, mut after, mut result) = (Vec::new(), Vec::new(), None);
        for step in &read.steps {
            let slot = slot_of(step);
            let held = match lexicon.slots.get(&slot).map(|known| &known.value) {
                Some(Value::Number(_)) | None => Value::Number(BEFORE[trial]),
                Some(Value::Boolean(_)) => Value::Boolean(trial == 1),
                Some(other) => other.clone(),
            };
            let holds = match (step, &held) {
                (Step::Add(_, by, sign), Value::Number(number)) => match value(by) {
                    Value::Number(by) => Value::Number(if *sign < 0.0 { number - by } else { number + by }),
                    other => other,
                },
                (Step::Set(_, to), _) => value(to),
                (Step::Toggle(_), Value::Boolean(held)) => Value::Boolean(!held),
                (Step::Get(_), held) => {
                    result = Some(held.clone());
                    held.clone()
                }
                (_, held) => held.clone(),
            };
            before.push((slot.clone(), held));
            after.push((slot, holds));
        }
        let args = read.params.iter().filter_map(|param| args.get(param).cloned()).collect();
        Example { before, args, after, result }
    };
    (0..TRIALS.len()).map(example).collect()
}

fn laws(read: &Read) -> Vec<Law> {
    let all = |holds: fn(&Step) -> bool| read.steps.iter().all(holds);
    if all(|step| matches!(step, Step::Add(_, Operand::Parameter(_), _))) {
        vec![Law::Inverse]
    } else if all(|step| matches!(step, Step::Set(..) | Step::Get(_))) {
        vec![Law::Idempotent]
    } else if all(|step| matches!(step, Step::Toggle(_))) {
        vec![Law::Involution]
    } else {
        Vec::new()
    }
}
