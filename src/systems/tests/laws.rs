//! Replay equals live: a random world that ran in its frames, on a real disk, wakes as it was, however it ended.

use super::*;
use crate::language::tests::cases;
use crate::language::tests::programs::{Program, Step, programs};
use crate::object::TICKS_A_SECOND;
use proptest::prelude::*;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Frames after which a program's messages are left to what comes: some worlds never come to rest.
const FRAMES: usize = 60;

/// The clock of these worlds, in microseconds; it goes on when a program says so. One world runs at a time.
static NOW: AtomicU64 = AtomicU64::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const CLOCK: Clock = Clock {
    unix_ms: || 1_000 + NOW.load(Ordering::Relaxed) / 1_000,
    monotonic: || Duration::from_micros(NOW.load(Ordering::Relaxed)),
};

/// What happens to a world between the steps of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The next step follows at once.
    Nothing,
    /// What was asked for so far comes to its durable end, or at least far.
    Rest,
    /// A few frames run.
    Frames(u8),
    /// Every object is snapshotted as it stands.
    Snapshot,
    /// The folder is copied while the world goes on; the copy is woken in the end.
    Copy,
    /// The process ends without a close, and the world is opened again.
    Kill,
    /// The world is closed and opened again.
    Close,
}

fn moments() -> impl Strategy<Value = Moment> {
    prop_oneof![
        10 => Just(Moment::Nothing),
        6 => Just(Moment::Rest),
        4 => (1..5_u8).prop_map(Moment::Frames),
        3 => Just(Moment::Snapshot),
        1 => Just(Moment::Copy),
        1 => Just(Moment::Kill),
        1 => Just(Moment::Close),
    ]
}

impl Bench {
    /// Takes in what the world tells; the replica is what its events come to.
    fn listen(&mut self) {
        loop {
            match self.port.try_receive() {
                Some(Received::Event(EventBody::State(event))) => self.replica.take_in(&event),
                Some(Received::Event(_)) => {}
                Some(Received::Gap(missed)) => panic!("{missed} events are lost"),
                Some(Received::Closed) | None => return,
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.app.world().resource::<pipeline::Pipeline>().is_settled()
    }

    /// Runs frames until nothing is under way, or for long enough.
    fn rest(&mut self) {
        for _ in 0..FRAMES {
            self.app.update();
            self.listen();
            if self.is_settled() {
                return;
            }
            if !has_work(&self.app) {
                let _ = self.woken.recv_timeout(Duration::from_millis(50));
            }
        }
    }

    /// What the components hold is what the events told.
    fn components_are_as_told(&mut self) {
        self.app.update();
        self.listen();
        let components = self.app.world_mut().run_system_cached(hash_of_components).unwrap();
        assert_eq!(components, self.hash(), "the components are not what the events come to");
    }

    /// Ends without a close, unless it was closed; the same world wakes, with the same turns that can be taken back.
    fn ended(mut self, path: &Path) -> Self {
        self.components_are_as_told();
        let (hash, remembered) = (self.hash(), format!("{:?}", past(&self)));
        drop(self);
        assert_eq!(woken(path), hash, "the world does not wake as it was");
        let again = Self::open_with(path, CLOCK);
        assert_eq!(format!("{:?}", past(&again)), remembered, "other turns can be taken back");
        again
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Line(line) => _ = self.port.send(Self::command(line)).unwrap(),
            Step::Ticks(ticks) => {
                for _ in 0..*ticks {
                    NOW.fetch_add(1_000_000 / u64::from(TICKS_A_SECOND) + 1, Ordering::Relaxed);
                    self.app.update();
                    self.listen();
                }
            }
            Step::Pause(ms) => _ = NOW.fetch_add(u64::from(*ms) * 1_000, Ordering::Relaxed),
        }
    }
}

/// How a folder wakes: the hash of its world, which is also that of what the log alone tells.
fn woken(path: &Path) -> String {
    let reader = Reader::open(path).unwrap();
    let image = reader.image(&mut TickReplay::new()).unwrap();
    let report = reader.verify(&mut TickReplay::new()).unwrap();
    assert_eq!(report.damages, vec![]);
    let hash = world_hash(&image);
    assert_eq!(report.world_hash, hash, "the snapshots tell something else than the log");
    hash
}

/// A copy of a world's folder as it lies on the disk at one moment, without the locks of who has it open.
fn copy_of(path: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if !["world.lock", "lock.mdb"].iter().any(|lock| file.file_name() == *lock) {
            let copy = to.join(file.file_name());
            // What is written meanwhile would tear it.
            while fs::copy(file.path(), &copy).is_err() || fs::read(file.path()).unwrap() != fs::read(&copy).unwrap() {}
        }
    }
}

fn play(program: &Program, moments: &[Moment]) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut copies = Vec::new();
    let mut world = Bench::open_with(&path, CLOCK);
    for (step, moment) in program.steps.iter().zip(moments.iter().chain(std::iter::repeat(&Moment::Nothing))) {
        world.step(step);
        match moment {
            Moment::Nothing => {}
            Moment::Rest => {
                world.rest();
                world.components_are_as_told();
            }
            Moment::Frames(frames) => (0..*frames).for_each(|_| {
                world.app.update();
                world.listen();
            }),
            Moment::Snapshot => {
                let (take, all) = (snapshots::take_snapshots, snapshots::Dirty::EVERYTHING);
                world.app.world_mut().run_system_cached_with(take, all).unwrap();
            }
            Moment::Copy => {
                world.rest();
                copies.push(dir.path().join(copies.len().to_string()));
                copy_of(&path, &copies[copies.len() - 1]);
            }
            Moment::Kill => world = world.ended(&path),
            Moment::Close => {
                close_world(&mut world.app);
                world = world.ended(&path);
            }
        }
    }
    world.rest();
    drop(world.ended(&path));
    for copy in copies {
        woken(&copy);
        let mut world = Bench::open_with(&copy, CLOCK);
        world.rest();
        drop(world.ended(&copy));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(32)))]

    #[test]
    fn a_random_world_wakes_as_it_was(program in programs(24), moments in prop::collection::vec(moments(), 0..40)) {
        play(&program, &moments);
    }
}
