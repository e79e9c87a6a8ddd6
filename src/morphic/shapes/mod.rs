//! How objects look: the slot `shape` names one of these, each in its own file. `docs/prototypes.md` lists them.
//!
//! Everything is read from the mirror: a slot that holds something else than is expected counts as absent, so that no
//! value of an object can hurt the tools.

mod button;
mod canvas;
mod card;
mod display;
mod list;
mod plain;
mod slider;

pub use card::value_color;

use super::picture::{Act, Look, Picture, Spot};
use super::{Bounds, Mirror};
use crate::language::is_built_in;
use crate::object::{ObjectId, Objects, Value, lookup};
use canvas::Canvas;

/// The picture of an object; `None` where it has none: it is built in, invisible, or gone.
pub fn picture_of(mirror: &Mirror, id: ObjectId, look: Look) -> Option<Picture> {
    let object = mirror.image().object(id)?;
    if is_built_in(id) || value(mirror, id, "visible") == Some(&Value::Boolean(false)) {
        return None;
    }
    let mut canvas = Canvas::new(mirror, object, look);
    // What is clickable as a whole lies below what a shape makes clickable.
    let is_clicked = lookup(mirror.image(), id, "clicked").is_some_and(|found| found.slot.as_method().is_some());
    match value(mirror, id, "shape") {
        Some(Value::Text(shape)) => match shape.as_str() {
            "box" => plain::surface(&mut canvas, plain::Surface::Box),
            "oval" => plain::surface(&mut canvas, plain::Surface::Oval),
            "text" => plain::text(&mut canvas),
            "button" => button::draw(&mut canvas),
            "slider" => slider::draw(&mut canvas),
            "list" => list::draw(&mut canvas),
            "display" => display::draw(&mut canvas),
            _ => card::draw(&mut canvas),
        },
        _ => card::draw(&mut canvas),
    }
    let mut picture = canvas.into_picture();
    if is_clicked {
        let whole = Bounds::new([0.0, 0.0], picture.size);
        picture.spots.insert(0, Spot { bounds: whole, act: Act::Click });
    }
    Some(picture)
}

/// Size of an object's picture; also of objects that show none.
pub fn size_of(mirror: &Mirror, id: ObjectId) -> [f32; 2] {
    picture_of(mirror, id, Look::default()).map_or([184.0, 96.0], |picture| picture.size)
}

fn value<'a>(mirror: &'a Mirror, id: ObjectId, slot: &str) -> Option<&'a Value> {
    lookup(mirror.image(), id, slot)?.slot.as_value()
}

#[cfg(test)]
mod tests;
