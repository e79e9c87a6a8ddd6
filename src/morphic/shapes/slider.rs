//! The slider: its title, its value, and a knob on a track.

use super::super::Bounds;
use super::super::measure::Face;
use super::super::picture::{Act, Detail, Emphasis, Mark, Track};
use super::super::tokens;
use super::canvas::{Canvas, MARGIN, NAME_SIZE, ROW_SIZE};
use crate::object::Value;

/// Height of the part that answers the mouse.
const GRIP: f32 = 24.0;
/// Radius of the knob.
const KNOB: f32 = 7.0;
/// Thickness of the track.
const TRACK: f32 = 4.0;
/// Smallest size that a slider is drawn with.
const SMALLEST: [f32; 2] = [64.0, 48.0];

pub(super) fn draw(canvas: &mut Canvas<'_>) {
    canvas.size = [canvas.size[0].max(SMALLEST[0]), canvas.size[1].max(SMALLEST[1])];
    let outline = canvas.outline().unwrap_or((1.0, tokens::LINE));
    canvas.framed(tokens::CARD_CORNER, Some(outline), tokens::RAISED);
    let (low, high) = (canvas.number("low").unwrap_or(0.0), canvas.number("high").unwrap_or(100.0));
    let track = Track {
        left: MARGIN + KNOB,
        right: canvas.size[0] - MARGIN - KNOB,
        low: low.min(high),
        high: high.max(low),
        step: canvas.number("step").unwrap_or(1.0).max(0.0),
    };
    let stands = canvas.look.slid.or(canvas.number("value")).unwrap_or(track.low);
    let [width, height] = canvas.size;
    let y = height - GRIP / 2.0 - 4.0;
    let knob = track.place_of(stands);
    let color = canvas.color();
    let bar = |from: f32, to: f32| Bounds { min: [from, y - TRACK / 2.0], max: [to, y + TRACK / 2.0] };
    canvas.round(bar(MARGIN, width - MARGIN), TRACK / 2.0, tokens::LINE);
    if knob - MARGIN >= TRACK {
        canvas.round(bar(MARGIN, knob), TRACK / 2.0, color);
    }
    let held = canvas.look.slid.is_some() || canvas.look.emphasis == Emphasis::Pressed;
    let body = if held { tokens::AMBER } else { tokens::TEXT };
    canvas.mark(Mark::Oval { bounds: Bounds::new([knob - KNOB, y - KNOB], [2.0 * KNOB; 2]), color: body });
    canvas.spot(Bounds::new([0.0, y - GRIP / 2.0], [width, GRIP]), Act::Slide(track));
    if canvas.look.detail == Detail::Tile {
        return;
    }
    let room = width - 2.0 * MARGIN;
    let middle = (height - GRIP - 4.0) / 2.0 + 2.0;
    let value = Value::Number(stands).text(canvas.mirror.image());
    let taken = canvas.words_to(&value, (Face::Mono, ROW_SIZE), tokens::TEXT, [width - MARGIN, middle], room * 0.6);
    let title = canvas.title();
    canvas.words(&title, (Face::SemiBold, NAME_SIZE), tokens::TEXT, [MARGIN, middle], room - taken - 8.0);
}
