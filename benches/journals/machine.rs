//! What the system tells of itself: the file system of a folder, and the processor time of this process.

use std::path::Path;
use std::time::Duration;

/// The file system in which a folder lies, where the system says it.
pub(crate) fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let holding = fields.filter(|fields| fields.len() > 2 && folder.starts_with(fields[1]));
    // Of two at one place the later hides the earlier.
    holding.max_by_key(|fields| fields[1].len()).map(|fields| fields[2].to_string())
}

/// Processor time of all threads of this process.
#[cfg(unix)]
pub(crate) fn processor_time() -> Option<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` has room for what is written, and is read only where all of it was.
    #[allow(unsafe_code)]
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    let duration = |time: libc::timeval| {
        let micros = u64::try_from(time.tv_usec).unwrap_or_default();
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default()) + Duration::from_micros(micros)
    };
    Some(duration(usage.ru_utime) + duration(usage.ru_stime))
}

/// Not known here.
#[cfg(not(unix))]
pub(crate) fn processor_time() -> Option<Duration> {
    None
}
