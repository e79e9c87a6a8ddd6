//! `archive`: the front of the log moves out of the database.

use super::{ReportError, exit, wall_clock, while_it_lasts};
use crate::object::bytes_in_words;
use crate::persistence::{Archived, Progress, archive_world};
use std::io::Write;
use std::path::Path;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Archives what no start of a world needs, or only what is older than so many days, and says what became of it.
pub fn archive(world: &Path, older_than: Option<u64>, out: &mut dyn Write) -> Result<u8, ReportError> {
    let (progress, now_ms) = (Progress::new(), (wall_clock().unix_ms)());
    let before_ms = older_than.map(|days| now_ms.saturating_sub(days.saturating_mul(DAY_MS)));
    let archived = while_it_lasts(&progress, || archive_world(world, before_ms, now_ms, &progress))?;
    let Archived { records, bytes, kept, data_file, not_compacted } = archived;
    match records {
        Some((first, last)) => writeln!(
            out,
            "records {first} to {last} are in the archive now: {} in {}; `log` reads them on",
            bytes_in_words(bytes.0),
            bytes_in_words(bytes.1)
        )?,
        None => writeln!(out, "there is nothing to move to the archive")?,
    }
    match kept {
        1 => writeln!(out, "one record stays in the database")?,
        _ => writeln!(out, "{kept} records stay in the database")?,
    }
    match not_compacted {
        Some(why) => writeln!(
            out,
            "the data file keeps its {}, and uses the free part of it from now on; it could not be written anew: {why}",
            bytes_in_words(data_file.1)
        )?,
        None => {
            writeln!(out, "the data file had {} and has {}", bytes_in_words(data_file.0), bytes_in_words(data_file.1))?
        }
    }
    Ok(exit::DONE)
}
