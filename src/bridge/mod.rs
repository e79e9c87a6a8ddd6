//! The Synaptic Bridge: how people and programs outside reach the world: consoles, reports, JSON.
//!
//! A console is a subscriber like any panel: it speaks to the world through a port and knows what events tell it.
//! Reports (`show`, `log`, `verify`, `export`) read what is committed, and touch no running world.

mod archive;
mod clock;
mod conversation;
mod copying;
mod export;
mod first_conversation;
mod headless;
mod import;
mod json;
mod lines;
mod piped;
mod quarantine;
mod repair;
mod report;
mod terminal;
mod waiting;
mod worlds;

pub use archive::archive;
pub use clock::wall_clock;
pub use copying::{backup, restore};
pub use export::export;
pub use first_conversation::first_conversation;
pub use headless::{Closing, HeadlessError, run_headless, run_import};
pub use import::preview;
pub use quarantine::{quarantine, quarantine_key};
pub use repair::repair;
pub use report::{ReportError, log, show, show_all, verify};
pub use waiting::while_it_lasts;
pub use worlds::{NewWorldError, default_world, new_world, world_name};

/// Exit codes of the program.
pub mod exit {
    /// All was done.
    pub const DONE: u8 = 0;
    /// A line failed or was refused, or there is no such object.
    pub const FAILED: u8 = 1;
    /// The world can't be opened.
    pub const NO_WORLD: u8 = 3;
    /// Damage was found.
    pub const DAMAGE: u8 = 4;
}

/// The text without what would steer a terminal: control characters stand as their code, all but the end of a line.
fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return text.into();
    }
    let escaped = |c: char| if steers(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_steers_a_terminal_is_shown_as_text() {
        assert_eq!(super::printable("a\u{1b}[31mb\nc\td\u{7}é"), "a\\u{1b}[31mb\nc\td\\u{7}é");
    }
}
