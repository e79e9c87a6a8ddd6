//! Room on the disk: how much is to stay free, and the reserve that lets a world be closed in order on a full one.
//!
//! The journal thread asks; it looks at most once a second, so that a commit costs no more for it. What is done about too
//! little room is decided where messages are taken in.

use super::storage::{self, Space};
use crate::object::Room;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The reserve's file in the folder of a world.
pub(super) const RESERVE_FILE: &str = "world.reserve";

/// How long an answer about the disk holds while there is something to write.
const LOOK: Duration = Duration::from_secs(1);
/// How long it holds while nothing is, and there is room.
const IDLE_LOOK: Duration = Duration::from_secs(30);

const MIB: u64 = 1 << 20;

/// How many bytes are to stay free. On a small disk it is a share of it, so that a world fits there, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Below this it is told.
    pub(super) low: u64,
    /// Below this nothing new is taken in.
    pub(super) scarce: u64,
    /// Size of the reserve.
    pub(super) reserve: u64,
}

impl Limits {
    /// For a disk of this size; 0 where that is not known, and then nothing is demanded.
    pub(super) fn of(size: u64) -> Self {
        Self { low: (64 * MIB).min(size / 4), scarce: (16 * MIB).min(size / 8), reserve: (8 * MIB).min(size / 16) }
    }

    /// What has to be free before a world is made: enough that it can take messages in once it has its reserve.
    pub(super) fn to_begin(self) -> u64 {
        self.scarce + self.reserve
    }

    /// The stage that follows from what is free. A stage is left where an eighth more is free than where it is entered, so that a
    /// disk at the edge is not told of again and again.
    fn stage(self, free: u64, told: Room) -> Room {
        let edge = |limit: u64, is_in: bool| if is_in { limit + limit / 8 } else { limit };
        let needed = edge(self.scarce, true);
        if free < edge(self.scarce, told.is_scarce()) {
            Room::Scarce { free, needed }
        } else if free < edge(self.low, told != Room::Ample) {
            Room::Low { free }
        } else {
            Room::Ample
        }
    }
}

/// Watches the room of one world.
pub(super) struct RoomWatch {
    reserve: PathBuf,
    ask: Box<dyn FnMut() -> Option<Space> + Send>,
    told: Room,
    limits: Limits,
    has_reserve: bool,
    /// When the disk was asked last, and how often it was.
    asked: Option<Instant>,
    looks: u64,
    /// What was free then.
    free: u64,
}

impl RoomWatch {
    /// For the world in this folder.
    pub(super) fn new(dir: &Path) -> Self {
        let place = dir.to_path_buf();
        Self::asking(dir, move || storage::space(&place).ok())
    }

    /// The same, with another way to ask.
    pub(super) fn asking(dir: &Path, ask: impl FnMut() -> Option<Space> + Send + 'static) -> Self {
        Self {
            reserve: dir.join(RESERVE_FILE),
            ask: Box::new(ask),
            told: Room::Ample,
            limits: Limits::of(0),
            has_reserve: false,
            asked: None,
            looks: 0,
            free: 0,
        }
    }

    /// Looks at the disk, unless it did so within the last second. Answers what has changed: another stage, or another figure in
    /// one of the lower ones. Without an answer of the system all stays as it was.
    pub(super) fn look(&mut self) -> Option<Room> {
        let now = now();
        if self.asked.is_some_and(|asked| now.duration_since(asked) < LOOK) {
            return None;
        }
        let Space { free, size } = (self.ask)()?;
        self.asked = Some(now);
        self.limits = Limits::of(size);
        self.looks += 1;
        if self.looks == 1 {
            self.has_reserve = fs::metadata(&self.reserve).is_ok_and(|file| file.len() >= self.limits.reserve);
        }
        self.free = free;
        let room = self.limits.stage(free, self.told);
        let figure = |room: Room| match room {
            Room::Ample => 0,
            Room::Low { free } | Room::Scarce { free, .. } => free / (self.limits.scarce / 16).max(1),
        };
        if room.is_like(self.told) && figure(room) == figure(self.told) {
            return None;
        }
        self.told = room;
        Some(room)
    }

    /// How long the journal may rest when nothing waits: not for ever where something may change by itself.
    pub(super) fn rest(&self) -> Duration {
        if self.told == Room::Ample && !self.lacks_reserve() { IDLE_LOOK } else { LOOK }
    }

    fn lacks_reserve(&self) -> bool {
        let free = self.limits.scarce + self.limits.scarce / 8 + self.limits.reserve;
        !self.has_reserve && self.limits.reserve > 0 && self.free >= free
    }

    /// Makes the reserve where it is missing and there is room. Called when nothing waits: it lasts as long as the disk takes for
    /// it. Not before the second look, so that a world which is opened for a moment need not wait for it.
    pub(super) fn make_reserve(&mut self) {
        if self.looks < 2 || !self.lacks_reserve() {
            return;
        }
        let made = write_reserve(&self.reserve, self.limits.reserve);
        self.has_reserve = made.is_ok();
        if made.is_err() {
            let _ = fs::remove_file(&self.reserve);
            // Not again before the disk was asked again.
            self.free = 0;
        }
    }

    /// Gives the reserve up. Answers whether there was one.
    pub(super) fn give_reserve_up(&mut self) -> bool {
        self.has_reserve = false;
        fs::remove_file(&self.reserve).is_ok()
    }
}

#[allow(clippy::disallowed_methods)] // how long ago the disk was asked is what is measured
fn now() -> Instant {
    Instant::now()
}

/// Really written, and with bytes that no file system can write shorter.
fn write_reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let (mut random, mut left) = (0x9E37_79B9_7F4A_7C15_u64, bytes);
    let mut block = [0_u8; 64 << 10];
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            word.copy_from_slice(&random.to_le_bytes());
        }
        let length = left.min(block.len() as u64);
        file.write_all(&block[..length as usize])?;
        left -= length;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_small_disk_keeps_a_share_free_and_a_large_one_so_many_bytes() {
        let of = |size| {
            let Limits { low, scarce, reserve } = Limits::of(size);
            [low, scarce, reserve]
        };
        assert_eq!(of(1 << 40), [64 * MIB, 16 * MIB, 8 * MIB]);
        assert_eq!(of(128 * MIB), [32 * MIB, 16 * MIB, 8 * MIB]);
        assert_eq!(of(MIB), [256 << 10, 128 << 10, 64 << 10]);
        assert_eq!(of(0), [0, 0, 0]);
    }

    #[test]
    fn a_stage_is_entered_at_its_limit_and_left_an_eighth_above() {
        let limits = Limits::of(1 << 40);
        let mut told = Room::Ample;
        let mut stages = String::new();
        for mib in [65, 63, 65, 71, 72, 63, 16, 15, 16, 17, 18, 63, 72] {
            told = limits.stage(mib * MIB, told);
            stages.push(match told {
                Room::Ample => 'A',
                Room::Low { .. } => 'L',
                Room::Scarce { .. } => 'S',
            });
        }
        assert_eq!(stages, "ALLLALLSSSLLA");
    }

    /// A watch over a disk of 2 MiB that has so much free, and forgets when it looked.
    fn watch(dir: &Path) -> (RoomWatch, Arc<AtomicU64>) {
        let free = Arc::new(AtomicU64::new(2 * MIB));
        let told = free.clone();
        let ask = move || Some(Space { free: told.load(Ordering::Relaxed), size: 2 * MIB });
        (RoomWatch::asking(dir, ask), free)
    }

    #[test]
    fn a_crossing_is_told_once_and_the_figure_as_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (mut watch, free) = watch(dir.path());
        let mut look = |kib: u64| {
            free.store(kib << 10, Ordering::Relaxed);
            watch.asked = watch.asked.and_then(|asked| asked.checked_sub(LOOK));
            watch.look()
        };
        assert_eq!(look(2_000), None);
        assert_eq!(look(500), Some(Room::Low { free: 500 << 10 }));
        assert_eq!(look(500), None);
        assert_eq!(look(400), Some(Room::Low { free: 400 << 10 }));
        assert!(look(200).is_some_and(Room::is_scarce));
        assert_eq!(look(2_000), Some(Room::Ample));
        assert_eq!(watch.look(), None, "not again within a second");
    }

    #[test]
    fn the_reserve_is_made_where_there_is_room_given_up_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut watch, free) = watch(dir.path());
        let size = |watch: &RoomWatch| fs::metadata(&watch.reserve).map(|file| file.len()).ok();
        watch.make_reserve();
        watch.look();
        watch.make_reserve();
        assert_eq!((size(&watch), watch.rest()), (None, LOOK), "not at once");
        watch.asked = None;
        watch.look();
        watch.make_reserve();
        assert_eq!((size(&watch), watch.rest()), (Some(128 << 10), IDLE_LOOK));
        assert!(watch.give_reserve_up() && !watch.give_reserve_up());
        free.store(100 << 10, Ordering::Relaxed);
        watch.asked = None;
        watch.look();
        watch.make_reserve();
        assert_eq!(size(&watch), None, "what is left is for the world");
        free.store(MIB, Ordering::Relaxed);
        watch.asked = None;
        watch.look();
        watch.make_reserve();
        assert_eq!(size(&watch), Some(128 << 10));
    }
}
