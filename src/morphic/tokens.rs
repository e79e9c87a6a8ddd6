//! The colours and sizes of everything that is drawn: the one place where they stand.
//!
//! Panels and cards take them from here. A colour marks a kind or a state, and always has a second sign.

/// A colour, red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `#rrggbb`, of any case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self(part(0)?, part(2)?, part(4)?))
    }

    /// Relative luminance, 0 to 1 (WCAG 2.2).
    pub fn luminance(self) -> f32 {
        let linear = |part: u8| {
            let part = f32::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Contrast with another colour, 1 to 21 (WCAG 2.2).
    pub fn contrast(self, other: Self) -> f32 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }
}

/// The world, and text fields.
pub const GROUND: Rgb = Rgb(0x15, 0x17, 0x1c);
/// Every 32 units of the ground.
pub const GRID_DOT: Rgb = Rgb(0x26, 0x2a, 0x33);
/// Docks and bars.
pub const PANEL: Rgb = Rgb(0x1b, 0x1e, 0x24);
/// Cards, buttons, menus.
pub const RAISED: Rgb = Rgb(0x24, 0x28, 0x30);
/// Borders, one pixel.
pub const LINE: Rgb = Rgb(0x30, 0x35, 0x3f);
/// A selected row.
pub const SELECTION: Rgb = Rgb(0x2b, 0x34, 0x42);
/// Text.
pub const TEXT: Rgb = Rgb(0xec, 0xe7, 0xdd);
/// Labels, and what is inherited.
pub const SOFT: Rgb = Rgb(0xab, 0xa6, 0x99);
/// Hints and times.
pub const FAINT: Rgb = Rgb(0x94, 0x8f, 0x85);
/// The one accent: focus of attention.
pub const AMBER: Rgb = Rgb(0xe0, 0xa4, 0x58);
/// Durable, passed; text values.
pub const GREEN: Rgb = Rgb(0x8f, 0xbf, 0x7f);
/// References, links, keyboard focus.
pub const BLUE: Rgb = Rgb(0x74, 0xab, 0xe0);
/// Failed, destructive.
pub const RED: Rgb = Rgb(0xe5, 0x7b, 0x66);
/// What a model or the composer wrote.
pub const VIOLET: Rgb = Rgb(0xb0, 0x95, 0xe6);

/// Words (Inter, SIL OFL).
pub const INTER: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.otf");
/// Names (Inter, SIL OFL).
pub const INTER_SEMI_BOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-SemiBold.otf");
/// Values and code (JetBrains Mono, SIL OFL).
pub const JETBRAINS_MONO: &[u8] = include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf");

/// Distance of the dots of the ground, in world units.
pub const GRID_UNITS: f32 = 32.0;
/// Radius of a card's corners, in world units.
pub const CARD_CORNER: f32 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_on_every_ground() {
        for ground in [GROUND, PANEL, RAISED] {
            // To whole numbers, as the drawing's were taken.
            assert!(TEXT.contrast(ground).round() >= 12.0, "{ground:?}");
            assert!(SOFT.contrast(ground) >= 6.0, "{ground:?} {}", SOFT.contrast(ground));
            assert!(FAINT.contrast(ground) >= 4.5, "{ground:?}");
            for signal in [AMBER, GREEN, BLUE, RED, VIOLET] {
                assert!(signal.contrast(ground) >= 4.5, "{signal:?} on {ground:?}");
            }
        }
        assert!(GROUND.contrast(AMBER) >= 4.5, "text on the primary button");
        assert!(TEXT.contrast(SELECTION) >= 7.0);
    }

    #[test]
    fn colours_are_read_from_slots() {
        assert_eq!(Rgb::parse("#74abe0"), Some(BLUE));
        assert_eq!(Rgb::parse("#74ABE0"), Some(BLUE));
        for bad in ["74abe0", "#74abe", "#74abeg", "#é4abe", ""] {
            assert_eq!(Rgb::parse(bad), None, "{bad}");
        }
    }
}
