//! The button: a face with its label. The click is the object's own `clicked`.

use super::super::Bounds;
use super::super::measure::Face;
use super::super::picture::{Detail, Emphasis};
use super::super::tokens;
use super::canvas::{Canvas, NAME_SIZE};

/// Radius of a button's corners.
pub(super) const CORNER: f32 = 6.0;

pub(super) fn draw(canvas: &mut Canvas<'_>) {
    let color = if canvas.is_given("color") { canvas.color() } else { tokens::FAINT };
    let outline = canvas.outline().unwrap_or((1.0, color));
    let face = if canvas.look.emphasis == Emphasis::Pressed { tokens::SELECTION } else { tokens::RAISED };
    canvas.framed(CORNER, Some(outline), face);
    if canvas.look.detail != Detail::Tile {
        let (title, whole) = (canvas.title(), canvas.whole());
        label(canvas, &title, whole);
    }
}

/// What stands in the middle of a button.
pub(super) fn label(canvas: &mut Canvas<'_>, text: &str, on: Bounds) {
    let room = on.size()[0] - 12.0;
    canvas.words_about(text, (Face::SemiBold, NAME_SIZE), tokens::TEXT, on.center(), room);
}
