//! What each shape draws and answers, and that no value of a slot hurts it.

use super::super::mirror::tests::{name, object, settled, told};
use super::super::picture::{Act, Detail, Emphasis, Look, Mark, Picture, Track};
use super::super::{measure::width_of, tokens};
use super::*;
use crate::object::{Fault, FaultKind, MapKey, MethodVersion, Object, Origin, Outcome, Slot};

const NONE: Look = Look { emphasis: Emphasis::None, detail: Detail::Whole, slid: None };

fn picture(mirror: &Mirror, id: ObjectId) -> Picture {
    picture_of(mirror, id, NONE).unwrap()
}

/// Every text, line by line from the top, each from left to right.
fn texts(picture: &Picture) -> Vec<String> {
    let mut words: Vec<(f32, f32, String)> = picture
        .marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::Words { at, text, .. } => Some((at[1], at[0], text.clone())),
            _ => None,
        })
        .collect();
    words.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
    words.into_iter().map(|(_, _, text)| text).collect()
}

fn colors(picture: &Picture) -> Vec<tokens::Rgb> {
    let color = |mark: &Mark| match mark {
        Mark::Round { color, .. } | Mark::Oval { color, .. } | Mark::Words { color, .. } => *color,
    };
    picture.marks.iter().map(color).collect()
}

fn text(of: &str) -> Value {
    Value::Text(of.into())
}

fn list(of: impl IntoIterator<Item = Value>) -> Value {
    Value::list(of.into_iter().collect())
}

fn a(kind: &str) -> ObjectId {
    ObjectId::genesis(kind)
}

fn with_method(mut object: Object, selector: &str, params: &[&str]) -> Object {
    let origin = Origin {
        author: "person".into(),
        instruction: String::new(),
        contract: Vec::new(),
        verdicts: Vec::new(),
        sequence: 0,
    };
    let params = params.iter().map(|param| name(param)).collect();
    let version = MethodVersion { number: 1, follows: 0, params, source: String::new(), doc: String::new(), origin };
    object.slots.push(name(selector), Slot::method(version));
    object
}

#[test]
fn a_card_tells_name_prototype_and_own_slots() {
    let slots = [("x", Value::Number(0.0)), ("note", text("a")), ("color", text("#8fbf7f"))];
    let point = object("point", &[ObjectId::proto()], &slots);
    let mirror = told(vec![point.clone()]);
    let card = picture(&mirror, point.id);
    assert_eq!(texts(&card), ["point", "proto", "x", "0", "note", "\"a\"", "color", "\"#8fbf7f\""]);
    assert!(colors(&card).contains(&tokens::GREEN));
    assert_eq!(card.size, [184.0, 32.0 + 3.0 * 22.0 + 6.0]);
    assert_eq!(picture_of(&mirror, ObjectId::proto(), NONE), None, "the first image shows no cards");
}

#[test]
fn what_does_not_fit_is_counted() {
    let slots: Vec<(String, Value)> = (0..9).map(|n| (format!("s{n}"), Value::Number(n.into()))).collect();
    let slots: Vec<(&str, Value)> = slots.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let many = object("many", &[ObjectId::proto()], &slots);
    let card = picture(&told(vec![many.clone()]), many.id);
    assert_eq!(texts(&card).last().unwrap(), "4 more");

    let low = object("low", &[many.id], &[("h", Value::Number(40.0)), ("w", Value::Number(f64::NAN))]);
    let card = picture(&told(vec![many, low.clone()]), low.id);
    assert_eq!((texts(&card), card.size), (vec!["low".into(), "many".into()], [184.0, 40.0]));
}

#[test]
fn long_texts_stay_inside() {
    let slots = [
        ("shape", text("card")),
        ("label", text(&"label ".repeat(50))),
        ("text", text(&"wide ".repeat(1000))),
        ("shows", text("text")),
        ("items", list([text(&"wide ".repeat(1000)), Value::Number(1e300)])),
        ("buttons", list((0..9).map(|_| text("a_rather_long_selector")))),
    ];
    for shape in ["card", "box", "oval", "button", "slider", "list", "display", "no such shape"] {
        let mut slots = slots.to_vec();
        slots[0].1 = text(shape);
        slots.push(("slot_whose_name_is_far_longer_than_any_card_is_wide_s", text("a")));
        let long = object(&"long".repeat(16), &[ObjectId::proto()], &slots);
        let picture = picture(&told(vec![long.clone()]), long.id);
        let words = picture.marks.iter().filter_map(|mark| match mark {
            Mark::Words { at, text, face, size, .. } => Some((at, text, width_of(text, *face, *size))),
            _ => None,
        });
        for (at, text, wide) in words {
            let inside = at[0] >= 0.0 && at[0] + wide <= picture.size[0] + 0.01 && at[1] <= picture.size[1];
            assert!(inside, "{shape}: {text} at {at:?}, {wide} wide, in {:?}", picture.size);
        }
    }
}

#[test]
fn invisible_objects_have_no_picture_and_a_fault_is_told() {
    let hidden = object("hidden", &[ObjectId::proto()], &[("visible", Value::Boolean(false))]);
    let point = object("point", &[ObjectId::proto()], &[("x", Value::Number(0.0))]);
    let mut mirror = told(vec![hidden.clone(), point.clone()]);
    assert_eq!(picture_of(&mirror, hidden.id, NONE), None);
    assert!(!colors(&picture(&mirror, point.id)).contains(&tokens::RED));
    mirror.learn(settled(1, Outcome::Failed(Fault::new(FaultKind::Error, "no"))));
    let card = picture(&mirror, point.id);
    assert!(colors(&card).contains(&tokens::RED));
    assert_eq!(texts(&card)[2..], ["x", "0", "set failed"]);

    let still = object("still", &[ObjectId::proto()], &[("shape", text("oval")), ("step_fault", text("why"))]);
    let oval = picture(&told(vec![still.clone()]), still.id);
    assert!(colors(&oval).contains(&tokens::RED), "what stopped stepping is marked in any shape");
}

#[test]
fn a_list_has_a_line_for_each_item_that_chooses_it() {
    let done = |done, of: &str| {
        let entries = [("text", text(of)), ("done", Value::Boolean(done))];
        Value::map(entries.map(|(key, value)| (MapKey::Text(key.into()), value)))
    };
    let items = list([text("soup"), Value::Number(5.0), done(true, "bread")]);
    let menu = object("menu", &[a("list_morph")], &[("items", items), ("chosen", Value::Number(2.0))]);
    let drawn = picture(&told(vec![menu.clone()]), menu.id);
    assert_eq!(texts(&drawn), ["menu", "list_morph", "soup", "5", "bread"]);
    assert!(colors(&drawn).contains(&tokens::SELECTION));
    let chosen = drawn.act_at([100.0, 32.0 + 3.0 + 22.0 * 1.5]);
    let second = Act::Send { selector: "choose".into(), args: vec![Value::Number(2.0)] };
    assert_eq!(chosen, Some(&second));
    assert_eq!(drawn.act_at([100.0, 10.0]), None, "the heading drags");

    let many = object("many", &[a("list_morph")], &[("items", list((0..50).map(|n| Value::Number(n.into()))))]);
    assert_eq!(texts(&picture(&told(vec![many.clone()]), many.id)).last().unwrap(), "39 more");
    let empty = object("empty", &[a("list_morph")], &[]);
    assert_eq!(texts(&picture(&told(vec![empty.clone()]), empty.id)).last().unwrap(), "no items");
}

#[test]
fn a_display_shows_a_slot_and_its_buttons_send() {
    let visits = object("visits", &[a("counter")], &[("count", Value::Number(42.0))]);
    let display = picture(&told(vec![visits.clone()]), visits.id);
    assert_eq!(texts(&display), ["visits", "counter", "42", "Count up", "Reset"]);
    let spots: Vec<&Act> = display.spots.iter().map(|spot| &spot.act).collect();
    let send = |selector: &str| Act::Send { selector: selector.into(), args: Vec::new() };
    assert_eq!(spots, [&send("count_up"), &send("reset")]);
}

#[test]
fn a_slider_has_a_track_and_shows_where_its_knob_is_held() {
    let dimmer = object("dimmer", &[a("slider")], &[("value", Value::Number(25.0))]);
    let mirror = told(vec![dimmer.clone()]);
    let slider = picture(&mirror, dimmer.id);
    assert_eq!(texts(&slider), ["dimmer", "25"]);
    let Some(Act::Slide(track)) = slider.act_at([50.0, 40.0]) else { panic!("{:?}", slider.spots) };
    assert_eq!(*track, Track { left: 19.0, right: 181.0, low: 0.0, high: 100.0, step: 1.0 });
    let held = picture_of(&mirror, dimmer.id, Look { slid: Some(80.0), ..NONE }).unwrap();
    assert_eq!(texts(&held), ["dimmer", "80"]);
}

#[test]
fn what_answers_clicked_can_be_clicked_anywhere() {
    let go = object("go", &[a("button")], &[]);
    let lamp = with_method(object("lamp", &[ObjectId::proto()], &[("shape", text("oval"))]), "clicked", &["x"]);
    let plain = object("plain", &[ObjectId::proto()], &[("clicked", Value::Boolean(true))]);
    let mirror = told(vec![go.clone(), lamp.clone(), plain.clone()]);
    let act = |of: &Object| picture(&mirror, of.id).act_at([10.0, 10.0]).cloned();
    assert_eq!((act(&go), act(&lamp), act(&plain)), (Some(Act::Click), Some(Act::Click), None));
}

#[test]
fn texts_are_as_large_as_they_are_and_layers_are_bounded() {
    let note = object("note", &[a("text_morph")], &[("text", text("one\ntwo")), ("z", Value::Number(1e9))]);
    let drawn = picture(&told(vec![note.clone()]), note.id);
    assert_eq!((texts(&drawn), drawn.size[1], drawn.layer), (vec!["one".into(), "two".into()], 52.0, 100.0));
    let slots = [("text", text("one two three")), ("w", Value::Number(80.0)), ("rotation", Value::Number(-90.0))];
    let narrow = object("narrow", &[a("text_morph")], &slots);
    let drawn = picture(&told(vec![narrow.clone()]), narrow.id);
    assert_eq!((texts(&drawn).len(), drawn.size[0], drawn.rotation), (2, 80.0, 270.0));
}

#[test]
fn no_value_of_a_slot_hurts() {
    let odd = [
        Value::Nil,
        Value::Number(f64::NAN),
        Value::Number(-1e308),
        text(""),
        text(&"\u{202e}é".repeat(3_000)),
        list((0..3_000).map(|n| Value::Number(n.into()))),
        Value::Object(a("nobody")),
    ];
    let slots = ["w", "h", "z", "x", "rotation", "color", "label", "text", "text_size", "items", "chosen", "shows"];
    let more = ["buttons", "low", "high", "step", "value", "clicked"];
    for shape in ["card", "box", "oval", "text", "button", "slider", "list", "display"] {
        for value in &odd {
            let mut all: Vec<(&str, Value)> = slots.iter().chain(&more).map(|slot| (*slot, value.clone())).collect();
            all.push(("shape", text(shape)));
            let thing = object("thing", &[ObjectId::proto()], &all);
            let mirror = told(vec![thing.clone()]);
            for detail in [Detail::Whole, Detail::Title, Detail::Tile] {
                let look = Look { detail, emphasis: Emphasis::Selected, slid: None };
                let picture = picture_of(&mirror, thing.id, look).unwrap();
                assert!(picture.size.iter().all(|side| (1.0..=20_000.0).contains(side)), "{shape} {:?}", picture.size);
                assert!(picture.marks.len() < 500, "{shape}");
            }
        }
    }
}
