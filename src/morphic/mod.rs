//! Morphs: objects drawn on a ground, seen through a camera and moved by a hand.
//!
//! What is drawn comes from the [`Mirror`], which learns from events alone; what a person does leaves as
//! [`Deed`]s, which the workbench turns into messages. Nothing here sees a component of the world.

mod hand;
mod measure;
mod mirror;
mod picture;
mod seating;
mod shapes;
mod stage;
pub mod tokens;
mod transcript;
mod viewpoint;

#[cfg(test)]
pub(crate) use mirror::tests as test_worlds;

pub use hand::{Button, Deed, Hand, Under};
pub use measure::{Face, clipped, width_of};
pub use mirror::{Answer, Mirror};
pub use picture::{Act, Detail, Emphasis, Look, Mark, Picture, Spot, Track};
pub use seating::Seating;
pub use shapes::{picture_of, size_of, value_color};
pub use stage::{Stage, color};
pub use transcript::{Entry, Progress, Transcript, command_line};
pub use viewpoint::{Bounds, Viewpoint, ZOOMS};
