//! A private screen for a window: what stands on it, and a mouse and a keyboard before it.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Width and height, in pixels; the window opens as large.
pub(crate) const SIZE: [usize; 2] = [1_440, 900];
/// How often, a tenth of a second apart, is looked for anything to show: software rendering on a busy machine is slow.
const ATTEMPTS: u32 = 300;

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// A virtual X server. Ends with its value.
pub(crate) struct Screen {
    server: Child,
    display: String,
    folder: tempfile::TempDir,
}

/// What stands on the screen at a moment.
pub(crate) struct Picture {
    pixels: Vec<Rgb>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Screen {
    /// Starts the server; why not, where it can't.
    pub(crate) fn open() -> Result<Self, String> {
        Command::new("xdotool").arg("version").output().map_err(|error| format!("xdotool: {error}"))?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let [width, height] = SIZE;
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-fbdir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("Xvfb: {error}"))?;
        let mut number = String::new();
        let out = server.stdout.take().expect("a pipe");
        let screen = |number: &str| format!(":{}", number.trim());
        BufReader::new(out).read_line(&mut number).map_err(|error| format!("Xvfb: {error}"))?;
        let screen = Self { server, display: screen(&number), folder };
        if number.trim().is_empty() { Err("Xvfb gave no display".into()) } else { Ok(screen) }
    }

    /// The command, shown on this screen.
    pub(crate) fn show(&self, mut command: Command) -> Command {
        command.env("DISPLAY", &self.display).env_remove("WAYLAND_DISPLAY").env("XDG_RUNTIME_DIR", self.folder.path());
        command
    }

    /// Gives a window whose title contains `title` the keyboard, once it is there; `false` when `gone` says so first.
    pub(crate) fn focus(&self, title: &str, mut gone: impl FnMut() -> bool) -> bool {
        let search = || self.tool(&["search", "--onlyvisible", "--name", title]);
        let found = until(|| search().lines().next().map(ToString::to_string).or_else(|| gone().then(String::new)));
        match found {
            Some(window) if !window.is_empty() => {
                self.tool(&["windowfocus", &window]);
                true
            }
            _ => false,
        }
    }

    /// Clicks with the left button, and leaves a slow frame the time to see it: what is typed before a field has the keyboard
    /// is lost.
    pub(crate) fn click(&self, [x, y]: [usize; 2]) {
        self.tool(&["mousemove", &x.to_string(), &y.to_string(), "sleep", "0.2", "click", "1", "sleep", "1"]);
    }

    /// Drags with the left button.
    pub(crate) fn drag(&self, from: [usize; 2], to: [usize; 2]) {
        let [[a, b], [x, y]] = [from, to].map(|point| point.map(|part| part.to_string()));
        self.tool(&["mousemove", &a, &b, "sleep", "0.2", "mousedown", "1", "sleep", "0.2"]);
        self.tool(&["mousemove", &x, &y, "sleep", "0.2", "mouseup", "1", "sleep", "0.2"]);
    }

    /// Types a line as fast as it goes, with its tabs, and Enter.
    pub(crate) fn say(&self, line: &str) {
        let mut arguments = Vec::new();
        for piece in line.split('\t') {
            if !arguments.is_empty() {
                arguments.extend(["key", "Tab"]);
            }
            arguments.extend(["type", "--delay", "3", "--args", "1", piece]);
        }
        arguments.extend(["key", "Return"]);
        self.tool(&arguments);
    }

    /// Presses one key, as `Return`.
    pub(crate) fn key(&self, key: &str) {
        self.tool(&["key", key, "sleep", "0.2"]);
    }

    /// Replaces all text of the field that has the keyboard.
    pub(crate) fn retype(&self, text: &str) {
        self.tool(&["keydown", "ctrl", "sleep", "0.2", "key", "a", "sleep", "0.2", "keyup", "ctrl", "sleep", "0.2"]);
        self.say(text);
    }

    /// What stands on the screen now.
    pub(crate) fn picture(&self) -> Picture {
        let mut file = Vec::new();
        let path: PathBuf = self.folder.path().join("Xvfb_screen0");
        std::fs::File::open(path).expect("the screen").read_to_end(&mut file).expect("the screen");
        // The X window dump: a header of 32-bit words, of which the first is its length; then colours of 12 bytes.
        let word = |place: usize| {
            let bytes = file[4 * place..4 * place + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes) as usize
        };
        let (header, little_endian, line, colours) = (word(0), word(7) == 0, word(12), word(19));
        assert_eq!([word(4), word(5), word(11)], [SIZE[0], SIZE[1], 32], "width, height, bits of a pixel");
        let rows = file[header + 12 * colours..].chunks_exact(line).take(SIZE[1]);
        let pixel = |bytes: &[u8]| match little_endian {
            true => [bytes[2], bytes[1], bytes[0]],
            false => [bytes[1], bytes[2], bytes[3]],
        };
        Picture { pixels: rows.flat_map(|row| row.chunks_exact(4).take(SIZE[0]).map(pixel)).collect() }
    }

    /// Waits until this colour stands in the part of the screen, and answers where it does first, from the top.
    pub(crate) fn wait_for(&self, what: &str, colour: Rgb, min: [usize; 2], max: [usize; 2]) -> [usize; 2] {
        until(|| self.picture().find(colour, min, max)).unwrap_or_else(|| panic!("{what} is not on the screen"))
    }

    fn tool(&self, arguments: &[&str]) -> String {
        let output = Command::new("xdotool").args(arguments).env("DISPLAY", &self.display).output();
        String::from_utf8(output.expect("xdotool runs").stdout).expect("UTF-8")
    }
}

impl Picture {
    /// Where a block of four by four pixels of this colour stands first, from the top.
    pub(crate) fn find(&self, colour: Rgb, min: [usize; 2], max: [usize; 2]) -> Option<[usize; 2]> {
        let is_there = |x: usize, y: usize| self.pixels[y * SIZE[0] + x] == colour;
        let block = |x: usize, y: usize| (0..4).all(|down| (0..4).all(|right| is_there(x + right, y + down)));
        let rows = min[1]..max[1] - 4;
        rows.flat_map(|y| (min[0]..max[0] - 4).map(move |x| [x, y])).find(|[x, y]| block(*x, *y))
    }
}

/// Asks again and again for what takes its time.
pub(crate) fn until<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    within(ATTEMPTS, ask)
}

/// Asks so many times, a tenth of a second apart.
pub(crate) fn within<T>(attempts: u32, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    (0..attempts).find_map(|_| {
        let answer = ask();
        if answer.is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
        answer
    })
}
