//! Files that the window's console reads and writes: on a thread beside the frame, which never waits for a disk.

use crate::object::Image;
use crate::persistence::{ExportOptions, Exported, FolderError, ImportFolder, export_image};
use crate::systems::Waker;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::path::Path;

/// What an errand brings back.
pub(super) enum Errand {
    /// The files of a folder, for the line that asked for them.
    Read { line: String, files: Result<ImportFolder, FolderError> },
    /// What was written, for the line that asked for it.
    Written { line: String, told: Result<Exported, FolderError> },
}

/// The errands that are under way.
pub(super) struct Errands {
    waker: Waker,
    under_way: usize,
    done: Receiver<Errand>,
    doing: Sender<Errand>,
}

impl Errands {
    /// None yet. `waker` is called when one is back.
    pub(super) fn new(waker: Waker) -> Self {
        let (doing, done) = unbounded();
        Self { waker, under_way: 0, done, doing }
    }

    /// Whether one is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// Reads a folder of object files.
    pub(super) fn read(&mut self, line: String, folder: String) {
        self.send(move || Errand::Read { files: ImportFolder::read(Path::new(&folder)), line });
    }

    /// Writes the objects to a folder.
    pub(super) fn write(&mut self, line: String, folder: String, image: Image) {
        let export = move || export_image(&image, Path::new(&folder), ExportOptions::default());
        self.send(move || Errand::Written { told: export(), line });
    }

    /// Notes in a folder that it was imported. Where that fails, the next export only asks before it replaces files.
    pub(super) fn note(&self, folder: ImportFolder, image: Image) {
        std::thread::spawn(move || drop(folder.note_imported(&image)));
    }

    /// The next one that is back.
    pub(super) fn next(&mut self) -> Option<Errand> {
        let errand = self.done.try_recv().ok()?;
        self.under_way -= 1;
        Some(errand)
    }

    fn send(&mut self, errand: impl FnOnce() -> Errand + Send + 'static) {
        self.under_way += 1;
        let (doing, waker) = (self.doing.clone(), self.waker.clone());
        std::thread::spawn(move || {
            let _ = doing.send(errand());
            waker.wake();
        });
    }
}
