//! The editor of a method's text: accepted as a message, with what is wrong told at its line.

use super::Command;
use super::style::{CODE, SMALL, color};
use crate::language::parse_method;
use crate::morphic::{Mirror, tokens};
use crate::object::{MethodVersion, Name, ObjectId, Objects, Target, Value};
use egui::{FontId, Key, RichText, TextEdit, Ui};

/// A method's text on the desk.
#[derive(Clone, Debug)]
pub(super) struct MethodDraft {
    pub(super) selector: String,
    is_new: bool,
    /// The accepted text it began with.
    accepted: String,
    text: String,
    /// The line at fault, from 1, and what is wrong there.
    error: Option<(u32, String)>,
    /// Failed messages up to this one were there before it was accepted the last time.
    sent_after: Option<u64>,
}

impl MethodDraft {
    /// A method that is not there yet.
    pub(super) fn of_new() -> Self {
        let text = "function(self)\n  \nend".to_string();
        Self { selector: String::new(), is_new: true, accepted: String::new(), text, error: None, sent_after: None }
    }

    /// The text of a method as it stands.
    pub(super) fn of(selector: &Name, method: &MethodVersion) -> Self {
        let (accepted, text) = (method.source.clone(), method.source.clone());
        Self { selector: selector.to_string(), is_new: false, accepted, text, error: None, sent_after: None }
    }

    /// Whether something stands in it that nobody accepted yet.
    pub(super) fn is_begun(&self) -> bool {
        self.text != self.accepted
    }
}

/// The editor of the method on the desk, if there is one.
pub(super) fn editor_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    id: ObjectId,
    slot: &mut Option<MethodDraft>,
    commands: &mut Vec<Command>,
) {
    let Some(draft) = slot else { return };
    follow_the_world(draft, mirror, id);
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        if draft.is_new {
            let field = TextEdit::singleline(&mut draft.selector).hint_text("selector").font(FontId::monospace(CODE));
            let response = ui.add(field.desired_width(140.0));
            super::style::call(ui, &response, "Selector");
        } else {
            ui.label(RichText::new(&draft.selector).font(FontId::monospace(CODE)).color(color(tokens::AMBER)));
        }
        let hint = if !draft.is_begun() { "accepted" } else { "Ctrl S accepts" };
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(RichText::new(hint).size(SMALL).color(color(tokens::FAINT)));
        });
    });
    let faulty = draft.error.as_ref().map(|(line, _)| *line);
    let lines = draft.text.split('\n').count().max(5);
    let edited = egui::Frame::new()
        .fill(color(tokens::GROUND))
        .stroke(egui::Stroke::new(1.0, color(if faulty.is_some() { tokens::RED } else { tokens::LINE })))
        .corner_radius(6)
        .inner_margin(egui::Margin::symmetric(6, 6))
        .show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                ui.label(line_numbers(lines, faulty));
                let edit = TextEdit::multiline(&mut draft.text)
                    .code_editor()
                    .font(FontId::monospace(CODE))
                    .frame(egui::Frame::NONE)
                    .margin(egui::Margin::ZERO)
                    .desired_rows(lines)
                    .desired_width(f32::INFINITY);
                let response = ui.add(edit);
                super::style::call(ui, &response, "Text of the method");
                response
            })
            .inner
        })
        .inner;
    if edited.changed() {
        draft.error = parse_method(&draft.text).err().map(|fault| (fault.line, fault.message));
    }
    if let Some((line, message)) = &draft.error {
        let text = format!("line {line}: {message}");
        ui.label(RichText::new(text).font(FontId::monospace(CODE)).color(color(tokens::RED)));
    }
    let saved = edited.has_focus() && ui.input_mut(|input| input.consume_key(egui::Modifiers::COMMAND, Key::S));
    ui.horizontal(|ui| {
        let primary =
            egui::Button::new(RichText::new("Accept").color(color(tokens::GROUND))).fill(color(tokens::AMBER));
        if ui.add(primary).clicked() || saved {
            draft.error = parse_method(&draft.text).err().map(|fault| (fault.line, fault.message));
            if draft.error.is_none() {
                draft.sent_after = Some(mirror.problems().last().map_or(0, |problem| problem.sequence));
                let args = vec![
                    ("selector", Value::Text(draft.selector.clone())),
                    ("source", Value::Text(draft.text.clone())),
                ];
                commands.extend(Command::to(id, "add_method", args));
            }
        }
        let close = if !draft.is_begun() { "Close" } else { "Discard" };
        if ui.button(close).clicked() {
            draft.selector.clear();
            draft.is_new = false;
        }
    });
    if draft.selector.is_empty() && !draft.is_new {
        *slot = None;
    }
}

/// Takes in what became of the text that was sent: accepted, or refused at a line.
fn follow_the_world(draft: &mut MethodDraft, mirror: &Mirror, id: ObjectId) {
    let now = mirror.image().object(id).and_then(|object| object.slots.get(&draft.selector)?.as_method());
    if let Some(now) = now
        && now.source != draft.accepted
    {
        if draft.text == draft.accepted || draft.text.trim() == now.source {
            draft.text.clone_from(&now.source);
        }
        draft.accepted.clone_from(&now.source);
        (draft.is_new, draft.error, draft.sent_after) = (false, None, None);
    }
    let Some(after) = draft.sent_after else { return };
    let refused = mirror.problems().iter().rev().find(|problem| {
        problem.sequence > after
            && problem.envelope.selector.as_str() == "add_method"
            && problem.envelope.target == Target::Id(id)
    });
    if let Some(problem) = refused {
        let message = &problem.fault.message;
        let line = message.split("line ").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
        draft.error =
            Some((line.unwrap_or(1), message.split_once(": ").map_or(message.as_str(), |(_, told)| told).to_string()));
        draft.sent_after = None;
    }
}

fn line_numbers(lines: usize, faulty: Option<u32>) -> egui::text::LayoutJob {
    let mut job = egui::text::LayoutJob::default();
    for line in 1..=lines {
        let of = if faulty == u32::try_from(line).ok() { tokens::RED } else { tokens::FAINT };
        let format = egui::TextFormat::simple(FontId::monospace(CODE), color(of));
        let end = if line < lines { "\n" } else { "" };
        job.append(&format!("{line:>2}{end}"), 0.0, format);
    }
    job
}
