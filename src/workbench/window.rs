//! The window: what runs when, and when nothing runs at all.
//!
//! The window is a subscriber like any other. It draws when something happened, and sleeps otherwise.

use super::console::ConsoleState;
use super::desk::{Command, Desk};
use super::docks::docks_ui;
use super::input::{hold_back, use_keys, use_mouse};
use super::inspector::InspectorState;
use super::quarantine::QuarantineState;
use super::status::Figures;
use super::style;
use super::waking::{self, LOOK, Waking};
use crate::morphic::{Bounds, Detail, Emphasis, Look, Stage, Viewpoint, color, tokens};
use crate::object::ObjectId;
use crate::systems::{Clock, FrameSystems, Switchboard, Waker, Work, finish_closing, start_closing};
use bevy::prelude::*;
use bevy::render::error_handler::{ErrorType, RenderError, RenderErrorHandler, RenderErrorPolicy};
use bevy::render::renderer::RenderAdapterInfo;
use bevy::window::{
    ExitCondition, Monitor, PrimaryMonitor, PrimaryWindow, RequestRedraw, WindowCloseRequested, WindowPlugin,
};
use bevy::winit::{EventLoopProxyWrapper, UpdateMode, WinitSettings, WinitUserEvent};
use bevy_egui::{
    EguiContext, EguiContextSettings, EguiFullOutput, EguiInput, EguiPlugin, EguiPostUpdateSet, EguiPreUpdateSet,
    EguiStartupSet, PrimaryEguiContext,
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest sleep of an idle window.
const SLEEP: Duration = Duration::from_secs(3_600);
/// Size of the window where the screen is large enough, in logical pixels.
const SIZE: [u32; 2] = [1_440, 900];
/// Height that a small screen needs for the window's title and its own bar, in logical pixels.
const BARS: f32 = 80.0;
/// What is told on stderr. Warnings of the libraries speak of the graphics stack, not of this world.
const LOG: &str = "error,living_workbench=warn";
/// How long after its beginning the window tells that the world was not closed in order the last time.
const NOTICE: Duration = Duration::from_secs(600);
/// How often a lost graphics device is made anew before the window gives up.
const RECOVERIES: u32 = 3;

type Late = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// A waker that exists before the window's loop does, and works from its first frame on.
#[derive(Resource, Clone, Default)]
pub struct LateWaker(Late);

impl LateWaker {
    /// The waker.
    pub fn waker(&self) -> Waker {
        let late = self.0.clone();
        Waker::new(move || {
            if let Some(wake) = late.get() {
                wake();
            }
        })
    }
}

/// The window around a world that is installed, or that wakes ([`Waking`]).
pub struct WorkbenchPlugin {
    /// Shown in the title.
    pub world_name: String,
    /// The waker that the world is installed with.
    pub waker: LateWaker,
}

/// What the panels remember.
#[derive(Resource, Default)]
pub(super) struct Panels {
    pub(super) console: ConsoleState,
    pub(super) inspector: InspectorState,
    pub(super) quarantine: QuarantineState,
    /// Whether the list shows built-in objects.
    pub(super) built_in: bool,
    pub(super) figures: Figures,
    frame_start: Duration,
    /// Where the world shows between the panels, in logical pixels.
    pub(super) hole: Option<Bounds>,
    /// Whether the pointer is over a panel, or egui is busy with it.
    pub(super) pointer_taken: bool,
    pub(super) keyboard_taken: bool,
    /// Whether the world was pressed: then the keys are its own again.
    pub(super) keyboard_released: bool,
    /// The view that brought all cards into sight, and the hole it did so for.
    pub(super) fitted: Option<(Viewpoint, Bounds)>,
    /// The newest line of the transcript that was drawn.
    newest: Option<u64>,
    /// Whether egui wants another frame at once.
    wants_frame: bool,
    recoveries: u32,
    /// Events of a pass to come.
    held: Vec<egui::Event>,
}

impl Plugin for WorkbenchPlugin {
    fn build(&self, app: &mut App) {
        crate::systems::keep_going(app);
        let window = Window {
            title: format!("{} – Living Workbench", self.world_name),
            name: Some("living-workbench".into()),
            resolution: bevy::window::WindowResolution::new(SIZE[0], SIZE[1]),
            ..default()
        };
        let windows = WindowPlugin {
            primary_window: Some(window),
            // The world is closed first, then the program ends.
            exit_condition: ExitCondition::DontExit,
            close_when_requested: false,
            ..default()
        };
        // Ctrl+C is caught by the program: it closes the world first.
        let plugins = DefaultPlugins.build().disable::<bevy::app::TerminalCtrlCHandlerPlugin>();
        let log = bevy::log::LogPlugin { filter: LOG.into(), ..default() };
        // An idle window draws no second frame: what the first one waits for has to be there.
        let render = bevy::render::RenderPlugin { synchronous_pipeline_compilation: true, ..default() };
        let longest = if app.world().contains_resource::<Waking>() { LOOK } else { SLEEP };
        app.add_plugins(plugins.set(windows).set(log).set(render))
            .add_plugins(EguiPlugin::default())
            .insert_resource(RenderErrorHandler(on_render_error))
            .insert_resource(ClearColor(color(tokens::GROUND)))
            .insert_resource(resting(longest))
            .insert_resource(self.waker.clone())
            .init_resource::<Panels>()
            .init_resource::<Stage>()
            .add_systems(PreStartup, own_the_root.after(EguiStartupSet::InitContexts))
            .add_systems(Startup, (bind_waker, apply_style, name_adapter))
            .add_systems(Startup, open_desk.run_if(resource_exists::<Switchboard>))
            .add_systems(
                PreUpdate,
                drop_unchanged_modifiers.after(EguiPreUpdateSet::ProcessInput).before(EguiPreUpdateSet::BeginPass),
            )
            .add_systems(First, fit_the_screen)
            .add_systems(First, start_frame.run_if(resource_exists::<Desk>))
            .add_systems(
                Update,
                (receive_events, use_keys, use_mouse, draw_world)
                    .chain()
                    .after(FrameSystems::Reflect)
                    .run_if(resource_exists::<Desk>),
            )
            .add_systems(
                PostUpdate,
                draw_panels.run_if(resource_exists::<Desk>).before(EguiPostUpdateSet::ProcessOutput),
            )
            .add_systems(
                PostUpdate,
                pace_frames.run_if(resource_exists::<Desk>).after(EguiPostUpdateSet::ProcessOutput),
            )
            .add_systems(Last, (close_when_asked, end_frame).chain().run_if(resource_exists::<Desk>));
        waking::plugin(app);
    }

    fn cleanup(&self, app: &mut App) {
        // The camera has to be there before the first context is looked for.
        app.world_mut().spawn((Camera2d, PrimaryEguiContext));
    }
}

/// Panels are shown in egui's own root, so that egui knows where they are.
fn own_the_root(mut settings: Query<&mut EguiContextSettings>) {
    for mut settings in &mut settings {
        settings.run_manually = true;
    }
}

fn bind_waker(late: Res<LateWaker>, proxy: Res<EventLoopProxyWrapper>) {
    let proxy = (**proxy).clone();
    let _ = late.0.set(Box::new(move || {
        let _ = proxy.send_event(WinitUserEvent::WakeUp);
    }));
}

fn apply_style(mut contexts: Query<&mut EguiContext>) {
    for mut context in &mut contexts {
        style::apply(context.get_mut());
    }
}

/// Connects to a world that is installed.
pub(super) fn open_desk(
    mut commands: Commands,
    switchboard: Res<Switchboard>,
    late: Res<LateWaker>,
    mut rest: ResMut<WinitSettings>,
    mut redraws: MessageWriter<RequestRedraw>,
) -> Result {
    commands.insert_resource(Desk::new(switchboard.connect("window")?, late.waker()));
    *rest = resting(SLEEP);
    redraws.write(RequestRedraw);
    Ok(())
}

/// How long the window sleeps at most while nothing happens.
fn resting(longest: Duration) -> WinitSettings {
    let mode = UpdateMode::reactive_low_power(longest);
    WinitSettings { focused_mode: mode, unfocused_mode: mode }
}

/// On a screen that is smaller than the window, the window takes what there is.
fn fit_the_screen(
    mut window: Single<&mut Window, With<PrimaryWindow>>,
    screen: Query<&Monitor, With<PrimaryMonitor>>,
    mut done: Local<bool>,
) {
    let Some(screen) = screen.iter().next().filter(|_| !*done) else { return };
    *done = true;
    let [width, height] =
        [screen.physical_width, screen.physical_height].map(|side| (f64::from(side) / screen.scale_factor) as f32);
    let is_small = width < window.width() || height < window.height();
    if is_small && width > 0.0 && height > BARS {
        let fitted = [window.width().min(width), window.height().min(height - BARS)];
        window.resolution.set(fitted[0], fitted[1]);
        window.position = WindowPosition::Centered(MonitorSelection::Primary);
    }
}

/// Software rendering is told in the status bar: it explains why all is slow.
fn name_adapter(mut panels: ResMut<Panels>, adapter: Option<Res<RenderAdapterInfo>>) {
    panels.figures.software = adapter.is_some_and(|adapter| adapter.device_type == wgpu::DeviceType::Cpu);
}

/// A lost device (a reset of the driver) is made anew. Where that does not help, the window closes, as if it were asked
/// to: all that was acknowledged stays.
fn on_render_error(error: &RenderError, world: &mut World, _: &mut World) -> RenderErrorPolicy {
    // Either needs another frame, and an idle window has none.
    world.write_message(RequestRedraw);
    if let Some(mut panels) = world.get_resource_mut::<Panels>()
        && matches!(error.ty, ErrorType::DeviceLost)
        && panels.recoveries < RECOVERIES
    {
        panels.recoveries += 1;
        return RenderErrorPolicy::Recover(default());
    }
    if let Some(mut desk) = world.get_resource_mut::<Desk>() {
        desk.wants_to_quit = true;
    }
    if let Some(mut waking) = world.get_resource_mut::<Waking>() {
        waking.wants_to_quit = true;
    }
    RenderErrorPolicy::StopRendering
}

/// bevy_egui reports the modifier keys in every frame, and egui answers any event with another frame.
fn drop_unchanged_modifiers(mut inputs: Query<&mut EguiInput>, mut last: Local<egui::Modifiers>) {
    for mut input in &mut inputs {
        input.events.retain(|event| match event {
            egui::Event::ModifiersChanged(now) => std::mem::replace(&mut *last, *now) != *now,
            _ => true,
        });
    }
}

fn receive_events(mut desk: ResMut<Desk>) {
    desk.bypass_change_detection().receive();
}

impl Panels {
    /// Whether the cards are to be brought into view: none were yet, or the window changed and nobody moved the view since.
    fn is_unfitted(&self, view: &Viewpoint) -> bool {
        self.fitted.is_none_or(|(fitted, hole)| fitted == *view && self.hole.is_some_and(|now| now != hole))
    }
}

/// Brings all cards into view, once there are some.
pub(super) fn fit_cards(desk: &mut Desk, panels: &mut Panels, stage: &Stage) {
    if panels.is_unfitted(&desk.view)
        && let (Some(hole), Some(all)) = (panels.hole, stage.all())
    {
        desk.view.fit(all, hole);
        panels.fitted = Some((desk.view, hole));
    }
}

fn draw_world(
    mut commands: Commands,
    mut desk: ResMut<Desk>,
    mut stage: ResMut<Stage>,
    panels: Res<Panels>,
    window: Single<&Window, With<PrimaryWindow>>,
    camera: Single<(&mut Transform, &mut Projection), With<PrimaryEguiContext>>,
    mut dragged: Local<Option<ObjectId>>,
) {
    let desk = &mut *desk;
    let mut touched = desk.mirror.take_touched();
    // What was let go is drawn at its own place again, until the message moves it.
    touched.extend(dragged.take());
    *dragged = desk.carried.map(|(id, _)| id);
    let pointer = window.cursor_position().filter(|_| !panels.pointer_taken).map(|at| desk.view.to_world([at.x, at.y]));
    let hovered = pointer.and_then(|point| stage.object_at(point));
    let (selected, pressed, slid) = (desk.selected, desk.hand.pressed(), desk.slid);
    let detail = Detail::at(desk.view.zoom);
    let look = |id: ObjectId| Look {
        emphasis: match id {
            id if pressed == Some(id) && hovered == Some(id) => Emphasis::Pressed,
            id if selected == Some(id) => Emphasis::Selected,
            id if hovered == Some(id) => Emphasis::Hovered,
            _ => Emphasis::None,
        },
        detail,
        slid: slid.filter(|(object, _, _)| *object == id).map(|(_, _, value)| value),
    };
    stage.draw(&mut commands, &desk.mirror, &touched, desk.carried, look);
    stage.draw_ground(&mut commands, &desk.view, [window.width(), window.height()]);

    let (mut place, mut projection) = camera.into_inner();
    let (origin, zoom) = (desk.view.drawn_origin(), desk.view.zoom);
    let middle = Vec3::new(origin[0] + window.width() / 2.0 / zoom, -(origin[1] + window.height() / 2.0 / zoom), 0.0);
    if place.translation != middle {
        place.translation = middle;
    }
    if let Projection::Orthographic(projection) = &mut *projection {
        (projection.scale, projection.near, projection.far) = (1.0 / zoom, -1_000.0, 1_000.0);
    }
}

fn draw_panels(
    mut desk: ResMut<Desk>,
    mut panels: ResMut<Panels>,
    mut egui: Single<(&mut EguiContext, &mut EguiInput, &mut EguiFullOutput), With<PrimaryEguiContext>>,
) {
    let desk = &mut *desk;
    let panels = &mut *panels;
    panels.figures.zoom = desk.view.zoom;
    panels.figures.shows_quarantine = desk.shows_quarantine;
    panels.figures.tells_unclean_exit =
        desk.mirror.status().unclean_exit && !desk.notice_is_away && panels.frame_start < NOTICE;
    let (context, input, output) = &mut *egui;
    let context = context.get_mut().clone();
    let mut commands: Vec<Command> = Vec::new();
    let released = std::mem::take(&mut panels.keyboard_released);
    hold_back(&mut input.events, &mut panels.held);
    let full = context.run_ui(input.take(), |root| {
        // Inside the pass, so that the field that had the keyboard learns that it lost it.
        if released && let Some(focused) = root.memory(|memory| memory.focused()) {
            root.memory_mut(|memory| memory.surrender_focus(focused));
        }
        panels.hole = Some(docks_ui(root, desk, panels, &mut commands));
    });
    let root = full.viewport_output.get(&egui::ViewportId::ROOT);
    // The transcript follows its end a frame late, and a letter that was never drawn before is on the screen a frame late.
    let newest = desk.mirror.transcript.iter().last().map(|entry| entry.number);
    let is_late = std::mem::replace(&mut panels.newest, newest) != newest || !full.textures_delta.set.is_empty();
    panels.wants_frame = is_late
        || root.is_some_and(|root| root.repaint_delay.is_zero())
        || !commands.is_empty()
        || !panels.held.is_empty();
    ***output = Some(full);
    panels.pointer_taken = context.is_pointer_over_egui() || context.egui_is_using_pointer();
    panels.keyboard_taken = context.egui_wants_keyboard_input();
    desk.carry_out(commands);
}

fn start_frame(mut panels: ResMut<Panels>, clock: Res<Clock>) {
    panels.frame_start = (clock.monotonic)();
}

/// What the next frame shows as the time of this one, without the wait for what began it.
fn end_frame(mut panels: ResMut<Panels>, clock: Res<Clock>) {
    let spent = (clock.monotonic)().saturating_sub(panels.frame_start);
    panels.figures.frame_ms = (spent.as_secs_f32() * 10_000.0).round() / 10.0;
}

/// Asks for the next frame only where something goes on by itself.
fn pace_frames(
    desk: Res<Desk>,
    panels: Res<Panels>,
    stage: Res<Stage>,
    work: Work,
    mut redraws: ResMut<Messages<RequestRedraw>>,
) {
    // bevy_egui asks for one at once, however late egui wants it.
    redraws.clear();
    let unfitted = panels.is_unfitted(&desk.view) && !stage.is_empty();
    if panels.wants_frame
        || work.has_work()
        || unfitted
        || desk.is_changed() && (desk.carried.is_some() || desk.slid.is_some())
    {
        redraws.write(RequestRedraw);
    }
}

/// The close button, or `quit`: first every message comes to its durable end, then the program ends.
fn close_when_asked(world: &mut World, mut closing: Local<bool>) {
    let requested = world.resource_mut::<Messages<WindowCloseRequested>>().drain().count() > 0;
    let quit = world.get_resource::<Desk>().is_some_and(|desk| desk.wants_to_quit);
    if (requested || quit) && !*closing {
        *closing = true;
        start_closing(world);
    }
    if *closing {
        if finish_closing(world) {
            world.write_message(AppExit::Success);
        } else {
            world.write_message(RequestRedraw);
        }
    }
}
