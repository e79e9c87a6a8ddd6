//! The status bar: how safe everything is, at a glance.

use super::style::{SMALL, color};
use crate::morphic::tokens;
use crate::object::Status;
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
}

/// The bar.
pub fn status_ui(ui: &mut Ui, status: &Status, figures: &Figures) {
    let words = |text: String, of| RichText::new(text).size(SMALL).color(color(of));
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 24.0;
        match &status.read_only {
            Some(reason) => {
                ui.label(words(format!("■ read-only: {reason}"), tokens::RED));
            }
            None => {
                let all = status.waiting == 0;
                let mark = if all { "●" } else { "○" };
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 6.0;
                    ui.label(words(mark.into(), if all { tokens::GREEN } else { tokens::AMBER }));
                    ui.label(words(format!("durable to {}", thousands(status.durable)), tokens::SOFT))
                        .on_hover_text("Every message up to this number is on disk with its outcome");
                });
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

    #[test]
    fn the_bar_tells_how_safe_everything_is() {
        let status = Status { durable: 1284, waiting: 0, objects: 14, problems: 1, read_only: None };
        let mut harness =
            Harness::new_ui(|ui| status_ui(ui, &status, &Figures { frame_ms: 1.1, zoom: 1.0, software: false }));
        harness.run();
        for text in ["durable to 1,284", "0 waiting", "14 objects", "1 fault", "frame 1.1 ms", "100 %"] {
            harness.get_by_label(text);
        }
    }
}
