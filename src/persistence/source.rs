//! What a world is read from: one moment of its databases, the figures about the whole, and how the reading goes.

use super::Progress;
use super::archive::{Archive, Parcel};
use super::ledger::WORLD_FORMAT;
use super::record::{self, Kind};
use super::sharing::Sharing;
use super::store::{Databases, META_KEY, StoreError};
use super::wire_message::WireMeta;
use super::wire_object::from_bytes;
use super::writer::LogEnd;
use heed::RoTxn;
use std::borrow::Cow;
use thiserror::Error;

/// Why a world can't be read at all.
#[derive(Debug, Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Newer(String),
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Open(super::OpenError),
    #[error("it was asked to close")]
    Stopped,
    #[error("it went back in time, from record {seen} to {found}")]
    WentBack { found: u64, seen: u64 },
}

impl From<heed::Error> for ReadError {
    fn from(error: heed::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The figures about the whole, and the end of the log that they tell of.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) wire: WireMeta,
    pub(super) last: u64,
    pub(super) chain: u64,
}

impl Meta {
    /// Where the log ends.
    pub(super) fn end(&self) -> LogEnd {
        LogEnd { position: self.last, chain: self.chain }
    }

    /// The last record that is archived.
    pub(super) fn horizon(&self) -> LogEnd {
        LogEnd { position: self.wire.horizon_position, chain: self.wire.horizon_chain }
    }
}

/// Reads the record about the whole.
pub(super) fn read_meta(txn: &RoTxn, dbs: &Databases) -> Result<Meta, ReadError> {
    let bytes =
        dbs.meta.get(txn, META_KEY)?.ok_or_else(|| ReadError::Damaged("its `meta` record is missing".into()))?;
    let record = record::decode(bytes, None).map_err(|error| match error {
        error if error.is_newer() => ReadError::Newer(error.to_string()),
        error => ReadError::Damaged(format!("its `meta` record: {error}")),
    })?;
    let damaged = |reason: String| ReadError::Damaged(format!("its `meta` record: {reason}"));
    let wire: WireMeta = from_bytes(record.body).map_err(damaged)?;
    if wire.format > WORLD_FORMAT {
        return Err(ReadError::Newer(format!("version {}, world format {}", wire.writer, wire.format)));
    }
    if wire.horizon_position > 0 && wire.horizon_position >= record.position {
        return Err(damaged(format!("its horizon, {}, is not before its end", wire.horizon_position)));
    }
    Ok(Meta { wire, last: record.position, chain: record.chain })
}

/// What a world is read from: one moment of it, and how the reading goes.
#[derive(Clone, Copy)]
pub(super) struct Source<'t> {
    pub(super) txn: &'t RoTxn<'t>,
    pub(super) dbs: &'t Databases,
    pub(super) archive: &'t Archive,
    pub(super) meta: &'t Meta,
    pub(super) sharing: Sharing,
    pub(super) progress: &'t Progress,
}

impl<'t> Source<'t> {
    /// Read by as many threads as there are processors.
    pub(super) fn new(
        txn: &'t RoTxn<'t>,
        dbs: &'t Databases,
        archive: &'t Archive,
        meta: &'t Meta,
        progress: &'t Progress,
    ) -> Self {
        Self { txn, dbs, archive, meta, sharing: Sharing::usual(), progress }
    }

    /// Announces what [`Replay::awakening`] reads, where all is right.
    pub(super) fn announce_awakening(&self) -> Result<(), ReadError> {
        let tail = (self.meta.last + 1).saturating_sub(self.meta.wire.replay_from);
        self.progress.expect_records(self.dbs.sapwood.len(self.txn)? + tail);
        Ok(())
    }

    /// Announces what [`Replay::whole_log`] reads.
    pub(super) fn announce_whole_log(&self) {
        self.progress.expect_records(self.meta.last);
    }

    /// The record at a position of the log, as it is stored; `None` where there is none, or where it is archived and can't be read.
    pub(super) fn record(&self, position: u64) -> Result<Option<Cow<'t, [u8]>>, StoreError> {
        if position <= self.archive.horizon() {
            return Ok(self.archive.record(position).map(Cow::Owned));
        }
        Ok(self.dbs.heartwood.get(self.txn, &position.to_be_bytes())?.map(Cow::Borrowed))
    }

    /// Where the envelope of a message stands, as far as that can be read; sought from the end.
    pub(super) fn envelope_of(&self, sequence: u64) -> Result<Option<u64>, StoreError> {
        let is_it = |position: u64, bytes: &[u8]| {
            record::decode(bytes, Some(position))
                .is_ok_and(|record| record.kind == Kind::Envelope && record.sequence == sequence)
        };
        for entry in self.dbs.heartwood.rev_iter(self.txn)? {
            let (key, bytes) = entry?;
            let Ok(position) = <[u8; 8]>::try_from(key).map(u64::from_be_bytes) else { continue };
            if is_it(position, bytes) {
                return Ok(Some(position));
            }
        }
        // A position is at least the number of a message that stands there.
        let unpacked = self.archive.parcels(sequence).map(Parcel::unpack);
        Ok(unpacked.into_iter().find_map(|unpacked| {
            unpacked.records().find(|(position, bytes)| is_it(*position, bytes)).map(|(position, _)| position)
        }))
    }

    /// Whether the record at a position follows a chain value; behind the last, whether that is the one of the log's end.
    pub(super) fn follows(&self, position: u64, chain: u64) -> bool {
        match self.record(position) {
            Ok(Some(bytes)) => record::decode(&bytes, Some(position))
                .is_ok_and(|record| record.chain == record::chain(chain, position, record.crc)),
            Ok(None) => chain == self.meta.chain,
            Err(_) => false,
        }
    }
}
