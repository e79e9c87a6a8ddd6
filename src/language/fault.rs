//! Faults of a turn: from an error of the VM to a sentence, a kind, and the places it came through.

use super::crossing::Raised;
use crate::object::{Fault, FaultKind};

/// Most bytes of a fault's sentence.
const MAX_MESSAGE: usize = 4_096;
/// Bounds of the VM in words.
const OUT_OF_MEMORY: &str = "it took more memory than a turn may have";
const TOO_LARGE_A_TABLE: &str = "it made a table larger than any may be";
const TOO_DEEP: &str = "its calls went too deep, which is often a message that sends itself without end";
/// Lines of a fault's trace.
const MAX_TRACE: usize = 16;

/// Failed turns are kept: their words have a bound.
pub(super) fn clip(message: &mut String) {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
}

/// A bound that was reached counts more than what the method made of it.
pub(super) fn bounded(mut fault: Fault, spent: Option<&'static str>) -> Fault {
    if let Some(told) = bound_in(&fault.message, spent) {
        fault.kind = FaultKind::Bound;
        fault.message = told.to_string();
    }
    fault
}

/// A fault in words from an error of the VM.
pub(super) fn fault_of(error: &mlua::Error) -> Fault {
    if let mlua::Error::CallbackError { traceback, cause } = error {
        let mut fault = fault_of(cause);
        if fault.trace.is_empty() {
            fault.trace = trace_in(traceback);
        }
        return fault;
    }
    if let Some(Raised(fault)) = error.downcast_ref::<Raised>() {
        return fault.clone();
    }
    let text = match error {
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => text.clone(),
        other => other.to_string(),
    };
    let told = text.split("\nstack traceback:").next().unwrap_or_default();
    let mut message = match told.split_once(": ") {
        // Only a value without words is told by its address, which each system writes in its own way.
        Some((kind @ ("table" | "function" | "userdata" | "thread"), address)) if is_address(address) => {
            format!("the error is a {kind}, not a text")
        }
        _ => as_written(told),
    };
    if message.contains("attempt to call missing method") {
        message.push_str("; a plain table has no messages: write t.name(t, …)");
    }
    Fault {
        kind: FaultKind::Error,
        message,
        suggestions: Vec::new(),
        trace: trace_in(&text),
        logs: Vec::new(),
        receiver: None,
    }
}

/// The VM's words about a text as its author knows it: sends by their selectors, and no places in the program's own texts.
pub(super) fn as_written(told: &str) -> String {
    let place = ["library:", "prelude:", "views:"].iter().find_map(|place| told.strip_prefix(place));
    let own = place.and_then(|rest| rest.split_once(": ")).filter(|(line, _)| line.parse::<u32>().is_ok());
    own.map_or(told, |(_, told)| told).replace(super::syntax::SEND, "")
}

fn is_address(text: &str) -> bool {
    let digits = text.trim_start_matches("0x");
    digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `point.move_by:3` lines of a traceback, innermost first.
fn trace_in(text: &str) -> Vec<String> {
    let place = |line: &str| {
        let line = line.trim();
        let (name, rest) = line.split_once(':')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let named = name.contains('.') && !name.contains(' ') && !name.starts_with('[');
        (named && !digits.is_empty()).then(|| format!("{name}:{digits}"))
    };
    let mut lines: Vec<String> = text.lines().filter_map(place).collect();
    lines.dedup();
    lines.truncate(MAX_TRACE);
    lines
}

/// Whether what the VM caches is in doubt after a fault: memory and stack may run out while it is written.
pub(super) fn leaves_doubt(fault: &Fault) -> bool {
    let words = [OUT_OF_MEMORY, TOO_LARGE_A_TABLE, TOO_DEEP, super::fuel::TOO_MUCH_MADE];
    fault.kind == FaultKind::Internal
        || fault.kind == FaultKind::Bound && words.iter().any(|told| fault.message.starts_with(told))
}

/// The bound that an error of the VM speaks of, in words. An object's own error that merely uses such words is none.
pub(super) fn bound_in(text: &str, spent: Option<&'static str>) -> Option<&'static str> {
    // The VM puts `name:line: ` before its own words, and adds nothing.
    let headline = text.lines().next().unwrap_or_default().trim_start_matches("runtime error: ");
    let own = match headline.splitn(3, ':').collect::<Vec<_>>().as_slice() {
        [_, line, own] if line.chars().all(|c| c.is_ascii_digit()) => own.trim(),
        _ => headline,
    };
    if spent.is_some() {
        spent
    } else if headline == "not enough memory" || headline == "memory error: not enough memory" {
        Some(OUT_OF_MEMORY)
    } else if own == "table overflow" {
        Some(TOO_LARGE_A_TABLE)
    } else if own.starts_with("stack overflow") || own == "C stack overflow" {
        Some(TOO_DEEP)
    } else {
        None
    }
}
