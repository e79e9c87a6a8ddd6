//! Surfaces and bare texts.

use super::super::measure::{Face, width_of};
use super::super::picture::{Detail, Mark};
use super::super::tokens;
use super::canvas::{Canvas, MARGIN, ROW_SIZE, grown};

/// Height of a line against the size of its font.
const LINE_HEIGHT: f32 = 1.3;
/// Sizes of letters, in world units.
const LETTERS: std::ops::RangeInclusive<f64> = 6.0..=400.0;
/// Most bytes and lines of a text that are drawn.
const MOST: (usize, usize) = (4_000, 200);
/// Size of letters where nothing is said of it.
const LETTER_SIZE: f64 = 20.0;

/// The surfaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    Box,
    Oval,
}

/// A surface in the object's colour, with its text in the middle and its label below.
pub(super) fn surface(canvas: &mut Canvas<'_>, of: Surface) {
    let whole = canvas.whole();
    let color = canvas.color();
    match of {
        Surface::Box => {
            let corner = tokens::CARD_CORNER.min(canvas.size[0] / 2.0).min(canvas.size[1] / 2.0);
            let outline = canvas.outline();
            canvas.framed(corner, outline, color);
        }
        Surface::Oval => {
            if let Some((width, color)) = canvas.outline() {
                canvas.mark(Mark::Oval { bounds: grown(whole, width), color });
            }
            canvas.mark(Mark::Oval { bounds: whole, color });
        }
    }
    if canvas.look.detail == Detail::Tile {
        return;
    }
    // On a bright surface the letters are dark.
    let (strong, weak) = if tokens::TEXT.contrast(color) >= tokens::GROUND.contrast(color) {
        (tokens::TEXT, tokens::SOFT)
    } else {
        (tokens::GROUND, tokens::GROUND)
    };
    let [middle, height] = [canvas.size[0] / 2.0, canvas.size[1]];
    let room = canvas.size[0] - 2.0 * MARGIN;
    let size = letter_size(canvas);
    let text = canvas.text("text").map(|text| text.lines().next().unwrap_or_default().to_string());
    let label = canvas.text("label").map(str::to_string);
    let (text_at, label_at) = match (&text, &label) {
        (Some(_), Some(_)) => (height / 2.0 - ROW_SIZE * 0.6, height / 2.0 + size * 0.7),
        _ => (height / 2.0, height / 2.0),
    };
    if let Some(text) = text {
        canvas.words_about(&text, (Face::Mono, size), strong, [middle, text_at], room);
    }
    if let Some(label) = label {
        canvas.words_about(&label, (Face::Regular, ROW_SIZE), weak, [middle, label_at], room);
    }
}

/// A text alone, as large as it is; where the object has a width of its own, lines are broken there.
pub(super) fn text(canvas: &mut Canvas<'_>) {
    let size = letter_size(canvas);
    let text = canvas.text("text").or(canvas.text("label")).unwrap_or("…");
    let room = if canvas.is_given("w") { canvas.size[0] } else { f32::INFINITY };
    let lines = broken(text, size, room);
    let wide = lines.iter().map(|line| width_of(line, Face::Regular, size)).fold(0.0, f32::max);
    canvas.size = [if room.is_finite() { room } else { wide.max(size) }, lines.len() as f32 * size * LINE_HEIGHT];
    let color = canvas.color();
    if let Some((width, outline)) = canvas.outline() {
        // The outline has to go around something; the ground is behind the letters.
        let around = grown(canvas.whole(), 4.0);
        canvas.round(grown(around, width), 4.0 + width, outline);
        canvas.round(around, 4.0, tokens::GROUND);
    }
    if canvas.look.detail == Detail::Tile {
        let whole = canvas.whole();
        canvas.round(whole, 2.0, tokens::LINE);
        return;
    }
    for (place, line) in lines.iter().enumerate() {
        let middle = (place as f32 + 0.5) * size * LINE_HEIGHT;
        canvas.words(line, (Face::Regular, size), color, [0.0, middle], f32::INFINITY);
    }
}

fn letter_size(canvas: &Canvas<'_>) -> f32 {
    canvas.number("text_size").unwrap_or(LETTER_SIZE).clamp(*LETTERS.start(), *LETTERS.end()) as f32
}

/// Lines of a text, broken between words where they would be wider than `room`, and within a word that is wider itself.
fn broken(text: &str, size: f32, room: f32) -> Vec<String> {
    let (bytes, most) = MOST;
    let text = &text[..text.floor_char_boundary(bytes)];
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            let is_wide = |line: &str| width_of(line.trim_end(), Face::Regular, size) > room;
            if !line.is_empty() && is_wide(&format!("{line}{word}")) {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
                line.push(character);
                if is_wide(&line) && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::take(&mut line));
                    line.push(character);
                }
            }
        }
        lines.push(line);
    }
    lines.truncate(most);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let lines = broken("one two three\nfour", 10.0, width_of("one two", Face::Regular, 10.0) + 1.0);
        assert_eq!(lines, ["one two ", "three", "four"]);
        assert_eq!(broken("abc", 10.0, 1.0), ["a", "b", "c"], "one letter a line at least");
        assert_eq!(broken("", 10.0, 100.0), [""]);
        assert!(broken(&"word ".repeat(100_000), 10.0, 50.0).len() <= MOST.1);
    }
}
