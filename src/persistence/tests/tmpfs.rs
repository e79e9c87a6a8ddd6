//! A small disk of its own: a tmpfs that a test mounts, fills and takes away. It needs the right to mount.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted folder; unmounted when it is dropped.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// A disk of so many KiB. `None`, and the reason said, where nothing can be mounted.
    pub(crate) fn mount(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"], dir.path(), None).then(|| Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// From now on it can only be read.
    pub(crate) fn make_read_only(&self) -> bool {
        mount(&["-o", "remount,ro"], self.path(), None)
    }

    /// Fills it until so many KiB are free; with 0, until it takes nothing more.
    pub(crate) fn fill(&self, kib_left: u64) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        let free = || super::super::storage::space(self.path()).unwrap().free;
        while free() > kib_left << 10 && filler.write_all(&[1; 4 << 10]).is_ok() {}
    }

    /// Takes away what filled it.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.path());
    }
}

/// Mounts something; false, and the reason said, where that can't be done. `stdin` is the file with the number 0 for it.
pub(super) fn mount(arguments: &[&str], at: &Path, stdin: Option<File>) -> bool {
    let mut command = Command::new("mount");
    command.arg("-i").args(arguments).arg(at);
    if let Some(file) = stdin {
        command.stdin(file);
    }
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Err(error) => error.to_string(),
    };
    println!("skipped: nothing can be mounted here ({why})");
    false
}

/// Lazily: a file that is still open must not keep it.
pub(super) fn unmount(at: &Path) {
    let _ = Command::new("umount").arg("-l").arg(at).output();
}
