//! Bare LMDB: the contender that only puts bytes, and the databases of a world read without the journal's code.
//!
//! All `unsafe` of LMDB is here.

use crate::speed::Contender;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, WithoutTls};
use std::path::{Path, PathBuf};

type Db = Database<'static, Bytes, Bytes>;

/// Address space; no room on the disk.
const MAP_BYTES: usize = if cfg!(target_pointer_width = "64") { 16 << 30 } else { 256 << 20 };

/// One transaction for each batch.
pub(crate) struct BareLmdb {
    name: &'static str,
    /// Gone only while it is dropped.
    env: Option<Env<WithoutTls>>,
    db: Db,
    data: PathBuf,
    record: Vec<u8>,
    next: u64,
    lags: bool,
}

impl BareLmdb {
    /// A commit is on disk when it returns.
    pub(crate) fn plain(folder: &Path, record: &[u8]) -> Self {
        Self::open("bare heed, plain", folder, record, EnvFlags::empty())
    }

    /// A commit is on disk when the next one returns: its own root page is written, and synced with the next one's data.
    pub(crate) fn lagging(folder: &Path, record: &[u8]) -> Self {
        Self::open("bare heed, lagging", folder, record, EnvFlags::NO_META_SYNC)
    }

    fn open(name: &'static str, folder: &Path, record: &[u8], flags: EnvFlags) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let env = open_env(folder, flags, 1);
        let txn = env.write_txn().expect("a transaction");
        let made = env.create_databases_and_commit(txn, |opener, txn| {
            let db = opener.create_database::<Bytes, Bytes>(txn, Some("log"))?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
        });
        let db = made.expect("a database").commit().expect("a database");
        let lags = flags.contains(EnvFlags::NO_META_SYNC);
        Self { name, env: Some(env), db, data: folder.join("data.mdb"), record: record.to_vec(), next: 1, lags }
    }
}

impl Contender for BareLmdb {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self, records: u64) {
        let env = self.env.as_ref().expect("an open environment");
        let mut txn = env.write_txn().expect("a transaction");
        for position in self.next..self.next + records {
            let key = position.to_be_bytes();
            self.db.put_with_flags(&mut txn, PutFlags::APPEND, &key, &self.record).expect("a put");
        }
        txn.commit().expect("a commit");
        self.next += records;
    }

    fn finish(&mut self) {
        if self.lags {
            self.env.as_ref().expect("an open environment").force_sync().expect("a sync");
        }
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.data)
    }
}

impl Drop for BareLmdb {
    fn drop(&mut self) {
        if let Some(env) = self.env.take() {
            env.prepare_for_closing().wait();
        }
    }
}

/// Shows every entry of one database of a closed world, in order, until `see` answers false.
pub(crate) fn each(world: &Path, database: &str, mut see: impl FnMut(&[u8], &[u8]) -> bool) {
    let env = open_env(world, EnvFlags::READ_ONLY, 5);
    let txn = env.read_txn().expect("a transaction");
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let db = opener.open_database::<Bytes, Bytes>(txn, Some(database))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
    });
    let db: Db = opened.expect("a database").commit().flatten().expect("a database");
    let txn = env.read_txn().expect("a transaction");
    for entry in db.iter(&txn).expect("entries") {
        let (key, value) = entry.expect("an entry");
        if !see(key, value) {
            break;
        }
    }
    drop(txn);
    env.prepare_for_closing().wait();
}

/// Takes every entry out of one database of a closed world.
pub(crate) fn clear(world: &Path, database: &str) {
    let env = open_env(world, EnvFlags::empty(), 5);
    let txn = env.read_txn().expect("a transaction");
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let db = opener.open_database::<Bytes, Bytes>(txn, Some(database))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
    });
    let db: Db = opened.expect("a database").commit().flatten().expect("a database");
    let mut txn = env.write_txn().expect("a transaction");
    db.clear(&mut txn).expect("an empty database");
    txn.commit().expect("a commit");
    env.prepare_for_closing().wait();
}

fn open_env(folder: &Path, flags: EnvFlags, databases: u32) -> Env<WithoutTls> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_BYTES).max_dbs(databases);
    // SAFETY: the folder is this run's own, and nobody else has it open. What NO_META_SYNC risks, a last commit that is lost
    // when the power fails, is what is measured.
    #[allow(unsafe_code)]
    unsafe { options.flags(flags).open(folder) }.expect("an environment")
}
