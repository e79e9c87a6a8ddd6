//! Which world: its folder, its name, and what a new one begins with.

use crate::language::{ObjectFileError, genesis_objects};
use crate::persistence::NewWorld;
use directories::ProjectDirs;
use std::path::{Path, PathBuf};
use thiserror::Error;
use uuid::Uuid;

/// Where the world is, when no argument says so.
const WORLD: &str = "WORKBENCH_WORLD";
/// The id of a new world, for tests: equal input then gives equal hashes.
const WORLD_ID: &str = "WORKBENCH_WORLD_ID";

/// A new world could not be described.
#[derive(Debug, Error)]
pub enum NewWorldError {
    /// The variable holds something else.
    #[error("{WORLD_ID} must be a UUID, and `{0}` is none")]
    Id(String),
    /// The first image is damaged.
    #[error(transparent)]
    Genesis(#[from] ObjectFileError),
}

/// The folder named by `WORKBENCH_WORLD`, or `world` in the platform's local data folder.
pub fn default_world() -> Option<PathBuf> {
    match std::env::var_os(WORLD) {
        Some(folder) if !folder.is_empty() => Some(folder.into()),
        _ => Some(ProjectDirs::from("", "", "Living Workbench")?.data_local_dir().join("world")),
    }
}

/// What a world is called: its folder's name.
pub fn world_name(dir: &Path) -> String {
    let name = dir.canonicalize().ok().and_then(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()));
    name.or_else(|| Some(dir.file_name()?.to_string_lossy().into_owned())).unwrap_or_else(|| "world".into())
}

/// A new world: a fresh id and the first image.
///
/// # Errors
/// `WORKBENCH_WORLD_ID` is set to what is no UUID.
pub fn new_world() -> Result<NewWorld, NewWorldError> {
    let world_id = match std::env::var(WORLD_ID) {
        Ok(text) if !text.is_empty() => Uuid::parse_str(&text).map_err(|_| NewWorldError::Id(text))?,
        _ => fresh_id(),
    };
    Ok(NewWorld { world_id, objects: genesis_objects()? })
}

#[allow(clippy::disallowed_methods)] // the one random number of a world; every other id derives from it
fn fresh_id() -> Uuid {
    Uuid::new_v4()
}
