//! What every shape draws with: the object's slots, its border and heading, and words that stay in their room.

use super::super::measure::{Face, clipped, width_of};
use super::super::picture::{Act, Detail, Emphasis, Look, Mark, Picture, Spot};
use super::super::seating::number;
use super::super::tokens::{self, Rgb};
use super::super::{Bounds, Mirror};
use super::value;
use crate::language::is_built_in;
use crate::object::{ObjectRef, Objects, Problem, Target, Value, lookup};

/// Height of a heading, in world units.
pub(super) const HEADING: f32 = 32.0;
/// Height of a line, in world units.
pub(super) const ROW: f32 = 22.0;
/// Space at the left and right of texts.
pub(super) const MARGIN: f32 = 12.0;
/// Space under the last line.
pub(super) const FOOT: f32 = 6.0;
/// Size of a name.
pub(super) const NAME_SIZE: f32 = 13.0;
/// Size of the prototype's name and of lines.
pub(super) const ROW_SIZE: f32 = 12.0;
/// Sizes that an object is drawn with, in world units.
const SIZES: std::ops::RangeInclusive<f64> = 8.0..=4_000.0;
/// The layers.
const LAYERS: std::ops::RangeInclusive<f64> = -100.0..=100.0;
/// Side and corner of the mark that tells the kind, in units.
const KIND: [f32; 2] = [10.0, 3.0];
/// Largest title of an object that shows nothing else, in units.
const LARGE_TITLE: f32 = 34.0;

/// An object that is being drawn.
pub(super) struct Canvas<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) object: ObjectRef<'a>,
    pub(super) look: Look,
    /// What waits because it failed, if anything does.
    pub(super) fault: Option<&'a Problem>,
    /// Set by the shape, where it is not that of the slots.
    pub(super) size: [f32; 2],
    marks: Vec<Mark>,
    spots: Vec<Spot>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(mirror: &'a Mirror, object: ObjectRef<'a>, look: Look) -> Self {
        let id = object.id;
        let fault = mirror.problems().iter().rev().find(|problem| match &problem.envelope.target {
            Target::Id(target) => *target == id,
            Target::Name(name) => object.name.is_some_and(|own| **own == **name),
        });
        let size = [("w", 184.0), ("h", 96.0)].map(|(side, usual)| number(mirror, id, side).unwrap_or(usual));
        let size = size.map(|side| side.clamp(*SIZES.start(), *SIZES.end()) as f32);
        Self { mirror, object, look, fault, size, marks: Vec::new(), spots: Vec::new() }
    }

    pub(super) fn into_picture(self) -> Picture {
        let layer = self.number("z").unwrap_or(0.0).round().clamp(*LAYERS.start(), *LAYERS.end()) as f32;
        let rotation = self.number("rotation").unwrap_or(0.0).rem_euclid(360.0) as f32;
        Picture { size: self.size, rotation, layer, marks: self.marks, spots: self.spots }
    }

    /// The value that a slot answers.
    pub(super) fn value(&self, slot: &str) -> Option<&'a Value> {
        value(self.mirror, self.object.id, slot)
    }

    /// The finite number that a slot answers.
    pub(super) fn number(&self, slot: &str) -> Option<f64> {
        number(self.mirror, self.object.id, slot)
    }

    /// The text that a slot answers; absent where it is blank.
    pub(super) fn text(&self, slot: &str) -> Option<&'a str> {
        match self.value(slot) {
            Some(Value::Text(text)) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether somebody gave the slot to this object or to one of its own kind: it is not the first image's.
    pub(super) fn is_given(&self, slot: &str) -> bool {
        lookup(self.mirror.image(), self.object.id, slot).is_some_and(|found| !is_built_in(found.holder))
    }

    /// The object's colour.
    pub(super) fn color(&self) -> Rgb {
        self.text("color").and_then(Rgb::parse).unwrap_or(tokens::BLUE)
    }

    /// Label, or else name.
    pub(super) fn title(&self) -> String {
        self.text("label").map_or_else(|| self.object.title(), str::to_string)
    }

    /// Whether a message to it failed, or its own step.
    pub(super) fn is_faulty(&self) -> bool {
        let own = self.object.slots.get("step_fault").and_then(|slot| slot.as_value());
        self.fault.is_some() || own.is_some_and(|value| *value != Value::Nil)
    }

    /// Around everything.
    pub(super) fn whole(&self) -> Bounds {
        Bounds::new([0.0, 0.0], self.size)
    }

    /// What makes a chosen, hovered or faulty object stand out: width and colour of its outline.
    pub(super) fn outline(&self) -> Option<(f32, Rgb)> {
        match self.look.emphasis {
            Emphasis::Selected => Some((2.0, tokens::AMBER)),
            _ if self.is_faulty() => Some((1.0, tokens::RED)),
            Emphasis::Hovered | Emphasis::Pressed => Some((1.0, tokens::SOFT)),
            Emphasis::None => None,
        }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    pub(super) fn round(&mut self, bounds: Bounds, corner: f32, color: Rgb) {
        self.mark(Mark::Round { bounds, corner, color });
    }

    /// A rectangle with an outline around it.
    pub(super) fn framed(&mut self, corner: f32, outline: Option<(f32, Rgb)>, body: Rgb) {
        let whole = self.whole();
        if let Some((width, color)) = outline {
            self.round(grown(whole, width), corner + width, color);
        }
        self.round(whole, corner, body);
    }

    pub(super) fn spot(&mut self, bounds: Bounds, act: Act) {
        self.spots.push(Spot { bounds, act });
    }

    /// A text from a left edge, cut to its room. Answers how wide it is.
    pub(super) fn words(&mut self, text: &str, font: (Face, f32), color: Rgb, at: [f32; 2], room: f32) -> f32 {
        let (face, size) = font;
        let text = clipped(text, face, size, room);
        let width = width_of(&text, face, size);
        if !text.is_empty() {
            self.mark(Mark::Words { at, text, face, size, color });
        }
        width
    }

    /// A text that ends at a right edge. Answers how wide it is.
    pub(super) fn words_to(&mut self, text: &str, font: (Face, f32), color: Rgb, at: [f32; 2], room: f32) -> f32 {
        let width = width_of(&clipped(text, font.0, font.1, room), font.0, font.1);
        self.words(text, font, color, [at[0] - width, at[1]], room)
    }

    /// A text about a middle.
    pub(super) fn words_about(&mut self, text: &str, font: (Face, f32), color: Rgb, at: [f32; 2], room: f32) {
        let width = width_of(&clipped(text, font.0, font.1, room), font.0, font.1);
        self.words(text, font, color, [at[0] - width / 2.0, at[1]], room);
    }

    /// The body of a card, and its title. Answers whether there is more to draw: seen from afar there is not.
    pub(super) fn body(&mut self) -> bool {
        let outline = self.outline().unwrap_or((1.0, tokens::LINE));
        let detail = self.look.detail;
        let body = if detail == Detail::Tile { self.color() } else { tokens::RAISED };
        self.framed(tokens::CARD_CORNER, Some(outline), body);
        let title = self.title();
        match detail {
            Detail::Tile => {}
            Detail::Title => {
                let room = self.size[0] - 2.0 * MARGIN;
                let title = clipped(&title, Face::SemiBold, NAME_SIZE, room);
                let wide = width_of(&title, Face::SemiBold, NAME_SIZE).max(1.0);
                let size = (NAME_SIZE * room / wide).clamp(NAME_SIZE, LARGE_TITLE).floor();
                let font = (Face::SemiBold, size);
                self.words(&title, font, tokens::TEXT, [MARGIN, self.size[1] / 2.0], f32::INFINITY);
            }
            Detail::Whole => self.heading(&title),
        }
        detail == Detail::Whole
    }

    /// The mark of the kind, the title, the prototype at the right.
    fn heading(&mut self, title: &str) {
        let [side, corner] = KIND;
        let middle = HEADING / 2.0;
        self.round(Bounds::new([MARGIN, middle - side / 2.0], [side; 2]), corner, self.color());
        // The mark takes 16 units.
        let room = self.size[0] - 2.0 * MARGIN - 16.0;
        let parent = self.object.parents.first().map(|parent| self.mirror.image().title(*parent)).unwrap_or_default();
        let wide = width_of(&parent, Face::Regular, ROW_SIZE).min(room * 0.45);
        let font = (Face::SemiBold, NAME_SIZE);
        let taken = self.words(title, font, tokens::TEXT, [MARGIN + 17.0, middle], room - wide - 8.0);
        let right = [self.size[0] - MARGIN, middle];
        self.words_to(&parent, (Face::Regular, ROW_SIZE), tokens::FAINT, right, room - 8.0 - taken);
    }

    /// The line under the heading.
    pub(super) fn rule(&mut self) {
        self.round(Bounds::new([0.0, HEADING - 0.5], [self.size[0], 1.0]), 0.0, tokens::LINE);
    }

    /// Middle of a line under the heading.
    pub(super) fn row_middle(place: usize) -> f32 {
        HEADING + 3.0 + (place as f32 + 0.5) * ROW
    }

    /// Says at a line which message failed.
    pub(super) fn fault_row(&mut self, place: usize) {
        if let Some(problem) = self.fault {
            let text = format!("{} failed", problem.envelope.selector);
            let room = self.size[0] - 2.0 * MARGIN;
            self.words(&text, (Face::Mono, ROW_SIZE), tokens::RED, [MARGIN, Self::row_middle(place)], room);
        }
    }

    /// Height of an object with so many lines, and how many of them are drawn: one whose `h` nobody gave is as tall as
    /// its lines, at most `most`; any other has the height of its slot.
    pub(super) fn rows_in(&mut self, wanted: usize, most: usize) -> usize {
        if self.is_given("h") {
            self.size[1] = self.size[1].max(HEADING);
            return ((self.size[1] - HEADING - FOOT) / ROW).floor().max(0.0) as usize;
        }
        let rows = wanted.min(most);
        self.size[1] = HEADING + rows as f32 * ROW + if rows == 0 { 0.0 } else { FOOT };
        rows
    }
}

/// A rectangle with so much more on each side.
pub(super) fn grown(bounds: Bounds, by: f32) -> Bounds {
    Bounds { min: bounds.min.map(|side| side - by), max: bounds.max.map(|side| side + by) }
}
