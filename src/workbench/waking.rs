//! The window while a world wakes that takes its time: how far that is, and the way over into the world.
//!
//! The world is read on a thread of its own, and what was read is installed between two frames. Until then it can be stopped: nothing
//! of it was changed.

use super::desk::Desk;
use super::style::{SMALL, color, name_font};
use super::window::open_desk;
use crate::language::VmError;
use crate::morphic::tokens;
use crate::persistence::{Alembic, Awakened, NewWorld, OpenError, Progress, open_watched};
use crate::systems::{Clock, TickReplay, Waker, install_in_running};
use bevy::prelude::*;
use bevy::window::{RequestRedraw, WindowCloseRequested};
use bevy_egui::{EguiContext, EguiFullOutput, EguiInput, EguiPostUpdateSet, PrimaryEguiContext};
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded};
use egui::{Align2, CornerRadius, FontId, Sense};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// Between two looks at how far it is.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// Size of the bar, in logical pixels.
const BAR: egui::Vec2 = egui::vec2(440.0, 6.0);

/// Why there is no world after all.
#[derive(Debug, Error)]
pub enum WakingError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The object language could not be started.
    #[error(transparent)]
    Language(#[from] VmError),
    /// The thread that read it ended.
    #[error("the world could not be read: {0}")]
    Thread(String),
}

type Woken = Result<(Awakened, Alembic), OpenError>;

/// A world that is being read.
#[derive(Resource)]
pub struct Waking {
    woken: Receiver<Woken>,
    progress: Progress,
    clock: Clock,
    waker: Waker,
    world_name: String,
    /// Whether the user asked for the end.
    pub wants_to_quit: bool,
    failure: Failure,
}

/// Where it is told why there is no world after all, when the window is closed.
#[derive(Clone, Default)]
pub struct Failure(Arc<Mutex<Option<WakingError>>>);

impl Failure {
    fn set(&self, error: impl Into<WakingError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
    }

    /// Takes it out.
    pub fn take(&self) -> Option<WakingError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Waking {
    /// Begins to wake the world in a folder, which is called `world_name`, on a thread. `waker` is called when it is awake, and later whenever the Alembic has news.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn begin(
        world: &Path,
        world_name: String,
        new: NewWorld,
        clock: Clock,
        waker: Waker,
    ) -> Result<Self, WakingError> {
        let (done, woken) = bounded(1);
        let progress = Progress::new();
        let (dir, counts, wake, awake) = (world.to_path_buf(), progress.clone(), waker.clone(), waker.clone());
        let now_ms = (clock.unix_ms)();
        let read = move || {
            // Who does not wait any more has stopped it.
            let _ =
                done.send(open_watched(&dir, Some(new), now_ms, &mut TickReplay::new(), move || wake.wake(), &counts));
            drop(done);
            awake.wake();
        };
        let thread = std::thread::Builder::new().name("waking".into()).spawn(read);
        thread.map_err(|error| WakingError::Thread(error.to_string()))?;
        let failure = Failure::default();
        Ok(Self { woken, progress, clock, waker, world_name, wants_to_quit: false, failure })
    }

    /// Waits so long for it to be awake; nothing where it takes longer.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn within(&self, patience: Duration) -> Result<Option<(Awakened, Alembic)>, WakingError> {
        match self.woken.recv_timeout(patience) {
            Ok(woken) => woken.map(Some).map_err(WakingError::Open),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }

    /// Where it will be told why there is no world after all.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

fn ended() -> WakingError {
    WakingError::Thread("its thread came to an unforeseen end".into())
}

pub(super) fn plugin(app: &mut App) {
    let frame =
        (draw_progress.before(EguiPostUpdateSet::ProcessOutput), hold_frames.after(EguiPostUpdateSet::ProcessOutput));
    app.add_systems(First, take_world_over.run_if(resource_exists::<Waking>))
        .add_systems(PostUpdate, frame.run_if(resource_exists::<Waking>))
        .add_systems(Last, stop_when_asked.run_if(resource_exists::<Waking>));
}

/// Once the world is awake, the window goes over into it.
fn take_world_over(world: &mut World) {
    let Some(waking) = world.get_resource::<Waking>() else { return };
    let woken = match waking.woken.try_recv() {
        Ok(woken) => woken.map_err(WakingError::Open),
        Err(TryRecvError::Empty) => return,
        Err(TryRecvError::Disconnected) => Err(ended()),
    };
    let Some(waking) = world.remove_resource::<Waking>() else { return };
    let Waking { clock, waker, wants_to_quit, failure, .. } = waking;
    let installed = woken.and_then(|(awakened, alembic)| {
        install_in_running(world, awakened, alembic, clock, waker).map_err(WakingError::Language)
    });
    match installed {
        Ok(_) => {
            // A switchboard that is new takes in whoever connects.
            let _ = world.run_system_cached::<Result, _, _>(open_desk);
            if let Some(mut desk) = world.get_resource_mut::<Desk>() {
                desk.wants_to_quit |= wants_to_quit;
            }
        }
        Err(error) => {
            failure.set(error);
            world.write_message(AppExit::Success);
        }
    }
}

/// What egui asks for at once waits for the next look.
fn hold_frames(mut redraws: ResMut<Messages<RequestRedraw>>) {
    redraws.clear();
}

fn stop_when_asked(
    mut waking: ResMut<Waking>,
    mut requests: ResMut<Messages<WindowCloseRequested>>,
    keys: Res<ButtonInput<KeyCode>>,
    mut exits: MessageWriter<AppExit>,
) {
    let is_asked = requests.drain().count() > 0 || keys.just_pressed(KeyCode::Escape);
    if !is_asked && !waking.wants_to_quit {
        return;
    }
    // What comes too late is asked of the world.
    waking.wants_to_quit = true;
    if waking.progress.stop() {
        exits.write(AppExit::Success);
    }
}

fn draw_progress(
    waking: Res<Waking>,
    mut egui: Single<(&mut EguiContext, &mut EguiInput, &mut EguiFullOutput), With<PrimaryEguiContext>>,
) {
    let Waking { world_name, progress, wants_to_quit, .. } = &*waking;
    let (context, input, output) = &mut *egui;
    let context = context.get_mut().clone();
    let told = progress.to_string();
    let draw = |root: &mut egui::Ui| progress_ui(root, world_name, &told, progress.steps(), *wants_to_quit);
    ***output = Some(context.run_ui(input.take(), draw));
}

/// How far it is, in the middle of the window.
fn progress_ui(ui: &mut egui::Ui, world_name: &str, told: &str, (done, of): (u64, u64), closes: bool) {
    let title = format!("{world_name} wakes");
    let told: String = told.chars().take(1).flat_map(char::to_uppercase).chain(told.chars().skip(1)).collect();
    let hint = if closes {
        "It was awake just then: it is closed in order"
    } else {
        "Nothing of it is changed meanwhile. Esc stops and closes"
    };
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
    response.widget_info(|| {
        let share = if of > 0 { done as f64 / of as f64 } else { 0.0 };
        let mut info = egui::WidgetInfo::labeled(egui::WidgetType::ProgressIndicator, true, format!("{title}, {told}"));
        info.value = Some(share);
        info
    });
    let painter = ui.painter();
    painter.rect_filled(rect, 0.0, color(tokens::GROUND));
    let bar = egui::Rect::from_center_size(rect.center(), BAR.min(rect.size()));
    let font = name_font(ui, 15.0);
    let above = bar.left_top();
    painter.text(above - egui::vec2(0.0, 36.0), Align2::LEFT_BOTTOM, title, font, color(tokens::TEXT));
    let small = FontId::proportional(SMALL);
    painter.text(above - egui::vec2(0.0, 12.0), Align2::LEFT_BOTTOM, told, small.clone(), color(tokens::SOFT));
    painter.rect_filled(bar, CornerRadius::same(3), color(tokens::RAISED));
    if of > 0 {
        let width = bar.width() * (done.min(of) as f32 / of as f32);
        painter.rect_filled(bar.with_max_x(bar.left() + width), CornerRadius::same(3), color(tokens::AMBER));
    }
    let below = bar.left_bottom() + egui::vec2(0.0, 12.0);
    painter.text(below, Align2::LEFT_TOP, hint, small, color(tokens::FAINT));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::genesis_objects;
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    fn clock() -> Clock {
        Clock { unix_ms: || 5, monotonic: || Duration::ZERO }
    }

    fn begun(dir: &Path) -> Waking {
        let new = NewWorld { world_id: uuid::Uuid::from_u128(7), objects: genesis_objects().unwrap() };
        Waking::begin(dir, "w".into(), new, clock(), Waker::new(|| {})).unwrap()
    }

    #[test]
    fn it_is_told_how_far_the_world_is() {
        let ui = |ui: &mut egui::Ui| progress_ui(ui, "home", "the world is read: 3 of 12 records", (3, 12), false);
        let mut harness = Harness::new_ui(ui);
        harness.run();
        harness.get_by_label("home wakes, The world is read: 3 of 12 records");
    }

    /// An app that waits for a world, without a window.
    fn waiting(waking: Waking) -> App {
        let mut app = App::new();
        app.add_plugins(MinimalPlugins.build().disable::<bevy::app::ScheduleRunnerPlugin>())
            .add_message::<RequestRedraw>()
            .add_message::<WindowCloseRequested>()
            .init_resource::<ButtonInput<KeyCode>>()
            .init_resource::<bevy::winit::WinitSettings>()
            .insert_resource(super::super::LateWaker::default())
            .insert_resource(waking);
        plugin(&mut app);
        app
    }

    fn exits(app: &App) -> bool {
        app.should_exit().is_some()
    }

    fn run_until(app: &mut App, is_so: impl Fn(&App) -> bool) {
        for _ in 0..2_000 {
            app.update();
            if is_so(app) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("it never came to that");
    }

    #[test]
    fn a_world_that_is_awake_is_talked_to_in_the_app_that_waited_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut app = waiting(begun(&dir.path().join("w")));
        run_until(&mut app, |app| app.world().contains_resource::<Desk>());
        assert!(!app.world().contains_resource::<Waking>());
        app.update();
        let mut desk = app.world_mut().resource_mut::<Desk>();
        assert!(desk.receive() && desk.mirror.times_told_whole() > 0);
        assert!(!exits(&app));
        crate::systems::close_world(&mut app);
    }

    #[test]
    fn a_world_that_cannot_be_opened_ends_the_app_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letter.txt"), "no world").unwrap();
        let waking = begun(dir.path());
        let failure = waking.failure();
        let mut app = waiting(waking);
        run_until(&mut app, exits);
        assert!(matches!(failure.take(), Some(WakingError::Open(OpenError::NotAWorld(_)))));
    }

    /// One that wakes when the test says so.
    fn by_hand() -> (crossbeam_channel::Sender<Woken>, Waking) {
        let (awake, woken) = bounded(1);
        let (progress, waker, world_name) = (Progress::new(), Waker::new(|| {}), "w".into());
        let failure = Failure::default();
        (awake, Waking { woken, progress, clock: clock(), waker, world_name, wants_to_quit: false, failure })
    }

    #[test]
    fn escape_stops_what_is_not_awake_yet() {
        let (_awake, waking) = by_hand();
        let mut app = waiting(waking);
        app.update();
        assert!(!exits(&app));
        app.world_mut().resource_mut::<ButtonInput<KeyCode>>().press(KeyCode::Escape);
        app.update();
        assert!(exits(&app));
    }

    #[test]
    fn what_is_awake_when_it_is_asked_to_close_is_closed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (awake, waking) = by_hand();
        let new = NewWorld { world_id: uuid::Uuid::from_u128(7), objects: genesis_objects().unwrap() };
        let progress = waking.progress.clone();
        let world =
            open_watched(&dir.path().join("w"), Some(new), 5, &mut TickReplay::new(), || {}, &progress).unwrap();
        let mut app = waiting(waking);
        app.world_mut().write_message(WindowCloseRequested { window: Entity::PLACEHOLDER });
        app.update();
        assert!(!exits(&app), "it is open, and has to be closed");
        awake.send(Ok(world)).unwrap();
        app.update();
        assert!(app.world().resource::<Desk>().wants_to_quit);
        crate::systems::close_world(&mut app);
    }
}
