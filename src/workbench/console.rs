//! The transcript, and the console line at its foot.

use super::Command;
use super::style::{CODE, color};
use crate::language::console::{help_text, selectors_of};
use crate::morphic::{Entry, Mirror, Progress, tokens};
use crate::object::{Name, Objects};
use egui::text::{CCursor, CCursorRange};
use egui::{FontId, Key, RichText, Ui};

/// Lines of the history that are kept.
const HISTORY: usize = 500;
/// By how much an answer stands further in than what was asked, in logical pixels: about two letters.
const INDENT: i8 = 15;

/// What the console line remembers.
#[derive(Clone, Debug, Default)]
pub struct ConsoleState {
    /// What is being typed.
    pub line: String,
    history: Vec<String>,
    /// Which line of the history is shown; none while typing.
    recalled: Option<usize>,
    /// What was being typed before the history was looked at.
    kept: String,
    /// Candidates of the last completion.
    hint: String,
    focused_once: bool,
}

/// The transcript: newest at the foot.
pub fn transcript_ui(ui: &mut Ui, mirror: &Mirror, commands: &mut Vec<Command>) {
    if mirror.transcript.iter().len() == 0 {
        ui.add_space(8.0);
        let hint = "What is asked and answered stands here. Type below: create_point point, or help";
        ui.label(RichText::new(hint).color(color(tokens::FAINT)));
        return;
    }
    egui::ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        let entries = mirror.transcript.iter();
        let hidden = entries.len().saturating_sub(300);
        for entry in entries.skip(hidden) {
            ui.push_id(entry.number, |ui| entry_ui(ui, mirror, entry, commands));
        }
    });
}

fn entry_ui(ui: &mut Ui, mirror: &Mirror, entry: &Entry, commands: &mut Vec<Command>) {
    let mono = |text: &str, of| RichText::new(text).font(FontId::monospace(CODE)).color(color(of));
    let (mark, of, told) = match entry.progress {
        Progress::Waiting => ("…", tokens::FAINT, "On its way to the disk"),
        Progress::Settled => ("○", tokens::AMBER, "Done; its record is on its way to the disk"),
        Progress::Durable => ("✔", tokens::GREEN, "Done and on disk"),
        Progress::Failed => ("✖", tokens::RED, "Failed; nothing was changed"),
        Progress::InDoubt => {
            ("?", tokens::AMBER, "Not acknowledged: after the next start `log` shows what became of it")
        }
        Progress::Note => ("", tokens::FAINT, ""),
        Progress::Warning => ("!", tokens::AMBER, ""),
    };
    if !entry.line.is_empty() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            words_ui(ui, mirror, &entry.line, tokens::TEXT, commands);
            if !mark.is_empty() {
                ui.label(mono(&format!("  {mark}"), of)).on_hover_text(told);
            }
        });
    }
    let answer = match entry.progress {
        Progress::Failed => tokens::RED,
        Progress::Warning => tokens::AMBER,
        _ => tokens::SOFT,
    };
    for line in entry.answer.lines() {
        egui::Frame::NONE.inner_margin(egui::Margin { left: INDENT, ..Default::default() }).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                words_ui(ui, mirror, line, answer, commands);
            });
        });
    }
}

/// A line in which the names of objects can be clicked; everything can be copied.
fn words_ui(ui: &mut Ui, mirror: &Mirror, line: &str, of: tokens::Rgb, commands: &mut Vec<Command>) {
    let mut plain = String::new();
    let label = |ui: &mut Ui, text: &mut String| {
        if !text.is_empty() {
            let text = std::mem::take(text);
            ui.add(
                egui::Label::new(RichText::new(text).font(FontId::monospace(CODE)).color(color(of))).selectable(true),
            );
        }
    };
    for word in line.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let name = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let id = (!name.is_empty()).then(|| mirror.image().named(name)).flatten();
        match id {
            Some(id) => {
                label(ui, &mut plain);
                let text = RichText::new(name).font(FontId::monospace(CODE)).color(color(tokens::BLUE));
                if ui
                    .add(egui::Label::new(text).sense(egui::Sense::click()))
                    .on_hover_cursor(egui::CursorIcon::PointingHand)
                    .clicked()
                {
                    commands.push(Command::Select(Some(id)));
                }
                plain.push_str(&word[name.len()..]);
            }
            None => plain.push_str(word),
        }
    }
    label(ui, &mut plain);
}

/// The console line: Enter says it, up and down recall, Tab completes.
pub fn console_ui(ui: &mut Ui, mirror: &Mirror, state: &mut ConsoleState, commands: &mut Vec<Command>) {
    let id = ui.make_persistent_id("console line");
    let focused = ui.memory(|memory| memory.has_focus(id));
    let frame = egui::Frame::new()
        .fill(color(tokens::GROUND))
        .stroke(egui::Stroke::new(1.0, color(if focused { tokens::BLUE } else { tokens::LINE })))
        .corner_radius(6)
        .inner_margin(egui::Margin::symmetric(10, 6));
    frame.show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new("›").font(FontId::monospace(CODE)).color(color(tokens::AMBER)));
            let edit = egui::TextEdit::singleline(&mut state.line)
                .id(id)
                .lock_focus(true)
                .return_key(None) // Enter would let the focus go, and the key after it would miss the field
                .font(FontId::monospace(CODE))
                .hint_text("selector object name=value …")
                .frame(egui::Frame::NONE)
                .desired_width(f32::INFINITY);
            let response = ui.add(edit);
            super::style::call(ui, &response, "Console");
            if response.changed() {
                // What is pasted may have several lines, and this is one.
                if state.line.contains(['\n', '\r']) {
                    state.line = state.line.replace(['\n', '\r'], " ");
                }
                state.hint.clear();
                state.recalled = None;
            }
            // After the field took in what was typed before the key.
            let pressed = |key| focused && ui.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key));
            let completed = pressed(Key::Tab) && complete(mirror, state);
            if completed || pressed(Key::ArrowUp) && recall(state, -1) || pressed(Key::ArrowDown) && recall(state, 1) {
                cursor_to_end(ui, id, &state.line);
            }
            if pressed(Key::Enter) {
                say(state, commands);
            }
            if !state.focused_once {
                state.focused_once = true;
                response.request_focus();
            }
        });
    });
    if !state.hint.is_empty() {
        ui.label(RichText::new(&state.hint).font(FontId::monospace(CODE)).color(color(tokens::FAINT)));
    }
}

fn say(state: &mut ConsoleState, commands: &mut Vec<Command>) {
    let line = std::mem::take(&mut state.line);
    (state.recalled, state.hint) = (None, String::new());
    if line.trim().is_empty() {
        return;
    }
    if state.history.last() != Some(&line) {
        state.history.push(line.clone());
        if state.history.len() > HISTORY {
            state.history.remove(0);
        }
    }
    commands.push(Command::Say(line));
}

fn recall(state: &mut ConsoleState, by: isize) -> bool {
    let end = state.history.len();
    let now = state.recalled.unwrap_or(end);
    let Some(next) = now.checked_add_signed(by).filter(|next| *next <= end) else { return false };
    if state.recalled.is_none() {
        state.kept = state.line.clone();
    }
    state.line = state.history.get(next).cloned().unwrap_or_else(|| state.kept.clone());
    state.recalled = (next < end).then_some(next);
    true
}

/// Completes the last word: a selector first, then an object, then parameters of the message. Answers whether the line
/// is another.
fn complete(mirror: &Mirror, state: &mut ConsoleState) -> bool {
    let start = state.line.rfind([' ', '@']).map_or(0, |place| place + 1);
    let word = &state.line[start..];
    let before: Vec<&str> = state.line[..start].split_whitespace().collect();
    let known: Vec<String> = match before.as_slice() {
        [] => {
            let mut known = selectors_of(mirror.image(), None);
            for id in mirror.image().ids() {
                known.extend(selectors_of(mirror.image(), Some(id)));
            }
            known
                .extend(["help", "objects", "problems", "quarantine", "undo", "redo", "quit"].map(ToString::to_string));
            known
        }
        [selector, target, ..] if !state.line[..start].ends_with('@') => {
            let id = mirror.image().named(target.trim_start_matches('@'));
            let method = id.and_then(|id| crate::object::lookup(mirror.image(), id, selector)?.slot.as_method());
            let own = method.map(|method| method.params.iter().map(|name| format!("{name}=")).collect());
            let root = || {
                crate::language::native_spec(selector)
                    .map(|spec| spec.params.iter().map(|name| format!("{name}=")).collect())
            };
            own.or_else(root).unwrap_or_default()
        }
        _ => mirror.image().names().iter().map(Name::to_string).collect(),
    };
    let mut found: Vec<&String> = known.iter().filter(|name| name.starts_with(word)).collect();
    found.sort();
    found.dedup();
    let Some(first) = found.first() else {
        state.hint = if before.is_empty() {
            help_text(Some(word)).lines().next().unwrap_or_default().to_string()
        } else {
            String::new()
        };
        return false;
    };
    let shared = found.iter().fold(first.len(), |shared, name| {
        first.bytes().zip(name.bytes()).take(shared).take_while(|(a, b)| a == b).count()
    });
    let single = found.len() == 1;
    let completed = format!("{}{}", &first[..shared], if single && !first.ends_with('=') { " " } else { "" });
    state.hint = if single {
        String::new()
    } else {
        found.iter().take(12).map(|name| name.as_str()).collect::<Vec<_>>().join("  ")
    };
    let is_new = state.line[start..] != completed;
    state.line.replace_range(start.., &completed);
    is_new
}

fn cursor_to_end(ui: &Ui, id: egui::Id, line: &str) {
    if let Some(mut state) = egui::TextEdit::load_state(ui.ctx(), id) {
        let end = CCursor::new(line.chars().count());
        state.cursor.set_char_range(Some(CCursorRange::one(end)));
        state.store(ui.ctx(), id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::morphic::test_worlds::{object, told};
    use crate::object::ObjectId;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    #[test]
    fn enter_says_the_line_and_up_recalls_it() {
        let mirror = told(vec![object("point", &[ObjectId::proto()], &[])]);
        let ui = |ui: &mut Ui, (state, commands): &mut (ConsoleState, Vec<Command>)| {
            console_ui(ui, &mirror, state, commands)
        };
        let mut harness = Harness::new_ui_state(ui, (ConsoleState::default(), Vec::new()));
        harness.run();
        harness.get_by_label("Console").focus();
        harness.get_by_label("Console").type_text("describe point");
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(harness.state().1, [Command::Say("describe point".into())]);
        assert_eq!(harness.state().0.line, "");
        harness.key_press(Key::ArrowUp);
        harness.run();
        assert_eq!(harness.state().0.line, "describe point");
        harness.key_press(Key::ArrowDown);
        harness.run();
        assert_eq!(harness.state().0.line, "");
    }

    #[test]
    fn pasted_lines_become_one() {
        let mirror = told(vec![]);
        let ui = |ui: &mut Ui, (state, commands): &mut (ConsoleState, Vec<Command>)| {
            console_ui(ui, &mirror, state, commands)
        };
        let mut harness = Harness::new_ui_state(ui, (ConsoleState::default(), Vec::new()));
        harness.run();
        harness.get_by_label("Console").focus();
        harness.event(egui::Event::Paste("set point\nx=5".into()));
        harness.run();
        assert_eq!(harness.state().0.line, "set point x=5");
    }

    #[test]
    fn tab_completes_selectors_objects_and_parameters() {
        let mirror = told(vec![object("point", &[ObjectId::proto()], &[])]);
        let completed = |line: &str| {
            let mut state = ConsoleState { line: line.into(), ..ConsoleState::default() };
            complete(&mirror, &mut state);
            state.line
        };
        assert_eq!(completed("desc"), "describe ");
        assert_eq!(completed("re"), "re");
        assert_eq!(completed("describe po"), "describe point ");
        assert_eq!(completed("clone point a"), "clone point as=");
        assert_eq!(completed("add_parent point parent=@po"), "add_parent point parent=@point ");
        assert_eq!(completed("zzz"), "zzz");
    }
}
