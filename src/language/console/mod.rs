//! The console's language: `selector target name=value …`, and how outcomes read.
//!
//! One grammar serves the piped console, the line editor and the window's console line.

mod answer;
mod line;

pub use answer::{change_lines, fault_text, help_text, local_answer, outcome_text, problem_text, result_text};
pub(super) use answer::{slot_text, step_text};
pub use line::{ConsoleLine, LocalCommand, MAX_LINE_BYTES, parse_line, parse_literal};

pub use super::native::selectors_of;
