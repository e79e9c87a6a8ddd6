//! Morphs: objects as cards on a ground, seen through a camera and moved by a hand.
//!
//! What is drawn comes from the [`Mirror`], which learns from events alone; what a person does leaves as
//! [`Deed`]s, which the workbench turns into messages. Nothing here sees a component of the world.

mod face;
mod hand;
mod measure;
mod mirror;
mod seating;
mod stage;
pub mod tokens;
mod transcript;
mod viewpoint;

#[cfg(test)]
pub(crate) use mirror::tests as test_worlds;

pub use face::{CardFace, Row, Words, card_face, card_size, value_color};
pub use hand::{Button, Deed, Hand};
pub use measure::{Face, clipped, width_of};
pub use mirror::{Answer, Mirror};
pub use seating::Seating;
pub use stage::{Emphasis, Stage, color};
pub use transcript::{Entry, Progress, Transcript, command_line};
pub use viewpoint::{Bounds, Viewpoint, ZOOMS};
