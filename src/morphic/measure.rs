//! How wide a text will be drawn, and where it must be cut to fit: known without a font engine.
//!
//! The advances are those of the fonts in `assets/fonts`, in thousandths of the size. Characters outside
//! ASCII count as wide ones, so that a text is cut too early rather than drawn over its neighbour.

/// The fonts of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// Words.
    Regular,
    /// Names.
    SemiBold,
    /// Values and code.
    Mono,
}

const REGULAR: [u16; 95] = [
    281, 278, 403, 631, 638, 812, 639, 222, 362, 362, 500, 659, 280, 460, 276, 357, 625, 464, 605, 636, 642, 608, 624,
    571, 616, 624, 276, 280, 659, 659, 659, 507, 936, 676, 651, 727, 719, 598, 587, 743, 740, 264, 543, 652, 562, 889,
    753, 761, 635, 761, 639, 638, 642, 741, 676, 949, 642, 665, 625, 362, 357, 362, 469, 452, 497, 564, 621, 558, 621,
    582, 361, 609, 591, 237, 237, 544, 237, 869, 585, 597, 609, 609, 372, 523, 364, 581, 557, 812, 540, 557, 541, 362,
    327, 362, 659,
];
const SEMI_BOLD: [u16; 95] = [
    248, 309, 396, 643, 649, 844, 663, 213, 393, 393, 543, 673, 295, 466, 290, 379, 667, 481, 621, 652, 666, 632, 648,
    587, 646, 648, 290, 295, 673, 673, 673, 544, 999, 724, 657, 744, 724, 608, 586, 755, 744, 275, 561, 677, 566, 906,
    741, 775, 643, 776, 651, 649, 660, 734, 724, 1007, 690, 705, 653, 393, 379, 393, 481, 468, 497, 575, 630, 577, 630,
    593, 377, 625, 613, 261, 261, 569, 261, 898, 610, 608, 625, 625, 397, 549, 380, 608, 576, 837, 562, 576, 562, 393,
    358, 393, 673,
];
/// The ellipsis and all other characters outside ASCII.
const WIDE: f32 = 1.0;

/// Width of one character at size 1.
fn advance(character: char, face: Face) -> f32 {
    let place = (character as usize).checked_sub(32);
    let from = |table: &[u16; 95]| place.and_then(|place| table.get(place)).map(|advance| f32::from(*advance) / 1000.0);
    match face {
        Face::Regular => from(&REGULAR).unwrap_or(WIDE),
        Face::SemiBold => from(&SEMI_BOLD).unwrap_or(WIDE),
        Face::Mono if character.is_ascii() || character == '…' => 0.6,
        Face::Mono => WIDE,
    }
}

/// Width of a text at this size, in the unit of the size.
pub fn width_of(text: &str, face: Face, size: f32) -> f32 {
    text.chars().map(|character| advance(character, face)).sum::<f32>() * size
}

/// The text on one line, cut with an ellipsis where it is wider than `room`. Empty where not even that fits.
pub fn clipped(text: &str, face: Face, size: f32, room: f32) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if width_of(&line, face, size) <= room {
        return line;
    }
    let ellipsis = advance('…', face) * size;
    if ellipsis > room {
        return String::new();
    }
    let mut left = room - ellipsis;
    let mut out = String::new();
    for character in line.chars() {
        left -= advance(character, face) * size;
        if left < 0.0 {
            break;
        }
        out.push(character);
    }
    format!("{}…", out.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_would_leave_its_room() {
        assert_eq!(clipped("point", Face::Mono, 10.0, 30.0), "point");
        assert_eq!(clipped("points", Face::Mono, 10.0, 30.0), "poin…");
        assert_eq!(clipped("two\nlines", Face::Mono, 10.0, 90.0), "two lines");
        assert_eq!(clipped("anything", Face::SemiBold, 10.0, 4.0), "");
        for text in ["first light", "世界世界世界", "wwwwwwwwwwwwwwww", ""] {
            for face in [Face::Regular, Face::SemiBold, Face::Mono] {
                assert!(width_of(&clipped(text, face, 13.0, 40.0), face, 13.0) <= 40.001, "{text}");
            }
        }
    }
}
