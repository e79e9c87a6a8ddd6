//! How egui looks: fonts, colours and spaces from the tokens.

use crate::morphic::tokens::{self, Rgb};
use egui::{Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, TextStyle, Vec2};
use std::sync::Arc;

/// Body text.
pub(super) const BODY: f32 = 13.0;
/// Code, values, the console.
pub(super) const CODE: f32 = 12.5;
/// Hints and headings of groups.
pub(super) const SMALL: f32 = 12.0;

/// A token's colour for egui.
pub(super) fn color(of: Rgb) -> Color32 {
    Color32::from_rgb(of.0, of.1, of.2)
}

/// The family of names.
pub(super) fn semi_bold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

/// The font of names; that of words where no font was set up.
pub(super) fn name_font(ui: &egui::Ui, size: f32) -> FontId {
    let bound = ui.fonts(|fonts| fonts.definitions().families.contains_key(&semi_bold()));
    FontId::new(size, if bound { semi_bold() } else { FontFamily::Proportional })
}

/// Says what a field without a visible name is called, for those who can't see it and for tests.
pub(super) fn call(ui: &egui::Ui, response: &egui::Response, name: &str) {
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_label(name));
}

/// Sets a context up, once.
pub(super) fn apply(context: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in
        [("inter", tokens::INTER), ("semibold", tokens::INTER_SEMI_BOLD), ("mono", tokens::JETBRAINS_MONO)]
    {
        fonts.font_data.insert(name.into(), Arc::new(FontData::from_static(bytes)));
    }
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let with = |first: &str| [vec![first.to_string()], fallbacks.clone()].concat();
    fonts.families.insert(FontFamily::Proportional, with("inter"));
    fonts.families.insert(FontFamily::Monospace, with("mono"));
    fonts.families.insert(semi_bold(), with("semibold"));
    context.set_fonts(fonts);

    // A second pass would not see again what a field lost its focus to, and the edit would be lost with the first.
    context.options_mut(|options| options.max_passes = std::num::NonZeroUsize::MIN);
    context.all_styles_mut(|style| {
        style.text_styles = [
            (TextStyle::Small, FontId::new(SMALL, FontFamily::Proportional)),
            (TextStyle::Body, FontId::new(BODY, FontFamily::Proportional)),
            (TextStyle::Button, FontId::new(BODY, FontFamily::Proportional)),
            (TextStyle::Heading, FontId::new(15.0, semi_bold())),
            (TextStyle::Monospace, FontId::new(CODE, FontFamily::Monospace)),
        ]
        .into();
        style.spacing.item_spacing = Vec2::new(8.0, 4.0);
        style.spacing.button_padding = Vec2::new(10.0, 4.0);
        style.spacing.interact_size = Vec2::new(24.0, 24.0);
        style.animation_time = 0.0;
        let visuals = &mut style.visuals;
        *visuals = egui::Visuals::dark();
        visuals.panel_fill = color(tokens::PANEL);
        visuals.window_fill = color(tokens::RAISED);
        visuals.extreme_bg_color = color(tokens::GROUND);
        visuals.text_edit_bg_color = Some(color(tokens::GROUND));
        visuals.faint_bg_color = color(tokens::RAISED);
        visuals.selection.bg_fill = color(tokens::SELECTION);
        visuals.selection.stroke = Stroke::new(1.0, color(tokens::BLUE));
        visuals.hyperlink_color = color(tokens::BLUE);
        visuals.error_fg_color = color(tokens::RED);
        // A blinking cursor would draw the whole window again twice a second.
        visuals.text_cursor.blink = false;
        let widgets = &mut visuals.widgets;
        for widget in [
            &mut widgets.noninteractive,
            &mut widgets.inactive,
            &mut widgets.hovered,
            &mut widgets.active,
            &mut widgets.open,
        ] {
            widget.corner_radius = CornerRadius::same(6);
            widget.fg_stroke = Stroke::new(1.0, color(tokens::TEXT));
            widget.bg_stroke = Stroke::new(1.0, color(tokens::LINE));
            widget.bg_fill = color(tokens::RAISED);
            widget.weak_bg_fill = color(tokens::RAISED);
            widget.expansion = 0.0;
        }
        visuals.widgets.hovered.bg_stroke = Stroke::new(1.0, color(tokens::SOFT));
        visuals.widgets.active.bg_stroke = Stroke::new(1.0, color(tokens::BLUE));
    });
}

/// The frame of a docked panel.
pub(super) fn dock(margin: i8) -> egui::Frame {
    egui::Frame::new().fill(color(tokens::PANEL)).inner_margin(Margin::same(margin))
}
