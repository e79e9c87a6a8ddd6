//! The world on disk: the Heartwood log, the Sapwood snapshots, and the thread that writes both.
//!
//! [`open`] wakes a world and answers what it holds ([`Awakened`]) and the one way to write it ([`Alembic`]).
//! [`open_watched`] does the same while somebody looks how far it is ([`Progress`]).
//! [`Reader`] looks at a world, also while a workbench has it open. `docs/file-format.md` is the format, byte by
//! byte; this room follows it. What a message does is not known here: outcomes are stored and applied as they come.

mod alembic;
mod archive;
mod archiving;
mod awakening;
mod batch;
mod copying;
mod decoding;
mod error;
mod folder;
mod ledger;
mod message_pack;
mod object_folder;
mod progress;
mod quarantine;
mod reader;
mod record;
mod redelivery;
mod remembered;
mod repair;
mod replay;
mod room;
mod scribe;
mod sharing;
mod source;
mod storage;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod wire_message;
mod wire_object;
mod witness;
mod world_hash;
mod writer;
mod writer_thread;

pub use alembic::{Alembic, Full, Reply};
pub use archiving::{Archived, archive_world};
pub use awakening::{open, open_watched};
pub use copying::copy_world;
pub use error::{Damage, DamagedPart, OpenError};
pub use object_folder::{ExportOptions, Exported, FolderError, ImportFolder, export_image};
pub use progress::Progress;
pub use reader::{Entry, EntryBody, Reader, VerifyReport};
pub use repair::{Repair, RepairPlan, Repaired, Span};
pub use world_hash::world_hash;

use crate::object::{
    Change, Envelope, Image, Object, ObjectId, ObjectRef, Objects, PastTurns, Problem, Quarantined, Tick, Tombstone,
};
use std::fmt;
use uuid::Uuid;

/// Runs ticks again while a world is read: of them the log keeps only how many there were.
pub trait Ticker {
    /// A world is read from here on, in the order of its log.
    fn begin(&mut self, world_id: Uuid);

    /// An object is not what it was, by something else than a tick.
    fn touched(&mut self, id: ObjectId);

    /// What a tick changes.
    fn tick(&mut self, image: &Image, tick: Tick) -> Vec<Change>;
}

/// What the Sapwood holds of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Snapshot {
    /// The object as it stands.
    Object(Object),
    /// It is deleted, and had a name.
    Tombstone(Tombstone),
}

impl Snapshot {
    /// What of an object is to be kept as it stands; `None` for one that is deleted and had no name.
    pub fn of(world: &dyn Objects, id: ObjectId) -> Option<Self> {
        let object = world.object(id).map(ObjectRef::to_object).map(Self::Object);
        object.or_else(|| world.tombstone(id).cloned().map(Self::Tombstone))
    }
}

/// What a world begins with, for [`open`] to make one where none is.
#[derive(Clone, Debug)]
pub struct NewWorld {
    /// Identity: the ids of all objects made later derive from it.
    pub world_id: Uuid,
    /// The first image.
    pub objects: Vec<Object>,
}

/// A world as it stands after awakening.
#[derive(Clone, Debug)]
pub struct Awakened {
    /// Identity.
    pub world_id: Uuid,
    /// Every object.
    pub image: Image,
    /// Failed messages that wait, oldest first; at most 1,000.
    pub problems: Vec<Problem>,
    /// What this awakening and earlier ones set aside because it was damaged, by ascending number.
    pub quarantine: Vec<Quarantined>,
    /// The newest turns of persons that can be taken back.
    pub past: PastTurns,
    /// Messages that are durable without an outcome, in sequence order. After [`Alembic::redeliver`] the Alembic first
    /// journals that a delivery is tried again; the message may be delivered once [`Reply::Durable`] names it.
    pub pending: Vec<(u64, Envelope)>,
    /// The number of the next message.
    pub next_sequence: u64,
    /// Every message up to this number has its outcome on disk.
    pub durable: u64,
    /// Ticks that the world has had.
    pub ticks: u64,
    /// How it went.
    pub report: AwakeningReport,
}

/// How an awakening went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AwakeningReport {
    /// Whether the world was made just now.
    pub created: bool,
    /// Whether the world was closed in order the last time; true for a new one.
    pub clean_exit: bool,
    /// What has to be known about the disk under it, if anything.
    pub storage: Option<String>,
    /// Objects that came from their snapshots.
    pub snapshots: u64,
    /// Log records that were read.
    pub records: u64,
    /// Messages without an outcome, which are delivered again.
    pub redelivered: u64,
    /// Messages that ended the process twice: each got a failed outcome instead of a third try.
    pub given_up: Vec<u64>,
    /// Records that could not be read. They were copied to the quarantine.
    pub damages: Vec<Damage>,
}

impl AwakeningReport {
    /// Whether somebody should read it: something is not as it should be.
    pub fn wants_notice(&self) -> bool {
        !self.clean_exit || !self.given_up.is_empty() || !self.damages.is_empty() || self.storage.is_some()
    }
}

impl fmt::Display for AwakeningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.created {
            f.write_str("A new world was made")?;
        } else {
            let Self { snapshots, records, .. } = self;
            write!(f, "The world is awake: {snapshots} objects from snapshots, {records} records of the log read")?;
        }
        if !self.clean_exit {
            f.write_str("; it was not closed in order the last time, and nothing acknowledged is lost")?;
        }
        if self.redelivered > 0 {
            write!(f, "; {} messages are delivered again", self.redelivered)?;
        }
        if !self.given_up.is_empty() {
            write!(f, "; {} messages ended the process twice and wait in `problems`", self.given_up.len())?;
        }
        if !self.damages.is_empty() {
            write!(f, "; {} damaged records were set aside (`quarantine` lists them)", self.damages.len())?;
        }
        if let Some(storage) = &self.storage {
            write!(f, "; {storage}")?;
        }
        f.write_str(".")
    }
}
