//! A whole copy of a world: for a backup while it goes on, and for the way back from one.

use super::archive;
use super::awakening::{read_error, store_error};
use super::folder::{self, BuildingSite, Ground, WorldLock, unusable};
use super::reader::Reader;
use super::source::{ReadError, read_meta};
use super::store::{DATA_FILE, Store, StoreError};
use super::{OpenError, Progress, Ticker, VerifyReport};
use std::path::Path;

/// Copies a world as it stands at one moment to a place where nothing is; also while a workbench has it open. The copy is
/// checked like [`Reader::verify`] before it comes to its place, all of it at once. `now_ms` is the time in milliseconds since
/// 1970 (UTC); `progress` tells how far it is.
///
/// # Errors
/// [`OpenError`] says what, where, and what to do next. Nothing is at `to` then. A world with damage is not copied.
pub fn copy_world(
    from: &Path,
    to: &Path,
    now_ms: u64,
    ticker: &mut dyn Ticker,
    progress: &Progress,
) -> Result<VerifyReport, OpenError> {
    match folder::survey(from)? {
        Ground::World => {}
        Ground::Free => return Err(OpenError::Absent(from.to_path_buf())),
        Ground::Taken => return Err(OpenError::NotAWorld(from.to_path_buf())),
    }
    match folder::survey(to)? {
        Ground::Free => {}
        Ground::World => return Err(OpenError::Taken(to.to_path_buf())),
        Ground::Taken => return Err(OpenError::NotAWorld(to.to_path_buf())),
    }
    let store = Store::open_for_reading(from).map_err(|error| store_error(from, error))?;
    let site = BuildingSite::beside(to)?;
    let lock = WorldLock::take(site.path(), now_ms)?;
    let file = site.path().join(DATA_FILE);
    progress.begin_copy(&file, store.bytes());
    let copied = store.copy_to(&file).map_err(|error| unusable(to, &error));
    store.close();
    copied?;
    copy_archive(from, site.path()).map_err(|error| read_error(from, error))?;
    progress.begin_check();
    let report = Reader::open_watched(site.path(), progress)?.verify(ticker)?;
    if let Some(damage) = report.damages.first() {
        let reason = format!("{} records are damaged, the first: {damage}", report.damages.len());
        return Err(OpenError::Damaged { path: from.to_path_buf(), reason });
    }
    drop(lock);
    site.finish()?;
    Ok(report)
}

/// Copies the archive as far as the copied database says that it goes.
fn copy_archive(from: &Path, site: &Path) -> Result<(), ReadError> {
    let store = Store::open_for_reading(site)?;
    let meta = store.read().map_err(ReadError::from).and_then(|txn| read_meta(&txn, &store.dbs));
    store.close();
    Ok(archive::copy(from, meta?.wire.horizon_position, site).map_err(StoreError::from)?)
}
