//! The console's language: `selector target name=value …`, and how outcomes read.
//!
//! One grammar serves the piped console, the line editor and the window's console line.

mod answer;
mod line;
mod quarantine;

pub use answer::{
    change_lines, envelope_line, fault_text, help_text, local_answer, outcome_line, outcome_text, problem_text,
    result_text,
};
pub(super) use answer::{slot_text, step_text};
pub use line::{ConsoleLine, LocalCommand, MAX_LINE_BYTES, parse_line, parse_literal};

pub use quarantine::{
    NOTHING, let_go_text, no_entry_text, now_text, place_text, quarantine_bytes, quarantine_fault, quarantine_lines,
    quarantine_rows, quarantine_text, rebuild_text,
};

#[cfg(test)]
pub(crate) use quarantine::tests as test_quarantines;

pub use super::native::selectors_of;
