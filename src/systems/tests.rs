//! The frame as a whole: ports in, events out, a journal on a real disk.

use super::*;
use crate::language::console::{ConsoleLine, parse_line};
use crate::language::genesis_objects;
use crate::object::{EventBody, Objects, Outcome, Replica, StateUpdateEvent, UICommand, Value};
use crate::persistence::{NewWorld, Reader, open, world_hash};
use bevy::app::ScheduleRunnerPlugin;
use bevy::ecs::schedule::{LogLevel, ScheduleBuildSettings, Schedules};
use std::path::Path;
use std::sync::mpsc;
use uuid::Uuid;

mod disk;
mod laws;

/// A world on disk with one port, driven frame by frame.
struct Bench {
    app: App,
    switchboard: Switchboard,
    port: Port,
    replica: Replica,
    woken: mpsc::Receiver<()>,
}

impl Bench {
    fn open(dir: &Path) -> Self {
        Self::open_at(dir, || 1_000)
    }

    fn open_at(dir: &Path, unix_ms: fn() -> u64) -> Self {
        Self::open_with(dir, Clock { unix_ms, monotonic: || Duration::ZERO })
    }

    fn open_with(dir: &Path, clock: Clock) -> Self {
        let (wake, woken) = mpsc::channel();
        let wake_journal = wake.clone();
        let new = NewWorld { world_id: Uuid::from_u128(7), objects: genesis_objects().unwrap() };
        let (awakened, alembic) =
            open(dir, Some(new), 5, &mut TickReplay::new(), move || _ = wake_journal.send(())).unwrap();
        Self::around(awakened, alembic, clock, Waker::new(move || _ = wake.send(())), woken)
    }

    fn around(awakened: Awakened, alembic: Alembic, clock: Clock, waker: Waker, woken: mpsc::Receiver<()>) -> Self {
        let mut app = App::new();
        app.add_plugins(MinimalPlugins.build().disable::<ScheduleRunnerPlugin>());
        let switchboard = install_world(&mut app, awakened, alembic, clock, waker).unwrap();
        let port = switchboard.connect("test").unwrap();
        Self { app, switchboard, port, replica: Replica::default(), woken }
    }

    fn command(line: &str) -> UICommand {
        match parse_line(line).unwrap() {
            ConsoleLine::Message(command) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Sends a line and runs frames until its outcome is durable.
    fn ask(&mut self, line: &str) -> Result<Value, String> {
        let sent = self.port.send(Self::command(line)).unwrap();
        let (mut number, mut answer) = (0, Err(String::new()));
        loop {
            self.app.update();
            while let Some(received) = self.port.try_receive() {
                let Received::Event(EventBody::State(event)) = received else { continue };
                self.replica.take_in(&event);
                match event {
                    StateUpdateEvent::CommandAccepted { ticket, sequence } if ticket == sent => number = sequence,
                    StateUpdateEvent::CommandRefused { ticket, fault } if ticket == sent => return Err(fault.message),
                    StateUpdateEvent::TurnSettled { sequence, outcome, .. } if sequence == number => {
                        answer = match &*outcome {
                            Outcome::Completed { result, .. } => Ok(result.clone()),
                            Outcome::Failed(fault) => Err(fault.message.clone()),
                        };
                    }
                    StateUpdateEvent::TurnsDurable { sequences } if sequences.contains(&number) => return answer,
                    _ => {}
                }
            }
            if !has_work(&self.app) {
                self.woken.recv_timeout(Duration::from_secs(20)).expect("nothing woke the frame");
            }
        }
    }

    /// Takes in what was told so far.
    fn take_in(&mut self) {
        while let Some(received) = self.port.try_receive() {
            match received {
                Received::Event(EventBody::State(event)) => self.replica.take_in(&event),
                Received::Closed => break,
                _ => {}
            }
        }
    }

    /// Runs frames until the world is so.
    fn run_until(&mut self, is_so: impl Fn(&Replica) -> bool) {
        for _ in 0..1_000 {
            self.app.update();
            self.take_in();
            if is_so(&self.replica) {
                return;
            }
            if !has_work(&self.app) {
                let _ = self.woken.recv_timeout(Duration::from_millis(20));
            }
        }
        panic!("the world never came to it: {:?}", self.replica.problems);
    }

    fn slot(replica: &Replica, object: &str, slot: &str) -> String {
        let object = replica.image.object(replica.image.named(object).unwrap()).unwrap();
        object
            .slots
            .get(slot)
            .and_then(crate::object::Slot::as_value)
            .map_or_else(String::new, |value| value.text(&replica.image))
    }

    fn hash(&self) -> String {
        world_hash(&self.replica.image)
    }
}

#[test]
fn the_frame_has_no_ambiguities() {
    let dir = tempfile::tempdir().unwrap();
    let Bench { mut app, .. } = Bench::open(&dir.path().join("w"));
    app.finish();
    app.cleanup();
    let world = app.world_mut();
    let labels: Vec<_> = world.resource::<Schedules>().iter().map(|(_, schedule)| schedule.label()).collect();
    let mut found = Vec::new();
    for label in labels {
        world.schedule_scope(label, |world, schedule| {
            let settings = ScheduleBuildSettings { ambiguity_detection: LogLevel::Error, ..default() };
            schedule.set_build_settings(settings);
            if let Err(error) = schedule.initialize(world) {
                found.push(error.to_string(schedule.graph(), world));
            }
        });
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_was_answered_is_there_after_an_end_without_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.ask("create_point point").unwrap();
    world.ask("add_method point selector=grow source=\"function(self, by) self.w += by return self.w end\"").unwrap();
    assert_eq!(world.ask("grow point 2"), Ok(Value::Number(186.0)));
    assert!(world.ask("grow point red").is_err());
    let hash = world.hash();
    drop(world); // no snapshot, no close
    let mut world = Bench::open(&path);
    assert_eq!(world.ask("get point w"), Ok(Value::Number(186.0)));
    assert_eq!(world.hash(), hash);
    assert_eq!(world.replica.problems.len(), 1);
    close_world(&mut world.app);
    drop(world);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.world_hash, report.damages.len()), (hash, 0));
}

#[test]
fn a_subscriber_that_loses_an_event_says_so_and_is_told_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    let mut slow = world.switchboard.connect("slow").unwrap();
    world.ask("create_point point").unwrap();
    let mut picture = Replica::default();
    slow.lose_next_event();
    let mut gaps = 0;
    let mut take = |slow: &mut Port, picture: &mut Replica| {
        while let Some(received) = slow.try_receive() {
            match received {
                Received::Event(EventBody::State(event)) => picture.take_in(&event),
                Received::Gap(missed) => gaps += missed,
                _ => {}
            }
        }
    };
    take(&mut slow, &mut picture);
    world.ask("set point x=9").unwrap();
    take(&mut slow, &mut picture);
    assert_eq!(gaps, 1);
    assert_eq!(picture.image, world.replica.image);
    assert_eq!(picture.problems, world.replica.problems);
}

#[test]
fn a_subscriber_that_sleeps_holds_no_more_than_a_bound_in_bytes_and_is_told_everything_when_it_wakes() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    let mut slow = world.switchboard.connect("slow").unwrap();
    world.ask("create_thing it n=0").unwrap();
    let source = "function(self) self.n += 1 return string.rep('x', 1000000) end";
    world.ask(&format!("add_method it selector=tell source=\"{source}\"")).unwrap();
    (0..40).for_each(|_| _ = world.ask("tell it").unwrap());
    let mut picture = Replica::default();
    let (mut bytes, mut gaps) = (0, 0);
    let mut take = |slow: &mut Port, picture: &mut Replica| {
        while let Some(received) = slow.try_receive() {
            match received {
                Received::Event(body) => {
                    bytes += body.bytes();
                    if let EventBody::State(event) = body {
                        picture.take_in(&event);
                    }
                }
                Received::Gap(missed) => gaps += missed,
                Received::Closed => panic!("it is open"),
            }
        }
        (bytes, gaps)
    };
    let (held, _) = take(&mut slow, &mut picture);
    assert!(held < 18 << 20, "{held}");
    assert_eq!(Bench::slot(&picture, "it", "n"), "17");
    // Nothing else happens; what was lost is shown all the same.
    (0..3).for_each(|_| {
        world.app.update();
        take(&mut slow, &mut picture);
    });
    assert!(take(&mut slow, &mut picture).1 > 0);
    assert_eq!(picture.image, world.replica.image);
    close_world(&mut world.app);
}

#[test]
fn what_was_deleted_is_told_by_its_last_name_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    for line in ["create_thing ball", "create_thing keeper held=@ball", "rename ball to=globe", "delete globe"] {
        world.ask(line).unwrap();
    }
    let told = "was deleted on 1970-01-01 at 00:00:01 UTC by message 5. `undo 5` brings it back";
    let fault = world.ask("= world.keeper.held:describe()").unwrap_err();
    assert!(fault.starts_with("globe (<") && fault.contains(told), "{fault}");
    let (stands, hash) = (world.replica.image.clone(), world.hash());
    // From the log alone, and from the snapshots.
    for is_clean in [false, true] {
        if is_clean {
            close_world(&mut world.app);
        }
        drop(world);
        world = Bench::open(&path);
        assert_eq!(world.ask("= world.keeper.held:describe()").unwrap_err(), fault);
        assert_eq!((&world.replica.image, world.hash()), (&stands, hash.clone()));
    }
    world.ask("undo 5").unwrap();
    assert_eq!(world.ask("= world.keeper.held.h"), world.ask("= world.proto.h"));
    assert!(world.replica.image.tombstones().is_empty());
    world.ask("redo").unwrap();
    assert_eq!(world.replica.image.tombstones().len(), 1);
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

/// Flips a bit of every record and snapshot that has a name.
fn hurt(world: &Path, name: &[u8]) {
    let data = world.join("data.mdb");
    let mut bytes = std::fs::read(&data).unwrap();
    let places: Vec<usize> = (0..bytes.len() - name.len()).filter(|at| bytes[*at..].starts_with(name)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&data, bytes).unwrap();
}

#[test]
fn what_is_in_quarantine_is_told_and_goes_when_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.ask("create_point remote_one x=900").unwrap();
    close_world(&mut world.app);
    drop(world);
    hurt(&path, b"remote_one");
    let mut world = Bench::open(&path);
    world.run_until(|replica| replica.status.quarantined > 0);
    let told: Vec<u64> = world.replica.quarantine.iter().map(|entry| entry.number).collect();
    assert_eq!((told.len(), told.last()), (world.replica.status.quarantined, Some(&(told.len() as u64))));
    assert_eq!(world.port.let_go(1), Ok(1));
    assert_eq!(world.port.let_go(1), Ok(2), "asked twice");
    let left = &told[1..];
    world.run_until(|replica| replica.status.quarantined == left.len());
    assert_eq!(world.replica.quarantine.iter().map(|entry| entry.number).collect::<Vec<_>>(), left);
    close_world(&mut world.app);
    drop(world);
    let (kept, _) = Reader::open(&path).unwrap().quarantine(&mut TickReplay::new()).unwrap();
    assert_eq!(kept.len(), left.len());
}

#[test]
fn an_entry_that_is_not_in_quarantine_cannot_be_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    let sent = world.port.let_go(3).unwrap();
    world.app.update();
    let refused = std::iter::from_fn(|| world.port.try_receive()).find_map(|received| match received {
        Received::Event(EventBody::State(StateUpdateEvent::CommandRefused { ticket, fault })) => Some((ticket, fault)),
        _ => None,
    });
    let (ticket, fault) = refused.unwrap();
    assert!(ticket == sent && fault.message.contains("no entry 3"), "{fault:?}");
}

#[test]
fn a_failed_message_is_tried_again_or_dismissed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    world.ask("create_point point").unwrap();
    world.ask("shout point").unwrap_err();
    let number = world.replica.problems[0].sequence;
    assert!(world.ask(&format!("retry {}", number + 1)).unwrap_err().contains("no failed message"));
    world.ask("add_method point selector=shout source=\"function(self) return 'ah' end\"").unwrap();
    assert_eq!(world.ask(&format!("retry {number}")), Ok(Value::Text("ah".into())));
    assert!(world.replica.problems.is_empty());
    world.ask("nope point").unwrap_err();
    let number = world.replica.problems[0].sequence;
    world.ask(&format!("dismiss {number}")).unwrap();
    assert!(world.replica.problems.is_empty());
}

#[test]
fn the_components_are_what_the_replica_shows() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    for line in ["create_a a x=1", "copy a as=b", "set b x=2", "rename b to=c", "clone c", "delete a", "set c y=[1]"] {
        world.ask(line).unwrap();
    }
    let seen = world.app.world_mut().run_system_cached(hash_of_components).unwrap();
    assert_eq!(seen, world.hash());
    assert_eq!(world.replica.image.names().len(), genesis_objects().unwrap().len() + 1);
}

fn hash_of_components(
    index: Res<crate::components::ObjectIndex>,
    objects: Query<crate::components::ObjectData>,
) -> String {
    let all = crate::components::EntityObjects::new(&index, &objects);
    world_hash(&all)
}

const NOTE: &str = "add_method b selector=note source=\"function(self, n) table.insert(self.seen, n) return n end\"";

#[test]
fn posted_messages_go_out_in_order_after_their_turn_and_survive_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.ask("create_thing a").unwrap();
    world.ask("create_thing b seen=[]").unwrap();
    world.ask(NOTE).unwrap();
    let go =
        "function(self) for n = 1, 3 do post(world.b, 'note', n) end post('b', 'nothing') return #world.b.seen end";
    world.ask(&format!("add_method a selector=go source=\"{go}\"")).unwrap();
    assert_eq!(world.ask("go a"), Ok(Value::Number(0.0)));
    world.run_until(|replica| Bench::slot(replica, "b", "seen") == "[1, 2, 3]" && replica.problems.len() == 1);
    // A turn that fails posts nothing.
    world.ask("add_method a selector=fail source=\"function(self) post('b', 'note', 9) error('no') end\"").unwrap();
    assert!(world.ask("fail a").is_err());
    // What was posted is on disk with the outcome of what posted it.
    world.ask("go a").unwrap();
    drop(world);
    let mut world = Bench::open(&path);
    world.run_until(|replica| Bench::slot(replica, "b", "seen") == "[1, 2, 3, 1, 2, 3]");
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!(report.world_hash, hash);
}

#[test]
fn objects_that_post_without_end_keep_no_world_from_closing() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    world.app.insert_resource(Clock {
        unix_ms: || 1_000,
        monotonic: || Duration::from_millis(NOW.fetch_add(1, Ordering::Relaxed)),
    });
    world.ask("create_thing a n=0").unwrap();
    world.ask("add_method a selector=go source=\"function(self) self.n += 1 post(self, 'go') end\"").unwrap();
    world.ask("go a").unwrap();
    close_world(&mut world.app);
}

#[test]
fn timers_fire_when_they_are_due_also_after_an_awakening() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(1_000);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_at(&path, || NOW.load(Ordering::Relaxed));
    world.ask("create_thing b seen=[]").unwrap();
    world.ask(NOTE).unwrap();
    world
        .ask(
            "= (function() after(5, world.b, 'note', 'once') every(2, world.b, 'note', 'again'):rename('clock') end)()",
        )
        .unwrap();
    let seen = |what: &'static str| move |replica: &Replica| Bench::slot(replica, "b", "seen") == what;
    NOW.store(3_000, Ordering::Relaxed);
    world.run_until(seen("[\"again\"]"));
    NOW.store(7_500, Ordering::Relaxed);
    world.run_until(seen("[\"again\", \"again\", \"once\"]"));
    assert_eq!(Bench::slot(&world.replica, "clock", "due"), "9000");
    drop(world);
    // Times that were missed are passed over.
    NOW.store(60_000, Ordering::Relaxed);
    let mut world = Bench::open_at(&path, || NOW.load(Ordering::Relaxed));
    world.run_until(seen("[\"again\", \"again\", \"once\", \"again\"]"));
    assert_eq!(Bench::slot(&world.replica, "clock", "due"), "61000");
    world.ask("delete clock").unwrap();
    NOW.store(100_000, Ordering::Relaxed);
    world.ask("= 1").unwrap();
    assert!(seen("[\"again\", \"again\", \"once\", \"again\"]")(&world.replica));
    assert!(world.ask("= after(-1, world.b, 'note')").is_err());
    assert!(world.ask("= every(0, world.b, 'note')").is_err());
}

/// A clock that goes on by a tick whenever it is asked.
fn ticking() -> Duration {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    Duration::from_micros(NOW.fetch_add(4_000, Ordering::Relaxed))
}

const BALL: &str = "add_method ball selector=step source=\"function(self, dt) self.x += self.vx * dt \
                    if self.x < 0 or self.x > 100 then self.vx = -self.vx end self.n += 1 \
                    if self.n % 50 == 0 then table.insert(self.seen, math.random(100)) end \
                    if self.n == 70 and self.parent_of_none then self.child = self:clone() end end\"";

#[test]
fn what_steps_moves_by_itself_and_stands_where_it_stood_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.app.insert_resource(Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_ball ball vx=40 n=0 seen=[]").unwrap();
    world.ask(&BALL.replace("\\\n", "")).unwrap();
    for at in 0..5 {
        world.ask(&format!("clone ball as=b{at} vx={} x={at} n={at} seen=[]", 10 * at + 7)).unwrap();
        world.ask(&format!("start_stepping b{at}")).unwrap();
    }
    // One that fails stops, and is marked; the others go on.
    world.ask("create_thing bad n=0").unwrap();
    world.ask("add_method bad selector=step source=\"function(self) self.n += 1 if self.n > 3 then error('ouch') end end\"").unwrap();
    world.ask("start_stepping bad").unwrap();
    world.run_until(|replica| Bench::slot(replica, "b4", "n").parse::<f64>().unwrap() > 300.0);
    assert_eq!(
        (Bench::slot(&world.replica, "bad", "stepping"), Bench::slot(&world.replica, "bad", "n")),
        ("false".into(), "3".into())
    );
    assert!(Bench::slot(&world.replica, "bad", "step_fault").contains("ouch"));
    // A message in between, and its answer is on disk with every tick before it.
    world.ask("set b0 vx=3").unwrap();
    world.ask("stop_stepping b1").unwrap();
    let (stood, n) = (Bench::slot(&world.replica, "b1", "x"), Bench::slot(&world.replica, "b1", "n"));
    drop(world);
    let image = Reader::open(&path).unwrap().image(&mut TickReplay::new()).unwrap();
    let replica = Replica { image, ..Replica::default() };
    assert_eq!((Bench::slot(&replica, "b1", "x"), Bench::slot(&replica, "b1", "n")), (stood, n));
    let mut world = Bench::open(&path);
    world.app.insert_resource(Clock { unix_ms: || 1_000, monotonic: ticking });
    world.run_until(|replica| Bench::slot(replica, "b4", "n").parse::<f64>().unwrap() > 600.0);
    for at in [0, 2, 3, 4] {
        world.ask(&format!("stop_stepping b{at}")).unwrap();
    }
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
    // The log grows with the time, not with what moves.
    let steps = Reader::open(&path).unwrap().log(1).filter(|entry| entry.as_ref().unwrap().kind == "step").count();
    assert!(steps < 80, "{steps}");
}

#[test]
fn a_step_that_works_too_long_is_stopped_by_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_thing slow n=0").unwrap();
    world.ask("create_thing quick n=0").unwrap();
    for (object, work) in [("slow", "for _ = 1, 200000 do end"), ("quick", "")] {
        let step = format!("add_method {object} selector=step source=\"function(self) {work} self.n += 1 end\"");
        world.ask(&step).unwrap();
        world.ask(&format!("start_stepping {object}")).unwrap();
    }
    world.run_until(|replica| Bench::slot(replica, "slow", "stepping") == "false");
    world.run_until(|replica| Bench::slot(replica, "quick", "n").parse::<f64>().unwrap() > 20.0);
    assert_eq!(Bench::slot(&world.replica, "slow", "n"), "0");
    world.ask("stop_stepping quick").unwrap();
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

#[test]
fn what_the_clock_ended_stays_ended_when_the_world_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_thing a n=0").unwrap();
    let compares = "= (function() world.a.n = 1 for i = 1, 200000 do local less = 'ab' <= 'ac' end end)()";
    assert!(world.ask(compares).unwrap_err().contains("worked for too long in single calls"));
    let (problems, hash) = (world.replica.problems.clone(), world.hash());
    close_world(&mut world.app);
    drop(world);
    // This clock stands still: run again, the turn would come to its end.
    let mut world = Bench::open(&path);
    world.ask("get a n").unwrap();
    assert_eq!((&world.replica.problems, world.hash()), (&problems, hash.clone()));
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

#[test]
fn a_vm_in_doubt_is_made_anew_while_everything_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    for line in [
        "create_thing b seen=[]",
        NOTE,
        "create_thing m n=0",
        "add_method m selector=step source=\"function(self) self.n += 1 if self.n % 9 == 0 then post(world.b, 'note', self.n) end end\"",
        "start_stepping m",
        "create_thing a n=0 items=[]",
        "add_method a selector=deep source=\"function(self) self.n += 1 table.insert(self.items, 9) return 1 + self:deep() end\"",
        "add_method a selector=eat source=\"function(self) self.n += 1 local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end end\"",
        "add_method a selector=fall source=\"function(self) self.n += 1 self.items = {9} self:set('k', 1) end\"",
        "add_method a selector=go source=\"function(self) self.n += 1 table.insert(self.items, self.n) post(world.b, 'note', -self.n) return self.n end\"",
        "= (function() every(0.05, world.b, 'note', 'timer') end)()",
    ] {
        world.ask(line).unwrap();
    }
    for (rounds, line) in ["deep a", "eat a", "fall a", "deep a", "fall a"].into_iter().enumerate() {
        // Both are delivered in one frame.
        world.port.send(Bench::command(line)).unwrap();
        crate::language::tests::let_strike(usize::from(line == "fall a"));
        assert_eq!(world.ask("go a"), Ok(Value::Number(rounds as f64 + 1.0)), "{line}");
        assert_eq!(world.replica.problems.len(), rounds + 1, "{line}");
    }
    assert_eq!(Bench::slot(&world.replica, "a", "items"), "[1, 2, 3, 4, 5]");
    let n = Bench::slot(&world.replica, "m", "n").parse::<f64>().unwrap();
    world.run_until(|replica| Bench::slot(replica, "m", "n").parse::<f64>().unwrap() > n + 30.0);
    world.ask("stop_stepping m").unwrap();
    world.run_until(|replica| Bench::slot(replica, "b", "seen").contains("-5"));
    close_world(&mut world.app);
    // The timer may have fired once more.
    world.take_in();
    let hash = world.hash();
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

#[test]
fn a_tick_in_which_the_program_panics_runs_again_and_who_does_it_twice_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    for name in ["one", "two"] {
        world.ask(&format!("create_thing {name} n=0")).unwrap();
    }
    world.ask("add_method one selector=step source=\"function(self) self.n += 1 end\"").unwrap();
    world.ask("add_method two selector=step source=\"function(self) self:set('n', self.n + 1) end\"").unwrap();
    world.ask("start_stepping one").unwrap();
    world.ask("start_stepping two").unwrap();
    let n = |replica: &Replica, name: &str| Bench::slot(replica, name, "n").parse::<f64>().unwrap();
    world.run_until(|replica| n(replica, "two") > 5.0);
    crate::language::tests::let_strike(1);
    let before = n(&world.replica, "two");
    world.run_until(|replica| n(replica, "two") > before + 5.0);
    assert_eq!(Bench::slot(&world.replica, "two", "stepping"), "true");
    crate::language::tests::let_strike(3);
    world.run_until(|replica| Bench::slot(replica, "two", "stepping") == "false");
    let before = n(&world.replica, "one");
    world.run_until(|replica| n(replica, "one") > before + 5.0);
    world.ask("stop_stepping one").unwrap();
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

/// What can be taken back, as the running world knows it.
fn past(world: &Bench) -> crate::object::PastTurns {
    world.app.world().resource::<super::history::History>().0.clone()
}

#[test]
fn undo_and_redo_go_on_after_a_kill_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.ask("create_thing a n=0 items=[1]").unwrap();
    world.ask("add_method a selector=go source=\"function(self) self.n += 1 table.insert(self.items, self.n) post(self, 'get', 'n') end\"").unwrap();
    for line in ["go a", "get a n", "go a", "undo", "rename a to=b", "delete b", "undo", "go b", "undo", "undo"] {
        world.ask(line).unwrap();
    }
    world.ask("nope b").unwrap_err();
    let (remembered, hash) = (past(&world), world.hash());
    assert_eq!(remembered.len(), 11);
    drop(world);
    let mut world = Bench::open(&path);
    assert_eq!(past(&world), remembered);
    world.ask("get a items").unwrap();
    assert_eq!(world.hash(), hash);
    assert!(world.ask("undo 999").unwrap_err().contains("999"));
    for (line, n) in [("redo", "b"), ("redo", "b"), ("undo", "b"), ("undo", "a"), ("undo", "a")] {
        world.ask(line).unwrap();
        assert!(world.replica.image.named(n).is_some(), "{line}");
    }
    assert_eq!(Bench::slot(&world.replica, "a", "items"), "[1]");
    let (remembered, hash) = (past(&world), world.hash());
    close_world(&mut world.app);
    drop(world);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
    let world = Bench::open(&path);
    assert_eq!(past(&world), remembered);
}

#[test]
fn an_undo_without_outcome_is_delivered_again_and_takes_the_same_turn_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open(&path);
    world.ask("create_thing a n=0").unwrap();
    world.ask("set a n=1").unwrap();
    world.ask("set a m=1").unwrap();
    close_world(&mut world.app);
    drop(world);
    // The process dies when the message is on disk.
    let (awakened, alembic) = open(&path, None, 6, &mut TickReplay::new(), || {}).unwrap();
    let UICommand { target, selector, args } = Bench::command("undo 3");
    let envelope = crate::object::Envelope {
        message_id: crate::object::Envelope::id_of(awakened.world_id, 5),
        correlation_id: None,
        sender_id: "console".into(),
        target,
        selector,
        args,
        issued_at: 7,
        retries: None,
    };
    alembic.append_envelope(5, envelope).unwrap();
    alembic.close();
    let mut world = Bench::open(&path);
    world.run_until(|replica| Bench::slot(replica, "a", "n") == "0");
    assert_eq!(Bench::slot(&world.replica, "a", "m"), "1");
    assert!(world.ask("undo 3").unwrap_err().contains("already, by message 5"));
}

#[test]
fn an_undo_waits_for_what_was_sent_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open(&dir.path().join("w"));
    world.ask("create_thing a n=0").unwrap();
    for line in ["set a n=1", "set a n=2", "undo", "set a m=1", "undo", "redo"] {
        world.port.send(Bench::command(line)).unwrap();
    }
    assert_eq!(world.ask("= world.a.n + world.a.m"), Ok(Value::Number(2.0)));
    assert!(world.replica.problems.is_empty());
}

#[test]
fn a_timer_that_is_set_in_a_step_fires() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_thing b seen=[]").unwrap();
    world.ask(NOTE).unwrap();
    world.ask("create_thing a").unwrap();
    let step = "function(self) after(0, world.b, 'note', 1) self.stepping = false end";
    world.ask(&format!("add_method a selector=step source=\"{step}\"")).unwrap();
    world.ask("start_stepping a").unwrap();
    world.run_until(|replica| Bench::slot(replica, "b", "seen") == "[1]");
}

/// As if so many were under way.
fn flooded(world: &mut Bench, numbers: std::ops::Range<u64>) {
    let mut pipeline = world.app.world_mut().resource_mut::<pipeline::Pipeline>();
    let shares: Vec<_> = numbers.map(|number| (number, pipeline.outcomes.take(0))).collect();
    pipeline.settled.extend(shares);
}

#[test]
fn objects_that_post_more_in_a_tick_than_would_ever_find_room_stop_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_thing sink open=false").unwrap();
    world.ask("add_method sink selector=take source=\"function(self) self.open = false end\"").unwrap();
    world.ask("create_thing loud n=0").unwrap();
    let step =
        "function(self) self.n += 1 if world.sink.open then for i = 1, 1000 do post(world.sink, 'take') end end end";
    world.ask(&format!("add_method loud selector=step source=\"{step}\"")).unwrap();
    (0..9).for_each(|at| _ = world.ask(&format!("clone loud as=l{at:02}")).unwrap());
    (0..9).for_each(|at| _ = world.ask(&format!("start_stepping l{at:02}")).unwrap());
    world.ask("set sink open=true").unwrap();
    let has_stopped = |replica: &Replica, at: i32| Bench::slot(replica, &format!("l{at:02}"), "stepping") == "false";
    world.run_until(|replica| (0..9).any(|at| has_stopped(replica, at)));
    let stopped = (0..9).filter(|at| has_stopped(&world.replica, *at)).count();
    assert!(stopped < 9, "those whose messages found room go on");
    let loud = (0..9).find(|at| has_stopped(&world.replica, *at)).unwrap();
    let fault = Bench::slot(&world.replica, &format!("l{loud:02}"), "step_fault");
    assert!(fault.contains("in a tick"), "{fault}");
    let going = (0..9).find(|at| !has_stopped(&world.replica, *at)).unwrap();
    let n = |replica: &Replica| Bench::slot(replica, &format!("l{going:02}"), "n").parse::<f64>().unwrap();
    let before = n(&world.replica);
    world.run_until(|replica| n(replica) > before + 4.0);
    (0..9).for_each(|at| _ = world.ask(&format!("stop_stepping l{at:02}")).unwrap());
    world.run_until(|replica| replica.status.waiting == 0);
    let image = world.replica.image.clone();
    close_world(&mut world.app);
    assert_eq!(Reader::open(&path).unwrap().image(&mut TickReplay::new()).unwrap(), image);
}

#[test]
fn a_tick_whose_messages_find_no_room_waits_and_is_the_same_when_the_world_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w");
    let mut world = Bench::open_with(&path, Clock { unix_ms: || 1_000, monotonic: ticking });
    world.ask("create_thing b n=0").unwrap();
    world.ask("add_method b selector=take source=\"function(self) self.n += 1 end\"").unwrap();
    world.ask("create_thing a n=0").unwrap();
    world.ask("add_method a selector=step source=\"function(self) self.n += 1 post(world.b, 'take') end\"").unwrap();
    world.ask("start_stepping a").unwrap();
    let number = |replica: &Replica, object| Bench::slot(replica, object, "n").parse::<f64>().unwrap();
    world.run_until(|replica| number(replica, "b") > 3.0);
    // As if so many were under way.
    let flood = 1_000_000..1_000_000 + pipeline::UNDER_WAY as u64;
    flooded(&mut world, flood.clone());
    let stood = number(&world.replica, "a");
    (0..20).for_each(|_| world.app.update());
    world.run_until(|replica| number(replica, "b") == number(replica, "a"));
    assert!(number(&world.replica, "a") <= stood + 1.0, "it went on without its messages");
    assert_eq!(Bench::slot(&world.replica, "a", "stepping"), "true");
    world.app.world_mut().resource_mut::<pipeline::Pipeline>().settled.retain(|number, _| !flood.contains(number));
    world.run_until(|replica| number(replica, "a") > stood + 5.0);
    world.ask("stop_stepping a").unwrap();
    world.run_until(|replica| number(replica, "b") == number(replica, "a"));
    let hash = world.hash();
    close_world(&mut world.app);
    let report = Reader::open(&path).unwrap().verify(&mut TickReplay::new()).unwrap();
    assert_eq!((report.damages, report.world_hash), (vec![], hash));
}

#[test]
fn a_timer_that_fires_while_too_many_messages_wait_goes_on() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(1_000);
    let dir = tempfile::tempdir().unwrap();
    let mut world = Bench::open_at(&dir.path().join("w"), || NOW.load(Ordering::Relaxed));
    world.ask("create_thing b seen=[]").unwrap();
    world.ask(NOTE).unwrap();
    world.ask("= every(1, world.b, 'note', 1)").unwrap();
    NOW.store(2_500, Ordering::Relaxed);
    world.app.update();
    // It is on its way; then so many are under way.
    let flood = 1_000_000..1_000_000 + pipeline::UNDER_WAY as u64;
    flooded(&mut world, flood.clone());
    world.run_until(|replica| Bench::slot(replica, "b", "seen") == "[1]");
    world.app.world_mut().resource_mut::<pipeline::Pipeline>().settled.retain(|number, _| !flood.contains(number));
    NOW.store(3_500, Ordering::Relaxed);
    world.run_until(|replica| Bench::slot(replica, "b", "seen") == "[1, 1]");
    assert!(world.replica.problems.is_empty());
}
