//! A world on disk in a headless app, driven frame by frame, as the program hosts it.

use bevy::app::ScheduleRunnerPlugin;
use bevy::prelude::*;
use living_workbench::language::console::{ConsoleLine, parse_line};
use living_workbench::language::genesis_objects;
use living_workbench::object::{EventBody, Outcome, StateUpdateEvent};
use living_workbench::persistence::{NewWorld, open};
use living_workbench::systems::{
    Clock, Port, Received, Switchboard, TickReplay, Waker, close_world, has_work, install_world,
};
use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The app, and a port into it where one was opened.
pub(crate) struct Hosted {
    app: App,
    switchboard: Switchboard,
    port: Option<Port>,
    woken: mpsc::Receiver<()>,
}

impl Hosted {
    /// Wakes the world of a folder, or makes one there.
    pub(crate) fn open(dir: &Path, clock: Clock) -> Self {
        let (wake, woken) = mpsc::channel();
        let wake_frame = wake.clone();
        let new = NewWorld { world_id: Uuid::from_u128(1), objects: genesis_objects().expect("the first image") };
        let (awakened, alembic) =
            open(dir, Some(new), 0, &mut TickReplay::new(), move || _ = wake.send(())).expect("a world");
        let mut app = App::new();
        app.add_plugins(MinimalPlugins.build().disable::<ScheduleRunnerPlugin>());
        let waker = Waker::new(move || _ = wake_frame.send(()));
        let switchboard = install_world(&mut app, awakened, alembic, clock, waker).expect("a hosted world");
        app.finish();
        app.cleanup();
        app.update();
        Self { app, switchboard, port: None, woken }
    }

    /// Opens a port, through which the world tells of everything.
    pub(crate) fn connect(&mut self) {
        self.port = Some(self.switchboard.connect("bench").expect("a port"));
    }

    /// Lets the port go.
    pub(crate) fn disconnect(&mut self) {
        self.port = None;
        self.app.update();
    }

    /// Sends lines of the console, and runs frames until the outcome of each is durable.
    pub(crate) fn ask(&mut self, lines: &[String]) {
        let port = self.port.as_mut().expect("a port");
        let mut tickets = HashSet::new();
        for line in lines {
            let Ok(ConsoleLine::Message(command)) = parse_line(line) else { panic!("no message: {line}") };
            tickets.insert(port.send(command).expect("room for a message"));
        }
        let mut numbers = HashSet::new();
        while !tickets.is_empty() || !numbers.is_empty() {
            self.app.update();
            while let Some(received) = port.try_receive() {
                let Received::Event(EventBody::State(event)) = received else { continue };
                match event {
                    StateUpdateEvent::CommandAccepted { ticket, sequence } => {
                        tickets.remove(&ticket);
                        numbers.insert(sequence);
                    }
                    StateUpdateEvent::CommandRefused { fault, .. } => panic!("{fault:?}"),
                    StateUpdateEvent::TurnSettled { outcome, .. } => {
                        assert!(matches!(&*outcome, Outcome::Completed { .. }), "{outcome:?}");
                    }
                    StateUpdateEvent::TurnsDurable { sequences } => {
                        numbers.retain(|number| !sequences.contains(number));
                    }
                    _ => {}
                }
            }
            if !has_work(&self.app) && !numbers.is_empty() {
                let _ = self.woken.recv_timeout(Duration::from_millis(20));
            }
        }
    }

    /// Runs a frame, and answers how long it took. Its events are thrown away.
    pub(crate) fn frame(&mut self) -> Duration {
        let start = Instant::now();
        self.app.update();
        let took = start.elapsed();
        while self.port.as_mut().is_some_and(|port| port.try_receive().is_some()) {}
        while self.woken.try_recv().is_ok() {}
        took
    }

    /// Closes the world in order.
    pub(crate) fn close(mut self) {
        close_world(&mut self.app);
    }
}
