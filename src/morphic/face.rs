//! What stands on a card: plain data, computed from the mirror and compared with what is drawn.

use super::Mirror;
use super::measure::{Face, clipped, width_of};
use super::seating::number;
use super::tokens::{self, Rgb};
use crate::language::is_built_in;
use crate::object::{ObjectId, ObjectRef, Objects, Slot, SlotContent, Value, lookup, shortened};

/// Height of the title, in world units.
pub(super) const TITLE_HEIGHT: f32 = 32.0;
/// Height of a line, in world units.
pub(super) const ROW_HEIGHT: f32 = 22.0;
/// Lines that a card of its own height shows at most.
const MAX_ROWS: usize = 6;
/// Space at the left and right of texts.
pub(super) const MARGIN: f32 = 12.0;
/// Space under the last line.
const FOOT: f32 = 6.0;
/// Size of the name.
pub(super) const NAME_SIZE: f32 = 13.0;
/// Size of the prototype's name and of lines.
pub(super) const ROW_SIZE: f32 = 12.0;
/// Sizes that a card may have, in world units.
const SIZES: std::ops::RangeInclusive<f64> = 48.0..=4_000.0;

/// A text in its colour, already cut to its room.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// The text.
    pub text: String,
    /// Its colour.
    pub color: Rgb,
}

/// One line: a slot's name and its value, or a hint.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// At the left.
    pub left: Words,
    /// At the right; may be empty.
    pub right: Words,
}

/// A card as it should look.
#[derive(Clone, Debug, PartialEq)]
pub struct CardFace {
    /// Width and height in world units.
    pub size: [f32; 2],
    /// Degrees, clockwise.
    pub rotation: f32,
    /// The mark beside the name.
    pub color: Rgb,
    /// Name, or label where there is one.
    pub title: Words,
    /// First parent, at the right of the title.
    pub prototype: Words,
    /// Lines under the title.
    pub rows: Vec<Row>,
    /// Whether a failed message to this object waits.
    pub faulty: bool,
}

/// The card of an object; `None` where it has none: it is built in, invisible, or gone.
pub fn card_face(mirror: &Mirror, id: ObjectId) -> Option<CardFace> {
    let object = mirror.image().object(id)?;
    if is_built_in(id) || value(mirror, id, "visible") == Some(&Value::Boolean(false)) {
        return None;
    }
    let fault = mirror.problems().iter().rev().find(|problem| match &problem.envelope.target {
        crate::object::Target::Id(target) => *target == id,
        crate::object::Target::Name(name) => object.name.is_some_and(|own| **own == **name),
    });
    let width = number(mirror, id, "w").unwrap_or(184.0).clamp(*SIZES.start(), *SIZES.end()) as f32;
    let room = width - 2.0 * MARGIN;
    let fault_row = fault.map(|problem| Row {
        left: words(format!("{} failed", problem.envelope.selector), tokens::RED, Face::Mono, ROW_SIZE, room),
        right: Words { text: String::new(), color: tokens::RED },
    });
    let wanted = object.slots.len() + usize::from(fault_row.is_some());
    let (height, lines) = height_and_lines(mirror, id, wanted);
    let mut rows: Vec<Row> = fault_row.into_iter().collect();
    let left = lines.saturating_sub(rows.len());
    let shown = if object.slots.len() > left { left.saturating_sub(1) } else { object.slots.len() };
    let slots: Vec<Row> = object.slots.iter().take(shown).map(|(name, slot)| row(mirror, name, slot, room)).collect();
    rows.splice(0..0, slots);
    let hidden = object.slots.len() - shown;
    if hidden > 0 && left > 0 {
        let text = if shown == 0 { format!("{hidden} slots") } else { format!("{hidden} more") };
        let none = Words { text: String::new(), color: tokens::FAINT };
        rows.push(Row { left: words(text, tokens::FAINT, Face::Regular, ROW_SIZE, room), right: none });
    }
    let (title, prototype) = heading(mirror, object, room);
    Some(CardFace {
        size: [width, height],
        rotation: number(mirror, id, "rotation").unwrap_or(0.0).rem_euclid(360.0) as f32,
        color: match value(mirror, id, "color") {
            Some(Value::Text(text)) => Rgb::parse(text).unwrap_or(tokens::BLUE),
            _ => tokens::BLUE,
        },
        title,
        prototype,
        rows,
        faulty: fault.is_some(),
    })
}

/// Size of a card without its content; also of objects that show none.
pub fn card_size(mirror: &Mirror, id: ObjectId) -> [f32; 2] {
    card_face(mirror, id).map_or([184.0, 96.0], |face| face.size)
}

/// A card whose `h` nobody set is as tall as its lines; any other has the height of its slot.
fn height_and_lines(mirror: &Mirror, id: ObjectId, wanted: usize) -> (f32, usize) {
    let found = lookup(mirror.image(), id, "h");
    match found {
        Some(found) if found.holder != ObjectId::proto() => {
            let height = number(mirror, id, "h").unwrap_or(96.0).clamp(32.0, *SIZES.end()) as f32;
            let lines = ((height - TITLE_HEIGHT - FOOT) / ROW_HEIGHT).floor().max(0.0) as usize;
            (height, lines)
        }
        _ => {
            let lines = wanted.min(MAX_ROWS);
            let foot = if lines == 0 { 0.0 } else { FOOT };
            (TITLE_HEIGHT + lines as f32 * ROW_HEIGHT + foot, lines)
        }
    }
}

fn heading(mirror: &Mirror, object: ObjectRef<'_>, room: f32) -> (Words, Words) {
    let label = match value(mirror, object.id, "label") {
        Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    };
    let title = label.unwrap_or_else(|| object.title());
    // The kind's dot takes 16 units.
    let room = room - 16.0;
    let parent = object.parents.first().map(|parent| mirror.image().title(*parent)).unwrap_or_default();
    let wide = width_of(&parent, Face::Regular, ROW_SIZE).min(room * 0.45);
    let title = words(title, tokens::TEXT, Face::SemiBold, NAME_SIZE, room - wide - 8.0);
    let left = room - 8.0 - width_of(&title.text, Face::SemiBold, NAME_SIZE);
    (title, words(parent, tokens::FAINT, Face::Regular, ROW_SIZE, left))
}

fn row(mirror: &Mirror, name: &str, slot: &Slot, room: f32) -> Row {
    let (text, color) = match &slot.content {
        SlotContent::Method(method) => {
            let params: Vec<&str> = method.params.iter().map(|param| param.as_str()).collect();
            (if params.is_empty() { "()".to_string() } else { params.join(", ") }, tokens::SOFT)
        }
        SlotContent::Value(value) => (shown(mirror, value), value_color(value)),
    };
    let value_width = width_of(&text, Face::Mono, ROW_SIZE).min(room * 0.6);
    let left = words(name.to_string(), tokens::SOFT, Face::Mono, ROW_SIZE, room - value_width - 8.0);
    let taken = width_of(&left.text, Face::Mono, ROW_SIZE);
    Row { right: words(text, color, Face::Mono, ROW_SIZE, room - taken - 8.0), left }
}

/// The start of a value's text: enough for any card, however long the value.
fn shown(mirror: &Mirror, value: &Value) -> String {
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

fn words(text: String, color: Rgb, face: Face, size: f32, room: f32) -> Words {
    Words { text: clipped(&text, face, size, room), color }
}

fn value<'a>(mirror: &'a Mirror, id: ObjectId, slot: &str) -> Option<&'a Value> {
    lookup(mirror.image(), id, slot)?.slot.as_value()
}

#[cfg(test)]
mod tests {
    use super::super::mirror::tests::{object, settled, told};
    use super::*;
    use crate::object::{Fault, FaultKind, Outcome};

    fn texts(face: &CardFace) -> Vec<(String, String)> {
        face.rows.iter().map(|row| (row.left.text.clone(), row.right.text.clone())).collect()
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_string(), b.to_string())
    }

    #[test]
    fn a_card_tells_name_prototype_and_own_slots() {
        let point = object(
            "point",
            &[ObjectId::proto()],
            &[("x", Value::Number(0.0)), ("note", Value::Text("a".into())), ("color", Value::Text("#8fbf7f".into()))],
        );
        let mirror = told(vec![point.clone()]);
        let face = card_face(&mirror, point.id).unwrap();
        assert_eq!((face.title.text.as_str(), face.prototype.text.as_str()), ("point", "proto"));
        assert_eq!(texts(&face), [pair("x", "0"), pair("note", "\"a\""), pair("color", "\"#8fbf7f\"")]);
        assert_eq!(face.color, tokens::GREEN);
        assert_eq!(face.size, [184.0, 32.0 + 3.0 * 22.0 + 6.0]);
        assert_eq!(card_face(&mirror, ObjectId::proto()), None, "the first image shows no cards");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let slots: Vec<(String, Value)> = (0..9).map(|n| (format!("s{n}"), Value::Number(n.into()))).collect();
        let slots: Vec<(&str, Value)> = slots.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let many = object("many", &[ObjectId::proto()], &slots);
        let mirror = told(vec![many.clone()]);
        let face = card_face(&mirror, many.id).unwrap();
        assert_eq!(face.rows.len(), 6);
        assert_eq!(texts(&face)[5], pair("4 more", ""));

        let low = object("low", &[many.id], &[("h", Value::Number(40.0)), ("w", Value::Number(f64::NAN))]);
        let face = card_face(&told(vec![many, low.clone()]), low.id).unwrap();
        assert_eq!((face.rows.len(), face.size), (0, [184.0, 40.0]));
    }

    #[test]
    fn long_texts_stay_inside() {
        let long = object(
            &"long".repeat(16),
            &[ObjectId::proto()],
            &[(&"slot".repeat(16), Value::Text("wide ".repeat(1000))), ("label", Value::Text("label ".repeat(50)))],
        );
        let face = card_face(&told(vec![long.clone()]), long.id).unwrap();
        let title = width_of(&face.title.text, Face::SemiBold, NAME_SIZE);
        let prototype = width_of(&face.prototype.text, Face::Regular, ROW_SIZE);
        assert!(title + prototype + 16.0 + 2.0 * MARGIN <= face.size[0], "{face:?}");
        for row in &face.rows {
            let both = width_of(&row.left.text, Face::Mono, ROW_SIZE) + width_of(&row.right.text, Face::Mono, ROW_SIZE);
            assert!(both + 2.0 * MARGIN <= face.size[0], "{row:?}");
        }
    }

    #[test]
    fn invisible_objects_have_no_card_and_a_fault_is_a_line() {
        let hidden = object("hidden", &[ObjectId::proto()], &[("visible", Value::Boolean(false))]);
        let point = object("point", &[ObjectId::proto()], &[("x", Value::Number(0.0))]);
        let mut mirror = told(vec![hidden.clone(), point.clone()]);
        assert_eq!(card_face(&mirror, hidden.id), None);
        mirror.learn(settled(1, Outcome::Failed(Fault::new(FaultKind::Error, "no"))));
        let face = card_face(&mirror, point.id).unwrap();
        assert!(face.faulty);
        assert_eq!(texts(&face), [pair("x", "0"), pair("set failed", "")]);
    }
}
