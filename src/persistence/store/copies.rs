//! Copies of the data file: one as it stands, and one without its free pages that may take its place.

use super::{DATA_FILE, Databases, MAP_BYTES, META_KEY, Store, StoreError, open_env};
use heed::{CompactionOption, Env, EnvFlags, WithoutTls};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Where the number of the transaction stands in a meta page of LMDB.
const META_TRANSACTION: u64 = 144;

impl Store {
    /// Writes all that is committed now to a new file, durably.
    pub(in crate::persistence) fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let mut copy = self.create_like(file)?;
        self.env.copy_to_file(&mut copy, CompactionOption::Disabled)?;
        Ok(copy.sync_all()?)
    }

    /// Writes all that is committed now to a new file without its free pages, durably. The file may take the place of the data
    /// file, also while others read that: its last transaction has the same number, which they share in the reader table.
    pub(in crate::persistence) fn compact_to(&self, file: &Path) -> Result<(), StoreError> {
        // LMDB writes the copy as transaction 1, whose figures are on the page of the odd ones.
        if self.env.info().last_txn_id.is_multiple_of(2) {
            let mut txn = self.env.write_txn()?;
            let meta = self.dbs.meta.get(&txn, META_KEY)?.unwrap_or_default().to_vec();
            self.dbs.meta.put(&mut txn, META_KEY, &meta)?;
            txn.commit()?;
            self.env.force_sync()?;
        }
        let number = self.env.info().last_txn_id as u64;
        let mut copy = self.create_like(file)?;
        self.share_owner(&copy)?;
        self.env.copy_to_file(&mut copy, CompactionOption::Enabled)?;
        let place = SeekFrom::Start(u64::from(self.env.unnamed_database_stat().page_size) + META_TRANSACTION);
        let mut stands = [0; 8];
        copy.seek(place)?;
        copy.read_exact(&mut stands)?;
        if stands != 1_u64.to_ne_bytes() || number.is_multiple_of(2) {
            return Err(StoreError::Io(io::Error::other("the copy is not as LMDB makes them")));
        }
        copy.seek(place)?;
        copy.write_all(&number.to_ne_bytes())?;
        copy.sync_all()?;
        drop(copy);
        self.is_copied(file)
    }

    /// Makes a file that has the permissions of the data file from the beginning.
    fn create_like(&self, file: &Path) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let made = options.open(file)?;
        self.share_access(&made)?;
        Ok(made)
    }

    /// Whoever may read the data file may read this one, as far as the owners are the same.
    pub(in crate::persistence) fn share_access(&self, file: &File) -> io::Result<()> {
        // A file system without owners knows none that could be changed; who reads another's world owns the copy.
        let _ = self.share_owner(file);
        file.set_permissions(self.env.path().join(DATA_FILE).metadata()?.permissions())
    }

    /// Whoever owns the data file owns this one: what takes its place must not lock the owner out.
    fn share_owner(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        {
            let (data, made) = (self.env.path().join(DATA_FILE).metadata()?, file.metadata()?);
            if (made.uid(), made.gid()) != (data.uid(), data.gid()) {
                std::os::unix::fs::fchown(file, Some(data.uid()), Some(data.gid()))?;
            }
        }
        let _ = file;
        Ok(())
    }

    /// Reads a copy of this environment, entry by entry beside it.
    fn is_copied(&self, file: &Path) -> Result<(), StoreError> {
        let env = open_env(file, MAP_BYTES, EnvFlags::READ_ONLY | EnvFlags::NO_LOCK | EnvFlags::NO_SUB_DIR)?;
        let compared = self.is_same(&env);
        env.prepare_for_closing().wait();
        if compared? { Ok(()) } else { Err(io::Error::other("the copy does not read as what was copied").into()) }
    }

    fn is_same(&self, copy: &Env<WithoutTls>) -> Result<bool, StoreError> {
        // A transaction knows the databases that were opened before it.
        let dbs = Databases::open(copy)?;
        let (ours, theirs) = (self.env.read_txn()?, copy.read_txn()?);
        for (db, other) in self.dbs.all().into_iter().zip(dbs.all()) {
            let mut entries = other.iter(&theirs)?;
            for entry in db.iter(&ours)? {
                if entries.next().transpose()? != Some(entry?) {
                    return Ok(false);
                }
            }
            if entries.next().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Bytes of the pages that hold something.
    pub(in crate::persistence) fn bytes_in_use(&self) -> Result<u64, StoreError> {
        let txn = self.env.read_txn()?;
        let main = self.env.unnamed_database_stat();
        let mut pages = main.branch_pages + main.leaf_pages + main.overflow_pages;
        for db in self.dbs.all() {
            let stat = db.stat(&txn)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(pages as u64 * u64::from(main.page_size))
    }
}
