//! The real window on a private screen: cards, buttons and knobs under the mouse, slots edited, messages typed, a runaway
//! method sent.

use super::program::{answers, log, show, workbench};
use super::screen::{SIZE, Screen, until, within};
use living_workbench::morphic::tokens::{self, Rgb};
use serde_json::Value as Json;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the cards are: right of the list of objects, left of the inspector, above the transcript.
const GROUND: [[usize; 2]; 2] = [[224, 0], [1_076, 656]];
/// The inspector.
const INSPECTOR: [[usize; 2]; 2] = [[1_084, 40], [SIZE[0], 600]];
/// The transcript and the console line at its foot.
const TRANSCRIPT: [[usize; 2]; 2] = [[224, 664], [1_076, 870]];
const TITLE: &str = "Living Workbench";

#[test]
fn a_slot_is_edited_and_a_message_typed_while_a_method_runs_away() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    let teach = b"create_point point\n\
                  add_method point selector=spin source=\"function(self) self.x = 1 while true do end end\"\n";
    assert_eq!(answers(&world, teach).1, Some(0));
    let Some((screen, mut window)) = shown(&world) else { return };

    // Click the card: its border and the inspector tell that it is chosen.
    let mark = screen.wait_for("the card", rgb(tokens::BLUE), GROUND[0], GROUND[1]);
    let card = [mark[0] + 40, mark[1] + 4];
    screen.click(card);
    let field = screen.wait_for("the field of x", rgb(tokens::GROUND), INSPECTOR[0], INSPECTOR[1]);

    // Edit x in place.
    let edited = (1..=4).find(|_| {
        screen.click([field[0] + 20, field[1] + 8]);
        screen.retype("120");
        within(100, || slot(&world, "x", 120.0)).is_some()
    });
    let edits = edited.unwrap_or_else(|| panic!("{}", show(&world, "point")));
    let moved = until(|| screen.picture().find(rgb(tokens::BLUE), [mark[0] + 100, 0], GROUND[1]));
    assert_eq!(moved.map(|at| at[0]), Some(mark[0] + 120), "the card follows its slot");

    // Talk to the object.
    let console = [TRANSCRIPT[0][0] + 200, TRANSCRIPT[1][1] - 20];
    screen.click(console);
    screen.say("desc\tpo\t");
    assert!(until(|| ended(&world, "describe", "completed")).is_some());

    // A method without an end fails its turn, and the window goes on.
    screen.say("spin point");
    assert!(until(|| ended(&world, "spin", "failed")).is_some());
    assert_eq!(slot(&world, "x", 120.0), Some(()), "nothing of a failed turn is left");
    screen.say("set point y=64");
    assert_eq!(until(|| slot(&world, "y", 64.0)), Some(()));
    let lower = until(|| screen.picture().find(rgb(tokens::BLUE), [mark[0] + 100, mark[1] + 60], GROUND[1]));
    assert_eq!(lower, Some([mark[0] + 120, mark[1] + 64]), "the window keeps drawing");

    // Drag: the drop is one message.
    let card = [mark[0] + 160, mark[1] + 68];
    screen.drag(card, [card[0] - 80, card[1] + 40]);
    assert_eq!(until(|| slot(&world, "x", 40.0)), Some(()));
    assert_eq!(slot(&world, "y", 104.0), Some(()));
    let sets = log(&world).iter().filter(|entry| entry["selector"] == "set").count();
    assert!((3..=2 + edits).contains(&sets), "{sets}: the edit, the line, the drop");

    // Del belongs to the world again, and the end is in order.
    screen.key("Delete");
    assert_eq!(until(|| ended(&world, "delete", "completed")), Some(()));
    screen.click(console);
    screen.say("quit");
    let status: Option<ExitStatus> = until(|| window.0.try_wait().unwrap());
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", window.said());
}

#[test]
fn objects_are_used_by_the_mouse_and_files_come_in_by_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world");
    assert_eq!(answers(&world, b"create_counter visits x=0 y=0 color=\"#8fbf7f\"\n").1, Some(0));
    let Some((screen, mut window)) = shown(&world) else { return };
    let mark = screen.wait_for("the counter", rgb(tokens::GREEN), GROUND[0], GROUND[1]);
    // The mark's corner is found one unit inside.
    let at = |x: usize, y: usize| [mark[0] - 12 + x, mark[1] - 11 + y];
    let has = |object: &str, name: &str, value: f64| {
        let slots = show(&world, object)["slots"][name].as_f64();
        (slots == Some(value)).then_some(())
    };

    screen.click(at(55, 102));
    assert_eq!(until(|| has("visits", "count", 1.0)), Some(()), "Count up was clicked");
    screen.click(at(55, 102));
    assert_eq!(until(|| has("visits", "count", 2.0)), Some(()));
    screen.key("ctrl+z");
    assert_eq!(until(|| has("visits", "count", 1.0)), Some(()), "the last click is taken back");
    screen.key("ctrl+shift+z");
    assert_eq!(until(|| has("visits", "count", 2.0)), Some(()), "and done again");

    let console = [TRANSCRIPT[0][0] + 200, TRANSCRIPT[1][1] - 20];
    screen.click(console);
    screen.say("set visits visible=false");
    screen.say("create_slider dimmer x=0 y=0");
    assert!(until(|| has("dimmer", "y", 0.0)).is_some());
    screen.drag(at(19, 40), at(300, 80));
    assert_eq!(
        until(|| has("dimmer", "value", 100.0)),
        Some(()),
        "the knob is at the end of its track: {}",
        show(&world, "dimmer")
    );
    assert_eq!(has("dimmer", "x", 0.0), Some(()), "only the knob moved");

    // Files are read beside the frame; what is said meanwhile waits for them.
    let files = dir.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let lamp = "return { -- living-workbench object\n  format = 1,\n  name = \"lamp\",\n  parents = { \"proto\" },\n  \
                slots = {\n    power = 60,\n  },\n}\n";
    std::fs::write(files.join("lamp.luau"), lamp).unwrap();
    screen.click(console);
    screen.say(&format!("import {}", files.display()));
    screen.say("set lamp power=40");
    assert_eq!(until(|| has("lamp", "power", 40.0)), Some(()));
    screen.say(&format!("export {}", files.display()));
    let exported = || std::fs::read_to_string(files.join("lamp.luau")).is_ok_and(|text| text.contains("power = 40"));
    assert_eq!(until(|| exported().then_some(())), Some(()), "its own file is replaced without a question");
    screen.say("quit");
    assert_eq!(until(|| window.0.try_wait().unwrap()).and_then(|status| status.code()), Some(0), "{}", window.said());
}

/// One window at a time: drawing in software is slow, and the tests wait in seconds.
static SCREEN: Mutex<()> = Mutex::new(());

/// The world in its window, which has the keyboard; nothing, and the reason said, where none opens.
fn shown(world: &Path) -> Option<(Screen, Window)> {
    let turn = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let screen = match Screen::open() {
        Ok(screen) => screen,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let mut command = workbench(["--world"]);
    command.arg(world).stderr(Stdio::piped());
    let mut window = Window(screen.show(command).spawn().unwrap(), turn);
    if screen.focus(TITLE, || window.0.try_wait().unwrap().is_some()) {
        return Some((screen, window));
    }
    let said = window.said();
    assert!(said.contains("going on without a window"), "no window opened: {said}");
    skip(&said);
    None
}

/// The running program; ends with the test, whatever becomes of it.
struct Window(Child, #[expect(dead_code, reason = "held until the window is gone")] MutexGuard<'static, ()>);

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Window {
    /// Ends the program; what it said on stderr.
    fn said(&mut self) -> String {
        let _ = self.0.kill();
        let mut said = String::new();
        let _ = self.0.stderr.take().map(|mut stderr| std::io::Read::read_to_string(&mut stderr, &mut said));
        said
    }
}

/// Says why there is nothing to see; not through `print`, which a passing test swallows.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "the test of the window is skipped: {}", why.trim());
}

fn rgb(of: Rgb) -> [u8; 3] {
    [of.0, of.1, of.2]
}

/// Whether the committed slot has this value.
fn slot(world: &Path, name: &str, value: f64) -> Option<()> {
    (show(world, "point")["slots"][name].as_f64() == Some(value)).then_some(())
}

/// Whether the last message with this selector ended so.
fn ended(world: &Path, selector: &str, status: &str) -> Option<()> {
    let log = log(world);
    let seq = log.iter().rfind(|entry| entry["kind"] == "envelope" && entry["selector"] == selector)?["seq"].clone();
    let is_end = |entry: &&Json| entry["kind"] == "outcome" && entry["seq"] == seq;
    (log.iter().find(is_end)?["status"] == status).then_some(())
}
