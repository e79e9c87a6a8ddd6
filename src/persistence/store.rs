//! The LMDB environment of a world: where it opens, its five databases, and one transaction that writes a batch.
//!
//! All `unsafe` of this room is here, and all that depends on the system: which protocol a world is written with, and what a
//! commit needs to be durable. Keys and values are bytes; what they mean is known elsewhere.

mod copies;

use super::batch::Batch;
use super::record;
use super::writer::{LogEnd, Shelf};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RoTxn, WithoutTls};
use std::fs::{Metadata, OpenOptions};
use std::io;
use std::ops::Bound;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
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
/// So often a data file is opened anew that is not the one under its name any more.
const PLACES: u32 = 10;
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

impl Databases {
    /// Those of an environment that is read.
    fn open(env: &Env<WithoutTls>) -> Result<Self, StoreError> {
        let opened = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
            let [heartwood, sapwood, meta, quarantine, suspended] =
                NAMES.map(|name| opener.open_database::<Bytes, Bytes>(txn, Some(name)));
            let opened = (heartwood?, sapwood?, meta?, quarantine?, suspended?);
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(opened))
        })?;
        match opened.commit() {
            Some((Some(heartwood), Some(sapwood), Some(meta), Some(quarantine), Some(suspended))) => {
                Ok(Self { heartwood, sapwood, meta, quarantine, suspended })
            }
            _ => Err(StoreError::NoDatabase("heartwood")),
        }
    }

    /// In the order of their names.
    fn all(&self) -> [Db; 5] {
        [self.heartwood, self.sapwood, self.meta, self.quarantine, self.suspended]
    }
}

const NAMES: [&str; 5] = ["heartwood", "sapwood", "meta", "quarantine", "suspended"];

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// By a sync of its own.
    Plain,
    /// By the next one, where it may lag, else by a sync of its own. It needs that the flush of a file's data carries an earlier write to the same file
    /// along, also one of another descriptor, which Linux does; on Windows LMDB flushes nothing, and on macOS its flush and
    /// its write-through are not the same.
    Lagging,
    /// Broken on purpose: acknowledged by the commit, and durable only by the next one. The power-cut rig must catch it.
    #[cfg(test)]
    Hasty,
}

impl Protocol {
    /// What this system is known to keep.
    pub(super) const USUAL: Self = if cfg!(target_os = "linux") { Self::Lagging } else { Self::Plain };
}

/// How LMDB writes the page that makes a commit count. On Linux never through (`O_DSYNC`), but by a flush of its own: where such a
/// write fails, LMDB takes it back from its view, and the disk may have it all the same. What is written next to the places that the
/// commit used is then read as a part of it, if the power fails before the next such page is there.
const WRITING: EnvFlags = if cfg!(target_os = "linux") { EnvFlags::NO_META_SYNC } else { EnvFlags::empty() };

/// An open environment.
#[derive(Debug)]
pub(super) struct Store {
    env: Env<WithoutTls>,
    pub(super) dbs: Databases,
    protocol: Protocol,
}

/// The environment of a world that is written, and what it takes to open it again.
#[derive(Debug)]
pub(super) struct Press {
    /// Gone only while it is opened anew, and after that failed.
    store: Option<Store>,
    dir: PathBuf,
    map_bytes: usize,
    /// Of the data file that is open.
    identity: Option<(u64, u64)>,
}

impl Store {
    /// Opens the environment in a folder for writing, making what is missing.
    pub(super) fn open(dir: &Path, map_bytes: usize, protocol: Protocol) -> Result<Self, StoreError> {
        let data = dir.join(DATA_FILE);
        if data.exists() && data.metadata()?.len() < LEAST_BYTES {
            return Err(StoreError::Cut);
        }
        let env = open_in_place(dir, map_bytes, WRITING)?;
        if is_short(&env)? {
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
        Ok(Self { dbs: Databases { heartwood, sapwood, meta, quarantine, suspended }, env, protocol })
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
        let env = open_in_place(dir, MAP_BYTES, flags)?;
        if is_short(&env)? {
            return Err(StoreError::Cut);
        }
        Ok(Self { dbs: Databases::open(&env)?, env, protocol: Protocol::Plain })
    }

    /// Size of all pages that are in use or were, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        length_by_meta(&self.env)
    }

    /// Forgets the log up to a position, with the figures that tell of it; durable when it returns.
    ///
    /// # Errors
    /// As for [`Store::write`]; all is as it was then.
    pub(super) fn forget(&self, position: u64, meta: &[u8]) -> Result<(), String> {
        let forget = || {
            let mut txn = self.env.write_txn()?;
            let range = (Bound::Unbounded, Bound::Included(&position.to_be_bytes()[..]));
            self.dbs.heartwood.delete_range(&mut txn, &range)?;
            self.dbs.meta.put(&mut txn, META_KEY, meta)?;
            txn.commit()
        };
        self.with_room(forget)?;
        self.sync()
    }

    /// One consistent view. It must not live longer than one question: what it can see is not reused.
    pub(super) fn read(&self) -> Result<RoTxn<'_, WithoutTls>, StoreError> {
        Ok(self.env.read_txn()?)
    }

    fn try_write(&self, batch: &Batch, meta: &[u8]) -> Result<(), heed::Error> {
        let mut txn = self.env.write_txn()?;
        for (position, record) in batch.heartwood.iter() {
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

    /// Writes a batch, all of it or nothing. A map that is full grows, and the batch is written again. Answers whether it is
    /// durable; it is unless it `may_lag`.
    ///
    /// # Errors
    /// In words; nothing may be written then.
    pub(super) fn write(&self, batch: &Batch, meta: &[u8], may_lag: bool) -> Result<bool, String> {
        self.with_room(|| self.try_write(batch, meta))?;
        match self.protocol {
            Protocol::Lagging if may_lag => Ok(false),
            #[cfg(test)]
            Protocol::Hasty => Ok(true),
            Protocol::Plain | Protocol::Lagging => self.sync().map(|()| true),
        }
    }

    /// Tries a transaction again as long as the map is full, which grows.
    fn with_room(&self, mut write: impl FnMut() -> Result<(), heed::Error>) -> Result<(), String> {
        loop {
            match write() {
                Ok(()) => return Ok(()),
                Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    let doubled = self.env.info().map_size.saturating_mul(2);
                    // SAFETY: the environment belongs to this thread and the failed transaction is gone.
                    #[allow(unsafe_code)]
                    unsafe { self.env.resize(doubled) }.map_err(|error| in_words(&error.into()))?;
                }
                Err(error) => return Err(in_words(&error.into())),
            }
        }
    }

    /// Makes all that was committed durable, also where a commit alone does not.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub(super) fn sync(&self) -> Result<(), String> {
        self.env.force_sync().map_err(|error| in_words(&error.into()))
    }

    /// Where the log ends, as the record about the whole says and the last record proves.
    fn end(&self) -> Result<LogEnd, String> {
        let txn = self.read().map_err(|error| in_words(&error))?;
        let get = |db: &Db, key: &[u8]| db.get(&txn, key).map_err(|error| in_words(&error.into()));
        let damaged = |what: &str| format!("the database can't be read again: {what}");
        let meta = get(&self.dbs.meta, META_KEY)?.ok_or_else(|| damaged("`meta` is missing"))?;
        let meta = record::decode(meta, None).map_err(|error| damaged(&error.to_string()))?;
        let end = LogEnd { position: meta.position, chain: meta.chain };
        let last = get(&self.dbs.heartwood, &end.position.to_be_bytes())?;
        let last = last.ok_or_else(|| damaged("the last record is missing"))?;
        let last = record::decode(last, Some(end.position)).map_err(|error| damaged(&error.to_string()))?;
        if last.chain == end.chain { Ok(end) } else { Err(damaged("the last record is another one")) }
    }

    /// Closes the environment; it can be opened again when this returns.
    pub(super) fn close(self) {
        self.env.prepare_for_closing().wait();
    }
}

impl Press {
    /// Writes a world on from here. Its environment was opened with so much address space.
    pub(super) fn new(store: Store, dir: &Path, map_bytes: usize) -> Self {
        Self { store: Some(store), dir: dir.to_path_buf(), map_bytes, identity: identity(&dir.join(DATA_FILE)) }
    }

    /// What is written to a file that has no name any more nobody ever reads.
    fn is_in_place(&self) -> Result<(), String> {
        match identity(&self.dir.join(DATA_FILE)) == self.identity {
            true => Ok(()),
            false => Err(format!(
                "`{DATA_FILE}` is gone from {}, or another one lies there; put it back, and it goes on by itself",
                self.dir.display()
            )),
        }
    }

    fn store(&self) -> Result<&Store, String> {
        self.store.as_ref().ok_or_else(|| "the database is not open".to_string())
    }
}

impl Shelf for Press {
    fn write(&mut self, batch: &Batch, meta: &[u8], may_lag: bool) -> Result<bool, String> {
        let is_durable = self.store()?.write(batch, meta, may_lag)?;
        self.is_in_place().map(|()| is_durable)
    }

    fn sync(&mut self) -> Result<(), String> {
        self.store()?.sync()?;
        self.is_in_place()
    }

    fn reopen(&mut self) -> Result<LogEnd, String> {
        if let Some(store) = self.store.take() {
            store.close();
        }
        // Where it is gone, LMDB would make an empty one.
        self.is_in_place()?;
        let store = Store::open(&self.dir, self.map_bytes, Protocol::Plain).map_err(|error| in_words(&error))?;
        let end = store.end();
        self.store = Some(store);
        end
    }

    fn close(self: Box<Self>) {
        if let Some(store) = self.store {
            store.close();
        }
    }
}

/// Which file lies under a name: its disk and its number there, and on a system that lets no open file be taken away, whether there
/// is one.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().as_ref().and_then(identity_of)
}

fn identity_of(file: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    return Some((file.dev(), file.ino()));
    #[cfg(not(unix))]
    return file.is_file().then_some((0, 0));
}

fn in_words(error: &StoreError) -> String {
    match error {
        StoreError::Lmdb(heed::Error::Io(error)) | StoreError::Io(error)
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
        {
            "the disk is full; make room, and it goes on by itself".to_string()
        }
        StoreError::Lmdb(heed::Error::Io(error)) | StoreError::Io(error)
            if error.kind() == io::ErrorKind::ReadOnlyFilesystem =>
        {
            "the disk can only be read; it goes on by itself when it can be written again".to_string()
        }
        // LMDB reports a write that was cut short as EIO: mostly the disk is full.
        other => {
            format!("the disk reported an error ({other}); it may be full: look at it; it is tried again and again")
        }
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

/// Opens the environment in a folder. LMDB opens the data file before it locks its table of readers, and in between another file may
/// take its place: then what was opened is nobody's any more.
fn open_in_place(dir: &Path, map_bytes: usize, flags: EnvFlags) -> Result<Env<WithoutTls>, StoreError> {
    for _ in 0..PLACES {
        let env = open_env(dir, map_bytes, flags)?;
        let opened = env.try_clone_inner_file()?.metadata()?;
        if identity(&dir.join(DATA_FILE)) == identity_of(&opened) {
            return Ok(env);
        }
        env.prepare_for_closing().wait();
    }
    Err(io::Error::other("other files take the place of its data file again and again").into())
}

fn length_by_meta(env: &Env<WithoutTls>) -> u64 {
    let page = u64::from(env.unnamed_database_stat().page_size);
    (env.info().last_page_number as u64 + 1) * page
}

/// Whether the file ends before its last page. Another may have its name by now.
fn is_short(env: &Env<WithoutTls>) -> Result<bool, heed::Error> {
    Ok(env.real_disk_size()? < length_by_meta(env))
}
