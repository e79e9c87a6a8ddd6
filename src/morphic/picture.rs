//! What is drawn of one object: plain data, compared with what is drawn already. Who draws it is the stage.

use super::Bounds;
use super::measure::Face;
use super::tokens::Rgb;
use crate::object::Value;

/// How an object stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// As any other.
    #[default]
    None,
    /// Under the pointer.
    Hovered,
    /// Under the pointer with the button down.
    Pressed,
    /// Chosen.
    Selected,
}

/// How much of an object is drawn: what could not be read is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    #[default]
    Whole,
    /// Its title, as large as there is room.
    Title,
    /// A tile in its colour.
    Tile,
}

impl Detail {
    /// What can be seen at this zoom.
    pub fn at(zoom: f32) -> Self {
        match zoom {
            zoom if zoom < 0.15 => Self::Tile,
            zoom if zoom < 0.4 => Self::Title,
            _ => Self::Whole,
        }
    }
}

/// How an object is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// Whether it stands out.
    pub emphasis: Emphasis,
    /// How much of it can be seen.
    pub detail: Detail,
    /// Where its knob is held, as a value; nothing is said yet.
    pub slid: Option<f64>,
}

/// One thing that is drawn, in units of the world from the object's left upper corner, y downwards.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A rectangle with round corners.
    Round {
        /// Where.
        bounds: Bounds,
        /// Radius of its corners.
        corner: f32,
        /// Its colour.
        color: Rgb,
    },
    /// An ellipse.
    Oval {
        /// Around it.
        bounds: Bounds,
        /// Its colour.
        color: Rgb,
    },
    /// A line of text. Words are drawn over everything else of the object.
    Words {
        /// Middle of its left edge.
        at: [f32; 2],
        /// Already cut to its room.
        text: String,
        /// Its font.
        face: Face,
        /// Size of the font.
        size: f32,
        /// Its colour.
        color: Rgb,
    },
}

/// What pressing a spot means.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A click sends this message to the object.
    Send {
        /// The selector.
        selector: String,
        /// Its arguments, by place.
        args: Vec<Value>,
    },
    /// A click sends `clicked`, with the point where the method has parameters for it.
    Click,
    /// A knob follows the pointer; where it is let go, the object is sent `slide_to`.
    Slide(Track),
}

/// Where a knob runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// Its left end, from the object's left edge.
    pub left: f32,
    /// Its right end.
    pub right: f32,
    /// The value at the left end.
    pub low: f64,
    /// The value at the right end.
    pub high: f64,
    /// Distance of two values; 0: any.
    pub step: f64,
}

impl Track {
    /// The value of the knob at a point, from the object's left edge.
    pub fn value_at(&self, x: f32) -> f64 {
        let part = f64::from(((x - self.left) / (self.right - self.left)).clamp(0.0, 1.0));
        let value = self.low + part * (self.high - self.low);
        if self.step > 0.0 {
            let steps = ((value - self.low) / self.step).round();
            // As `slide_to` rounds: a step of 0.1 is no binary number.
            (((self.low + steps * self.step) * 1e9).round() / 1e9).clamp(self.low, self.high)
        } else {
            value
        }
    }

    /// Where the knob of a value stands, from the object's left edge.
    pub fn place_of(&self, value: f64) -> f32 {
        let part = if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.0 };
        self.left + part.clamp(0.0, 1.0) as f32 * (self.right - self.left)
    }
}

/// A part of an object that answers the mouse.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// Where.
    pub bounds: Bounds,
    /// What it does.
    pub act: Act,
}

/// An object as it should look.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Width and height in world units.
    pub size: [f32; 2],
    /// Degrees, clockwise, about its middle.
    pub rotation: f32,
    /// It is drawn over those of lower layers; whole numbers from -100 to 100.
    pub layer: f32,
    /// What is drawn, from the bottom up.
    pub marks: Vec<Mark>,
    /// What can be pressed; a later one lies over an earlier one.
    pub spots: Vec<Spot>,
}

impl Picture {
    /// What a press does at a point, from the left upper corner of the object before it is rotated.
    pub fn act_at(&self, point: [f32; 2]) -> Option<&Act> {
        self.spots.iter().rev().find(|spot| spot.bounds.contains(point)).map(|spot| &spot.act)
    }

    /// A point of the world in the object's own frame, where its left upper corner is at `place`.
    pub fn to_own(&self, place: [f32; 2], point: [f32; 2]) -> [f32; 2] {
        if self.rotation == 0.0 {
            return [point[0] - place[0], point[1] - place[1]];
        }
        let half = self.size.map(|side| side / 2.0);
        let [x, y] = [point[0] - place[0] - half[0], point[1] - place[1] - half[1]];
        // What is drawn is turned clockwise, so the point is turned back.
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        [x * cos + y * sin + half[0], y * cos - x * sin + half[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_turned_object_is_pressed_where_it_is_drawn() {
        let whole = Bounds::new([0.0, 0.0], [100.0, 20.0]);
        let picture = |rotation| Picture {
            size: [100.0, 20.0],
            rotation,
            layer: 0.0,
            marks: Vec::new(),
            spots: vec![Spot { bounds: whole, act: Act::Click }],
        };
        let is_hit = |rotation, point| {
            let picture = picture(rotation);
            picture.act_at(picture.to_own([0.0, 0.0], point)).is_some()
        };
        assert!(is_hit(0.0, [95.0, 5.0]));
        assert!(!is_hit(90.0, [95.0, 5.0]), "it stands upright now");
        assert!(is_hit(90.0, [50.0, 55.0]));
        // A quarter clockwise brings the left edge to the top.
        let own = picture(90.0).to_own([0.0, 0.0], [50.0, -38.0]);
        assert!((own[0] - 2.0).abs() < 1e-3 && (own[1] - 10.0).abs() < 1e-3, "{own:?}");
    }

    proptest! {
        #[test]
        fn a_knob_stands_at_its_value(low in -1e6..1e6, span in 0.1..1e6, part in 0.0..1.0) {
            let track = Track { left: 12.0, right: 188.0, low, high: low + span, step: 0.0 };
            let value = low + part * span;
            prop_assert!((track.value_at(track.place_of(value)) - value).abs() <= span * 1e-5);
        }

        #[test]
        fn a_knob_never_leaves_its_track(x in proptest::num::f32::NORMAL, step in 0.0..50.0) {
            let track = Track { left: 12.0, right: 188.0, low: -3.0, high: 41.0, step };
            prop_assert!((-3.0..=41.0).contains(&track.value_at(x)));
        }
    }
}
