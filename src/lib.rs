//! The Living Workbench: a live world of objects that can be rewritten while it runs.
//!
//! The rooms look only left: `object`, `language`, `components`, `persistence`, `cognition`,
//! `crucible`, `systems`, `morphic`, `workbench`, `bridge`. `ARCHITECTURE.md` draws the house.

pub mod bridge;
pub mod cognition;
pub mod components;
pub mod crucible;
pub mod language;
#[cfg(feature = "window")]
pub mod morphic;
pub mod object;
pub mod persistence;
pub mod systems;
#[cfg(feature = "window")]
pub mod workbench;
