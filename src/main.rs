//! The program `workbench`: what its arguments mean, and its exit codes.

use clap::{Args, Parser, Subcommand};
use living_workbench::bridge::{self, Closing, exit};
use living_workbench::persistence::{Alembic, Awakened, OpenError, Progress, open_watched};
use living_workbench::systems::TickReplay;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A live world of objects that can be opened and rewritten while it runs.
///
/// Without a command it opens the world: in a window, or on this terminal with --headless. With piped input each
/// line is a message, answered in order, and each answer is printed only when it is safe on disk.
///
/// A line is: SELECTOR OBJECT NAME=VALUE …, for example `create_point point`, then `set point x=5`. `help` tells more.
#[derive(Parser)]
#[command(name = "workbench", version, args_conflicts_with_subcommands = true, after_help = AFTER)]
struct Cli {
    #[command(flatten)]
    world: WorldArgs,
    /// Open no window: talk on this terminal, or answer piped lines
    #[arg(long)]
    headless: bool,
    /// Answer each line with one JSON object (implies --headless)
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Task>,
}

const AFTER: &str = "\
Exit codes:
  0  all was done
  1  a line or an import failed or was refused, there is no such object, or a folder differs from the world
  2  the arguments are wrong
  3  the world cannot be opened: absent, in use, of another format, unusable storage
  4  damage was found

The world is a folder; where there is none, opening it makes one. Without --world it is the one named by
WORKBENCH_WORLD, or one in your local data folder.";

#[derive(Args)]
struct WorldArgs {
    /// The world's folder
    #[arg(long, value_name = "DIR")]
    world: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Task {
    /// Make an object, teach it, kill the process, wake it: the first conversation, checked by itself
    FirstConversation {
        /// Keep the world in this folder
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// What is committed: every object, or one; also while a workbench has the world open
    Show {
        /// An object's name
        object: Option<String>,
        #[command(flatten)]
        world: WorldArgs,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The Heartwood log: every message and what came of it
    Log {
        #[command(flatten)]
        world: WorldArgs,
        /// One JSON object a record
        #[arg(long)]
        json: bool,
        /// Begin with this message
        #[arg(long, value_name = "N", default_value_t = 1)]
        from: u64,
    },
    /// The objects as files, one each, written to a folder; also while a workbench has the world open
    Export {
        /// The folder; docs/object-files.md is the form of the files
        dir: PathBuf,
        #[command(flatten)]
        world: WorldArgs,
        /// Objects of the first image too, where they are as they were
        #[arg(long)]
        all: bool,
        /// Write nothing; exit code 1 if the folder differs from the world
        #[arg(long, conflicts_with_all = ["prune", "force"])]
        check: bool,
        /// Remove files that were written earlier and whose objects are gone
        #[arg(long)]
        prune: bool,
        /// Replace also files that were changed since they were written
        #[arg(long)]
        force: bool,
    },
    /// Make objects equal to the files of a folder, all or none; the plan is shown before
    Import {
        /// The folder
        dir: PathBuf,
        #[command(flatten)]
        world: WorldArgs,
        /// Show the plan and do nothing; also while a workbench has the world open
        #[arg(long)]
        preview: bool,
    },
    /// Copy the world to a new folder as it stands, and check the copy; also while a workbench has the world open
    Backup {
        /// The folder, which must be empty or not there
        dir: PathBuf,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Make a world from a backup, in a place where none is
    Restore {
        /// The backup's folder, which stays as it is
        dir: PathBuf,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Move the front of the log, which no start needs, into compressed files that `log` reads on; the world must not be open
    Archive {
        #[command(flatten)]
        world: WorldArgs,
        /// Only what is older than so many days
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u64>,
    },
    /// Check every record and the chain; print counts and the world hash
    Verify {
        #[command(flatten)]
        world: WorldArgs,
    },
    /// What was damaged and set aside, and what became of what it belonged to
    Quarantine {
        /// Show this one, with its bytes
        #[arg(value_name = "N")]
        number: Option<u64>,
        #[command(flatten)]
        world: WorldArgs,
        /// Keep it no longer; the world must not be open elsewhere
        #[arg(long, requires = "number")]
        let_go: bool,
    },
    /// Say what can still be read of a damaged world (exit code 4 if it is one), or make a new world of that
    Repair {
        #[command(flatten)]
        world: WorldArgs,
        /// The new world's folder, which must be empty or not there; the damaged world stays as it is
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
}

/// What ends the program early: a sentence and an exit code.
struct Stop(u8, String);

impl From<OpenError> for Stop {
    fn from(error: OpenError) -> Self {
        Self(if error.is_damage() { exit::DAMAGE } else { exit::NO_WORLD }, error.to_string())
    }
}

#[cfg(feature = "window")]
impl From<living_workbench::workbench::WakingError> for Stop {
    fn from(error: living_workbench::workbench::WakingError) -> Self {
        match error {
            living_workbench::workbench::WakingError::Open(error) => error.into(),
            other => Self(exit::FAILED, other.to_string()),
        }
    }
}

impl From<bridge::ReportError> for Stop {
    fn from(error: bridge::ReportError) -> Self {
        // A reader that went away has seen enough; there is nothing to say.
        let why = if error.is_enough() { String::new() } else { error.to_string() };
        Self(error.code(), why)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = run(cli).unwrap_or_else(|Stop(code, why)| {
        if !why.is_empty() {
            let _ = writeln!(io::stderr(), "workbench: {why}");
        }
        code
    });
    let watched = std::env::var_os(WATCHED).is_some();
    ExitCode::from(if watched { code.saturating_add(WATCHED_CODES as u8) } else { code })
}

/// Set for the process that reads a world for a report.
const WATCHED: &str = "WORKBENCH_WATCHED";
/// Added to its exit codes: on Windows a process that is ended by a failed assertion has the code 3.
const WATCHED_CODES: i32 = 100;

/// Reports read in a process of their own: on a damaged page the database may end its process, and then somebody must
/// be left to say so. `None` in that process itself.
fn watched() -> Option<Result<u8, Stop>> {
    if std::env::var_os(WATCHED).is_some() {
        return None;
    }
    let program = std::env::current_exe().ok()?;
    let status =
        std::process::Command::new(program).args(std::env::args_os().skip(1)).env(WATCHED, "1").status().ok()?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code.checked_sub(WATCHED_CODES)?).ok())
        .filter(|code| *code <= exit::DAMAGE);
    let damaged =
        || Stop(exit::DAMAGE, "the journal is damaged: a page of the database is not what it should be".into());
    Some(code.ok_or_else(damaged))
}

fn run(cli: Cli) -> Result<u8, Stop> {
    let is_report = |task: &Task| match task {
        Task::Show { .. } | Task::Log { .. } | Task::Verify { .. } | Task::Export { .. } => true,
        Task::Backup { .. } | Task::Restore { .. } | Task::Archive { .. } | Task::Repair { .. } => true,
        Task::Import { preview, .. } => *preview,
        Task::Quarantine { let_go, .. } => !*let_go,
        Task::FirstConversation { .. } => false,
    };
    if cli.command.as_ref().is_some_and(is_report)
        && let Some(ended) = watched()
    {
        return ended;
    }
    let out = &mut io::stdout();
    match cli.command {
        None => open_world(folder(cli.world)?, cli.headless || cli.json, cli.json),
        Some(Task::FirstConversation { keep }) => {
            bridge::first_conversation(keep, out).map_err(|error| Stop(exit::FAILED, error.to_string()))
        }
        Some(Task::Show { object: Some(object), world, json }) => {
            Ok(bridge::show(&folder(world)?, &object, json, out)?)
        }
        Some(Task::Show { object: None, world, json }) => Ok(bridge::show_all(&folder(world)?, json, out)?),
        Some(Task::Log { world, json, from }) => Ok(bridge::log(&folder(world)?, from, json, out)?),
        Some(Task::Export { dir, world, all, check, prune, force }) => Ok(bridge::export(
            &folder(world)?,
            &dir,
            living_workbench::persistence::ExportOptions { all, check, prune, force },
            out,
        )?),
        Some(Task::Import { dir, world, preview }) => {
            let files = living_workbench::persistence::ImportFolder::read(&dir).map_err(bridge::ReportError::from)?;
            let world = folder(world)?;
            if preview {
                return Ok(bridge::preview(&world, &files, out)?);
            }
            let (closing, sleep) = Closing::new();
            let (awakened, alembic) = wake(&world, &closing)?;
            bridge::run_import(awakened, alembic, (closing, sleep), files)
                .map_err(|error| Stop(exit::FAILED, error.to_string()))
        }
        Some(Task::Backup { dir, world }) => Ok(bridge::backup(&folder(world)?, &dir, out)?),
        Some(Task::Restore { dir, world }) => Ok(bridge::restore(&dir, &folder(world)?, out)?),
        Some(Task::Archive { world, older_than }) => Ok(bridge::archive(&folder(world)?, older_than, out)?),
        Some(Task::Verify { world }) => Ok(bridge::verify(&folder(world)?, out)?),
        Some(Task::Quarantine { number: Some(number), world, let_go: true }) => let_go(&folder(world)?, number),
        Some(Task::Quarantine { number, world, .. }) => Ok(bridge::quarantine(&folder(world)?, number, out)?),
        Some(Task::Repair { world, into }) => Ok(bridge::repair(&folder(world)?, into.as_deref(), out)?),
    }
}

fn folder(args: WorldArgs) -> Result<PathBuf, Stop> {
    let missing = "this account has no data folder; name the world with --world DIR";
    args.world.or_else(bridge::default_world).ok_or_else(|| Stop(exit::NO_WORLD, missing.into()))
}

fn open_world(world: PathBuf, headless: bool, json: bool) -> Result<u8, Stop> {
    let (closing, sleep) = Closing::new();
    #[cfg(feature = "window")]
    if !headless {
        match living_workbench::workbench::probe() {
            Ok(()) => return show_window(&world, &closing),
            Err(why) => {
                let _ = writeln!(io::stderr(), "workbench: {why}; going on without a window");
            }
        }
    }
    #[cfg(not(feature = "window"))]
    let _ = headless;
    let (awakened, alembic) = wake(&world, &closing)?;
    talk(world, awakened, alembic, (closing, sleep), json)
}

/// Takes an entry out of the quarantine of a world that nobody has open.
fn let_go(world: &std::path::Path, number: u64) -> Result<u8, Stop> {
    let key = bridge::quarantine_key(world, number)?.map_err(|why| Stop(exit::FAILED, why))?;
    let (closing, _sleep) = Closing::new();
    let (_, alembic) = wake(world, &closing)?;
    alembic.let_go(key.clone());
    alembic.close();
    let (kept, _) = living_workbench::persistence::Reader::open(world)?.quarantine(&mut TickReplay::new())?;
    if kept.iter().any(|entry| entry.key == key) {
        return Err(Stop(exit::FAILED, "the disk took nothing, and it is still kept".into()));
    }
    let told = living_workbench::language::console::let_go_text(number, kept.len());
    let _ = writeln!(io::stdout(), "{told}");
    Ok(exit::DONE)
}

fn wake(world: &std::path::Path, closing: &Closing) -> Result<(Awakened, Alembic), Stop> {
    let new = bridge::new_world().map_err(|error| Stop(exit::NO_WORLD, error.to_string()))?;
    let waker = closing.waker();
    let now_ms = (bridge::wall_clock().unix_ms)();
    let progress = Progress::new();
    let wake = || open_watched(world, Some(new), now_ms, &mut TickReplay::new(), move || waker.wake(), &progress);
    Ok(bridge::while_it_lasts(&progress, wake)?)
}

#[cfg(feature = "window")]
fn show_window(world: &std::path::Path, closing: &Closing) -> Result<u8, Stop> {
    use bevy::prelude::*;
    use living_workbench::systems::install_world;
    use living_workbench::workbench::{Desk, LateWaker, Waking, WorkbenchPlugin};

    let new = bridge::new_world().map_err(|error| Stop(exit::NO_WORLD, error.to_string()))?;
    let late = LateWaker::default();
    let (clock, waker, world_name) = (bridge::wall_clock(), late.waker(), bridge::world_name(world));
    let waking = Waking::begin(world, world_name.clone(), new, clock, waker.clone())?;
    let failure = waking.failure();
    // What takes no longer is not shown.
    let awake = waking.within(std::time::Duration::from_secs(1))?;
    let mut app = App::new();
    if awake.is_none() {
        app.insert_resource(waking);
    }
    app.add_plugins(WorkbenchPlugin { world_name, waker: late });
    let (asked, wake) = (closing.clone(), waker.clone());
    let caught = ctrlc::set_handler(move || {
        asked.ask();
        wake.wake();
    });
    let stopped = |error: &dyn std::fmt::Display| Stop(exit::FAILED, error.to_string());
    caught.map_err(|error| stopped(&error))?;
    if let Some((awakened, alembic)) = awake {
        install_world(&mut app, awakened, alembic, clock, waker).map_err(|error| stopped(&error))?;
    }
    let asked = closing.clone();
    app.add_systems(PreUpdate, move |desk: Option<ResMut<Desk>>, waking: Option<ResMut<Waking>>| {
        if asked.is_asked() {
            desk.into_iter().filter(|desk| !desk.wants_to_quit).for_each(|mut desk| desk.wants_to_quit = true);
            waking.into_iter().for_each(|mut waking| waking.wants_to_quit = true);
        }
    });
    let exit = app.run();
    match (failure.take(), exit) {
        (Some(error), _) => Err(error.into()),
        (None, AppExit::Success) => Ok(exit::DONE),
        (None, AppExit::Error(_)) => Ok(exit::FAILED),
    }
}

fn talk(
    world: PathBuf,
    awakened: Awakened,
    alembic: Alembic,
    closing: (Closing, crossbeam_channel::Receiver<()>),
    json: bool,
) -> Result<u8, Stop> {
    let history = world.join("console_history.txt");
    bridge::run_headless(awakened, alembic, closing, json, history)
        .map_err(|error| Stop(exit::FAILED, error.to_string()))
}
