//! How much room the disk under a world has, as it is told; and sizes in words.

use std::fmt;

/// How much room the disk has. `docs/durability.md` says where the bounds are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    #[default]
    Ample,
    /// Little: so many bytes are free.
    Low {
        /// Bytes that may be written.
        free: u64,
    },
    /// Next to none: nothing new begins, and what is under way comes to its end.
    Scarce {
        /// Bytes that may be written.
        free: u64,
        /// Bytes that have to be free for the world to go on.
        needed: u64,
    },
}

impl Room {
    /// Whether nothing new may begin.
    pub fn is_scarce(self) -> bool {
        matches!(self, Self::Scarce { .. })
    }

    /// Whether another room is in the same stage, with whatever figures.
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ample => f.write_str("the disk has room again"),
            Self::Low { free } => write!(f, "the disk is getting full: {} are free", bytes_in_words(free)),
            Self::Scarce { free, needed } => write!(
                f,
                "the disk is nearly full: {} are free, and nothing new is taken in before there are {}; make room, and it \
                 goes on by itself",
                bytes_in_words(free),
                bytes_in_words(needed)
            ),
        }
    }
}

/// A size as persons read it: whole units, rounded down.
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let unit = (1..UNITS.len()).rev().find(|unit| bytes >> (10 * unit) >= 4).unwrap_or_default();
    format!("{} {}", bytes >> (10 * unit), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_tells_enough() {
        let told = |bytes| bytes_in_words(bytes);
        assert_eq!([told(0), told(4_095), told(12_000)], ["0 bytes", "4095 bytes", "11 KiB"]);
        assert_eq!([told(3 << 20), told(64 << 20), told(3 << 40)], ["3072 KiB", "64 MiB", "3072 GiB"]);
    }
}
