//! The list: a heading, and a line for each item. A click on a line chooses it.

use super::super::Bounds;
use super::super::measure::Face;
use super::super::picture::Act;
use super::super::tokens;
use super::canvas::{Canvas, FOOT, MARGIN, ROW, ROW_SIZE};
use super::card::shown;
use crate::object::{MapKey, Value};

/// Lines that a list of its own height shows at most.
const MAX_ROWS: usize = 12;
/// Smallest width of a list, in world units.
const NARROWEST: f32 = 64.0;
/// Side of the mark that tells whether an item is done.
const TICK: f32 = 12.0;

pub(super) fn draw(canvas: &mut Canvas<'_>) {
    canvas.size[0] = canvas.size[0].max(NARROWEST);
    let items = match canvas.value("items") {
        Some(Value::List(items)) => Some(items),
        _ => None,
    };
    let all = items.map_or(0, |items| items.len());
    let faults = usize::from(canvas.fault.is_some());
    let lines = canvas.rows_in(all.max(1) + faults, MAX_ROWS);
    if !canvas.body() {
        return;
    }
    if lines > 0 {
        canvas.rule();
    }
    let left = lines.saturating_sub(faults);
    let count = if all > left { left.saturating_sub(1) } else { all };
    let chosen = canvas.number("chosen").unwrap_or(0.0);
    for (place, item) in items.into_iter().flat_map(|items| items.iter()).take(count).enumerate() {
        row(canvas, place, item, chosen == (place + 1) as f64);
    }
    let mut place = count;
    if faults > 0 && lines > 0 {
        canvas.fault_row(place);
        place += 1;
    }
    let rest = match all - count {
        0 if all == 0 => "no items".to_string(),
        0 => return,
        more => format!("{more} more"),
    };
    if left > 0 {
        let room = canvas.size[0] - 2.0 * MARGIN;
        canvas.words(&rest, (Face::Regular, ROW_SIZE), tokens::FAINT, [MARGIN, Canvas::row_middle(place)], room);
    }
}

fn row(canvas: &mut Canvas<'_>, place: usize, item: &Value, is_chosen: bool) {
    let middle = Canvas::row_middle(place);
    let width = canvas.size[0];
    let bounds = Bounds::new([4.0, middle - ROW / 2.0], [width - 8.0, ROW]);
    if is_chosen {
        canvas.round(bounds, FOOT - 2.0, tokens::SELECTION);
    }
    let part = |key: &str| match item {
        Value::Map(entries) => entries.get(&MapKey::Text(key.into())),
        _ => None,
    };
    let text = match (item, part("text")) {
        (Value::Text(text), _) | (_, Some(Value::Text(text))) => text[..text.floor_char_boundary(400)].to_string(),
        (item, _) => shown(canvas.mirror, item),
    };
    let mut left = MARGIN;
    let mut color = tokens::TEXT;
    if let Some(Value::Boolean(done)) = part("done") {
        let tick = Bounds::new([left, middle - TICK / 2.0], [TICK; 2]);
        canvas.round(tick, 3.0, if *done { tokens::GREEN } else { tokens::FAINT });
        let inner = if *done { 4.0 } else { 1.0 };
        let hole = Bounds { min: tick.min.map(|side| side + inner), max: tick.max.map(|side| side - inner) };
        let ground = if is_chosen { tokens::SELECTION } else { tokens::RAISED };
        canvas.round(hole, if *done { 1.0 } else { 2.0 }, if *done { tokens::GROUND } else { ground });
        left += TICK + 8.0;
        color = if *done { tokens::FAINT } else { tokens::TEXT };
    }
    canvas.words(&text, (Face::Regular, ROW_SIZE), color, [left, middle], width - left - MARGIN);
    let place = Value::Number((place + 1) as f64);
    canvas.spot(bounds, Act::Send { selector: "choose".into(), args: vec![place] });
}
