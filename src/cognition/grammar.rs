//! The shapes that an instruction can have, as data.
//!
//! A pattern is words, each as it stands after synonyms; `a|b` one of them; `[a]` one that may be missing; `<me>`
//! words for the object, which may be missing; `<slot>` a word for one slot; `<pair>` a word for two; `<slots>` words
//! for any number; `<amount>` a number or a parameter; `<value>` any constant or a parameter.

/// Which slot an effect concerns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// This one.
    Named(&'static str),
    /// The so-manieth that the instruction names.
    Captured(usize),
    /// Every one that the instruction names.
    EachCaptured,
}

/// What one line of the method does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Adds the so-manieth amount, with this sign.
    Add(Of, usize, f64),
    /// Adds a number.
    AddNumber(Of, f64),
    /// Sets to the so-manieth amount or value.
    Set(Of, usize),
    /// Answers what it holds.
    Get(Of),
    /// Makes true false, and false true.
    Toggle(Of),
    /// Sets to what a parent has; where none has it, to the zero of its kind.
    Reset(Of),
}

/// One shape.
#[derive(Debug)]
pub(super) struct Shape {
    /// How people are told of it.
    pub(super) form: &'static str,
    /// An instruction, for `docs/composer.md` and its test.
    pub(super) example: &'static str,
    pub(super) patterns: &'static [&'static str],
    /// The selector it finds; `{}` stands for the slots as the instruction calls them.
    pub(super) selector: &'static str,
    pub(super) effects: &'static [Effect],
}

const X: Of = Of::Named("x");
const Y: Of = Of::Named("y");
const FIRST: Of = Of::Captured(0);

/// Every shape. The first that fits is meant.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        form: "move by dx and dy",
        example: "Create a method to move the point by a given dx and dy",
        patterns: &["move <me> by <amount> and|, <amount>"],
        selector: "move_by",
        effects: &[Effect::Add(X, 0, 1.0), Effect::Add(Y, 1, 1.0)],
    },
    Shape {
        form: "move right, left, up or down by an amount",
        example: "Move it 10 pixels to the right",
        patterns: &["move <me> right by <amount> [pixels]", "move <me> [by] <amount> [pixels] [to] right"],
        selector: "move_right",
        effects: &[Effect::Add(X, 0, 1.0)],
    },
    Shape {
        form: "move left by an amount",
        example: "move the point left by a given distance",
        patterns: &["move <me> left by <amount> [pixels]", "move <me> [by] <amount> [pixels] [to] left"],
        selector: "move_left",
        effects: &[Effect::Add(X, 0, -1.0)],
    },
    Shape {
        form: "move up by an amount",
        example: "move the point up by a given distance",
        patterns: &["move <me> up by <amount> [pixels]", "move <me> [by] <amount> [pixels] [to] up"],
        selector: "move_up",
        effects: &[Effect::Add(Y, 0, -1.0)],
    },
    Shape {
        form: "move down by an amount",
        example: "moves the point down by 5",
        patterns: &["move <me> down by <amount> [pixels]", "move <me> [by] <amount> [pixels] [to] down"],
        selector: "move_down",
        effects: &[Effect::Add(Y, 0, 1.0)],
    },
    Shape {
        form: "move horizontally by an amount",
        example: "move the object horizontally by a given amount",
        patterns: &["move <me> horizontally by <amount> [pixels]", "move <me> by <amount> [pixels] horizontally"],
        selector: "move_horizontally",
        effects: &[Effect::Add(X, 0, 1.0)],
    },
    Shape {
        form: "move vertically by an amount",
        example: "move the object vertically by a given amount",
        patterns: &["move <me> vertically by <amount> [pixels]", "move <me> by <amount> [pixels] vertically"],
        selector: "move_vertically",
        effects: &[Effect::Add(Y, 0, 1.0)],
    },
    Shape {
        form: "move to x and y",
        example: "Move the point to a given place_x and place_y",
        patterns: &["move|place|go <me> to|at [position] <amount> and|, <amount>"],
        selector: "move_to",
        effects: &[Effect::Set(X, 0), Effect::Set(Y, 1)],
    },
    Shape {
        form: "set two slots, as in set the position to 1 and 2",
        example: "set the size to a given width and height",
        patterns: &["set <pair> to <value> and|, <value>"],
        selector: "set_{}",
        effects: &[Effect::Set(FIRST, 0), Effect::Set(Of::Captured(1), 1)],
    },
    Shape {
        form: "set a slot to a value",
        example: "set the label to a given text",
        patterns: &["set|make|turn <slot> to <value>", "set value <slot> to <value>"],
        selector: "set_{}",
        effects: &[Effect::Set(FIRST, 0)],
    },
    Shape {
        form: "get a slot",
        example: "return the width",
        patterns: &["get [value] <slot>", "what is <slot>"],
        selector: "get_{}",
        effects: &[Effect::Get(FIRST)],
    },
    Shape {
        form: "add an amount to a slot",
        example: "increase the width by a given amount",
        patterns: &["add <amount> to <slot>", "increase|increment <slot> by <amount>"],
        selector: "add_to_{}",
        effects: &[Effect::Add(FIRST, 0, 1.0)],
    },
    Shape {
        form: "increment a slot",
        example: "increment the rotation",
        patterns: &["increment <slot>", "count <slot> up", "count up <slot>"],
        selector: "increment_{}",
        effects: &[Effect::AddNumber(FIRST, 1.0)],
    },
    Shape {
        form: "subtract an amount from a slot",
        example: "subtract 3 from the height",
        patterns: &["subtract <amount> from <slot>", "decrease|decrement <slot> by <amount>"],
        selector: "subtract_from_{}",
        effects: &[Effect::Add(FIRST, 0, -1.0)],
    },
    Shape {
        form: "decrement a slot",
        example: "decrement the rotation",
        patterns: &["decrement <slot>", "count <slot> down", "count down <slot>"],
        selector: "decrement_{}",
        effects: &[Effect::AddNumber(FIRST, -1.0)],
    },
    Shape {
        form: "toggle a slot",
        example: "toggle the visibility",
        patterns: &["toggle <slot>"],
        selector: "toggle_{}",
        effects: &[Effect::Toggle(FIRST)],
    },
    Shape {
        form: "reset slots to a value",
        example: "reset x and y to 0",
        patterns: &["reset <slots> to <value>"],
        selector: "reset_{}",
        effects: &[Effect::Set(Of::EachCaptured, 0)],
    },
    Shape {
        form: "reset slots",
        example: "reset the position",
        patterns: &["reset <slots>"],
        selector: "reset_{}",
        effects: &[Effect::Reset(Of::EachCaptured)],
    },
];
