//! What stays of an object that was deleted: its last name and its end, so that a message to it can be answered in words.

use super::{Name, Object, date_and_time};

/// The end of an object that had a name. One without leaves nothing: timers come and go by the thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The name that it had.
    pub name: Name,
    /// When the message that deleted it was issued, or the tick was: milliseconds since 1970 (UTC).
    pub deleted_at: u64,
    /// The message of a person that deleted it, which `undo` takes; 0 where the world itself did.
    pub message: u64,
}

/// What a turn leaves of the objects that it deletes.
#[derive(Clone, Copy, Debug)]
pub struct Burial {
    /// As in [`Tombstone`].
    pub deleted_at: u64,
    /// As in [`Tombstone`].
    pub message: u64,
}

impl Burial {
    /// What stays of an object.
    pub fn of(self, object: &Object) -> Option<Tombstone> {
        let Self { deleted_at, message } = self;
        object.name.clone().map(|name| Tombstone { name, deleted_at, message })
    }
}

impl Tombstone {
    /// When, as people read it: `2026-03-01 at 09:05:07 UTC`.
    pub fn moment(&self) -> String {
        let (date, time) = date_and_time(self.deleted_at);
        format!("{date} at {time} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_people_write_it() {
        let told = |deleted_at| Tombstone { name: Name::new("a").unwrap(), deleted_at, message: 0 }.moment();
        assert_eq!(told(0), "1970-01-01 at 00:00:00 UTC");
        assert_eq!(told(951_782_399_999), "2000-02-28 at 23:59:59 UTC");
        assert_eq!(told(951_825_599_000), "2000-02-29 at 11:59:59 UTC");
        assert_eq!(told(1_709_164_800_000), "2024-02-29 at 00:00:00 UTC");
        assert_eq!(told(4_107_542_400_000), "2100-03-01 at 00:00:00 UTC");
        assert!(told(u64::MAX).ends_with("UTC"));
    }
}
