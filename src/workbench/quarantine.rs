//! What is in quarantine: a list, and one entry in full. Its buttons say what a person could type as well.

use super::Command;
use super::style::{SMALL, color, name_font};
use crate::language::console::{place_text, quarantine_bytes, quarantine_rows};
use crate::morphic::{Mirror, tokens, tokens::Rgb};
use crate::object::{Afterwards, Quarantined};
use egui::{Align, Align2, FontId, Layout, RichText, Sense, Ui};

/// Width of the list.
const LIST: f32 = 308.0;
const ROW: f32 = 24.0;
/// Size of the letters of bytes: a row of them fits beside the list.
const BYTES: f32 = 11.0;
/// Height of a line of what is told.
const FACT: f32 = 20.0;
/// Width of the names of what is told.
const NAMES: f32 = 64.0;

/// What the panel remembers.
#[derive(Clone, Debug, Default)]
pub struct QuarantineState {
    /// The number of the chosen entry.
    selected: Option<u64>,
    /// Whether it was asked once to be let go.
    asked: bool,
}

/// The panel.
pub fn quarantine_ui(ui: &mut Ui, mirror: &Mirror, state: &mut QuarantineState, commands: &mut Vec<Command>) {
    let entries = &mirror.replica().quarantine;
    head_ui(ui, entries.len(), commands);
    // The chosen one, or what is in its place now.
    let first = state.selected.unwrap_or_default();
    let Some(entry) = entries.iter().find(|entry| entry.number >= first).or(entries.last()) else {
        let hint = "Nothing is in quarantine. What is damaged when the world wakes is set aside and shown here";
        ui.label(RichText::new(hint).color(color(tokens::FAINT)));
        return;
    };
    if state.selected != Some(entry.number) {
        *state = QuarantineState { selected: Some(entry.number), asked: false };
    }
    let list = egui::Panel::left("quarantine entries").exact_size(LIST).frame(egui::Frame::NONE).resizable(false);
    list.show_separator_line(false).show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, entries.len(), |ui, range| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for entry in &entries[range] {
                row_ui(ui, mirror, entry, state);
            }
        });
    });
    egui::Frame::NONE.inner_margin(egui::Margin { left: 16, ..egui::Margin::ZERO }).show(ui, |ui| {
        // A list that was clicked tells of another entry in the next frame.
        entry_ui(ui, mirror, entry, state, commands);
    });
}

fn head_ui(ui: &mut Ui, count: usize, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Quarantine").size(SMALL).color(color(tokens::SOFT)));
        ui.label(RichText::new(count.to_string()).size(SMALL).color(color(tokens::FAINT)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let close = egui::Label::new(RichText::new("Close").color(color(tokens::FAINT))).sense(Sense::click());
            if ui.add(close).on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                commands.push(Command::ShowQuarantine(false));
            }
        });
    });
    ui.add_space(4.0);
}

/// How it stands with an entry, as a sign, a word and a colour.
fn sign(entry: &Quarantined, waits: bool) -> (&'static str, &'static str, Rgb) {
    match entry.now {
        Afterwards::Rebuilt { whole: true, .. } => ("●", "rebuilt", tokens::GREEN),
        Afterwards::Rebuilt { whole: false, .. } => ("○", "rebuilt in part", tokens::AMBER),
        Afterwards::TakenIn => ("●", "taken in", tokens::GREEN),
        Afterwards::Gone => ("○", "gone", tokens::SOFT),
        Afterwards::Waits if waits => ("▲", "waits", tokens::AMBER),
        Afterwards::Waits => ("○", "dealt with", tokens::SOFT),
        Afterwards::Lost => ("■", "lost", tokens::RED),
    }
}

fn row_ui(ui: &mut Ui, mirror: &Mirror, entry: &Quarantined, state: &mut QuarantineState) {
    let place = place_text(entry, mirror.image());
    let is_selected = state.selected == Some(entry.number);
    let (mark, word, of) = sign(entry, mirror.replica().has_problem(entry.sequence));
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), ROW), Sense::click());
    let told = format!("{place}, {word}");
    response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::SelectableLabel, true, is_selected, &told));
    if is_selected || response.hovered() {
        let fill = if is_selected { tokens::SELECTION } else { tokens::RAISED };
        ui.painter().rect_filled(rect, 4.0, color(fill));
    }
    let middle = rect.center().y;
    let right = egui::pos2(rect.right() - 8.0, middle);
    let small = FontId::proportional(SMALL);
    let word = ui.painter().text(right, Align2::RIGHT_CENTER, format!("{mark} {word}"), small, color(of));
    let left = rect.with_max_x(word.left() - 8.0);
    let text = egui::WidgetText::from(RichText::new(&place).color(color(tokens::TEXT)));
    let galley = text.into_galley(ui, Some(egui::TextWrapMode::Truncate), left.width() - 8.0, egui::TextStyle::Body);
    let at = egui::pos2(rect.left() + 8.0, middle - galley.size().y / 2.0);
    ui.painter().galley(at, galley, color(tokens::TEXT));
    if response.on_hover_text(&place).clicked() && !is_selected {
        *state = QuarantineState { selected: Some(entry.number), asked: false };
    }
}

fn entry_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    entry: &Quarantined,
    state: &mut QuarantineState,
    commands: &mut Vec<Command>,
) {
    let waits = |sequence| mirror.replica().has_problem(sequence);
    ui.label(RichText::new(place_text(entry, mirror.image())).font(name_font(ui, 15.0)));
    ui.add_space(4.0);
    buttons_ui(ui, mirror, entry, state, commands);
    ui.add_space(4.0);
    egui::ScrollArea::both().id_salt(entry.number).auto_shrink(false).show(ui, |ui| {
        (ui.spacing_mut().item_spacing.y, ui.spacing_mut().interact_size.y) = (0.0, FACT);
        for (name, says) in quarantine_rows(entry, waits, mirror.image()).into_iter().skip(1) {
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(egui::vec2(NAMES, FACT), Sense::hover());
                let small = FontId::proportional(SMALL);
                ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, name, small, color(tokens::FAINT));
                ui.add(egui::Label::new(RichText::new(says).color(color(tokens::TEXT))).selectable(true));
            });
        }
        ui.add_space(8.0);
        let bytes = RichText::new(quarantine_bytes(entry)).font(FontId::monospace(BYTES)).color(color(tokens::SOFT));
        ui.add(egui::Label::new(bytes).selectable(true).wrap_mode(egui::TextWrapMode::Extend));
    });
}

fn buttons_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    entry: &Quarantined,
    state: &mut QuarantineState,
    commands: &mut Vec<Command>,
) {
    let number = entry.number;
    ui.horizontal(|ui| {
        let why = "Says below whether what it belonged to was made anew from the log, or why it can't be";
        if ui.button("Rebuild").on_hover_text(why).clicked() {
            commands.push(Command::Say(format!("quarantine {number} rebuild")));
        }
        if entry.now == Afterwards::Waits && mirror.replica().has_problem(entry.sequence) {
            let sequence = entry.sequence;
            let why = "Sends the message again, whose record is lost, to the world as it is now";
            if ui.button(format!("Retry message {sequence}")).on_hover_text(why).clicked() {
                commands.push(Command::Say(format!("retry {sequence}")));
            }
        }
        let red = |text: &str| RichText::new(text).color(color(tokens::RED));
        if mirror.lets_go(number) {
            ui.add_enabled(false, egui::Button::new("Is let go …"));
        } else if state.asked {
            if ui.button(red("Let go for good")).on_hover_text("Its bytes are kept no longer").clicked() {
                state.asked = false;
                commands.push(Command::Say(format!("quarantine {number} let-go")));
            }
            if ui.button("Keep").clicked() {
                state.asked = false;
            }
        } else if ui.button("Let go").on_hover_text("Keeps it no longer; asks once more").clicked() {
            state.asked = true;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::console::test_quarantines::{entry, problem};
    use crate::morphic::test_worlds::told;
    use crate::object::{EventBody, StateUpdateEvent, Status};
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;
    use std::sync::Arc;

    type State = (Mirror, QuarantineState, Vec<Command>);

    fn mirror(entries: &[Quarantined]) -> Mirror {
        let mut mirror = told(vec![]);
        let objects = mirror.image().iter().cloned().collect();
        mirror.learn(EventBody::State(StateUpdateEvent::FullState {
            objects: Arc::new(objects),
            tombstones: Arc::default(),
            problems: Arc::new(vec![problem(6)]),
            quarantine: Arc::new(entries.iter().cloned().map(Arc::new).collect()),
            status: Status::default(),
        }));
        mirror
    }

    fn harness(entries: &[Quarantined]) -> Harness<'static, State> {
        let ui = |ui: &mut Ui, (mirror, state, commands): &mut State| quarantine_ui(ui, mirror, state, commands);
        let state = (mirror(entries), QuarantineState::default(), Vec::new());
        let mut harness = Harness::builder().with_size([860.0, 264.0]).build_ui_state(ui, state);
        harness.run();
        harness
    }

    fn says(line: &str) -> Command {
        Command::Say(line.into())
    }

    #[test]
    fn an_entry_is_chosen_shown_and_asked_about() {
        let rebuilt = entry(1, 0, Afterwards::Rebuilt { at: 40, whole: true });
        let mut harness = harness(&[
            rebuilt,
            entry(2, 6, Afterwards::Waits),
            entry(3, 7, Afterwards::Lost),
            entry(4, 8, Afterwards::Waits),
        ]);
        harness.get_by_label("log record 9 (outcome of message 8), dealt with");
        harness.get_by_label("log record 9 (outcome of message 7), lost").click();
        harness.run();
        assert!(harness.query_by_label("Retry message 7").is_none(), "no problem 7 waits");
        harness.get_by_label("log record 9 (outcome of message 6), waits").click();
        harness.run();
        harness.get_by_label("its checksum is wrong");
        harness.get_by_label_contains("00000000  48 57 01");
        harness.get_by_label("Retry message 6").click();
        harness.run();
        harness.get_by_label("snapshot of proto, rebuilt").click();
        harness.run();
        harness.get_by_label("made anew from the log: nothing is lost");
        harness.get_by_label("Rebuild").click();
        harness.run();
        assert_eq!(harness.state().2, [says("retry 6"), says("quarantine 1 rebuild")]);
    }

    #[test]
    fn an_entry_goes_after_a_second_click_and_the_next_one_is_shown() {
        let mut harness = harness(&[entry(1, 6, Afterwards::Waits), entry(2, 7, Afterwards::Lost)]);
        harness.get_by_label("log record 9 (outcome of message 6), waits").click();
        harness.run();
        harness.get_by_label("Let go").click();
        harness.run();
        assert_eq!(harness.state().2, []);
        harness.get_by_label("Keep").click();
        harness.run();
        harness.get_by_label("Let go").click();
        harness.run();
        harness.get_by_label("Let go for good").click();
        harness.run();
        assert_eq!(harness.state().2, [says("quarantine 1 let-go")]);
        harness.state_mut().0.await_let_go(1, 9);
        harness.run();
        harness.get_by_label("Is let go …");
        harness.state_mut().0.learn(EventBody::State(StateUpdateEvent::LetGo { number: 1 }));
        harness.run();
        assert!(harness.query_by_label_contains("message 6").is_none());
        harness.get_by_label("Let go");
        harness.state_mut().0.learn(EventBody::State(StateUpdateEvent::LetGo { number: 2 }));
        harness.run();
        harness.get_by_label_contains("Nothing is in quarantine");
    }

    #[test]
    fn another_entry_is_not_let_go_by_the_click_that_was_meant_for_one() {
        let mut harness = harness(&[entry(1, 6, Afterwards::Waits), entry(2, 7, Afterwards::Lost)]);
        harness.get_by_label("Let go").click();
        harness.run();
        harness.get_by_label("log record 9 (outcome of message 7), lost").click();
        harness.run();
        assert!(harness.query_by_label("Let go for good").is_none());
    }

    #[test]
    fn the_panel_is_put_away() {
        let mut harness = harness(&[]);
        harness.get_by_label("Close").click();
        harness.run();
        assert_eq!(harness.state().2, [Command::ShowQuarantine(false)]);
    }
}
