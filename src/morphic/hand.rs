//! The hand: what the mouse and a few keys mean in the world. Plain state, driven by events in their order.
//!
//! It answers deeds; whoever drives it turns them into messages and into the picture. Events over a panel
//! are not given to it, except the end of a gesture that began in the world.

use crate::object::ObjectId;

/// A press that moves less than this many pixels is a click.
const SLACK: f32 = 4.0;
/// Two clicks within this time, in seconds, are a double click.
const DOUBLE_CLICK_SECONDS: f64 = 0.45;

/// The buttons that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// Select, drag.
    Left,
    /// Pan.
    Middle,
}

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// Chose an object, or nothing.
    Select(Option<ObjectId>),
    /// Double click on the ground, at this world point.
    CreateAt([f32; 2]),
    /// The world moves by so many pixels.
    Pan([f32; 2]),
    /// The object follows the cursor by so many world units from where it was taken; nothing is said yet.
    Carry(ObjectId, [f32; 2]),
    /// The object was let go, so many world units from where it was taken.
    Drop(ObjectId, [f32; 2]),
    /// What was carried goes back to its place, a knob to its value.
    PutBack,
    /// The object was clicked at this world point.
    Click(ObjectId, [f32; 2]),
    /// A knob of the object follows the pointer to this world point; nothing is said yet.
    Slide(ObjectId, [f32; 2]),
    /// The knob was let go there.
    LetGo(ObjectId, [f32; 2]),
}

/// What a press meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Under {
    /// The object.
    pub object: ObjectId,
    /// Whether it is pressed where a knob runs.
    pub slides: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Grip {
    #[default]
    Free,
    /// Pressed on an object or the ground, not moved yet.
    Pressed {
        on: Option<ObjectId>,
        at: [f32; 2],
        world: [f32; 2],
    },
    Carrying {
        object: ObjectId,
        world: [f32; 2],
    },
    Sliding {
        object: ObjectId,
    },
    Panning {
        last: [f32; 2],
        with: Button,
    },
}

/// The state of the mouse in the world.
#[derive(Clone, Debug, Default)]
pub struct Hand {
    grip: Grip,
    last_click: Option<(f64, [f32; 2])>,
}

impl Hand {
    /// Whether a gesture is going on: then the world has the pointer, also over a panel.
    pub fn is_busy(&self) -> bool {
        self.grip != Grip::Free
    }

    /// What is being carried.
    pub fn carried(&self) -> Option<ObjectId> {
        match self.grip {
            Grip::Carrying { object, .. } => Some(object),
            _ => None,
        }
    }

    /// The object that is pressed, and neither let go nor carried yet.
    pub fn pressed(&self) -> Option<ObjectId> {
        match self.grip {
            Grip::Pressed { on, .. } => on,
            Grip::Sliding { object } => Some(object),
            _ => None,
        }
    }

    /// A button goes down at this window point, over this object. With `space`, the left one pans.
    pub fn press(
        &mut self,
        button: Button,
        space: bool,
        at: [f32; 2],
        world: [f32; 2],
        on: Option<Under>,
    ) -> Option<Deed> {
        if self.is_busy() {
            return None;
        }
        if button == Button::Middle || space {
            self.grip = Grip::Panning { last: at, with: button };
            return None;
        }
        if let Some(Under { object, slides: true }) = on {
            self.grip = Grip::Sliding { object };
            return Some(Deed::Slide(object, world));
        }
        let on = on.map(|under| under.object);
        self.grip = Grip::Pressed { on, at, world };
        // An object is chosen when it is taken, the ground when it is let go.
        on.map(|id| Deed::Select(Some(id)))
    }

    /// The pointer moves.
    pub fn drag(&mut self, at: [f32; 2], world: [f32; 2]) -> Option<Deed> {
        match self.grip {
            Grip::Free => None,
            Grip::Pressed { on, at: from, world: taken } => {
                if (at[0] - from[0]).hypot(at[1] - from[1]) < SLACK {
                    return None;
                }
                match on {
                    Some(object) => {
                        self.grip = Grip::Carrying { object, world: taken };
                        Some(Deed::Carry(object, between(taken, world)))
                    }
                    None => None,
                }
            }
            Grip::Carrying { object, world: taken } => Some(Deed::Carry(object, between(taken, world))),
            Grip::Sliding { object } => Some(Deed::Slide(object, world)),
            Grip::Panning { last, with } => {
                self.grip = Grip::Panning { last: at, with };
                Some(Deed::Pan(between(last, at)))
            }
        }
    }

    /// A button comes up. `seconds` is any clock that only goes forward.
    pub fn release(&mut self, button: Button, at: [f32; 2], world: [f32; 2], seconds: f64) -> Option<Deed> {
        match self.grip {
            Grip::Panning { with, .. } if with == button => {
                self.grip = Grip::Free;
                None
            }
            Grip::Carrying { object, world: taken } if button == Button::Left => {
                self.grip = Grip::Free;
                Some(Deed::Drop(object, between(taken, world)))
            }
            Grip::Sliding { object } if button == Button::Left => {
                self.grip = Grip::Free;
                Some(Deed::LetGo(object, world))
            }
            Grip::Pressed { on, at: from, .. } if button == Button::Left => {
                self.grip = Grip::Free;
                let still = (at[0] - from[0]).hypot(at[1] - from[1]) < SLACK;
                if on.is_some() || !still {
                    self.last_click = None;
                    return on.filter(|_| still).map(|object| Deed::Click(object, world));
                }
                let twice = self.last_click.take().is_some_and(|(then, there)| {
                    seconds - then <= DOUBLE_CLICK_SECONDS && (at[0] - there[0]).hypot(at[1] - there[1]) < SLACK
                });
                if twice {
                    return Some(Deed::CreateAt(world));
                }
                self.last_click = Some((seconds, at));
                Some(Deed::Select(None))
            }
            _ => None,
        }
    }

    /// Escape, or the window lost the pointer: the gesture never was.
    pub fn cancel(&mut self) -> Option<Deed> {
        let goes_back = matches!(self.grip, Grip::Carrying { .. } | Grip::Sliding { .. });
        self.grip = Grip::Free;
        goes_back.then_some(Deed::PutBack)
    }
}

fn between(from: [f32; 2], to: [f32; 2]) -> [f32; 2] {
    [to[0] - from[0], to[1] - from[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [f32; 2] = [10.0, 10.0];
    const THERE: [f32; 2] = [50.0, 20.0];

    fn id() -> ObjectId {
        ObjectId::genesis("any")
    }

    fn any() -> Option<Under> {
        Some(Under { object: id(), slides: false })
    }

    #[test]
    fn a_drag_says_one_thing_at_its_end() {
        let mut hand = Hand::default();
        assert_eq!(hand.press(Button::Left, false, HERE, HERE, any()), Some(Deed::Select(Some(id()))));
        assert_eq!(hand.drag([12.0, 11.0], [12.0, 11.0]), None, "still a click");
        assert_eq!(hand.drag(THERE, THERE), Some(Deed::Carry(id(), [40.0, 10.0])));
        assert_eq!(hand.press(Button::Middle, false, THERE, THERE, None), None);
        assert_eq!(hand.release(Button::Left, THERE, THERE, 0.0), Some(Deed::Drop(id(), [40.0, 10.0])));
        assert!(!hand.is_busy());
    }

    #[test]
    fn a_click_selects_and_moves_nothing() {
        let mut hand = Hand::default();
        assert_eq!(hand.press(Button::Left, false, HERE, HERE, any()), Some(Deed::Select(Some(id()))));
        assert_eq!(hand.pressed(), Some(id()));
        assert_eq!(hand.release(Button::Left, HERE, HERE, 0.0), Some(Deed::Click(id(), HERE)));
        hand.press(Button::Left, false, THERE, THERE, None);
        assert_eq!(hand.release(Button::Left, THERE, THERE, 0.1), Some(Deed::Select(None)));
    }

    #[test]
    fn two_quick_clicks_on_the_ground_create() {
        let mut hand = Hand::default();
        let mut click = |at: [f32; 2], seconds| {
            hand.press(Button::Left, false, at, at, None);
            hand.release(Button::Left, at, at, seconds)
        };
        assert_eq!(click(HERE, 0.0), Some(Deed::Select(None)));
        assert_eq!(click(HERE, 0.3), Some(Deed::CreateAt(HERE)));
        assert_eq!(click(HERE, 0.4), Some(Deed::Select(None)), "a third click begins anew");
        assert_eq!(click(HERE, 2.0), Some(Deed::Select(None)), "too late");
        assert_eq!(click(THERE, 2.1), Some(Deed::Select(None)), "somewhere else");
    }

    #[test]
    fn middle_and_space_pan() {
        let mut hand = Hand::default();
        for (button, space) in [(Button::Middle, false), (Button::Left, true)] {
            assert_eq!(hand.press(button, space, HERE, HERE, any()), None);
            assert_eq!(hand.drag(THERE, THERE), Some(Deed::Pan([40.0, 10.0])));
            assert_eq!(hand.release(button, THERE, THERE, 0.0), None);
        }
    }

    #[test]
    fn a_knob_follows_at_once_and_says_one_thing_at_its_end() {
        let mut hand = Hand::default();
        let knob = Some(Under { object: id(), slides: true });
        assert_eq!(hand.press(Button::Left, false, HERE, HERE, knob), Some(Deed::Slide(id(), HERE)));
        assert_eq!(hand.drag(THERE, THERE), Some(Deed::Slide(id(), THERE)));
        assert_eq!(hand.release(Button::Left, THERE, THERE, 0.0), Some(Deed::LetGo(id(), THERE)));
        hand.press(Button::Left, false, HERE, HERE, knob);
        assert_eq!(hand.cancel(), Some(Deed::PutBack));
        assert!(!hand.is_busy());
    }

    #[test]
    fn what_is_cancelled_goes_back() {
        let mut hand = Hand::default();
        hand.press(Button::Left, false, HERE, HERE, any());
        hand.drag(THERE, THERE);
        assert_eq!(hand.cancel(), Some(Deed::PutBack));
        assert_eq!(hand.release(Button::Left, THERE, THERE, 0.0), None);
        assert_eq!(hand.cancel(), None);
    }
}
