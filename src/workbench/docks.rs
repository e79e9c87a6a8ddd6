//! The docks around the world: which panel stands where, and which of them a narrow window has.

use super::console::{console_ui, transcript_ui};
use super::desk::{Command, Desk};
use super::inspector::inspector_ui;
use super::objects::objects_ui;
use super::quarantine::quarantine_ui;
use super::status::status_ui;
use super::style;
use super::window::Panels;
use crate::morphic::Bounds;

/// All docks. Answers the hole in the middle.
pub(super) fn docks_ui(root: &mut egui::Ui, desk: &Desk, panels: &mut Panels, commands: &mut Vec<Command>) -> Bounds {
    let width = root.available_width();
    let bar = egui::Panel::bottom("status")
        .exact_size(24.0)
        .frame(style::dock(0).inner_margin(egui::Margin::symmetric(12, 0)));
    bar.show(root, |ui| status_ui(ui, desk.mirror.status(), &panels.figures, commands));
    if width >= 800.0 {
        let dock = egui::Panel::right("inspector").default_size(360.0).size_range(280.0..=560.0).frame(style::dock(12));
        dock.show(root, |ui| {
            ui.set_width(ui.available_width()); // a dock keeps its width, whatever stands in it
            inspector_ui(ui, &desk.mirror, desk.selected, &mut panels.inspector, commands);
        });
    }
    if width >= 1_100.0 {
        let dock = egui::Panel::left("objects").default_size(220.0).size_range(160.0..=400.0).frame(style::dock(8));
        dock.show(root, |ui| {
            ui.set_width(ui.available_width());
            objects_ui(ui, &desk.mirror, desk.selected, &mut panels.built_in, commands);
        });
    }
    let dock = egui::Panel::bottom("transcript")
        .resizable(true)
        .default_size(216.0)
        .size_range(96.0..=600.0)
        .frame(style::dock(10));
    dock.show(root, |ui| {
        egui::Panel::bottom("console").frame(egui::Frame::NONE).show_separator_line(false).show(ui, |ui| {
            ui.add_space(6.0);
            console_ui(ui, &desk.mirror, &mut panels.console, commands);
        });
        transcript_ui(ui, &desk.mirror, commands);
    });
    if desk.shows_quarantine {
        let dock = egui::Panel::bottom("quarantine")
            .resizable(true)
            .default_size(300.0)
            .size_range(128.0..=600.0)
            .frame(style::dock(10));
        dock.show(root, |ui| quarantine_ui(ui, &desk.mirror, &mut panels.quarantine, commands));
    }
    let hole = root.available_rect_before_wrap();
    Bounds { min: [hole.left(), hole.top()], max: [hole.right(), hole.bottom()] }
}
