//! The mouse and the keys in the world, and the order in which typed keys reach the panels.

use super::desk::{Command, Desk};
use super::window::{Panels, fit_cards};
use crate::morphic::{Act, Bounds, Button, Deed, Stage, Under};
use crate::object::{Argument, Name, ObjectId, Objects, Target, UICommand, Value, lookup};
use crate::systems::Clock;
use bevy::input::mouse::{MouseScrollUnit, MouseWheel};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;

/// Zoom of one step of the wheel.
const WHEEL: f32 = 1.1;

pub(super) fn use_keys(
    mut desk: ResMut<Desk>,
    mut panels: ResMut<Panels>,
    stage: Res<Stage>,
    keys: Res<ButtonInput<KeyCode>>,
) {
    let desk = &mut *desk;
    fit_cards(desk, &mut panels, &stage);
    if panels.keyboard_taken {
        return;
    }
    if keys.just_pressed(KeyCode::Escape)
        && let Some(Deed::PutBack) = desk.hand.cancel()
    {
        put_back(desk);
    }
    if keys.just_pressed(KeyCode::Delete)
        && let Some(id) = desk.selected
        && let Some(command) = Command::to(id, "delete", Vec::new())
    {
        desk.carry_out(vec![command]);
    }
    // In a slow frame a key goes down and up again: then it counts as held.
    let held = |both: [KeyCode; 2]| keys.any_pressed(both) || keys.any_just_released(both);
    let control = held([KeyCode::ControlLeft, KeyCode::ControlRight]);
    let shift = held([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    if control {
        let said = match (keys.just_pressed(KeyCode::KeyZ), keys.just_pressed(KeyCode::KeyY), shift) {
            (true, _, false) => Some("undo"),
            (true, _, true) | (_, true, _) => Some("redo"),
            _ => None,
        };
        desk.carry_out(said.map(|line| Command::Say(line.into())).into_iter().collect());
    }
    if keys.just_pressed(KeyCode::KeyF) && !control && !keys.pressed(KeyCode::AltLeft) {
        panels.fitted = None;
        fit_cards(desk, &mut panels, &stage);
    }
}

pub(super) fn use_mouse(
    mut desk: ResMut<Desk>,
    mut panels: ResMut<Panels>,
    stage: Res<Stage>,
    clock: Res<Clock>,
    window: Single<&Window, With<PrimaryWindow>>,
    buttons: Res<ButtonInput<MouseButton>>,
    keys: Res<ButtonInput<KeyCode>>,
    mut wheel: MessageReader<MouseWheel>,
    mut last: Local<[f32; 2]>,
) {
    let desk = &mut *desk;
    if !window.focused
        && let Some(Deed::PutBack) = desk.hand.cancel()
    {
        put_back(desk);
    }
    let step = |wheel: &MouseWheel| match wheel.unit {
        MouseScrollUnit::Line => wheel.y,
        MouseScrollUnit::Pixel => wheel.y / MouseScrollUnit::SCROLL_UNIT_CONVERSION_FACTOR,
    };
    let steps: f32 = wheel.read().map(step).sum::<f32>().clamp(-4.0, 4.0);
    // Outside the window a gesture ends where the pointer left it.
    let inside = window.cursor_position().map(|at| [at.x, at.y]);
    if inside.is_none() && !desk.hand.is_busy() {
        return;
    }
    let at = inside.unwrap_or(*last);
    *last = at;
    if panels.pointer_taken && !desk.hand.is_busy() {
        return;
    }
    if steps != 0.0 {
        desk.view.zoom_at(at, WHEEL.powf(steps));
    }
    let world = desk.view.to_world(at);
    let mut deeds: Vec<Deed> = Vec::new();
    for (bevy, ours) in [(MouseButton::Left, Button::Left), (MouseButton::Middle, Button::Middle)] {
        if buttons.just_pressed(bevy) {
            panels.keyboard_released = true;
            let space = keys.pressed(KeyCode::Space) && !panels.keyboard_taken;
            let under = stage.object_at(world).map(|object| {
                let slides = matches!(stage.press_at(object, world), Some((_, Act::Slide(_))));
                Under { object, slides }
            });
            deeds.extend(desk.hand.press(ours, space, at, world, under));
        }
    }
    deeds.extend(desk.hand.drag(at, world));
    for (bevy, ours) in [(MouseButton::Left, Button::Left), (MouseButton::Middle, Button::Middle)] {
        if buttons.just_released(bevy) {
            deeds.extend(desk.hand.release(ours, at, world, (clock.monotonic)().as_secs_f64()));
        }
    }
    for deed in deeds {
        carry_out(desk, &stage, deed);
    }
}

fn carry_out(desk: &mut Desk, stage: &Stage, deed: Deed) {
    let place = |point: [f32; 2]| {
        let whole = point.map(|part| Value::Number(f64::from(part).round()));
        let [x, y] = whole;
        vec![("x", x), ("y", y)]
    };
    match deed {
        Deed::Select(id) => desk.selected = id,
        Deed::Pan(pixels) => desk.view.pan(pixels),
        Deed::Carry(id, by) => desk.carried = Some((id, by)),
        Deed::PutBack => put_back(desk),
        Deed::Click(id, point) => {
            let command = stage.press_at(id, point).and_then(|(own, act)| clicked(desk.mirror.image(), id, own, act));
            if let Some(command) = command {
                desk.send(command, None);
            }
        }
        Deed::Slide(id, point) => {
            desk.selected = Some(id);
            slide(desk, stage, id, point);
        }
        Deed::LetGo(id, point) => {
            slide(desk, stage, id, point);
            if let Some((_, _, value)) = desk.slid.take()
                && let Some(command) = message(id, "slide_to", vec![Value::Number(value)])
            {
                desk.send(command, None);
            }
        }
        Deed::Drop(id, by) => {
            // What is drawn holds the distance already.
            if let Some(bounds) = stage.bounds(id)
                && let Some(Command::Send(command)) = Command::to(id, "set", place(dropped(desk, bounds, id, by)))
            {
                desk.send(command, None);
            }
            desk.carried = None;
        }
        Deed::CreateAt(point) => {
            let args = place(point).into_iter().filter_map(|(name, value)| Some((Name::new(name).ok()?, value)));
            let Ok(selector) = Name::new("clone") else { return };
            let command = UICommand::new(Target::Id(ObjectId::proto()), selector, args.collect());
            if let Some(ticket) = desk.send(command, None) {
                desk.select_answer(ticket);
            }
        }
    }
}

fn put_back(desk: &mut Desk) {
    desk.carried = None;
    desk.slid = None;
}

/// A message with arguments by place.
fn message(target: ObjectId, selector: &str, args: Vec<Value>) -> Option<UICommand> {
    let args = args.into_iter().map(|value| Argument { name: None, value: value.into() }).collect();
    Some(UICommand { target: Target::Id(target), selector: Name::new(selector).ok()?, args })
}

/// The message of a click on an object, at a point of its own.
fn clicked(objects: &dyn Objects, id: ObjectId, point: [f32; 2], act: &Act) -> Option<UICommand> {
    match act {
        Act::Send { selector, args } => message(id, selector, args.clone()),
        Act::Click => {
            let method = lookup(objects, id, "clicked")?.slot.as_method()?;
            let takes = |name: &str| method.params.iter().any(|param| param.as_str() == name);
            let place = [("x", point[0]), ("y", point[1])].into_iter().filter(|(name, _)| takes(name));
            let args =
                place.filter_map(|(name, part)| Some((Name::new(name).ok()?, Value::Number(f64::from(part.round())))));
            Some(UICommand::new(Target::Id(id), Name::new("clicked").ok()?, args.collect()))
        }
        Act::Slide(_) => None,
    }
}

/// The knob follows the pointer, wherever on the screen that is.
fn slide(desk: &mut Desk, stage: &Stage, id: ObjectId, point: [f32; 2]) {
    let Some([x, _]) = stage.to_own(id, point) else { return };
    let track = match (desk.slid, stage.press_at(id, point)) {
        (Some((object, track, _)), _) if object == id => track,
        (_, Some((_, Act::Slide(track)))) => *track,
        _ => return,
    };
    desk.slid = Some((id, track, track.value_at(x)));
}

fn dropped(desk: &Desk, bounds: Bounds, id: ObjectId, by: [f32; 2]) -> [f32; 2] {
    let drawn = desk.carried.filter(|(carried, _)| *carried == id).map_or([0.0, 0.0], |(_, drawn)| drawn);
    [0, 1].map(|axis| bounds.min[axis] - drawn[axis] + by[axis])
}

/// One decisive key a pass: what was typed after it waits for the next pass, and meets what the key did. Otherwise a slow
/// frame loses what follows an Enter, and completes what stood before the last letters.
pub(super) fn hold_back(events: &mut Vec<egui::Event>, held: &mut Vec<egui::Event>) {
    use egui::{Event, Key};
    events.splice(0..0, held.drain(..));
    let is_decisive = |event: &Event| {
        let Event::Key { key, pressed: true, .. } = event else { return false };
        matches!(key, Key::Enter | Key::Tab | Key::ArrowUp | Key::ArrowDown)
    };
    if let Some(place) = events.iter().position(is_decisive) {
        *held = events.split_off(place + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::morphic::test_worlds::{object, told};
    use crate::object::{MethodVersion, Object, Origin, Slot};
    use egui::{Event, Key};

    fn with_clicked(mut object: Object, params: &[&str]) -> Object {
        let origin = Origin {
            author: "person".into(),
            instruction: String::new(),
            contract: Vec::new(),
            verdicts: Vec::new(),
            sequence: 0,
        };
        let params = params.iter().map(|param| Name::new(param).unwrap()).collect();
        let version =
            MethodVersion { number: 1, follows: 0, params, source: String::new(), doc: String::new(), origin };
        object.slots.push(Name::new("clicked").unwrap(), Slot::method(version));
        object
    }

    #[test]
    fn a_click_tells_its_place_where_the_method_asks_for_it() {
        let told_to = |params: &[&str]| {
            let lamp = with_clicked(object("lamp", &[ObjectId::proto()], &[]), params);
            let mirror = told(vec![lamp.clone()]);
            let command = clicked(mirror.image(), lamp.id, [3.4, 7.6], &Act::Click).unwrap();
            assert_eq!((command.target, command.selector.as_str()), (Target::Id(lamp.id), "clicked"));
            let arg = |of: Argument| (of.name.unwrap().to_string(), of.value);
            command.args.into_iter().map(arg).collect::<Vec<_>>()
        };
        let (x, y) = (("x".to_string(), Value::Number(3.0).into()), ("y".to_string(), Value::Number(8.0).into()));
        assert_eq!(told_to(&[]), []);
        assert_eq!(told_to(&["x", "y"]), [x, y.clone()]);
        assert_eq!(told_to(&["force", "y"]), [y]);
    }

    #[test]
    fn a_line_of_a_list_is_chosen_by_its_place() {
        let list = object("menu", &[ObjectId::genesis("list_morph")], &[]);
        let mirror = told(vec![list.clone()]);
        let act = Act::Send { selector: "choose".into(), args: vec![Value::Number(2.0)] };
        let command = clicked(mirror.image(), list.id, [0.0, 0.0], &act).unwrap();
        let args = vec![Argument { name: None, value: Value::Number(2.0).into() }];
        assert_eq!(command, UICommand { target: Target::Id(list.id), selector: Name::new("choose").unwrap(), args });
        let slides = crate::morphic::Track { left: 0.0, right: 1.0, low: 0.0, high: 1.0, step: 0.0 };
        assert_eq!(clicked(mirror.image(), list.id, [0.0, 0.0], &Act::Slide(slides)), None);
    }

    fn press(key: Key) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: egui::Modifiers::NONE }
    }

    #[test]
    fn what_follows_a_decisive_key_waits_for_it() {
        let text = |text: &str| Event::Text(text.into());
        let mut held = Vec::new();
        let mut events = vec![text("a"), press(Key::Tab), text("b"), press(Key::Enter), text("c")];
        let mut passes = Vec::new();
        loop {
            hold_back(&mut events, &mut held);
            passes.push(std::mem::take(&mut events));
            if held.is_empty() {
                break;
            }
        }
        let expected = [vec![text("a"), press(Key::Tab)], vec![text("b"), press(Key::Enter)], vec![text("c")]];
        assert_eq!(passes, expected);
    }
}
