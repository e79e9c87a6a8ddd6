//! Why a world can't be opened, and what is wrong with a damaged one, in words.

use crate::object::ObjectId;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why a world could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no world, and none was to be made.
    #[error("there is no world at {0}; `workbench --world` with this folder makes one")]
    Absent(PathBuf),
    /// The folder holds something else.
    #[error("{0} is not a world: it holds other files and no `data.mdb`; choose an empty or a new folder")]
    NotAWorld(PathBuf),
    /// A world is there already.
    #[error("there is a world at {0} already, and it is left as it is; name a folder that is empty or not there")]
    Taken(PathBuf),
    /// Another process has it.
    #[error("the world at {path} is open in another workbench ({owner}); close that one first, or open another world")]
    Locked {
        /// The world's folder.
        path: PathBuf,
        /// Process and start time, as the owner wrote them.
        owner: String,
    },
    /// Its log is not the one that was there when it was last seen.
    #[error(
        "the world at {path} went back in time: its log ends at record {found}, and record {seen} was on disk when it was last \
         open. An older copy may lie in its place: put the newer one back, or, to go on with this one, delete its file \
         `world.seen`"
    )]
    WentBack {
        /// The world's folder.
        path: PathBuf,
        /// The last record of the log.
        found: u64,
        /// The last record that was seen.
        seen: u64,
    },
    /// A later program wrote it.
    #[error("the world at {path} was made by a newer workbench ({needs}); open it with that version")]
    Newer {
        /// The world's folder.
        path: PathBuf,
        /// What this program doesn't know.
        needs: String,
    },
    /// It was asked for while the world was read.
    #[error("the world at {0} was not opened: it was asked to close while it was read")]
    Stopped(PathBuf),
    /// The storage can't keep what a world promises.
    #[error("a world can't be kept at {path}: {reason}; {advice}")]
    Unsuitable {
        /// The world's folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do next.
        advice: String,
    },
    /// The file system refuses.
    #[error(
        "the world at {path} can't be used: {reason}; check that the folder is on a local, writable disk with room"
    )]
    Unusable {
        /// The world's folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Bytes are not what was written, in a place that nothing else can stand in for.
    #[error(
        "the world at {path} is damaged: {reason}; keep the folder as it is: `workbench repair` says what can still be read of it and makes a new world of that; a backup \
         brings back what can't"
    )]
    Damaged {
        /// The world's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl OpenError {
    /// Whether the files are damaged (exit code 4), rather than not to be opened for another reason (exit code 3).
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// Which part of a world is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamagedPart {
    /// The log record at this position.
    Heartwood(u64),
    /// Archived log records from this position to that one.
    Archive(u64, u64),
    /// The snapshot of this object.
    Sapwood(ObjectId),
    /// The list of failed messages that wait.
    Suspended,
    /// The figures about the whole.
    Meta,
}

/// One finding of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Damage {
    /// Where.
    pub part: DamagedPart,
    /// What is wrong there.
    pub reason: String,
}

impl Damage {
    pub(super) fn new(part: DamagedPart, reason: impl Into<String>) -> Self {
        Self { part, reason: reason.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            DamagedPart::Heartwood(position) => write!(f, "log record {position}: {}", self.reason),
            DamagedPart::Archive(first, last) => write!(f, "archived log records {first} to {last}: {}", self.reason),
            DamagedPart::Sapwood(id) => write!(f, "snapshot of {id}: {}", self.reason),
            DamagedPart::Suspended => write!(f, "waiting problems: {}", self.reason),
            DamagedPart::Meta => write!(f, "figures about the world: {}", self.reason),
        }
    }
}
