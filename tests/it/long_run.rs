//! A long run: every kind of message, objects that move and post, timers, failures, undo and redo; ended again and again, by a close
//! or by a kill, and at last one process that goes on. Memory stays flat, the file grows by what is written, nothing is lost.
//!
//! `WORKBENCH_LONG_RUN=30 cargo test long_run -- --nocapture` goes on for as many minutes; the figures are printed at the end.

#![allow(clippy::disallowed_methods)] // it takes a time that somebody asked for

use super::producers::{SETTING, START, bring_to_rest};
use super::program::{Session, answers, log_from, run, verified, verified_hash, workbench};
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an ordinary run takes.
const SECONDS: f64 = 4.0;
/// Messages that the console sends at most in a second, so that hours can be read again in minutes.
const MESSAGES_A_SECOND: f64 = 250.0;
/// Answers after which a process that just woke is measured.
const EARLY: usize = 100;
/// Failed messages that wait before they are dismissed.
const PROBLEMS: usize = 20;

/// What a process uses, in KiB: all of it, and what is no file's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Memory {
    resident: u64,
    anonymous: u64,
}

/// Of a process that is there; `None` where the system does not tell.
fn memory_of(process: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
    };
    Some(Memory { resident: figure("VmRSS")?, anonymous: figure("RssAnon")? })
}

fn median(figures: impl IntoIterator<Item = u64>) -> u64 {
    let mut figures: Vec<u64> = figures.into_iter().collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Between half of it and one and a half.
    fn around(&mut self, time: Duration) -> Duration {
        time * (500 + self.below(1_000) as u32) / 1_000
    }
}

/// The console's side of the load.
struct Console {
    chance: Chance,
    /// Failed messages that wait, by their numbers.
    problems: VecDeque<u64>,
    /// Every answer that told of a message: its number, and how it ended.
    told: BTreeMap<u64, String>,
    /// Messages acknowledged in all, and how many of them failed.
    acknowledged: u64,
    failed: u64,
    /// What a time of quiet between bursts adds up to.
    due: Duration,
}

impl Console {
    /// Some lines that belong together.
    fn lines(&mut self) -> String {
        let number = self.chance.below(1_000_000);
        match self.chance.below(100) {
            0..30 => "count tally\n".into(),
            30..45 => format!("set tally note={number} words=\"the note {number}\"\n"),
            45..48 => format!(
                "= (function() local kid = world.tally:clone() \
                 kid:add_method('greet', 'function(self) return {number} end') kid:greet() kid:delete() end)()\n"
            ),
            48..56 => "= (function() local kid = world.tally:clone() kid:count() kid:delete() end)()\n".into(),
            // What was deleted and had a name is remembered for ever: a world grows by it.
            56..57 if number.is_multiple_of(4) => "clone tally as=kid\ndelete kid\n".into(),
            56..57 => "document tally slot=n text=\"how often it was counted\"\n".into(),
            57..67 => "undo\n".into(),
            67..77 => "redo\n".into(),
            77..82 => "hop ring left=5\n".into(),
            82..87 => "fail tally\n".into(),
            87..93 => "= (function() after(0.05, world.beats, 'beat') end)()\n".into(),
            93..95 => "describe tally\n".into(),
            _ if self.problems.len() > PROBLEMS => {
                self.problems.drain(..).map(|of| format!("dismiss {of}\n")).collect()
            }
            _ => self.problems.pop_front().map_or_else(String::new, |of| format!("retry {of}\n")),
        }
    }

    fn take_in(&mut self, answer: &Json) {
        let (Some(sequence), Some(status)) = (answer["seq"].as_u64(), answer["status"].as_str()) else {
            assert_eq!(answer["status"], "refused", "{answer}");
            return;
        };
        assert!(matches!(status, "completed" | "failed") && answer["error"]["kind"] != "in_doubt", "{answer}");
        self.acknowledged += 1;
        if status == "failed" {
            self.failed += 1;
            self.problems.push_back(sequence);
        }
        self.told.insert(sequence, status.to_string());
    }

    /// Says a burst and hears its answers. Answers how many there were.
    fn burst(&mut self, session: &mut Session) -> usize {
        let lines: String = (0..=self.chance.below(32)).map(|_| self.lines()).collect();
        let many = lines.lines().count();
        session.say(&lines);
        for _ in 0..many {
            let answer = session.hear().expect("an answer");
            self.take_in(&answer);
        }
        many
    }

    /// Opens the world and lets it move. Messages that failed unheard are among its problems, too.
    fn open(&mut self, world: &Path) -> Session {
        let mut session = Session::open(world);
        START.lines().for_each(|line| self.take_in(&session.ask(line)));
        let told = session.ask("problems");
        self.problems = told["result"].as_array().unwrap().iter().map(|of| of["seq"].as_u64().unwrap()).collect();
        session
    }

    /// Talks for so long; memory is measured after the first answers, and now and then where `every` says so.
    fn talk(
        &mut self,
        session: &mut Session,
        time: Duration,
        every: Option<Duration>,
    ) -> (Option<Memory>, Vec<Memory>) {
        let begin = Instant::now();
        let (mut early, mut measured, mut heard) = (None, Vec::new(), 0);
        while begin.elapsed() < time {
            let burst = Instant::now();
            let many = self.burst(session);
            heard += many;
            if early.is_none() && heard >= EARLY {
                early = memory_of(session.id());
            }
            if every.is_some_and(|every| begin.elapsed() > every * (measured.len() as u32 + 1)) {
                measured.extend(memory_of(session.id()));
            }
            self.due += Duration::from_secs_f64(many as f64 / MESSAGES_A_SECOND).saturating_sub(burst.elapsed());
            std::thread::sleep(std::mem::take(&mut self.due));
        }
        (early, measured)
    }

    /// Every message of which an answer told stands in the log with that outcome.
    fn check(&mut self, world: &Path) {
        let Some(first) = self.told.keys().next().copied() else { return };
        for entry in log_from(world, first).iter().filter(|entry| entry["kind"] == "outcome") {
            if let Some(told) = entry["seq"].as_u64().and_then(|sequence| self.told.remove(&sequence)) {
                assert_eq!(entry["status"].as_str(), Some(told.as_str()), "{entry}");
            }
        }
        assert!(self.told.is_empty(), "acknowledged and not in the log: {:?}", self.told);
    }
}

/// What is told at the end.
#[derive(Default)]
struct Figures {
    closed: u64,
    killed: u64,
    /// Of each process after its first answers, and at its end.
    early: Vec<Memory>,
    late: Vec<Memory>,
    /// Of the process that went on.
    alone: Vec<Memory>,
    bytes: Vec<u64>,
    envelopes: Vec<u64>,
}

impl Figures {
    fn note_file(&mut self, world: &Path) {
        self.bytes.push(fs::metadata(world.join("data.mdb")).unwrap().len());
        self.envelopes.push(verified(world, "envelopes").parse().unwrap());
    }

    fn print(&self, console: &Console, time: Duration) {
        println!("time        {:.1} min", time.as_secs_f64() / 60.0);
        println!("restarts    {} ({} closed, {} killed)", self.closed + self.killed, self.closed, self.killed);
        println!("messages    {} of the console ({} failed)", console.acknowledged, console.failed);
        let [bytes, envelopes] = [&self.bytes, &self.envelopes].map(|of| (of[0], of[of.len() - 1]));
        println!("            {} → {} in the log", envelopes.0, envelopes.1);
        let each = (bytes.1 - bytes.0) as f64 / (envelopes.1 - envelopes.0) as f64;
        println!("file        {} → {} bytes, {each:.0} a message", bytes.0, bytes.1);
        for (what, measured) in [("just awake", &self.early), ("at the end", &self.late), ("one process", &self.alone)]
        {
            let (Some(first), Some(last)) = (measured.first(), measured.last()) else { continue };
            let [resident, anonymous] =
                [|of: &Memory| of.resident, |of: &Memory| of.anonymous].map(|part| median(measured.iter().map(part)));
            println!(
                "{what:<11} VmRSS {} / {resident} / {} KiB, RssAnon {} / {anonymous} / {} KiB (first, median, last of {})",
                first.resident,
                last.resident,
                first.anonymous,
                last.anonymous,
                measured.len()
            );
        }
    }

    /// Memory is flat where the median of the last quarter is at most an eighth and 4 MiB above that of the second quarter:
    /// the first one warms up. In half an hour a leak of fifty bytes a message would show.
    fn judge(&self) {
        for (what, measured) in [("just awake", &self.early), ("at the end", &self.late), ("one process", &self.alone)]
        {
            let quarter = measured.len() / 4;
            if quarter < 2 {
                continue;
            }
            let of = |part: &[Memory]| median(part.iter().map(|memory| memory.anonymous));
            let [before, after] = [of(&measured[quarter..2 * quarter]), of(&measured[measured.len() - quarter..])];
            assert!(after <= before + before / 8 + 4 * 1024, "{what}: {before} KiB became {after} KiB");
        }
    }
}

/// Brings everything that moves to rest, compares what the process holds with what is on disk, and wakes it once more.
fn close_and_compare(mut session: Session, console: &mut Console, world: &Path, folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    bring_to_rest(&mut session).iter().for_each(|answer| console.take_in(answer));
    let told = session.ask(&format!("export {}", folder.display()));
    assert_eq!(told["status"], "answered", "{told}");
    assert_eq!(session.close().0, [] as [Json; 0]);
    let hash = verified_hash(world);
    let mut command = workbench(["export", "--check", "--world"]);
    command.arg(world).arg(folder);
    let compared = run(command, b"");
    assert_eq!(compared.status.code(), Some(0), "{}", String::from_utf8_lossy(&compared.stdout));
    assert_eq!(answers(world, b"").1, Some(0));
    assert_eq!(verified_hash(world), hash, "another world woke than was closed");
}

#[test]
fn a_long_run_loses_nothing_and_stays_as_small_as_it_was() {
    let minutes = std::env::var("WORKBENCH_LONG_RUN").ok().and_then(|text| text.parse::<f64>().ok());
    let time = Duration::from_secs_f64(minutes.map_or(SECONDS, |minutes| minutes * 60.0));
    let dir = tempfile::tempdir().unwrap();
    let [world, folder] = ["world", "folder"].map(|name| dir.path().join(name));
    assert_eq!(answers(&world, SETTING.as_bytes()).1, Some(0));
    let mut console = Console {
        chance: Chance(0x9e37_79b9_7f4a_7c15),
        problems: VecDeque::new(),
        told: BTreeMap::new(),
        acknowledged: 0,
        failed: 0,
        due: Duration::ZERO,
    };
    let mut figures = Figures::default();
    figures.note_file(&world);
    let begin = Instant::now();
    // The first half with restarts, the second in one process.
    let each = (time / 160).clamp(Duration::from_millis(300), Duration::from_secs(8));
    while begin.elapsed() < time / 2 || figures.closed == 0 || figures.killed == 0 {
        let mut session = console.open(&world);
        let during = console.chance.around(each);
        let (early, _) = console.talk(&mut session, during, None);
        figures.early.extend(early);
        figures.late.extend(memory_of(session.id()));
        if (figures.closed + figures.killed) % 2 == 0 {
            figures.closed += 1;
            close_and_compare(session, &mut console, &world, &folder);
        } else {
            figures.killed += 1;
            session.say(&(0..20).map(|_| console.lines()).collect::<String>());
            std::thread::sleep(Duration::from_micros(console.chance.below(20_000)));
            session.kill().iter().for_each(|answer| console.take_in(answer));
        }
        console.check(&world);
        figures.note_file(&world);
        if minutes.is_some() {
            let bytes = figures.bytes.last().unwrap();
            let late = figures.late.last();
            println!("{:>5} s, {} messages, {bytes} bytes, {late:?}", begin.elapsed().as_secs(), console.acknowledged);
        }
    }
    let mut session = console.open(&world);
    let rest = time.saturating_sub(begin.elapsed()).max(Duration::from_millis(500));
    (_, figures.alone) = console.talk(&mut session, rest, Some(rest / 200));
    close_and_compare(session, &mut console, &world, &folder);
    console.check(&world);
    figures.note_file(&world);
    figures.print(&console, begin.elapsed());
    figures.judge();
}
