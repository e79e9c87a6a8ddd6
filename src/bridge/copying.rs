//! `backup` and `restore`: whole copies of a world, checked before they count.

use super::{ReportError, exit, wall_clock, while_it_lasts};
use crate::persistence::{Progress, copy_world};
use crate::systems::TickReplay;
use std::io::Write;
use std::path::Path;

/// Copies a world as it stands, also while a workbench has it open.
pub fn backup(world: &Path, to: &Path, out: &mut dyn Write) -> Result<u8, ReportError> {
    copy(world, to, "the backup at", out)
}

/// Makes a world from a backup, where none is.
pub fn restore(from: &Path, world: &Path, out: &mut dyn Write) -> Result<u8, ReportError> {
    copy(from, world, "the world at", out)
}

fn copy(from: &Path, to: &Path, what: &str, out: &mut dyn Write) -> Result<u8, ReportError> {
    let (progress, now_ms) = (Progress::new(), (wall_clock().unix_ms)());
    let report = while_it_lasts(&progress, || copy_world(from, to, now_ms, &mut TickReplay::new(), &progress))?;
    writeln!(
        out,
        "{what} {} has {} objects and {} records, all checked",
        to.display(),
        report.objects,
        report.records
    )?;
    writeln!(out, "world hash {}", report.world_hash)?;
    Ok(exit::DONE)
}
