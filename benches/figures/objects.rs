//! A world of many small objects: how long it takes to make it, durable on disk, and to wake it; and what an object takes
//! in memory.
//!
//! A world wakes in a process of its own, so that no memory is counted that its making left behind. Memory is what is
//! allocated, counted by the allocator.

use crate::hosted::Hosted;
use living_workbench::systems::Clock;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::time::{Duration, Instant};

/// The argument by which this program is asked to wake a world.
pub(crate) const CHILD: &str = "wake";

/// Objects, and how many of them one turn makes: each is four changes, and a turn may have 10,000.
const OBJECTS: usize = 100_000;
const A_TURN: usize = 2_000;
/// Objects that one turn reads: more would be out of fuel, because none is in the caches.
const A_WALK: usize = 5_000;

/// Each clone has no name, one parent, and three own slots: two numbers and a reference.
const MAKE: &str = "function(self, n) local last = self.last for i = 1, n do local kid = self:clone() kid.x = i \
                    kid.y = -i kid.following = last last = kid end self.last = last end";
const WALK: &str = "function(self, n) local kid, s = self.place or self.last, 0 for i = 1, n do s += kid.x \
                    kid = kid.following end self.place = kid return s end";

/// Prints the section.
pub(crate) fn print(dir: &Path) {
    let mut world = Hosted::open(dir, clock());
    world.connect();
    let lines = [
        "create_thing thing".to_string(),
        format!("add_method thing selector=make source=\"{MAKE}\""),
        format!("add_method thing selector=walk source=\"{WALK}\""),
    ];
    world.ask(&lines);
    let start = Instant::now();
    world.ask(&vec![format!("make thing n={A_TURN}"); OBJECTS / A_TURN]);
    let made = start.elapsed();
    // What `undo` remembers has a bound of its own, which these turns reach; a thousand small ones take their place.
    world.ask(&(0..1_000).map(|at| format!("set thing at={at}")).collect::<Vec<_>>());
    world.close();
    let bytes = std::fs::metadata(dir.join("data.mdb")).map_or(0, |data| data.len());
    println!("{OBJECTS} objects with three own slots each:");
    println!(
        "  made by {} messages, durable on disk in {:.2} s; {} bytes of the file for each",
        OBJECTS / A_TURN,
        made.as_secs_f64(),
        bytes / OBJECTS as u64
    );
    let program = std::env::current_exe().expect("a path of this program");
    let output = Command::new(program).arg(CHILD).arg(dir).output().expect("a process");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Wakes the world and tells what that took.
pub(crate) fn wake(dir: &Path) {
    COUNTS.store(true, Ordering::Relaxed);
    // What every world has is there before the one that counts: threads, a VM, the first image.
    let small = Hosted::open(&dir.with_extension("small"), clock());
    let before = LIVE.load(Ordering::Relaxed);
    let start = Instant::now();
    let mut world = Hosted::open(dir, clock());
    let woken = start.elapsed();
    let awake = LIVE.load(Ordering::Relaxed);
    world.connect();
    world.ask(&vec![format!("walk thing n={A_WALK}"); OBJECTS / A_WALK]);
    world.disconnect();
    let touched = LIVE.load(Ordering::Relaxed);
    small.close();
    let each = |from: isize, to: isize| (to - from) / OBJECTS as isize;
    println!("  awake and hosted in {:.2} s after it was closed", woken.as_secs_f64());
    println!("  memory: {} bytes for each, its own data included   asked: 1024 at most", each(before, awake));
    println!("  and {} bytes more for each once the VM has read two slots of it", each(awake, touched));
}

/// Bytes that are allocated, while they are counted.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// Whether they are: only in the process that asks, for counting takes time.
static COUNTS: AtomicBool = AtomicBool::new(false);

/// The system's allocator with a count. Luau allocates by it, too.
struct Counted;

fn count(bytes: isize) {
    if COUNTS.load(Ordering::Relaxed) {
        LIVE.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn clock() -> Clock {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    fn monotonic() -> Duration {
        BEGIN.get_or_init(Instant::now).elapsed()
    }
    Clock { unix_ms: || 1_000, monotonic }
}
