//! The display: one value in large letters, and buttons for some of the object's messages.

use super::super::Bounds;
use super::super::measure::{Face, width_of};
use super::super::picture::Act;
use super::super::tokens;
use super::button;
use super::canvas::{Canvas, HEADING, MARGIN, NAME_SIZE, ROW, ROW_SIZE, grown};
use super::card::shown;
use crate::object::Value;

/// Size of the value.
const VALUE_SIZE: f32 = 34.0;
/// Height of the part that the value stands in.
const VALUE_ROOM: f32 = 56.0;
/// Height of a button.
const BUTTON: f32 = 28.0;
/// Gap between buttons, and under them.
const GAP: f32 = 8.0;
/// Smallest width of a display, in world units.
const NARROWEST: f32 = 64.0;
/// Most buttons.
const MOST: usize = 6;

pub(super) fn draw(canvas: &mut Canvas<'_>) {
    canvas.size[0] = canvas.size[0].max(NARROWEST);
    let buttons: Vec<String> = match canvas.value("buttons") {
        Some(Value::List(items)) => {
            let selectors = items.iter().filter_map(|item| match item {
                Value::Text(selector) => Some(selector[..selector.floor_char_boundary(64)].to_string()),
                _ => None,
            });
            selectors.take(MOST).collect()
        }
        _ => Vec::new(),
    };
    let width = canvas.size[0];
    let rows = rows_of(&buttons, width - 2.0 * MARGIN);
    let foot = if rows.is_empty() { 0.0 } else { rows.len() as f32 * (BUTTON + GAP) + 4.0 };
    let fault = if canvas.fault.is_some() { ROW } else { 0.0 };
    canvas.size[1] = HEADING + VALUE_ROOM + foot + fault;
    if !canvas.body() {
        return;
    }
    canvas.rule();
    let middle = width / 2.0;
    let value = canvas.text("shows").and_then(|slot| canvas.value(slot));
    let text = value.map_or("–".to_string(), |value| match value {
        Value::Text(text) => text[..text.floor_char_boundary(100)].to_string(),
        value => shown(canvas.mirror, value),
    });
    let at = [middle, HEADING + VALUE_ROOM / 2.0 + 2.0];
    canvas.words_about(&text, (Face::SemiBold, VALUE_SIZE), tokens::TEXT, at, width - 2.0 * MARGIN);
    let mut y = HEADING + VALUE_ROOM;
    for row in rows {
        let wide: f32 = row.iter().map(|(_, width)| width + GAP).sum::<f32>() - GAP;
        let mut x = middle - wide / 2.0;
        for (selector, width) in row {
            let bounds = Bounds::new([x, y], [width, BUTTON]);
            canvas.round(grown(bounds, 1.0), button::CORNER + 1.0, tokens::LINE);
            canvas.round(bounds, button::CORNER, tokens::RAISED);
            button::label(canvas, &told(&selector), bounds);
            canvas.spot(bounds, Act::Send { selector, args: Vec::new() });
            x += width + GAP;
        }
        y += BUTTON + GAP;
    }
    if let Some(problem) = canvas.fault {
        let text = format!("{} failed", problem.envelope.selector);
        let at = [middle, canvas.size[1] - ROW / 2.0 - 4.0];
        canvas.words_about(&text, (Face::Mono, ROW_SIZE), tokens::RED, at, width - 2.0 * MARGIN);
    }
}

/// Buttons and their widths, in rows that have room.
fn rows_of(buttons: &[String], room: f32) -> Vec<Vec<(String, f32)>> {
    let mut rows: Vec<Vec<(String, f32)>> = Vec::new();
    let mut taken = f32::INFINITY;
    for selector in buttons {
        let width = (width_of(&told(selector), Face::SemiBold, NAME_SIZE) + 24.0).min(room);
        if taken + width > room {
            rows.push(Vec::new());
            taken = 0.0;
        }
        taken += width + GAP;
        if let Some(row) = rows.last_mut() {
            row.push((selector.clone(), width));
        }
    }
    rows
}

/// A selector as a person says it: `count_up` is “Count up”.
fn told(selector: &str) -> String {
    let words = selector.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
