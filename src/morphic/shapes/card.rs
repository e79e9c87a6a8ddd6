//! The card: name, prototype, own slots a line each. What an object looks like that says nothing else.

use super::super::Mirror;
use super::super::measure::{Face, width_of};
use super::super::tokens::{self, Rgb};
use super::canvas::{Canvas, MARGIN, ROW_SIZE};
use crate::object::{Slot, SlotContent, Value, shortened};

/// Lines that a card of its own height shows at most.
const MAX_ROWS: usize = 6;
/// Smallest width of a card, in world units.
const NARROWEST: f32 = 48.0;

pub(super) fn draw(canvas: &mut Canvas<'_>) {
    let object = canvas.object;
    canvas.size[0] = canvas.size[0].max(NARROWEST);
    let faults = usize::from(canvas.fault.is_some());
    let lines = canvas.rows_in(object.slots.len() + faults, MAX_ROWS);
    if !canvas.body() {
        return;
    }
    let left = lines.saturating_sub(faults);
    let all = object.slots.len();
    let shown = if all > left { left.saturating_sub(1) } else { all };
    if lines > 0 {
        canvas.rule();
    }
    for (place, (name, slot)) in object.slots.iter().take(shown).enumerate() {
        row(canvas, place, name, slot);
    }
    let mut place = shown;
    if faults > 0 && lines > 0 {
        canvas.fault_row(place);
        place += 1;
    }
    let hidden = all - shown;
    if hidden > 0 && left > 0 {
        let text = if shown == 0 { format!("{hidden} slots") } else { format!("{hidden} more") };
        let room = canvas.size[0] - 2.0 * MARGIN;
        canvas.words(&text, (Face::Regular, ROW_SIZE), tokens::FAINT, [MARGIN, Canvas::row_middle(place)], room);
    }
}

fn row(canvas: &mut Canvas<'_>, place: usize, name: &str, slot: &Slot) {
    let (text, color) = match &slot.content {
        SlotContent::Method(method) => {
            let params: Vec<&str> = method.params.iter().map(|param| param.as_str()).collect();
            (if params.is_empty() { "()".to_string() } else { params.join(", ") }, tokens::SOFT)
        }
        SlotContent::Value(value) => (shown(canvas.mirror, value), value_color(value)),
    };
    let font = (Face::Mono, ROW_SIZE);
    let (middle, room) = (Canvas::row_middle(place), canvas.size[0] - 2.0 * MARGIN);
    let value_width = width_of(&text, font.0, font.1).min(room * 0.6);
    let taken = canvas.words(name, font, tokens::SOFT, [MARGIN, middle], room - value_width - 8.0);
    canvas.words_to(&text, font, color, [canvas.size[0] - MARGIN, middle], room - taken - 8.0);
}

/// The start of a value's text: enough for any object, however long the value.
pub(super) fn shown(mirror: &Mirror, value: &Value) -> String {
    match value {
        Value::Text(text) if text.len() > 400 => format!("\"{}", shortened(text, 100)),
        Value::List(items) if items.len() > 20 => format!("{} items", items.len()),
        Value::Map(entries) if entries.len() > 20 => format!("{} entries", entries.len()),
        value => value.text(mirror.image()),
    }
}

/// The colour of a value's kind; quotes, `@` and words are the second sign.
pub fn value_color(value: &Value) -> Rgb {
    match value {
        Value::Text(_) => tokens::GREEN,
        Value::Object(_) => tokens::BLUE,
        Value::Nil => tokens::FAINT,
        _ => tokens::TEXT,
    }
}
