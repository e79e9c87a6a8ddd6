//! A folder of object files: what stands in it, what was written there last, and how a file is replaced whole.
//!
//! `docs/object-files.md` has the form of the manifest. What the files say is not known here.

mod export;
mod import;

pub use export::{ExportOptions, Exported, export_image};
pub use import::ImportFolder;

use crate::object::ObjectId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use uuid::Uuid;

/// The list of what an export or an import found last.
const MANIFEST: &str = "objects.manifest";
/// Its first line.
const MANIFEST_HEAD: &str = "# living-workbench objects 1";
/// How the name of an object file ends.
const EXTENSION: &str = ".luau";
/// Between the name of a file that is being written and the number of the process.
const UNFINISHED: &str = ".new-";
/// Most bytes that the files of one import have together.
const MAX_FOLDER_BYTES: u64 = 16 << 20;

/// A folder of object files could not be read or written.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refuses.
    #[error("{path} can't be {what}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// `read`, `written` or `removed`.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no text.
    #[error("{0} is not UTF-8, which object files are")]
    NotText(PathBuf),
    /// More than a message carries.
    #[error("{path} holds {bytes} bytes of object files; one import takes {MAX_FOLDER_BYTES}: import a part at a time")]
    Large {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        bytes: u64,
    },
    /// No file whose name ends in `.luau`.
    #[error("{0} holds no object file: their names end in {EXTENSION}")]
    Empty(PathBuf),
    /// The manifest is of another program, or was changed.
    #[error("{path}, line {line}, is not as this program writes it; put the file back as it was, or remove it")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
    },
}

/// What an export or an import noted about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Noted {
    /// Whose file it is.
    id: ObjectId,
    /// BLAKE3 of its bytes, in hex. While an export is under way: of the old and of the new ones.
    hashes: BTreeSet<String>,
}

/// What was noted, by the file's name.
type Manifest = BTreeMap<String, Noted>;

/// The folder.
#[derive(Clone, Debug)]
struct ObjectFolder(PathBuf);

/// BLAKE3 in hex.
fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl ObjectFolder {
    fn at(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    fn failed(&self, name: &str, what: &'static str) -> impl FnOnce(io::Error) -> FolderError {
        let path = if name.is_empty() { self.0.clone() } else { self.0.join(name) };
        move |error| FolderError::Io { path, what, error }
    }

    /// Names of the object files, ascending. Files whose names begin with a dot are none.
    fn names(&self) -> Result<Vec<String>, FolderError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(self.failed("", "read"))? {
            let name = entry.map_err(self.failed("", "read"))?.file_name();
            let text = name.to_string_lossy();
            if !text.ends_with(EXTENSION) || text.starts_with('.') || !self.0.join(&name).is_file() {
                continue;
            }
            names.push(name.into_string().map_err(|name| FolderError::NotText(self.0.join(name)))?);
        }
        names.sort();
        Ok(names)
    }

    /// Every object file with its text.
    fn texts(&self) -> Result<Vec<(String, String)>, FolderError> {
        let names = self.names()?;
        if names.is_empty() {
            return Err(FolderError::Empty(self.0.clone()));
        }
        // Nothing is read that is too large to be sent.
        let size = |name: &String| fs::metadata(self.0.join(name)).map_or(0, |file| file.len());
        let bytes = names.iter().map(size).sum();
        if bytes > MAX_FOLDER_BYTES {
            return Err(FolderError::Large { path: self.0.clone(), bytes });
        }
        let text = |name: String| {
            let bytes = fs::read(self.0.join(&name)).map_err(self.failed(&name, "read"))?;
            let text = String::from_utf8(bytes).map_err(|_| FolderError::NotText(self.0.join(&name)))?;
            Ok((name, text))
        };
        names.into_iter().map(text).collect()
    }

    /// The bytes of a file, if there is one.
    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(name, "read")(error)),
        }
    }

    /// What was noted last; nothing where there is no manifest.
    fn manifest(&self) -> Result<Manifest, FolderError> {
        let Some(bytes) = self.bytes(MANIFEST)? else { return Ok(Manifest::new()) };
        let text = String::from_utf8(bytes).map_err(|_| FolderError::NotText(self.0.join(MANIFEST)))?;
        let wrong = |line| FolderError::Manifest { path: self.0.join(MANIFEST), line };
        let mut lines = text.lines().zip(1..);
        if lines.next().is_none_or(|(head, _)| head != MANIFEST_HEAD) {
            return Err(wrong(1));
        }
        let mut manifest = Manifest::new();
        for (text, line) in lines {
            let (hash, id, name) = manifest_line(text).ok_or_else(|| wrong(line))?;
            let noted = manifest.entry(name).or_insert_with(|| Noted { id, hashes: BTreeSet::new() });
            noted.id = id;
            noted.hashes.insert(hash);
        }
        Ok(manifest)
    }

    /// Replaces the manifest.
    fn note(&self, manifest: &Manifest) -> Result<(), FolderError> {
        let line = |(name, noted): (&String, &Noted)| -> String {
            noted.hashes.iter().map(|hash| format!("{hash}  {}  {name}\n", noted.id)).collect()
        };
        let text = format!("{MANIFEST_HEAD}\n{}", manifest.iter().map(line).collect::<String>());
        if self.bytes(MANIFEST)?.as_deref() == Some(text.as_bytes()) {
            return Ok(());
        }
        self.replace(MANIFEST, text.as_bytes())?;
        self.sync()
    }

    /// Makes the folder, and clears what an export left that was ended from outside.
    fn prepare(&self) -> Result<(), FolderError> {
        fs::create_dir_all(&self.0).map_err(self.failed("", "written"))?;
        for entry in fs::read_dir(&self.0).map_err(self.failed("", "read"))? {
            let name = entry.map_err(self.failed("", "read"))?.file_name();
            if is_unfinished(&name.to_string_lossy()) {
                let _ = fs::remove_file(self.0.join(name)); // in the way of nothing
            }
        }
        Ok(())
    }

    /// Puts a file in place of what stands there: whoever looks, and whenever the process ends, finds the old or the new.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let unfinished = self.0.join(format!(".{name}{UNFINISHED}{}", std::process::id()));
        let written = File::create(&unfinished)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, self.0.join(name)));
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            self.failed(name, "written")(error)
        })
    }

    /// Removes a file.
    fn remove(&self, name: &str) -> Result<(), FolderError> {
        fs::remove_file(self.0.join(name)).map_err(self.failed(name, "removed"))
    }

    /// Makes the names in the folder durable. Windows keeps them in a journal of its own.
    fn sync(&self) -> Result<(), FolderError> {
        if !cfg!(unix) {
            return Ok(());
        }
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(self.failed("", "written"))
    }
}

/// Whether a file is one that was being written.
fn is_unfinished(name: &str) -> bool {
    let Some((head, process)) = name.rsplit_once(UNFINISHED) else { return false };
    let of = head.strip_prefix('.').unwrap_or_default();
    (of == MANIFEST || of.ends_with(EXTENSION)) && !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit())
}

/// Hash, id and file. A name that leads out of the folder is none.
fn manifest_line(text: &str) -> Option<(String, ObjectId, String)> {
    let (hash, rest) = text.split_once("  ")?;
    let (id, name) = rest.split_once("  ")?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = name.ends_with(EXTENSION) && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
    let id = ObjectId(Uuid::parse_str(id).ok()?);
    (is_hash && is_name).then(|| (hash.to_string(), id, name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back_and_a_changed_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ObjectFolder::at(dir.path());
        assert_eq!(folder.manifest().unwrap(), Manifest::new());
        let noted = |id: u128, texts: &[&str]| {
            let hashes = texts.iter().map(|text| hash(text.as_bytes())).collect();
            Noted { id: ObjectId(Uuid::from_u128(id)), hashes }
        };
        let manifest = Manifest::from([
            ("a.luau".to_string(), noted(1, &["old", "new"])),
            ("b c.luau".to_string(), noted(2, &["x"])),
        ]);
        folder.note(&manifest).unwrap();
        assert_eq!(folder.manifest().unwrap(), manifest);
        let good = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
        for (bad, line) in [
            (good.replace("b c.luau", "../b.luau"), 4),
            (good.replace("b c.luau", "b.txt"), 4),
            (good.replacen("  ", " ", 1), 2),
            ("<<<<<<< ours\n".to_string() + &good, 1),
            (String::new(), 1),
        ] {
            fs::write(dir.path().join(MANIFEST), bad).unwrap();
            assert!(matches!(folder.manifest(), Err(FolderError::Manifest { line: at, .. }) if at == line));
        }
    }

    #[test]
    fn what_an_ended_export_left_is_cleared_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let kept = ["a.luau", ".hidden.luau", ".a.luau.new-", ".a.txt.new-7", "notes.new-1"];
        for name in kept.iter().chain(&[".a.luau.new-7", ".objects.manifest.new-12"]) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = ObjectFolder::at(dir.path());
        folder.prepare().unwrap();
        let mut left: Vec<String> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut kept = kept.map(str::to_string).to_vec();
        kept.sort();
        assert_eq!(left, kept);
        assert_eq!(folder.names().unwrap(), ["a.luau"]);
    }
}
