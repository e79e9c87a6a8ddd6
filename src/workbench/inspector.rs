//! The inspector of the chosen object: slots edited in place, what it inherits, its methods and their texts.
//!
//! Every edit leaves as a message: `set`, `remove_slot`, `add_method`, `undo_method`, `reprogram_method`.

use super::Command;
use super::method_editor::{MethodDraft, editor_ui};
use super::objects::mark_of;
use super::style::{CODE, SMALL, color};
use crate::language::console::parse_literal;
use crate::morphic::{Mirror, tokens, value_color};
use crate::object::{
    Argument, Literal, MethodVersion, Name, ObjectId, Objects, SlotContent, Target, UICommand, Value, inherited,
    lookup, quoted,
};
use egui::{FontId, Key, RichText, TextEdit, Ui};
use std::collections::HashMap;

/// Room of the button at the end of an own slot, in pixels.
const REMOVE_WIDTH: f32 = 32.0;

/// Longest value that is edited in place.
const MAX_FIELD_BYTES: usize = 20_000;
/// Width of the button beside the fields of a new slot, in pixels.
const ADD_WIDTH: f32 = 80.0;

/// What is being edited, and not said yet.
#[derive(Clone, Debug, Default)]
pub struct InspectorState {
    of: Option<ObjectId>,
    page: Page,
    /// What was begun on other objects; it is there again when they are chosen.
    kept: HashMap<ObjectId, Page>,
}

/// What was begun on one object.
#[derive(Clone, Debug, Default)]
struct Page {
    /// The field that has the keyboard, by its slot.
    fields: HashMap<Name, Field>,
    new_name: String,
    new_value: String,
    words: String,
    method: Option<MethodDraft>,
}

/// A value's text.
#[derive(Clone, Debug)]
struct Field {
    /// What stood there when the field was entered. Only a difference from this is an edit: the slot may change meanwhile.
    began: String,
    text: String,
}

impl Page {
    fn is_begun(&self) -> bool {
        let method = self.method.as_ref().is_some_and(MethodDraft::is_begun);
        method || [&self.new_name, &self.new_value, &self.words].iter().any(|text| !text.is_empty())
    }
}

impl InspectorState {
    /// Turns to another object. A field that was being edited is left, as by a click elsewhere: its edit is said.
    fn turn_to(&mut self, id: Option<ObjectId>, mirror: &Mirror, commands: &mut Vec<Command>) {
        if self.of == id {
            return;
        }
        let mut page = std::mem::take(&mut self.page);
        if let Some(of) = self.of.filter(|of| mirror.image().object(*of).is_some()) {
            for (name, field) in page.fields.drain().filter(|(_, field)| field.text != field.began) {
                if let Some(value) = lookup(mirror.image(), of, &name).and_then(|found| found.slot.as_value()) {
                    commands.push(edited(of, &name, value, &field.text));
                }
            }
            if page.is_begun() {
                self.kept.insert(of, page);
            }
        }
        self.of = id;
        self.page = id.and_then(|id| self.kept.remove(&id)).unwrap_or_default();
    }
}

/// The inspector.
pub fn inspector_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    selected: Option<ObjectId>,
    state: &mut InspectorState,
    commands: &mut Vec<Command>,
) {
    let object = selected.and_then(|id| mirror.image().object(id));
    state.turn_to(object.as_ref().map(|object| object.id), mirror, commands);
    let Some(object) = object else {
        ui.label(RichText::new("Nothing is chosen").font(super::style::name_font(ui, 15.0)));
        let hint = "Click a card to see its slots and methods. Double-click the ground to make an object.";
        ui.label(RichText::new(hint).color(color(tokens::FAINT)));
        return;
    };
    let (id, state) = (object.id, &mut state.page);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(10.0, 24.0), egui::Sense::hover());
        let mark = egui::Rect::from_center_size(rect.center(), egui::vec2(10.0, 10.0));
        ui.painter().rect_filled(mark, 3.0, color(mark_of(mirror, id)));
        ui.label(RichText::new(object.title()).font(super::style::name_font(ui, 15.0)));
        if !object.parents.is_empty() {
            ui.label(RichText::new("delegates to").color(color(tokens::SOFT)));
        }
        for parent in object.parents {
            let title = RichText::new(mirror.image().title(*parent)).color(color(tokens::BLUE));
            if ui.add(egui::Label::new(title).sense(egui::Sense::click())).clicked() {
                commands.push(Command::Select(Some(*parent)));
            }
        }
    });
    ui.add_space(8.0);
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        // The bar floats at the right; nothing lies under it.
        ui.set_width(ui.available_width() - 12.0);
        heading(ui, "Own slots");
        let mut methods: Vec<(&Name, &MethodVersion)> = Vec::new();
        let mut any = false;
        for (name, slot) in object.slots.iter() {
            match &slot.content {
                SlotContent::Value(value) => {
                    any = true;
                    slot_ui(ui, mirror, id, name, value, &slot.doc, None, state, commands);
                }
                SlotContent::Method(method) => methods.push((name, method)),
            }
        }
        if !any {
            ui.label(RichText::new("None: everything comes from its parents").color(color(tokens::FAINT)));
        }
        new_slot_ui(ui, id, state, commands);

        heading(ui, "Methods");
        for (name, method) in methods {
            method_row_ui(ui, id, name, method, state, commands);
        }
        if ui.button("Add method").clicked() {
            state.method = Some(MethodDraft::of_new());
        }
        editor_ui(ui, mirror, id, &mut state.method, commands);
        words_ui(ui, id, state, commands);

        let mut last = None;
        for (name, holder) in inherited(mirror.image(), id) {
            if last != Some(holder) {
                heading(ui, &format!("From {}", mirror.image().title(holder)));
                last = Some(holder);
            }
            let Some(slot) = mirror.image().object(holder).and_then(|object| object.slots.get(&name)) else { continue };
            match &slot.content {
                SlotContent::Value(value) => {
                    slot_ui(ui, mirror, id, &name, value, &slot.doc, Some(holder), state, commands);
                }
                SlotContent::Method(method) => {
                    row(ui, &name, tokens::SOFT, "", |ui| {
                        ui.label(
                            RichText::new(signature(method)).font(FontId::monospace(CODE)).color(color(tokens::SOFT)),
                        );
                    });
                }
            }
        }
        ui.add_space(16.0);
    });
}

fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(10.0);
    ui.label(RichText::new(text).size(SMALL).color(color(tokens::FAINT)));
}

/// A name at the left, whatever `content` draws at the right.
fn row<R>(
    ui: &mut Ui,
    name: &str,
    of: tokens::Rgb,
    doc: &str,
    content: impl FnOnce(&mut Ui) -> R,
) -> (egui::Response, R) {
    ui.horizontal(|ui| {
        let text = RichText::new(name).font(FontId::monospace(CODE)).color(color(of));
        let cell = egui::vec2(108.0, 24.0);
        let layout = egui::Layout::left_to_right(egui::Align::Center);
        let label = ui.allocate_ui_with_layout(cell, layout, |ui| {
            ui.set_min_width(cell.x);
            ui.add(egui::Label::new(text).truncate())
        });
        let label = if doc.is_empty() { label.inner } else { label.inner.on_hover_text(doc) };
        let inner = content(ui);
        (label, inner)
    })
    .inner
}

fn slot_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    id: ObjectId,
    name: &Name,
    value: &Value,
    doc: &str,
    holder: Option<ObjectId>,
    state: &mut Page,
    commands: &mut Vec<Command>,
) {
    let of = if holder.is_some() { tokens::SOFT } else { tokens::TEXT };
    let (label, response) = row(ui, name, of, doc, |ui| {
        if let Value::Boolean(now) = value {
            let mut now = *now;
            let response = ui.checkbox(&mut now, if *value == Value::Boolean(true) { "true" } else { "false" });
            if response.changed() {
                commands.extend(Command::to(id, "set", vec![(name.as_str(), Value::Boolean(now))]));
            }
            return None;
        }
        if value.bytes() > MAX_FIELD_BYTES {
            let text = format!("{} of {} bytes: too long to edit here", value.kind(), value.bytes());
            ui.label(RichText::new(text).size(SMALL).color(color(tokens::FAINT)));
            return None;
        }
        let shown = field_text(mirror, value);
        let field = || Field { began: shown.clone(), text: shown.clone() };
        let Field { began, text } = state.fields.entry(name.clone()).or_insert_with(field);
        let width = ui.available_width() - REMOVE_WIDTH;
        let edit = TextEdit::singleline(text)
            .font(FontId::monospace(CODE))
            .text_color(color(if holder.is_some() { tokens::SOFT } else { value_color(value) }))
            .margin(egui::Margin::symmetric(8, 4))
            .vertical_align(egui::Align::Center);
        let response = ui.add_sized(egui::vec2(width, 24.0), edit);
        if response.lost_focus() {
            let cancelled = ui.input(|input| input.key_pressed(Key::Escape));
            if !cancelled && text != began {
                commands.push(edited(id, name, value, text));
            }
        }
        if !response.has_focus() {
            state.fields.remove(name);
        }
        if holder.is_none()
            && ui
                .add(egui::Button::new("×").frame(false).min_size(egui::vec2(24.0, 24.0)))
                .on_hover_text(format!("Remove the slot {name}"))
                .clicked()
        {
            commands.extend(Command::to(id, "remove_slot", vec![("slot", Value::Text(name.to_string()))]));
        }
        Some(response)
    });
    if let Some(response) = response {
        let _ = response.labelled_by(label.id);
    }
}

/// How a value stands in its field: a text of one line as it is, anything else as the console reads it.
fn field_text(mirror: &Mirror, value: &Value) -> String {
    match value {
        Value::Text(text) if !text.contains(char::is_control) => text.clone(),
        value => value.text(mirror.image()),
    }
}

/// The message for what was typed into a field, or a sentence about what is wrong with it.
fn edited(id: ObjectId, name: &Name, before: &Value, text: &str) -> Command {
    if let Value::Text(before) = before
        && !before.contains(char::is_control)
    {
        return set(id, name, Value::Text(text.to_string()).into());
    }
    match parse_literal(text) {
        Ok(Literal::Value(Value::Text(word)))
            if !text.trim_start().starts_with('"') && !matches!(before, Value::Nil) =>
        {
            let kind = before.kind();
            Command::Warn(format!(
                "{name} holds {kind}, and `{word}` is none; a text is written in quotes: {}",
                quoted(&word)
            ))
        }
        Ok(literal) => set(id, name, literal),
        Err(message) => Command::Warn(format!("{name}: {message}")),
    }
}

fn set(id: ObjectId, name: &Name, value: Literal) -> Command {
    let Ok(selector) = Name::new("set") else { return Command::Warn("set is no name".into()) };
    Command::Send(UICommand {
        target: Target::Id(id),
        selector,
        args: vec![Argument { name: Some(name.clone()), value }],
    })
}

fn new_slot_ui(ui: &mut Ui, id: ObjectId, state: &mut Page, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        let font = FontId::monospace(CODE);
        let margin = egui::Margin::symmetric(8, 4);
        let name = TextEdit::singleline(&mut state.new_name).hint_text("name").font(font.clone()).margin(margin);
        let name = ui.add_sized(egui::vec2(108.0, 24.0), name);
        super::style::call(ui, &name, "Name of the new slot");
        let value = TextEdit::singleline(&mut state.new_value).hint_text("value").font(font).margin(margin);
        let value =
            ui.add_sized(egui::vec2(ui.available_width() - ADD_WIDTH - ui.spacing().item_spacing.x, 24.0), value);
        super::style::call(ui, &value, "Value of the new slot");
        let entered = (name.lost_focus() || value.lost_focus()) && ui.input(|input| input.key_pressed(Key::Enter));
        if ui.add_sized(egui::vec2(ADD_WIDTH, 24.0), egui::Button::new("Add slot")).clicked()
            || (entered && !state.new_name.is_empty())
        {
            let text = state.new_value.trim();
            let value = if text.is_empty() { Ok(Value::Nil.into()) } else { parse_literal(text) };
            match (Name::new(state.new_name.trim()), value) {
                (Ok(name), Ok(value)) => {
                    commands.push(set(id, &name, value));
                    (state.new_name, state.new_value) = Default::default();
                }
                (Err(error), _) => commands.push(Command::Warn(error.to_string())),
                (_, Err(message)) => commands.push(Command::Warn(message)),
            }
        }
    });
}

fn signature(method: &MethodVersion) -> String {
    let params: Vec<&str> = method.params.iter().map(Name::as_str).collect();
    format!("({})", params.join(", "))
}

fn method_row_ui(
    ui: &mut Ui,
    id: ObjectId,
    name: &Name,
    method: &MethodVersion,
    state: &mut Page,
    commands: &mut Vec<Command>,
) {
    row(ui, name, tokens::TEXT, &method.doc, |ui| {
        let open = state.method.as_ref().is_some_and(|draft| draft.selector == **name);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.small_button("Undo").on_hover_text("Back to the version before").clicked() {
                commands.extend(Command::to(id, "undo_method", vec![("selector", Value::Text(name.to_string()))]));
            }
            let told = format!("Version {}, by {}", method.number, method.origin.author);
            ui.label(RichText::new(format!("v{}", method.number)).size(SMALL).color(color(tokens::FAINT)))
                .on_hover_text(&told);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                let text = RichText::new(signature(method)).font(FontId::monospace(CODE));
                let label = egui::Button::selectable(open, text).truncate();
                if ui.add(label).on_hover_text(format!("{told}. Click to open its text")).clicked() {
                    state.method = (!open).then(|| MethodDraft::of(name, method));
                }
            });
        });
    });
}

fn words_ui(ui: &mut Ui, id: ObjectId, state: &mut Page, commands: &mut Vec<Command>) {
    ui.add_space(6.0);
    let field = TextEdit::singleline(&mut state.words)
        .hint_text("Ask for a method in words, as: move by a given dx and dy")
        .margin(egui::Margin::symmetric(8, 4));
    let response = ui.add_sized(egui::vec2(ui.available_width(), 28.0), field);
    super::style::call(ui, &response, "Ask for a method in words");
    if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) && !state.words.trim().is_empty() {
        let words = std::mem::take(&mut state.words);
        commands.extend(Command::to(id, "reprogram_method", vec![("instructions", Value::Text(words))]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::morphic::test_worlds::{object, told};
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    type State = (InspectorState, Vec<Command>);

    fn harness(mirror: &Mirror, id: ObjectId) -> Harness<'_, State> {
        let ui = move |ui: &mut Ui, (state, commands): &mut State| inspector_ui(ui, mirror, Some(id), state, commands);
        let mut harness = Harness::new_ui_state(ui, State::default());
        harness.set_size(egui::vec2(380.0, 900.0));
        harness.run();
        harness
    }

    #[test]
    fn enter_in_a_field_says_set() {
        let point = object("point", &[ObjectId::proto()], &[("x", Value::Number(0.0))]);
        let mirror = told(vec![point.clone()]);
        let mut harness = harness(&mirror, point.id);
        harness.get_by_label("x").focus();
        harness.run();
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
        harness.get_by_label("x").type_text("120");
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        let expected = set(point.id, &Name::new("x").unwrap(), Value::Number(120.0).into());
        assert_eq!(harness.state().1, [expected]);
    }

    #[test]
    fn what_was_begun_is_not_lost_by_looking_elsewhere() {
        let x = [("x", Value::Number(0.0))];
        let (point, other) = (object("point", &[ObjectId::proto()], &x), object("other", &[ObjectId::proto()], &x));
        let mirror = told(vec![point.clone(), other.clone()]);
        let mut harness = harness(&mirror, point.id);
        harness.get_by_label("Ask for a method in words").focus();
        harness.get_by_label("Ask for a method in words").type_text("add 1 to x");
        harness.run();
        harness.get_by_label("x").focus();
        harness.run();
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
        harness.get_by_label("x").type_text("7");
        harness.run();
        let (state, commands) = harness.state_mut();
        state.turn_to(Some(other.id), &mirror, commands);
        assert_eq!(*commands, [set(point.id, &Name::new("x").unwrap(), Value::Number(7.0).into())]);
        assert_eq!(state.page.words, "");
        state.turn_to(Some(point.id), &mirror, commands);
        assert_eq!((state.page.words.as_str(), commands.len()), ("add 1 to x", 1));
    }

    #[test]
    fn a_field_that_was_only_looked_at_says_nothing() {
        let point = |x| object("point", &[ObjectId::proto()], &[("x", Value::Number(x))]);
        let (before, after, id) = (told(vec![point(0.0)]), told(vec![point(5.0)]), point(0.0).id);
        let ui = |ui: &mut Ui, (state, commands, moved): &mut (InspectorState, Vec<Command>, bool)| {
            inspector_ui(ui, if *moved { &after } else { &before }, Some(id), state, commands);
        };
        let mut harness = Harness::new_ui_state(ui, Default::default());
        harness.set_size(egui::vec2(380.0, 900.0));
        harness.run();
        harness.get_by_label("x").focus();
        harness.run();
        harness.state_mut().2 = true;
        harness.run();
        harness.get_by_label("y").focus();
        harness.run();
        assert_eq!(harness.state().1, []);
    }

    #[test]
    fn what_is_typed_is_read_by_the_kind_of_the_slot() {
        let (id, name) = (ObjectId::proto(), Name::new("s").unwrap());
        let number = Value::Number(1.0);
        assert_eq!(edited(id, &name, &number, "2"), set(id, &name, Value::Number(2.0).into()));
        assert!(matches!(edited(id, &name, &number, "two"), Command::Warn(_)));
        assert_eq!(edited(id, &name, &number, "\"two\""), set(id, &name, Value::Text("two".into()).into()));
        assert_eq!(edited(id, &name, &Value::Text("a".into()), "5"), set(id, &name, Value::Text("5".into()).into()));
        assert!(matches!(edited(id, &name, &number, "[1"), Command::Warn(_)));
        assert_eq!(edited(id, &name, &number, "@q"), set(id, &name, Literal::Named("q".into())));
    }

    #[test]
    fn nothing_chosen_says_what_to_do() {
        let mirror = told(vec![]);
        let ui = |ui: &mut Ui, (state, commands): &mut State| inspector_ui(ui, &mirror, None, state, commands);
        let mut harness = Harness::new_ui_state(ui, State::default());
        harness.run();
        harness.get_by_label("Nothing is chosen");
    }
}
