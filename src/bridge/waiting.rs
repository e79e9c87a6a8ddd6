//! What a person at a terminal sees while a whole world is read, copied or repaired, where that takes long.

use crate::persistence::Progress;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

/// What takes no longer is not talked about.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(200);

/// Does what concerns a whole world. Meanwhile, after a second, a line on standard error tells how far it is, where that is a terminal;
/// it is gone when this returns.
pub fn while_it_lasts<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let (working, ended) = bounded(0);
        let watcher = thread::Builder::new().name("progress".into());
        let watch = move || show(progress, &ended, [PATIENCE, BETWEEN], &mut io::stderr());
        // Without a thread nothing is shown.
        let _ = watcher.spawn_scoped(scope, watch);
        let result = work();
        drop(working);
        result
    })
}

/// Writes the line again and again until the other end of `ended` is dropped: first after one time, then after the other.
fn show(progress: &Progress, ended: &Receiver<()>, [first, between]: [Duration; 2], out: &mut dyn Write) {
    let (mut wait, mut width) = (first, 0);
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let line = progress.to_string();
        // A line that became shorter covers the whole of the one before.
        let _ = write!(out, "\r{line:<width$}").and_then(|()| out.flush());
        (wait, width) = (between, line.chars().count());
    }
    if width > 0 {
        let _ = write!(out, "\r{:width$}\r", "").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::Sender;

    /// Keeps what is written. Whoever is waited for ends with the second line.
    struct Screen {
        shown: String,
        lines: u32,
        reading: Option<Sender<()>>,
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.shown.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.lines += 1;
            self.reading.take_if(|_| self.lines == 2);
            Ok(())
        }
    }

    #[test]
    fn a_reading_that_lasts_is_told_and_its_line_is_wiped() {
        let (reading, ended) = bounded(0);
        let mut screen = Screen { shown: String::new(), lines: 0, reading: Some(reading) };
        let soon = Duration::from_millis(1);
        show(&Progress::new(), &ended, [soon, soon], &mut screen);
        let line = "\rthe world is read: 0 of 0 records";
        assert_eq!(screen.shown, format!("{line}{line}\r{:1$}\r", "", line.len() - 1));
    }

    #[test]
    fn a_short_reading_is_not_talked_about() {
        let (reading, ended) = bounded::<()>(0);
        drop(reading);
        let mut shown = Vec::new();
        show(&Progress::new(), &ended, [PATIENCE, BETWEEN], &mut shown);
        assert_eq!(shown, b"");
    }
}
