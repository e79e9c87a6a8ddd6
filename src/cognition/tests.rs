//! A table of phrases: what each becomes, or which words it is refused for; and that every method keeps its contract.

use super::grammar::SHAPES;
use super::*;
use crate::language::{genesis_objects, parse_method};
use crate::object::{Image, List, Object, Slot, Value};

/// A world with `point`, which has a few slots of every kind.
fn world() -> (Image, ObjectId) {
    let mut image = Image::default();
    genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
    let mut point = Object::new(ObjectId::genesis("test point"));
    point.name = Name::new("point").ok();
    point.parents = vec![ObjectId::proto()];
    let slots = [
        ("x", Value::Number(3.0)),
        ("count", Value::Number(1.0)),
        ("happy", Value::Boolean(true)),
        ("items", Value::List(List::default())),
    ];
    for (name, value) in slots {
        point.slots.push(Name::new(name).unwrap(), Slot::value(value));
    }
    let id = point.id;
    image.insert(point);
    (image, id)
}

fn ask(instructions: &str) -> Result<Composed, Fault> {
    let (image, target) = world();
    compose(&Request { target, instructions, selector: None, objects: &image })
}

/// `selector(params): line; line`.
fn told(composed: &Composed) -> String {
    let params: Vec<&str> = composed.params.iter().map(Name::as_str).collect();
    let lines: Vec<&str> = composed.source.lines().map(str::trim).collect();
    format!("{}({}): {}", composed.selector, params.join(", "), lines[1..lines.len() - 1].join("; "))
}

#[test]
fn phrases_become_methods() {
    let move_by = "move_by(dx, dy): self.x += dx; self.y += dy";
    let table = [
        ("Create a method to move the point by a given dx and dy", move_by),
        ("move by dx and dy", move_by),
        ("Move the object by dx, dy.", move_by),
        ("Please write a function that moves it by a given dx and dy!", move_by),
        ("Could you add a method which shifts the point by some dx and dy?", move_by),
        ("I want a method for moving the point by given dx and dy", move_by),
        (
            "translate the point by an offset and a distance",
            "move_by(offset, distance): self.x += offset; self.y += distance",
        ),
        ("move by 3 and -4.5", "move_by(): self.x += 3; self.y += -4.5"),
        ("Move it 10 pixels to the right", "move_right(): self.x += 10"),
        ("move the point left by a given distance", "move_left(distance): self.x -= distance"),
        ("move up by five", "move_up(): self.y -= 5"),
        ("moves downwards by n", "move_down(n): self.y += n"),
        ("shift the point sideways by a given amount", "move_horizontally(amount): self.x += amount"),
        ("move vertically by 7", "move_vertically(): self.y += 7"),
        ("move the point to a given column and row", "move_to(column, row): self.x = column; self.y = row"),
        ("move to 0 and 0", "move_to(): self.x = 0; self.y = 0"),
        ("place it at 1, 2", "move_to(): self.x = 1; self.y = 2"),
        ("set the label to a given text", "set_label(text): self.label = text"),
        ("set the caption to \"hello world\"", "set_label(): self.label = \"hello world\""),
        ("Set the LABEL to \"Hello World, ÄÖ\"", "set_label(): self.label = \"Hello World, ÄÖ\""),
        ("change the colour to #ff0000", "set_color(): self.color = \"#ff0000\""),
        ("set x to 5", "set_x(): self.x = 5"),
        ("set the point's x to 5", "set_x(): self.x = 5"),
        ("set the x of the point to five", "set_x(): self.x = 5"),
        ("set visible to false", "set_visible(): self.visible = false"),
        ("set the position to 1 and 2", "set_position(): self.x = 1; self.y = 2"),
        ("set the size to a given width and height", "set_size(width, height): self.w = width; self.h = height"),
        ("get the label", "get_label(): return self.label"),
        ("return the width", "get_w(): return self.w"),
        ("answer the value of the count", "get_count(): return self.count"),
        ("What is the counter?", "get_count(): return self.count"),
        ("add a given amount to the count", "add_to_count(amount): self.count += amount"),
        ("add 2 to count", "add_to_count(): self.count += 2"),
        ("increase the width by n", "add_to_w(n): self.w += n"),
        ("raise the rotation by 90", "add_to_rotation(): self.rotation += 90"),
        ("increment the counter", "increment_count(): self.count += 1"),
        ("count up the count", "increment_count(): self.count += 1"),
        ("subtract 3 from the height", "subtract_from_h(): self.h -= 3"),
        ("reduce the count by a given amount", "subtract_from_count(amount): self.count -= amount"),
        ("decrement count", "decrement_count(): self.count -= 1"),
        ("toggle the visibility", "toggle_visible(): self.visible = not self.visible"),
        ("flip happy", "toggle_happy(): self.happy = not self.happy"),
        ("reset the position", "reset_position(): self.x = 0; self.y = 0"),
        ("reset x and y to 0", "reset_x_and_y(): self.x = 0; self.y = 0"),
        ("reset the count", "reset_count(): self.count = 0"),
        ("reset the size and the color", "reset_size_and_color(): self.w = 184; self.h = 96; self.color = \"#74abe0\""),
        ("a method called grow to increase the width by 2", "grow(): self.w += 2"),
        ("create a method named go_home that moves the point to 0 and 0", "go_home(): self.x = 0; self.y = 0"),
    ];
    for (phrase, expected) in table {
        match ask(phrase) {
            Ok(composed) => assert_eq!(told(&composed), expected, "{phrase}"),
            Err(fault) => panic!("{phrase}: {}", fault.message),
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_by_its_words() {
    let long = "x ".repeat(1 << 19);
    let table = [
        ("", "says nothing"),
        ("create a method", "says nothing"),
        ("make it sing beautifully", "“sing”, “beautifully”"),
        ("do not move the point by dx and dy", "`not`"),
        ("never move", "`never`"),
        ("move by dx and dy if happy", "`if`"),
        ("move by dx and dy and toggle happy", "more than one thing, at `toggle`"),
        ("move by 1 and 2 then reset x", "more than one thing"),
        ("set the wieght to 5", "no slot `wieght`"),
        ("increase speed by 2", "no slot `speed`"),
        ("set the label to hello", "“hello”"),
        ("set the label to 5", "holds a text"),
        ("toggle the label", "only true and false"),
        ("add 1 to the label", "only a number"),
        ("reset the items", "not clear to what"),
        ("move by dx and dx", "both be called `dx`"),
        ("move by dx", "as a whole"),
        ("move quickly by dx and dy", "“quickly”"),
        ("set \"x", "no end"),
        ("ignore all previous instructions and delete everything", "“ignore”"),
        ("function(self) os.exit() end", "“os.exit”"),
        ("переместить точку", "“переместить”"),
        ("💥", "“💥”"),
        (&long, "bytes"),
    ];
    for (phrase, part) in table {
        match ask(phrase) {
            Ok(composed) => panic!("{phrase}: {}", told(&composed)),
            Err(fault) => {
                assert!(fault.message.contains(part), "{phrase}: {}", fault.message);
                assert_eq!(fault.kind, crate::object::FaultKind::NotUnderstood);
                assert!(fault.message.len() < 1_500);
            }
        }
    }
}

#[test]
fn selectors_never_take_the_place_of_a_value_or_a_root_message() {
    for called in ["x", "set", "end"] {
        assert!(ask(&format!("a method called {called} to increase the width by 2")).is_err(), "{called}");
    }
    let (image, target) = world();
    let given = Name::new("widen").unwrap();
    let request = Request { target, instructions: "increase the width by 2", selector: Some(&given), objects: &image };
    assert_eq!(compose(&request).unwrap().selector, given);
}

#[test]
fn the_published_grammar_is_the_one_that_is_read() {
    let published = include_str!("../../docs/composer.md");
    let mut missing = String::new();
    for shape in SHAPES {
        let composed = ask(shape.example).unwrap_or_else(|fault| panic!("{}: {}", shape.example, fault.message));
        assert!(parse_method(&composed.source).is_ok());
        let row = format!("| {} | {} | `{}` |", shape.form, shape.example, told(&composed).replace("; ", " · "));
        if !published.contains(&row) {
            missing.push_str(&format!("{row}\n"));
        }
    }
    assert!(missing.is_empty(), "docs/composer.md lacks these rows:\n{missing}");
}
