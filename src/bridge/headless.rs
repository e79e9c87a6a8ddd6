//! The world without a window: a loop that runs a frame when something woke it, and a console beside it.

use super::clock::wall_clock;
use super::import::import;
use super::piped::{Ended, converse};
use super::{exit, terminal};
use crate::language::VmError;
use crate::persistence::{Alembic, Awakened, ImportFolder};
use crate::systems::{Busy, Port, Waker, close_world, has_work, install_world};
use bevy::app::ScheduleRunnerPlugin;
use bevy::prelude::*;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// The world could not start.
#[derive(Debug, Error)]
pub enum HeadlessError {
    /// The object language failed.
    #[error(transparent)]
    Language(#[from] VmError),
    /// The first port could not be opened.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ctrl+C could not be caught, or no thread could be started.
    #[error("the console could not be started: {0}")]
    Console(String),
}

/// Asks a loop to end: by Ctrl+C, by the console's end, by a closed window. Wakes it as well.
#[derive(Clone)]
pub struct Closing {
    asked: Arc<AtomicBool>,
    wake: Sender<()>,
}

impl Closing {
    /// A closing and the queue on which its loop sleeps.
    pub fn new() -> (Self, Receiver<()>) {
        let (wake, sleep) = bounded(1);
        (Self { asked: Arc::default(), wake }, sleep)
    }

    /// Asks for the end.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }

    /// Whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Wakes the loop for a frame.
    pub fn waker(&self) -> Waker {
        let wake = self.wake.clone();
        Waker::new(move || {
            let _ = wake.try_send(());
        })
    }
}

/// Runs a world with a console on the standard streams until the input ends. Answers the exit code.
///
/// # Errors
/// The world could not be started; nothing was taken in.
pub fn run_headless(
    awakened: Awakened,
    alembic: Alembic,
    closing: (Closing, Receiver<()>),
    as_json: bool,
    history: PathBuf,
) -> Result<u8, HeadlessError> {
    let is_typed = io::stdin().is_terminal();
    run(awakened, alembic, closing, "console", is_typed, move |port| {
        if is_typed && !as_json {
            terminal::converse(port, history)
        } else {
            let input = io::BufReader::new(io::stdin());
            converse(input, &mut io::stdout().lock(), &mut io::stderr(), port, as_json)
        }
    })
}

/// Runs a world until a folder of object files is imported, or refused. Answers the exit code.
///
/// # Errors
/// The world could not be started; nothing was taken in.
pub fn run_import(
    awakened: Awakened,
    alembic: Alembic,
    closing: (Closing, Receiver<()>),
    folder: ImportFolder,
) -> Result<u8, HeadlessError> {
    run(awakened, alembic, closing, "import", false, move |port| {
        import(port, folder, &mut io::stdout(), &mut io::stderr())
    })
}

/// Runs a world with somebody who talks to it, until that ends. `is_typed`: they may wait for a line that nobody types.
fn run(
    awakened: Awakened,
    alembic: Alembic,
    (closing, sleep): (Closing, Receiver<()>),
    sender_id: &str,
    is_typed: bool,
    talk: impl FnOnce(Port) -> Ended + Send + 'static,
) -> Result<u8, HeadlessError> {
    let mut app = App::new();
    app.add_plugins(MinimalPlugins.build().disable::<ScheduleRunnerPlugin>());
    let switchboard = install_world(&mut app, awakened, alembic, wall_clock(), closing.waker())?;
    let port = switchboard.connect(sender_id)?;

    let interrupted = closing.clone();
    ctrlc::set_handler(move || interrupted.ask()).map_err(|error| HeadlessError::Console(error.to_string()))?;
    let ended = closing.clone();
    let console = std::thread::Builder::new().name("console".into()).spawn(move || {
        let how = talk(port);
        ended.ask();
        how
    });
    let console = console.map_err(|error| HeadlessError::Console(error.to_string()))?;

    app.finish();
    app.cleanup();
    while !closing.is_asked() {
        app.update();
        if !has_work(&app) {
            let _ = sleep.recv();
        }
    }
    close_world(&mut app);
    // After Ctrl+C a console may still wait for a line that nobody types: it is left behind.
    if is_typed && !console.is_finished() {
        return Ok(exit::DONE);
    }
    Ok(match console.join() {
        Ok(Ended::Well) => exit::DONE,
        _ => exit::FAILED,
    })
}
