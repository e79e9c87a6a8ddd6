//! The folder of a world: whether it is one, who has it, and how a new one comes to be whole or not at all.

use super::OpenError;
use super::store::DATA_FILE;
use crate::object::date_and_time;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const LOCK_FILE: &str = "world.lock";
const OWNER_FILE: &str = "world.owner";

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// Nothing, or an empty folder.
    Free,
    /// A world.
    World,
    /// Something else.
    Taken,
}

/// Looks at a path without touching it.
pub(super) fn survey(dir: &Path) -> Result<Ground, OpenError> {
    if dir.join(DATA_FILE).is_file() {
        return Ok(Ground::World);
    }
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(if entries.next().is_none() { Ground::Free } else { Ground::Taken }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ground::Free),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Ground::Taken),
        Err(error) => Err(unusable(dir, &error)),
    }
}

pub(super) fn unusable(dir: &Path, reason: &dyn std::fmt::Display) -> OpenError {
    OpenError::Unusable { path: dir.to_path_buf(), reason: reason.to_string() }
}

/// The exclusive lock on a world, held as long as this lives. It dies with the process.
#[derive(Debug)]
pub(super) struct WorldLock {
    _file: File,
}

/// How often a lock is asked for, and how long between.
const MOMENTS: u32 = 10;
const MOMENT: Duration = Duration::from_millis(10);

impl WorldLock {
    /// Takes the lock and writes down who has it: process and start time (milliseconds since 1970, UTC).
    pub(super) fn take(dir: &Path, now_ms: u64) -> Result<Self, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK_FILE))
            .map_err(|error| unusable(dir, &error))?;
        // A process that the owner is just starting holds the lock, too, for the moment until it is itself.
        let mut taken = file.try_lock();
        for _ in 0..MOMENTS {
            if !matches!(taken, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(MOMENT);
            taken = file.try_lock();
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(dir)),
            Err(TryLockError::Error(error)) => return Err(unusable(dir, &error)),
        }
        let owner = format!("{}\n{now_ms}\n", std::process::id());
        fs::write(dir.join(OWNER_FILE), owner).map_err(|error| unusable(dir, &error))?;
        Ok(Self { _file: file })
    }
}

/// Another process has the world.
pub(super) fn locked(dir: &Path) -> OpenError {
    let owner = fs::read_to_string(dir.join(OWNER_FILE)).unwrap_or_default();
    OpenError::Locked { path: dir.to_path_buf(), owner: describe_owner(&owner) }
}

fn describe_owner(text: &str) -> String {
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.parse::<u32>().ok());
    let since = lines.next().and_then(|line| line.parse::<u64>().ok());
    match (pid, since) {
        (Some(pid), Some(since)) => format!("process {pid}, since {}", utc(since)),
        (Some(pid), None) => format!("process {pid}"),
        _ => "a process that did not write down its number".to_string(),
    }
}

/// A time in the form `2026-01-31 09:12:00 UTC`.
fn utc(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time} UTC")
}

/// A folder beside the one to be, in which a new world is made.
#[derive(Debug)]
pub(super) struct BuildingSite {
    dir: PathBuf,
    target: PathBuf,
    done: bool,
}

impl BuildingSite {
    /// Makes the folder, and takes away what attempts that died left behind.
    pub(super) fn beside(target: &Path) -> Result<Self, OpenError> {
        let fail = |error: io::Error| unusable(target, &error);
        let target = std::path::absolute(target).map_err(fail)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(OpenError::NotAWorld(target));
        };
        fs::create_dir_all(parent).map_err(fail)?;
        let prefix = format!(".{}.new-", name.to_string_lossy());
        clear_dead_sites(parent, &prefix);
        let dir = parent.join(format!("{prefix}{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).map_err(fail)?;
        Ok(Self { dir, target, done: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Puts the finished world in its place. Where another process was faster, its world stays.
    pub(super) fn finish(mut self) -> Result<(), OpenError> {
        let fail = |error: io::Error| unusable(&self.target, &error);
        let _ = fs::remove_file(self.dir.join(OWNER_FILE));
        sync_folder(&self.dir).map_err(fail)?;
        // Windows renames onto nothing; this takes an empty folder only.
        if cfg!(windows) {
            let _ = fs::remove_dir(&self.target);
        }
        match fs::rename(&self.dir, &self.target) {
            Ok(()) => self.done = true,
            Err(_) if self.target.join(DATA_FILE).is_file() => return Ok(()),
            Err(error) => return Err(fail(error)),
        }
        match self.target.parent() {
            Some(parent) => sync_folder(parent).map_err(|error| unusable(&self.target, &error)),
            None => Ok(()),
        }
    }
}

impl Drop for BuildingSite {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A site is dead when its lock can be had. One without a lock may just be beginning, and is left.
fn clear_dead_sites(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let dead = File::open(entry.path().join(LOCK_FILE)).is_ok_and(|lock| lock.try_lock().is_ok());
        if dead {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes the name of a folder and those in it durable.
pub(super) fn sync_names(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    sync_folder(&dir)?;
    match dir.parent().map_or(Ok(()), sync_folder) {
        // Who may not look into it has no name to make there either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Makes names in a folder durable. Windows keeps them in a journal of its own.
pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399_999), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(1_709_164_800_000), "2024-02-29 00:00:00 UTC");
    }

    #[test]
    fn what_a_dead_attempt_left_is_cleared_and_a_living_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let (dead, living) = (parent.path().join(".w.new-1"), parent.path().join(".w.new-2"));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&living).unwrap();
        drop(WorldLock::take(&dead, 0).unwrap());
        let _lock = WorldLock::take(&living, 0).unwrap();
        let site = BuildingSite::beside(&parent.path().join("w")).unwrap();
        assert!(!dead.exists() && living.exists() && site.path().exists());
        let path = site.path().to_path_buf();
        drop(site);
        assert!(!path.exists());
    }
}
