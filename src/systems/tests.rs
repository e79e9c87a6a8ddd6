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
        let (wake, woken) = mpsc::channel();
        let wake_journal = wake.clone();
        let new = NewWorld { world_id: Uuid::from_u128(7), objects: genesis_objects().unwrap() };
        let (awakened, alembic) = open(dir, Some(new), 5, move || _ = wake_journal.send(())).unwrap();
        let mut app = App::new();
        app.add_plugins(MinimalPlugins.build().disable::<ScheduleRunnerPlugin>());
        let clock = Clock { unix_ms: || 1_000, monotonic: || Duration::ZERO };
        let waker = Waker::new(move || _ = wake.send(()));
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

    fn hash(&self) -> String {
        world_hash(self.replica.image.iter().map(crate::object::Object::as_ref))
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
    let report = Reader::open(&path).unwrap().verify().unwrap();
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
    assert_eq!(world.replica.image.names().len(), 4);
}

fn hash_of_components(
    index: Res<crate::components::ObjectIndex>,
    objects: Query<crate::components::ObjectData>,
) -> String {
    let all = crate::components::EntityObjects::new(&index, &objects);
    world_hash(all.ids().into_iter().filter_map(|id| all.object(id)))
}
