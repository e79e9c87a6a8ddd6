//! The object language: Luau methods, object proxies, one turn, its fuel; and the console's grammar.
//!
//! A turn reads a world through `object::Objects` and answers an `Outcome`; it never writes the world
//! itself. Nothing here knows Bevy, the disk or a screen.

mod active;
mod autopoiesis;
mod callbacks;
pub mod console;
mod crossing;
mod delivery;
mod fault;
mod fuel;
mod import;
mod library;
mod mathematics;
mod mirror;
mod native;
mod object_file;
mod send;
mod sends;
mod services;
mod syntax;
#[cfg(test)]
pub(crate) mod tests;
mod tick;
mod turn;
mod undo;
mod values;
mod views;
mod vm;
mod writes;

pub use import::{Counts, Plan, file_subject, plan_import};
pub use mirror::MIRROR_MESSAGES;
pub use native::{NATIVES, NativeSpec, is_reserved, native_spec, selectors_of};
pub use object_file::{ObjectFileError, genesis_objects, is_built_in, read_object_file, write_object_file};
pub use services::{Authored, NoServices, Passed, Services};
pub use syntax::{GLOBALS, MAX_SOURCE_BYTES, MESSAGES_OF_TEXTS, Mention, MethodSyntax, SyntaxFault, Use, parse_method};
pub use tick::{TickEnd, steps};
pub use turn::TurnRequest;
pub use vm::{Limits, Vm, VmError};
