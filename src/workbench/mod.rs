//! The workbench: the window with its panels around the world of cards.
//!
//! Panels are functions of a read-only view; what a person wants leaves them as [`Command`]s, which become
//! messages through a port, as from any other subscriber. Nothing here changes an object.

mod console;
mod desk;
mod docks;
mod errands;
mod input;
mod inspector;
mod method_editor;
mod objects;
mod probe;
mod quarantine;
mod status;
mod style;
mod waking;
mod window;

pub use console::{ConsoleState, console_ui, transcript_ui};
pub use desk::{Command, Desk};
pub use inspector::{InspectorState, inspector_ui};
pub use objects::objects_ui;
pub use probe::probe;
pub use quarantine::{QuarantineState, quarantine_ui};
pub use status::{Figures, status_ui};
pub use waking::{Failure, Waking, WakingError};
pub use window::{LateWaker, WorkbenchPlugin};
