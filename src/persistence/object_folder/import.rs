//! `import`: a folder of object files as the one message that makes a world like them.

use super::{FolderError, Noted, ObjectFolder, hash};
use crate::language::{Plan, file_subject, plan_import};
use crate::object::{Image, MapKey, Name, NameError, ObjectId, Target, UICommand, Value};
use std::collections::BTreeSet;
use std::path::Path;
use uuid::Uuid;

/// A folder of object files, read for an import.
#[derive(Clone, Debug)]
pub struct ImportFolder {
    folder: ObjectFolder,
    files: Vec<(String, String)>,
}

impl ImportFolder {
    /// Reads every object file of a folder.
    ///
    /// # Errors
    /// The folder or a file in it can't be read, or holds more than one message carries.
    pub fn read(dir: &Path) -> Result<Self, FolderError> {
        let folder = ObjectFolder::at(dir);
        let files = folder.texts()?;
        Ok(Self { folder, files })
    }

    /// The message that imports it.
    ///
    /// # Errors
    /// None in practice: the names are fixed.
    pub fn command(&self) -> Result<UICommand, NameError> {
        let files = self.files.iter().map(|(name, text)| (MapKey::Text(name.clone()), Value::Text(text.clone())));
        let args = vec![(Name::new("files")?, Value::map(files))];
        Ok(UICommand::new(Target::Name("workspace".into()), Name::new("import")?, args))
    }

    /// What it would do to these objects, or everything that is wrong with it.
    pub fn plan(&self, image: &Image) -> Result<Plan, Vec<String>> {
        let mut count = 0;
        // The ids of new objects that have none are given by the message; these only stand for them.
        let mut fresh = || {
            count += 1;
            ObjectId::derived(Uuid::nil(), Uuid::nil(), count)
        };
        plan_import(&self.files, image, &mut fresh)
    }

    /// Notes in the folder that these files are in the world: an export may replace them.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn note_imported(&self, image: &Image) -> Result<(), FolderError> {
        let mut manifest = self.folder.manifest()?;
        for (name, text) in &self.files {
            if let Some(id) = file_subject(name, text, image) {
                manifest.insert(name.clone(), Noted { id, hashes: BTreeSet::from([hash(text.as_bytes())]) });
            }
        }
        self.folder.note(&manifest)
    }
}
