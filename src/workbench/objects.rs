//! The list of objects: a tree by delegation.

use super::Command;
use super::style::{SMALL, color};
use crate::language::is_built_in;
use crate::morphic::{Mirror, tokens, tokens::Rgb};
use crate::object::{ObjectId, Objects, Value, lookup};
use egui::{RichText, Ui};
use std::collections::HashSet;

/// The list; a click chooses. What every world has from its beginning is listed where `built_in` says so.
pub fn objects_ui(
    ui: &mut Ui,
    mirror: &Mirror,
    selected: Option<ObjectId>,
    built_in: &mut bool,
    commands: &mut Vec<Command>,
) {
    let shows_built_in = *built_in;
    let shown = |id: &ObjectId| shows_built_in || !is_built_in(*id);
    let ids = mirror.image().ids();
    let total = ids.len();
    let all: Vec<ObjectId> = ids.into_iter().filter(shown).collect();
    ui.horizontal(|ui| {
        ui.label(RichText::new("Objects").size(SMALL).color(color(tokens::SOFT)));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(RichText::new(all.len().to_string()).size(SMALL).color(color(tokens::FAINT)));
        });
    });
    ui.add_space(4.0);
    let hidden = total - all.len();
    if total > 0 {
        egui::Panel::bottom("built in").frame(egui::Frame::NONE).show_separator_line(false).show(ui, |ui| {
            let text =
                if hidden > 0 { format!("Show the {hidden} built-in objects") } else { "Hide what is built in".into() };
            let link = egui::Label::new(RichText::new(text).color(color(tokens::FAINT))).sense(egui::Sense::click());
            if ui.add(link).on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                *built_in = hidden > 0;
            }
        });
    }
    if all.is_empty() {
        let hint = "Nothing here yet. Double-click the ground, or type: create_point point";
        ui.label(RichText::new(hint).color(color(tokens::FAINT)));
        return;
    }
    // Each object stands under its first parent; names first, in their order.
    let mut rows: Vec<(usize, ObjectId)> = Vec::new();
    let mut seen = HashSet::new();
    let is_root = |id: &&ObjectId| {
        let parents = mirror.image().object(**id).map(|object| object.parents.to_vec()).unwrap_or_default();
        !parents.iter().any(|parent| shown(parent) && mirror.image().object(*parent).is_some())
    };
    let mut next: Vec<(usize, ObjectId)> =
        sorted(mirror, all.iter().filter(is_root).copied().collect()).into_iter().rev().map(|id| (0, id)).collect();
    while let Some((depth, id)) = next.pop() {
        if seen.insert(id) {
            rows.push((depth, id));
            let children = sorted(mirror, mirror.children(id).filter(shown).collect());
            next.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
        }
    }
    // What delegates in a circle has no root.
    rows.extend(all.iter().filter(|id| seen.insert(**id)).map(|id| (0, *id)));
    egui::ScrollArea::vertical().auto_shrink(false).show_rows(ui, 24.0, rows.len(), |ui, range| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (depth, id) in &rows[range] {
            row_ui(ui, mirror, *depth, *id, selected == Some(*id), commands);
        }
    });
}

fn row_ui(ui: &mut Ui, mirror: &Mirror, depth: usize, id: ObjectId, selected: bool, commands: &mut Vec<Command>) {
    let title = mirror.image().title(id);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 24.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::SelectableLabel, true, selected, &title));
    if selected || response.hovered() {
        let fill = if selected { tokens::SELECTION } else { tokens::RAISED };
        ui.painter().rect_filled(rect, 4.0, color(fill));
    }
    let left = rect.left() + 8.0 + depth as f32 * 14.0;
    let mark = egui::Rect::from_center_size(egui::pos2(left + 4.5, rect.center().y), egui::vec2(9.0, 9.0));
    ui.painter().rect_filled(mark, 3.0, color(mark_of(mirror, id)));
    let stands_out = |id| !is_built_in(id) && mirror.image().object(id).is_some_and(|object| object.name.is_some());
    let text = if stands_out(id) { tokens::TEXT } else { tokens::SOFT };
    let at = egui::pos2(left + 18.0, rect.center().y);
    let font = egui::FontId::proportional(super::style::BODY);
    ui.painter().with_clip_rect(rect).text(at, egui::Align2::LEFT_CENTER, &title, font, color(text));
    if response.clicked() {
        commands.push(Command::Select(Some(id)));
    }
}

fn sorted(mirror: &Mirror, mut ids: Vec<ObjectId>) -> Vec<ObjectId> {
    ids.sort_by_key(|id| {
        let name = mirror.image().object(*id).and_then(|object| object.name.cloned());
        (name.is_none(), name, *id)
    });
    ids
}

/// The colour of an object's mark.
pub(super) fn mark_of(mirror: &Mirror, id: ObjectId) -> Rgb {
    match lookup(mirror.image(), id, "color").and_then(|found| found.slot.as_value()) {
        Some(Value::Text(text)) => Rgb::parse(text).unwrap_or(tokens::BLUE),
        _ => tokens::BLUE,
    }
}
