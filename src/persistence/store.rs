//! The LMDB environment of a world: where it opens, its five databases, and one transaction that writes a batch.
//!
//! All `unsafe` of this room is here. Keys and values are bytes; what they mean is known elsewhere.

use super::ledger::Batch;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RoTxn, WithoutTls};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The data file of LMDB.
pub(super) const DATA_FILE: &str = "data.mdb";
/// The reader table of LMDB.
const READERS_FILE: &str = "lock.mdb";
/// The key of the one record in `meta`.
pub(super) const META_KEY: &[u8] = b"meta";
/// Address space that is set aside at first; it is no room on the disk, and it doubles when it is full.
pub(super) const MAP_BYTES: usize = if cfg!(target_pointer_width = "64") { 16 << 30 } else { 256 << 20 };
/// LMDB's two first pages, at the smallest page size.
const LEAST_BYTES: u64 = 2 * 4096;

pub(super) type Db = Database<'static, Bytes, Bytes>;

/// Why the store can't be read or written.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    #[error("{0}")]
    Lmdb(#[from] heed::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the database file is cut short")]
    Cut,
    #[error("its database `{0}` is missing")]
    NoDatabase(&'static str),
}

/// The databases: all that a transaction needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Databases {
    pub(super) heartwood: Db,
    pub(super) sapwood: Db,
    pub(super) meta: Db,
    pub(super) quarantine: Db,
    pub(super) suspended: Db,
}

const NAMES: [&str; 5] = ["heartwood", "sapwood", "meta", "quarantine", "suspended"];

/// An open environment.
#[derive(Debug)]
pub(super) struct Store {
    env: Env<WithoutTls>,
    pub(super) dbs: Databases,
}

impl Store {
    /// Opens the environment in a folder for writing, making what is missing.
    pub(super) fn open(dir: &Path, map_bytes: usize) -> Result<Self, StoreError> {
        let data = dir.join(DATA_FILE);
        if data.exists() && data.metadata()?.len() < LEAST_BYTES {
            return Err(StoreError::Cut);
        }
        let env = open_env(dir, map_bytes, EnvFlags::empty())?;
        if is_short(&env, &data)? {
            // A map that reaches beyond its file kills the reader. LMDB leaves free pages at the end unwritten, so a
            // short file may be whole; where it is not, the zeros are found by checksums.
            OpenOptions::new().write(true).open(&data)?.set_len(length_by_meta(&env))?;
        }
        env.clear_stale_readers()?;
        let txn = env.write_txn()?;
        let made = env.create_databases_and_commit(txn, |opener, txn| {
            let mut make = |name| opener.create_database::<Bytes, Bytes>(txn, Some(name));
            let [heartwood, sapwood, meta, quarantine, suspended] = NAMES;
            let made = (make(heartwood)?, make(sapwood)?, make(meta)?, make(quarantine)?, make(suspended)?);
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(made))
        })?;
        let Some((heartwood, sapwood, meta, quarantine, suspended)) = made.commit() else {
            return Err(StoreError::NoDatabase("heartwood"));
        };
        Ok(Self { dbs: Databases { heartwood, sapwood, meta, quarantine, suspended }, env })
    }

    /// Opens the environment in a folder for reading; makes and changes nothing.
    pub(super) fn open_for_reading(dir: &Path) -> Result<Self, StoreError> {
        let data = dir.join(DATA_FILE);
        if data.metadata()?.len() < LEAST_BYTES {
            return Err(StoreError::Cut);
        }
        // Without its reader table nobody has the world open, and LMDB would make one.
        let alone = !dir.join(READERS_FILE).exists();
        let flags = if alone { EnvFlags::READ_ONLY | EnvFlags::NO_LOCK } else { EnvFlags::READ_ONLY };
        let env = open_env(dir, MAP_BYTES, flags)?;
        if is_short(&env, &data)? {
            return Err(StoreError::Cut);
        }
        let txn = env.read_txn()?;
        let opened = env.open_databases_and_commit(txn, |opener, txn| {
            let [heartwood, sapwood, meta, quarantine, suspended] =
                NAMES.map(|name| opener.open_database::<Bytes, Bytes>(txn, Some(name)));
            let opened = (heartwood?, sapwood?, meta?, quarantine?, suspended?);
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(opened))
        })?;
        match opened.commit() {
            Some((Some(heartwood), Some(sapwood), Some(meta), Some(quarantine), Some(suspended))) => {
                Ok(Self { dbs: Databases { heartwood, sapwood, meta, quarantine, suspended }, env })
            }
            _ => Err(StoreError::NoDatabase("heartwood")),
        }
    }

    /// One consistent view. It must not live longer than one question: what it can see is not reused.
    pub(super) fn read(&self) -> Result<RoTxn<'_, WithoutTls>, StoreError> {
        Ok(self.env.read_txn()?)
    }

    fn try_write(&self, batch: &Batch, meta: &[u8]) -> Result<(), heed::Error> {
        let mut txn = self.env.write_txn()?;
        for (position, record) in &batch.heartwood {
            self.dbs.heartwood.put_with_flags(&mut txn, PutFlags::APPEND, &position.to_be_bytes(), record)?;
        }
        let edits = [
            (self.dbs.sapwood, &batch.sapwood),
            (self.dbs.suspended, &batch.suspended),
            (self.dbs.quarantine, &batch.quarantine),
        ];
        for (db, entries) in edits {
            for (key, value) in entries {
                match value {
                    Some(value) => db.put(&mut txn, key, value)?,
                    None => drop(db.delete(&mut txn, key)?),
                }
            }
        }
        self.dbs.meta.put(&mut txn, META_KEY, meta)?;
        txn.commit()
    }

    /// Makes all that was committed durable, also where a commit alone does not.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.env.force_sync()?)
    }

    /// Closes the environment; it can be opened again when this returns.
    pub(super) fn close(self) {
        self.env.prepare_for_closing().wait();
    }
}

/// Where batches go. Tests have one that fails when told to.
pub(super) trait Shelf: Send {
    /// Writes a batch, all of it or nothing; it is durable when this returns.
    ///
    /// # Errors
    /// In words; from then on nothing may be written.
    fn write(&mut self, batch: &Batch, meta: &[u8]) -> Result<(), String>;

    /// The end of it.
    fn close(self: Box<Self>);
}

impl Shelf for Store {
    fn write(&mut self, batch: &Batch, meta: &[u8]) -> Result<(), String> {
        loop {
            match self.try_write(batch, meta) {
                Ok(()) => break,
                Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    let doubled = self.env.info().map_size.saturating_mul(2);
                    // SAFETY: the environment belongs to this thread and the failed transaction is gone.
                    #[allow(unsafe_code)]
                    unsafe { self.env.resize(doubled) }.map_err(|error| in_words(&error))?;
                }
                Err(error) => return Err(in_words(&error)),
            }
        }
        // On Linux LMDB writes its meta page through (O_DSYNC); elsewhere a drive may still hold it.
        if cfg!(target_os = "linux") { Ok(()) } else { self.env.force_sync().map_err(|error| in_words(&error)) }
    }

    fn close(self: Box<Self>) {
        Self::close(*self);
    }
}

fn in_words(error: &heed::Error) -> String {
    match error {
        heed::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            "the disk is full; make room and start again".to_string()
        }
        // LMDB reports a write that was cut short as EIO: mostly the disk is full.
        other => format!("the disk reported an error ({other}); it may be full: look at it, then start again"),
    }
}

fn open_env(dir: &Path, map_bytes: usize, flags: EnvFlags) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_dbs(NAMES.len() as u32);
    // SAFETY: the files lie on a local disk and are changed through LMDB alone: `world.lock` keeps other writers
    // out, and READ_ONLY and NO_LOCK take nothing from those who write.
    #[allow(unsafe_code)]
    unsafe {
        options.flags(flags).open(dir)
    }
}

fn length_by_meta(env: &Env<WithoutTls>) -> u64 {
    let page = u64::from(env.unnamed_database_stat().page_size);
    (env.info().last_page_number as u64 + 1) * page
}

fn is_short(env: &Env<WithoutTls>, data: &PathBuf) -> io::Result<bool> {
    Ok(File::open(data)?.metadata()?.len() < length_by_meta(env))
}
