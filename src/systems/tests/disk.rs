//! The frame and a disk that stands still, or has no room: frames go on, and what cannot be promised is not.

use super::*;
use crate::object::{Name, Room, Target};
use crate::persistence::tests::gate::{Gate, open_behind_gate};
use crate::persistence::tests::tmpfs::Disk;
use std::sync::OnceLock;
use std::time::Instant;

/// Time as it passes, for what waits for a real disk.
#[allow(clippy::disallowed_methods)] // how long a frame takes is what is asked
fn passing() -> Duration {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    BEGINNING.get_or_init(Instant::now).elapsed()
}

/// About sixty a second.
const FRAME: Duration = Duration::from_millis(16);

/// What a stretch of frames brought.
#[derive(Default)]
struct Stretch {
    frames: Vec<Duration>,
    ticks: usize,
    durable: Vec<u64>,
    unanswered_s: Vec<u64>,
}

impl Stretch {
    /// Frames for so long, about sixty a second.
    fn run(world: &mut Bench, time: Duration) -> Self {
        let (mut stretch, begun) = (Self::default(), passing());
        while passing() - begun < time {
            let start = passing();
            world.app.update();
            stretch.frames.push(passing() - start);
            while let Some(received) = world.port.try_receive() {
                let Received::Event(EventBody::State(event)) = received else { continue };
                world.replica.take_in(&event);
                match event {
                    StateUpdateEvent::Ticked { .. } => stretch.ticks += 1,
                    StateUpdateEvent::TurnsDurable { sequences } => stretch.durable.extend(sequences),
                    StateUpdateEvent::Status(status) => stretch.unanswered_s.extend(status.unanswered_s),
                    _ => {}
                }
            }
            let _ = world.woken.recv_timeout(FRAME.saturating_sub(passing() - start));
        }
        stretch
    }

    fn told(&self, when: &str) -> String {
        let mut frames = self.frames.clone();
        frames.sort();
        let at = |part: usize| frames[(frames.len() - 1) * part / 100].as_secs_f64() * 1e3;
        let [half, most, all] = [50, 99, 100].map(at);
        format!(
            "{when}: {} frames, {half:.2} ms in half of them, {most:.2} ms in 99 of 100, {all:.2} ms at most",
            frames.len()
        )
    }
}

#[test]
fn frames_go_on_while_the_disk_stands_still_and_nothing_is_acknowledged_before_it_answers() {
    let stall = std::env::var("WORKBENCH_STALL_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_500);
    let stall = Duration::from_millis(stall);
    let dir = tempfile::tempdir().unwrap();
    let (mut world, gate) = gated(&dir.path().join("w"));
    world.ask("create_ball ball vx=40 n=0 seen=[]").unwrap();
    world.ask(&BALL.replace("\\\n", "")).unwrap();
    world.ask("clone ball as=b1").unwrap();
    world.ask("start_stepping b1").unwrap();
    let before = Stretch::run(&mut world, Duration::from_millis(500));

    let opens = Opens(gate.clone());
    let late = gate.clone();
    let (end, ended) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let _ = ended.recv_timeout(stall + Duration::from_secs(20));
        late.open();
    });
    gate.shut();
    world.port.send(Bench::command("set ball vx=5")).unwrap();
    world.port.send(Bench::command("set ball vx=6")).unwrap();
    while !gate.seen().0 {
        world.app.update();
    }
    let stands = gate.seen();
    let during = Stretch::run(&mut world, stall);
    assert_eq!(gate.seen(), stands, "all these frames passed while the disk was in one and the same call");
    assert_eq!(during.durable, [] as [u64; 0], "nothing is acknowledged before the disk answers");
    assert!(during.frames.len() > stall.as_millis() as usize / 100 && during.ticks > 10, "{}", during.told("stalled"));
    assert_eq!(during.unanswered_s.first(), Some(&2), "and the wait is told");
    assert_eq!(world.replica.status.waiting, 2);
    drop(opens);
    let mut after = Stretch::run(&mut world, Duration::from_millis(500));
    while after.durable.len() < 2 {
        after.durable.extend(Stretch::run(&mut world, FRAME).durable);
    }
    assert_eq!(world.replica.status.unanswered_s, None);
    assert_eq!(Bench::slot(&world.replica, "ball", "vx"), "6");
    for (stretch, when) in [(before, "before"), (during, "while the disk stands still"), (after, "after")] {
        println!("{}", stretch.told(when));
    }
    let _ = end.send(());
    watchdog.join().unwrap();
    close_world(&mut world.app);
}

/// Opens the gate, also for a test that fails: a frame or an end that waits for the disk then goes on, and the assertions see it.
struct Opens(Gate);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn bytes_under_way(world: &Bench) -> (usize, usize) {
    let pipeline = world.app.world().resource::<pipeline::Pipeline>();
    (world.switchboard.asked.bytes(), pipeline.outcomes.bytes())
}

const MIB: usize = 1 << 20;

/// A world behind a gate.
fn gated(dir: &Path) -> (Bench, Gate) {
    let (wake, woken) = mpsc::channel();
    let (wake_journal, wake) = (wake.clone(), Waker::new(move || _ = wake.send(())));
    let new = NewWorld { world_id: Uuid::from_u128(7), objects: genesis_objects().unwrap() };
    let (awakened, alembic, gate) =
        open_behind_gate(dir, new, &mut TickReplay::new(), move || _ = wake_journal.send(()));
    let clock = Clock { unix_ms: || 1_000, monotonic: passing };
    (Bench::around(awakened, alembic, clock, wake, woken), gate)
}

#[test]
fn a_flood_of_large_messages_meets_busy_at_a_bound_in_bytes_and_all_that_was_taken_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, gate) = gated(&dir.path().join("w"));
    world.ask("create_thing it n=0").unwrap();
    world.ask("add_method it selector=take source=\"function(self, text) self.n += 1 end\"").unwrap();
    let rest = bytes_under_way(&world);
    let opens = Opens(gate.clone());
    gate.shut();
    let [take, parameter] = ["take", "text"].map(|text| Name::new(text).unwrap());
    let text = Value::Text("x".repeat(MIB - 256));
    let large = UICommand::new(Target::Name("it".into()), take, vec![(parameter, text)]);
    let mut taken = 0;
    // Some wait on the switchboard, some with the journal: together they are bounded.
    for _ in 0..40 {
        taken += usize::from(world.port.send(large.clone()).is_ok());
        world.app.update();
        assert!(bytes_under_way(&world).0 < 18 * MIB, "{:?}", bytes_under_way(&world));
    }
    assert_eq!(taken, 17, "so many until the bound is reached");
    assert_eq!(world.port.send(Bench::command("set it n=0")), Err(Busy), "a small one is no exception");
    drop(opens);
    world.run_until(|replica| Bench::slot(replica, "it", "n") == "17");
    world.run_until(|replica| replica.status.waiting == 0);
    assert_eq!(bytes_under_way(&world), rest, "what came to its end takes nothing");
    world.ask("set it n=0").unwrap();
    close_world(&mut world.app);
}

#[test]
fn objects_that_post_to_each_other_for_ever_leave_a_person_a_way_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    // Its clock goes on: it closes after two seconds, whatever its objects do.
    let (mut world, _) = gated(&path);
    world.ask("create_thing it n=0").unwrap();
    let source = "function(self, text) post(self, 'keep', text) post(self, 'keep', text) end";
    world.ask(&format!("add_method it selector=keep source=\"{source}\"")).unwrap();
    let text = Value::Text("x".repeat(MIB / 2));
    let [keep, parameter] = ["keep", "text"].map(|text| Name::new(text).unwrap());
    world.port.send(UICommand::new(Target::Name("it".into()), keep, vec![(parameter, text)])).unwrap();
    let is_full = |world: &Bench| world.app.world().resource::<pipeline::Pipeline>().posted.is_full();
    for _ in 0..1_000 {
        if is_full(&world) {
            break;
        }
        world.app.update();
        let _ = world.woken.recv_timeout(Duration::from_millis(1));
    }
    close_world(&mut world.app);
    drop(world);
    // What is left of them is there again, and has its shares.
    let mut world = Bench::open(&path);
    assert!(is_full(&world));
    world.port.send(Bench::command("delete it")).unwrap();
    world.run_until(|replica| replica.image.named("it").is_none() && replica.status.waiting == 0);
    world.ask("create_thing it n=1").unwrap();
    close_world(&mut world.app);
}

#[test]
fn large_outcomes_that_wait_for_the_disk_hold_back_the_turns_that_would_make_more() {
    let dir = tempfile::tempdir().unwrap();
    // Its clock stands still: no frame ends because its time is over.
    let mut world = Bench::open(&dir.path().join("w"));
    world.ask("create_thing it n=0").unwrap();
    let source = "function(self) self.n += 1 return string.rep('x', 1000000) end";
    world.ask(&format!("add_method it selector=tell source=\"{source}\"")).unwrap();
    (0..40).for_each(|_| _ = world.port.send(Bench::command("tell it")).unwrap());
    let stand = |world: &Bench| {
        let pipeline = world.app.world().resource::<pipeline::Pipeline>();
        (pipeline.settled.len(), pipeline.ready.len())
    };
    while stand(&world) == (0, 0) {
        world.app.update();
    }
    assert_eq!(stand(&world), (17, 23), "so many turns until the bound is reached");
    assert!(bytes_under_way(&world).1 < 17 * MIB);
    assert!(!has_work(&world.app), "the disk's answer wakes the next frame");
    world.run_until(|replica| Bench::slot(replica, "it", "n") == "40");
    world.run_until(|replica| replica.status.waiting == 0);
    assert_eq!(bytes_under_way(&world), (0, 0));
    close_world(&mut world.app);
}

#[test]
fn on_a_nearly_full_disk_nothing_new_begins_until_there_is_room() {
    let Some(disk) = Disk::mount(32 << 10) else { return };
    let path = disk.path().join("w");
    drop(Bench::open(&path));
    disk.fill(3 << 10);
    let mut world = Bench::open(&path);
    world.run_until(|replica| replica.status.room.is_scarce());
    let refused = world.ask("create_thing late").unwrap_err();
    assert!(refused.contains("the disk is nearly full") && refused.contains("Nothing was changed"), "{refused}");
    assert_eq!(world.replica.status.read_only, None);
    disk.make_room();
    world.run_until(|replica| replica.status.room == Room::Ample);
    world.ask("create_thing late").unwrap();
    close_world(&mut world.app);
}
