//! Something damaged that an awakening set aside, as it is told.

use super::{Envelope, ObjectId, Outcome};
use std::sync::Arc;

/// Something damaged that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// By which persons call it: from 1, in the order of the keys; it stays while the world is open.
    pub number: u64,
    /// Under which it is kept in the database `quarantine`.
    pub key: Vec<u8>,
    /// The database that it was in.
    pub database: String,
    /// What was wrong with it.
    pub reason: String,
    /// When it was found: milliseconds since 1970 (UTC).
    pub found_at: u64,
    /// Version of the program that found it.
    pub writer: String,
    /// The first of the damaged bytes, up to 512; none where there were none.
    pub head: Vec<u8>,
    /// How many damaged bytes there are.
    pub size: usize,
    /// Its kind in a word, as its header says, whether that is right or not.
    pub kind: &'static str,
    /// The fields of its header, as they stand there; none where it is too short for one.
    pub header: Option<RecordHeader>,
    /// Of a record of the log: its position.
    pub position: Option<u64>,
    /// The message that it concerned; 0 where none.
    pub sequence: u64,
    /// Of a snapshot: the object.
    pub object: Option<ObjectId>,
    /// What can be read of it all the same.
    pub readable: Option<Readable>,
    /// How it stood with what it belonged to when the world awoke.
    pub now: Afterwards,
}

/// The fields of a record's header; `docs/file-format.md` tells what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its position.
    pub position: u64,
    /// The message it concerns; 0 where none.
    pub sequence: u64,
    /// Bytes of its body.
    pub body_bytes: u32,
    /// Its chain value.
    pub chain: u64,
    /// Its checksum.
    pub crc: u32,
}

/// What a damaged record says all the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Readable {
    /// A message.
    Envelope(Arc<Envelope>),
    /// How a turn ended.
    Outcome(Arc<Outcome>),
}

/// What became of what a damaged record belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It was made anew from the log.
    Rebuilt {
        /// The log record up to which it holds everything.
        at: u64,
        /// Whether no record of the log is known to be lost.
        whole: bool,
    },
    /// No such object is in the world, as far as the log can be read.
    Gone,
    /// What it says was taken in: only its place in the chain is damaged.
    TakenIn,
    /// The record is lost. Its message waits among the problems and can be tried again.
    Waits,
    /// The record is lost, and nothing waits for anybody.
    Lost,
}
