//! What lies under a world: whether it can keep the promises of `docs/durability.md`, and how much room it has.
//!
//! All that differs between systems is in [`ask`] and the module `system`; [`judge`] decides from the answer alone. Only the one who
//! writes a world is refused: a world is read, and copied from and to, wherever it lies.

use super::OpenError;
use super::folder::unusable;
use super::room::Limits;
use crate::object::bytes_in_words;
use std::io;
use std::path::{Path, PathBuf};

/// Set by who knows that the program behind a file system in user space keeps what it is told to keep.
const TRUST_FUSE: &str = "WORKBENCH_TRUST_FUSE";

/// What kind of storage it is, as far as the promises depend on it. Names are the system's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code))] // that a program drives it only some systems tell
pub(super) enum Kind {
    /// A disk of this machine under a file system that keeps names and data through a power cut. Also whatever is not known.
    Disk,
    /// Memory.
    Memory,
    /// FAT and exFAT.
    Fat(String),
    /// A disk of this machine, driven by a program (NTFS-3G).
    DrivenByProgram(String),
    /// Files that a program shows.
    Program(String),
    /// Files that another machine has.
    Network(String),
}

/// Bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// That may be written by this account.
    pub(super) free: u64,
    /// Of the whole; 0 where it is not known.
    pub(super) size: u64,
}

/// What the system says of the place of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    pub(super) kind: Kind,
    pub(super) can_be_written: bool,
    pub(super) space: Space,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// A world may be there, and this is told.
    Named(String),
    /// No world is written there: what is wrong, and what to do next.
    Refused(String, String),
}

/// Looks at the place of a world, or of one that is to be made. Answers what has to be told about it.
///
/// # Errors
/// [`OpenError::Unsuitable`]; nothing was changed then.
pub(super) fn survey(dir: &Path, is_new: bool) -> Result<Option<String>, OpenError> {
    let place = standing(dir).map_err(|error| unusable(dir, &error))?;
    let medium = ask(&place).map_err(|error| unusable(dir, &error))?;
    let trusts_programs = std::env::var_os(TRUST_FUSE).is_some_and(|value| !value.is_empty());
    match judge(&medium, is_new, trusts_programs) {
        Verdict::Fine => Ok(None),
        Verdict::Named(what) => Ok(Some(what)),
        Verdict::Refused(reason, advice) => Err(OpenError::Unsuitable { path: dir.to_path_buf(), reason, advice }),
    }
}

/// The folder itself, or the nearest above it that is there.
fn standing(dir: &Path) -> io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    let there = dir.ancestors().find(|folder| folder.exists());
    Ok(there.unwrap_or(&dir).to_path_buf())
}

/// What the system says of a folder that is there.
pub(super) fn ask(dir: &Path) -> io::Result<Medium> {
    system::ask(dir)
}

/// How much room a folder has.
pub(super) fn space(dir: &Path) -> io::Result<Space> {
    system::space(dir)
}

/// Decides. `is_new`: the world is to be made there.
pub(super) fn judge(medium: &Medium, is_new: bool, trusts_programs: bool) -> Verdict {
    let elsewhere = if is_new {
        "choose a folder on a disk of this machine"
    } else {
        "`workbench restore` with this folder, and `--world` with one on a disk of this machine, brings the world there; \
         reading it, and copying it, works where it is"
    };
    let refused = |reason: String, advice: String| Verdict::Refused(reason, advice);
    match &medium.kind {
        // Locks and mapped files are not the same for two machines, and "written" there may mean "on the way".
        Kind::Network(name) => {
            let reason = format!(
                "another machine has these files ({name}): nobody can say when they are on its disk, nor keep a second \
                 writer away"
            );
            return refused(reason, elsewhere.into());
        }
        // It may answer a sync without doing it, as sshfs and cloud folders do; a mapped page may be an old one.
        Kind::Program(name) if !trusts_programs => {
            let reason = format!("a program shows these files ({name}), and nobody can say whether it keeps them");
            return refused(reason, format!("{elsewhere}; who knows that it does sets {TRUST_FUSE}=1"));
        }
        _ => {}
    }
    if !medium.can_be_written {
        let advice = if is_new { elsewhere } else { "make it writable, or copy the world: `workbench restore`" };
        return refused("the disk can only be read".into(), advice.into());
    }
    let Space { free, size } = medium.space;
    let needed = Limits::of(size).to_begin();
    // A world that is there opens on a full disk, too: that is how it is looked at, and told to go on when there is room.
    if is_new && free < needed {
        let [free, needed] = [free, needed].map(bytes_in_words);
        let reason = format!("the disk has too little room to begin with: {free} are free, and {needed} are needed");
        return refused(reason, "make room, or choose a folder on another disk".into());
    }
    match &medium.kind {
        Kind::Memory => Verdict::Named("it lies in memory, and is gone when this machine stops".into()),
        // No journal: a cut while names are written may lose the folder; FAT32 ends a file at 4 GiB.
        Kind::Fat(name) => {
            let bound = if name == "exFAT" { "" } else { " and whose files end at 4 GiB" };
            Verdict::Named(format!("it lies on {name}, which a power cut may damage as a whole{bound}; keep backups"))
        }
        // Its sync reaches the disk, but only as well as that program does it.
        Kind::DrivenByProgram(name) => {
            Verdict::Named(format!("its disk is driven by a program ({name}), slower and less proven; keep backups"))
        }
        Kind::Program(name) => Verdict::Named(format!("a program shows its files ({name}), and was said to keep them")),
        Kind::Disk | Kind::Network(_) => Verdict::Fine,
    }
}

#[cfg(unix)]
mod system {
    use super::{Kind, Medium, Space};
    use std::io;
    use std::path::Path;

    pub(super) fn space(dir: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            size: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    pub(super) fn ask(dir: &Path) -> io::Result<Medium> {
        let flags = rustix::fs::statvfs(dir)?.f_flag;
        let can_be_written = !flags.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        Ok(Medium { kind: kind(dir)?, can_be_written, space: space(dir)? })
    }

    /// By the number of the file system (`statfs(2)`, `linux/magic.h`).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn kind(dir: &Path) -> io::Result<Kind> {
        use std::os::unix::fs::MetadataExt;
        let stat = rustix::fs::statfs(dir)?;
        // The field is signed on some processors, and the numbers have 32 bits.
        #[allow(clippy::unnecessary_cast)]
        let magic = stat.f_type as u32;
        // The numbers of a user-space driver of a disk, of a host's folder and of anything else that a program shows are one.
        let device = std::fs::metadata(dir)?.dev();
        let mounts =
            if magic == super::FUSE { std::fs::read_to_string("/proc/self/mountinfo") } else { Ok(String::new()) };
        let name =
            super::mounted_as(&mounts.unwrap_or_default(), (rustix::fs::major(device), rustix::fs::minor(device)));
        Ok(super::kind_of(magic, name.as_deref()))
    }

    #[cfg(target_vendor = "apple")]
    fn kind(dir: &Path) -> io::Result<Kind> {
        /// The files are on a disk of this machine (`sys/mount.h`).
        const MNT_LOCAL: u32 = 0x1000;
        let stat = rustix::fs::statfs(dir)?;
        let name: String =
            stat.f_fstypename.iter().map(|byte| *byte as u8 as char).take_while(|letter| *letter != '\0').collect();
        Ok(match name.as_str() {
            "macfuse" | "osxfuse" => Kind::Program(name),
            _ if stat.f_flags & MNT_LOCAL == 0 => Kind::Network(name),
            "msdos" | "exfat" => Kind::Fat(name),
            _ => Kind::Disk,
        })
    }

    /// Other systems say it in ways of their own, which nobody has tried here.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn kind(_: &Path) -> io::Result<Kind> {
        Ok(Kind::Disk)
    }
}

/// The number of everything that goes through FUSE.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FUSE: u32 = 0x6573_5546;

/// What a number of a file system on Linux means, with the name of the mount for FUSE.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn kind_of(magic: u32, name: Option<&str>) -> Kind {
    let network = |name: &str| Kind::Network(name.into());
    match magic {
        0x0000_6969 => network("nfs"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x0000_517B => network("smb"),
        0x0102_1997 => network("9p"),
        0x00C3_6400 => network("ceph"),
        0x5346_414F | 0x6B41_4653 => network("afs"),
        0x7375_7245 => network("coda"),
        0x0000_564C => network("ncp"),
        0x0BD0_0BD0 => network("lustre"),
        0x1983_0326 => network("beegfs"),
        // Several machines write to one disk; LMDB's locks are known to one.
        0x7461_636F => network("ocfs2"),
        0x0116_1970 => network("gfs2"),
        // Folders that the host of a virtual machine lends.
        0x786F_4256 => network("vboxsf"),
        0xBACB_ACBC => network("vmhgfs"),
        FUSE => match name {
            Some("fuseblk") => Kind::DrivenByProgram("fuseblk".into()),
            Some("virtiofs") => network("virtiofs"),
            name => Kind::Program(name.unwrap_or("fuse").into()),
        },
        0x0000_4D44 => Kind::Fat("FAT".into()),
        0x2011_BAB0 => Kind::Fat("exFAT".into()),
        0x0102_1994 | 0x8584_58F6 => Kind::Memory,
        _ => Kind::Disk,
    }
}

/// The type of the file system with this device number in the lines of `/proc/self/mountinfo`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn mounted_as(mounts: &str, (major, minor): (u32, u32)) -> Option<String> {
    let device = format!("{major}:{minor}");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
    Some(line.split_once(" - ")?.1.split(' ').next()?.to_string())
}

#[cfg(windows)]
mod system {
    use super::{Kind, Medium, Space};
    use std::io;
    use std::os::windows::ffi::OsStrExt;
    use std::path::{Component, Path, Prefix};
    use windows_sys::Win32::Storage::FileSystem::{
        GetDiskFreeSpaceExW, GetDriveTypeW, GetVolumeInformationW, GetVolumePathNameW,
    };

    // `winbase.h`, `winnt.h`.
    const DRIVE_REMOTE: u32 = 4;
    const DRIVE_RAMDISK: u32 = 6;
    const FILE_READ_ONLY_VOLUME: u32 = 0x0008_0000;
    /// Longest path of the system, in units.
    const LONGEST: usize = 32_768;

    fn wide(path: &Path) -> Vec<u16> {
        path.as_os_str().encode_wide().chain([0]).collect()
    }

    pub(super) fn space(dir: &Path) -> io::Result<Space> {
        let dir = wide(dir);
        let (mut free, mut size) = (0_u64, 0_u64);
        // SAFETY: the path ends with a zero, and both numbers outlive the call.
        #[allow(unsafe_code)]
        let done = unsafe { GetDiskFreeSpaceExW(dir.as_ptr(), &mut free, &mut size, std::ptr::null_mut()) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Space { free, size }) }
    }

    pub(super) fn ask(dir: &Path) -> io::Result<Medium> {
        let whole = dir.canonicalize()?;
        let is_share = |part: Component| {
            matches!(part, Component::Prefix(prefix)
                if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..)))
        };
        let mut root = vec![0_u16; LONGEST];
        let path = wide(&whole);
        // SAFETY: the path ends with a zero, and the buffer is as long as is said.
        #[allow(unsafe_code)]
        let done = unsafe { GetVolumePathNameW(path.as_ptr(), root.as_mut_ptr(), LONGEST as u32) };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        let (mut flags, mut name) = (0_u32, [0_u16; 64]);
        let no_number = std::ptr::null_mut();
        // SAFETY: the root ends with a zero, the buffer for the name is as long as is said, and what is null is not asked for.
        #[allow(unsafe_code)]
        let (drive, told) = unsafe {
            let drive = GetDriveTypeW(root.as_ptr());
            let (name, length) = (name.as_mut_ptr(), name.len() as u32);
            let none = std::ptr::null_mut();
            (drive, GetVolumeInformationW(root.as_ptr(), none, 0, no_number, no_number, &mut flags, name, length))
        };
        let name = String::from_utf16_lossy(name.split(|unit| *unit == 0).next().unwrap_or_default());
        let kind = match name.as_str() {
            _ if drive == DRIVE_REMOTE || whole.components().next().is_some_and(is_share) => {
                Kind::Network("network drive".into())
            }
            _ if drive == DRIVE_RAMDISK => Kind::Memory,
            "FAT" | "FAT32" | "exFAT" => Kind::Fat(name),
            _ => Kind::Disk,
        };
        let can_be_written = told == 0 || flags & FILE_READ_ONLY_VOLUME == 0;
        Ok(Medium { kind, can_be_written, space: space(&whole)? })
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use super::{Kind, Medium, Space};
    use std::io;
    use std::path::Path;

    pub(super) fn space(_: &Path) -> io::Result<Space> {
        Ok(Space { free: 0, size: 0 })
    }

    pub(super) fn ask(dir: &Path) -> io::Result<Medium> {
        Ok(Medium { kind: Kind::Disk, can_be_written: true, space: space(dir)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Space = Space { free: 1 << 40, size: 1 << 41 };

    #[cfg(target_os = "linux")]
    fn verdict(kind: Kind) -> Verdict {
        judge(&Medium { kind, can_be_written: true, space: ROOMY }, false, false)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn each_file_system_of_linux_has_its_verdict() {
        // The number, the name of the mount, and how the verdict begins: "" is fine, "!" refused.
        let cases = [
            (0xEF53, None, ""),                       // ext2 to ext4
            (0x5846_5342, None, ""),                  // xfs
            (0x9123_683E, None, ""),                  // btrfs
            (0x2FC1_2FC1, None, ""),                  // zfs
            (0xF2F5_2010, None, ""),                  // f2fs
            (0x794C_7630, None, ""),                  // overlayfs
            (0x0102_1994, None, "it lies in memory"), // tmpfs
            (0x8584_58F6, None, "it lies in memory"), // ramfs
            (0x4D44, None, "it lies on FAT, which a power cut may damage as a whole and whose files end at 4 GiB"),
            (0x2011_BAB0, None, "it lies on exFAT, which a power cut may damage as a whole; keep backups"),
            (0x6969, None, "!another machine has these files (nfs)"),
            (0xFF53_4D42, None, "!another machine has these files (smb)"),
            (0xFE53_4D42, None, "!another machine has these files (smb)"),
            (0x517B, None, "!another machine has these files (smb)"),
            (0x0102_1997, None, "!another machine has these files (9p)"),
            (0x00C3_6400, None, "!another machine has these files (ceph)"),
            (0x786F_4256, None, "!another machine has these files (vboxsf)"),
            (FUSE, Some("virtiofs"), "!another machine has these files (virtiofs)"),
            (FUSE, Some("fuse.sshfs"), "!a program shows these files (fuse.sshfs)"),
            (FUSE, None, "!a program shows these files (fuse)"),
            (FUSE, Some("fuseblk"), "its disk is driven by a program (fuseblk)"),
        ];
        for (magic, name, expected) in cases {
            let told = match verdict(kind_of(magic, name)) {
                Verdict::Fine => String::new(),
                Verdict::Named(what) => what,
                Verdict::Refused(reason, advice) => format!("!{reason}; {advice}"),
            };
            let is_so = if expected.is_empty() { told.is_empty() } else { told.starts_with(expected) };
            assert!(is_so, "{magic:#x} {name:?}: {told:?}, not {expected:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_mount_is_found_by_its_device() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      31 22 0:44 / /mnt/far\\040away rw,nosuid - fuse.sshfs me@there:/ rw,user_id=0\n\
                      32 22 8:17 / /mnt/stick rw - fuseblk /dev/sdb1 rw\n";
        assert_eq!(mounted_as(mounts, (0, 44)).as_deref(), Some("fuse.sshfs"));
        assert_eq!(mounted_as(mounts, (8, 17)).as_deref(), Some("fuseblk"));
        assert_eq!(mounted_as(mounts, (0, 4)), None);
    }

    #[test]
    fn a_program_can_be_trusted_and_another_machine_cannot() {
        let of = |kind, trusts| judge(&Medium { kind, can_be_written: true, space: ROOMY }, true, trusts);
        assert!(matches!(of(Kind::Program("fuse.x".into()), true), Verdict::Named(_)));
        assert!(matches!(of(Kind::Program("fuse.x".into()), false), Verdict::Refused(..)));
        assert!(matches!(of(Kind::Network("nfs".into()), true), Verdict::Refused(..)));
    }

    #[test]
    fn a_disk_without_room_refuses_a_new_world_and_opens_the_one_it_has() {
        let of = |free, size, is_new| {
            let medium = Medium { kind: Kind::Disk, can_be_written: true, space: Space { free, size } };
            judge(&medium, is_new, false)
        };
        assert!(matches!(of(23 << 20, 1 << 40, true), Verdict::Refused(..)));
        assert_eq!(of(24 << 20, 1 << 40, true), Verdict::Fine);
        assert_eq!(of(0, 1 << 40, false), Verdict::Fine);
        assert_eq!(of(1 << 20, 2 << 20, true), Verdict::Fine, "a small disk needs less");
        assert_eq!(of(0, 0, true), Verdict::Fine, "of a size that nobody tells nothing follows");
    }

    #[test]
    fn what_can_only_be_read_is_refused() {
        let medium = Medium { kind: Kind::Disk, can_be_written: false, space: ROOMY };
        for is_new in [true, false] {
            assert!(
                matches!(judge(&medium, is_new, true), Verdict::Refused(reason, _) if reason.contains("only be read"))
            );
        }
    }

    #[test]
    fn the_folder_of_this_test_can_hold_a_world_that_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let told = survey(&dir.path().join("not/there/yet"), true).unwrap();
        println!("{}: {:?}, {told:?}", dir.path().display(), ask(dir.path()).unwrap());
        let Space { free, size } = space(dir.path()).unwrap();
        assert!(0 < free && free <= size);
    }
}
