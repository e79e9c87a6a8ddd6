//! The status bar: how safe everything is, at a glance.

use super::desk::Command;
use super::style::{SMALL, color};
use crate::morphic::tokens;
use crate::object::{Room, Status, bytes_in_words};
use egui::{RichText, Ui};

/// What the bar shows beside the world's own figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Milliseconds of the last frame that was drawn.
    pub frame_ms: f32,
    /// Pixels for each world unit.
    pub zoom: f32,
    /// Whether the processor draws, for want of a graphics adapter.
    pub software: bool,
    /// Whether it is told that the world was not closed in order the last time.
    pub tells_unclean_exit: bool,
    /// Whether what is in quarantine is shown.
    pub shows_quarantine: bool,
}

/// The bar.
pub fn status_ui(ui: &mut Ui, status: &Status, figures: &Figures, commands: &mut Vec<Command>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 24.0;
        safety_ui(ui, status);
        room_ui(ui, status.room);
        if figures.tells_unclean_exit {
            let told = words("▲ not closed in order the last time ×".into(), tokens::AMBER);
            let why = "The program ended without closing this world: it was killed, or the power failed. Nothing that \
                       was acknowledged is lost. Click to put this away";
            let label = egui::Label::new(told).sense(egui::Sense::click());
            if ui.add(label).on_hover_text(why).on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                commands.push(Command::PutNoticeAway);
            }
        }
        ui.label(words(format!("{} waiting", thousands(status.waiting)), tokens::SOFT));
        ui.label(words(format!("{} objects", thousands(status.objects as u64)), tokens::SOFT));
        let faults = match status.problems {
            0 => words("no faults".into(), tokens::SOFT),
            1 => words("1 fault".into(), tokens::RED),
            count => words(format!("{} faults", thousands(count as u64)), tokens::RED),
        };
        ui.label(faults).on_hover_text("Failed messages that wait: `problems` lists them");
        if status.quarantined > 0 {
            let told = words(format!("■ {} in quarantine", thousands(status.quarantined as u64)), tokens::RED);
            let why =
                "Damaged records that were set aside when the world awoke. Click to look at them, or put them away";
            let label = egui::Label::new(told).sense(egui::Sense::click());
            if ui.add(label).on_hover_text(why).on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                commands.push(Command::ShowQuarantine(!figures.shows_quarantine));
            }
        }
        ui.label(words(format!("frame {:.1} ms", figures.frame_ms), tokens::SOFT));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(words(format!("{:.0} %", figures.zoom * 100.0), tokens::SOFT));
            ui.label(words("composer, no model connected".into(), tokens::SOFT))
                .on_hover_text("Who writes methods from plain words: the built-in grammar of docs/composer.md");
            if figures.software {
                ui.label(words("software rendering".into(), tokens::FAINT))
                    .on_hover_text("No graphics adapter was found: the processor draws, which is slow");
            }
        });
    });
}

fn words(text: String, of: tokens::Rgb) -> RichText {
    RichText::new(text).size(SMALL).color(color(of))
}

/// Up to which message all is on disk, or what is in the way of it.
fn safety_ui(ui: &mut Ui, status: &Status) {
    if let Some(reason) = &status.read_only {
        // The way out is in the whole sentence; the bar has room for what it is.
        let short = reason.split([';', '(']).next().unwrap_or(reason).trim();
        ui.label(words(format!("■ read-only: {short}"), tokens::RED)).on_hover_text(reason);
        return;
    }
    let all = status.waiting == 0;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.label(words(if all { "●" } else { "○" }.into(), if all { tokens::GREEN } else { tokens::AMBER }));
        ui.label(words(format!("durable to {}", thousands(status.durable)), tokens::SOFT))
            .on_hover_text("Every message up to this number is on disk with its outcome");
        if let Some(seconds) = status.unanswered_s {
            let why = "The disk has not answered for so long. Nothing is lost: what was sent waits, and everything else goes on";
            ui.label(words(format!("waiting for the disk, {} s", thousands(seconds)), tokens::AMBER)).on_hover_text(why);
        }
    });
}

fn room_ui(ui: &mut Ui, room: Room) {
    let (told, of) = match room {
        Room::Ample => return,
        Room::Low { free } => (format!("▲ {} left on the disk", bytes_in_words(free)), tokens::AMBER),
        Room::Scarce { free, .. } => (format!("■ disk nearly full: {} left", bytes_in_words(free)), tokens::RED),
    };
    ui.label(words(told, of)).on_hover_text(room.to_string());
}

/// Digits in groups of three.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    fn bar(status: Status, figures: Figures) -> Harness<'static, Vec<Command>> {
        let ui = move |ui: &mut Ui, commands: &mut Vec<Command>| status_ui(ui, &status, &figures, commands);
        let mut harness = Harness::builder().with_size([1_440.0, 24.0]).build_ui_state(ui, Vec::new());
        harness.run();
        harness
    }

    #[test]
    fn the_bar_tells_how_safe_everything_is() {
        let status = Status { durable: 1284, objects: 14, problems: 1, ..Status::default() };
        let harness = bar(status, Figures { frame_ms: 1.1, zoom: 1.0, ..Figures::default() });
        for text in ["durable to 1,284", "0 waiting", "14 objects", "1 fault", "frame 1.1 ms", "100 %"] {
            harness.get_by_label(text);
        }
    }

    #[test]
    fn the_bar_tells_what_is_wrong_with_the_disk() {
        let reason = Some("the disk is full; make room, and it goes on by itself".to_string());
        let scarce = Room::Scarce { free: 12 << 20, needed: 18 << 20 };
        let cases = [
            (Status { read_only: reason, ..Status::default() }, "■ read-only: the disk is full"),
            (Status { unanswered_s: Some(12), waiting: 3, ..Status::default() }, "waiting for the disk, 12 s"),
            (Status { room: Room::Low { free: 48 << 20 }, ..Status::default() }, "▲ 48 MiB left on the disk"),
            (Status { room: scarce, ..Status::default() }, "■ disk nearly full: 12 MiB left"),
        ];
        for (status, text) in cases {
            bar(status, Figures::default()).get_by_label(text);
        }
    }

    #[test]
    fn what_is_in_quarantine_is_a_button() {
        let status = Status { quarantined: 3, ..Status::default() };
        for shows in [false, true] {
            let figures = Figures { shows_quarantine: shows, ..Figures::default() };
            let mut harness = bar(status.clone(), figures);
            harness.get_by_label("■ 3 in quarantine").click();
            harness.run();
            assert_eq!(*harness.state(), [Command::ShowQuarantine(!shows)]);
        }
        let bar = bar(Status::default(), Figures::default());
        assert!(bar.query_by_label_contains("quarantine").is_none());
    }

    #[test]
    fn an_end_without_a_close_is_told_until_it_is_put_away() {
        let told = "▲ not closed in order the last time ×";
        let mut harness = bar(Status::default(), Figures { tells_unclean_exit: true, ..Figures::default() });
        harness.get_by_label(told).click();
        harness.run();
        assert_eq!(*harness.state(), [Command::PutNoticeAway]);
        assert!(bar(Status::default(), Figures::default()).query_by_label(told).is_none());
    }
}
