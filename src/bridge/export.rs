//! `export`: the report that writes the objects of a world as files. It reads what is committed.

use super::report::committed;
use super::{ReportError, exit, printable};
use crate::persistence::{ExportOptions, Reader, export_image};
use std::io::Write;
use std::path::Path;

/// Writes the objects that are committed to a folder. Answers the exit code.
///
/// # Errors
/// The world can't be read, or the folder can't be read or written: what was written until then is whole.
pub fn export(world: &Path, dir: &Path, options: ExportOptions, out: &mut dyn Write) -> Result<u8, ReportError> {
    let image = committed(&Reader::open(world)?)?;
    let exported = export_image(&image, dir, options)?;
    for line in &exported.lines {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(if exported.is_done { exit::DONE } else { exit::FAILED })
}
