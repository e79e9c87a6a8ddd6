//! How long a large world takes to wake, from its snapshots and from its log alone, against reading the same bytes raw.

use crate::journal::{WORLD, answer};
use crate::{grouped, lmdb, median};
use living_workbench::language::genesis_objects;
use living_workbench::object::{Argument, Change, Envelope, Name, Object, ObjectId, Outcome, Slot, Target, Value};
use living_workbench::persistence::{Alembic, NewWorld, Reader, Snapshot, open, world_hash};
use living_workbench::systems::TickReplay;
use serde::de::IgnoredAny;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rounds in which a world is read with its snapshots, and without.
const ROUNDS_WITH: usize = 7;
const ROUNDS_WITHOUT: usize = 3;
/// Objects that one message makes.
const MADE_AT_ONCE: u64 = 1_000;
/// Messages that are handed over together.
const TOGETHER: u64 = 1_000;
/// An object is chosen by so many times the number of the message: neighbours in the log are none in the world.
const STRIDE: u64 = 7_919;
/// When the world's messages were sent: milliseconds since 1970.
const SENT_AT: u64 = 1_700_000_000_000;

/// Prints the section.
pub(crate) fn print(dir: &Path, messages: u64, objects: u64) {
    let start = Instant::now();
    make(dir, messages, objects);
    let bytes = std::fs::metadata(dir.join("data.mdb")).expect("a file").len();
    println!();
    println!(
        "a world of {} messages over {} objects, {} MiB, made in {:.0} s",
        grouped(messages as f64),
        grouped(objects as f64),
        bytes >> 20,
        start.elapsed().as_secs_f64()
    );
    let image = Reader::open(dir).and_then(|reader| reader.image(&mut TickReplay::new())).expect("an image");
    let hash = world_hash(&image);
    drop(image);

    println!("with its snapshots up to date");
    measure(
        ROUNDS_WITH,
        &mut [
            ("snapshots raw: LMDB and CRC", &mut || scan(dir, "sapwood", |_| ())),
            ("… and MessagePack passed over", &mut || scan(dir, "sapwood", pass_over)),
            (VALUES, &mut || scan(dir, "sapwood", into_value)),
            ("Reader::image", &mut || read(dir, &hash)),
            ("open", &mut || wake(dir, true)),
        ],
    );
    println!("checked: every record read, both ways to the world compared");
    measure(1, &mut [("Reader::verify", &mut || verify(dir))]);

    lmdb::clear(dir, "sapwood");
    println!("without its snapshots: the whole log");
    measure(
        ROUNDS_WITHOUT,
        &mut [
            ("log raw: LMDB and CRC", &mut || scan(dir, "heartwood", |_| ())),
            ("… and MessagePack passed over", &mut || scan(dir, "heartwood", pass_over)),
            (VALUES, &mut || scan(dir, "heartwood", into_value)),
            ("Reader::image", &mut || read(dir, &hash)),
        ],
    );
    // Only once: then the snapshots are there again.
    measure(1, &mut [("open", &mut || wake(dir, false))]);
}

/// The line that others are told as a multiple of.
const VALUES: &str = "… and MessagePack into values";

/// Prints the medians of ways to read, which take turns, and the median ratio of each to the line [`VALUES`], where that is
/// among them.
fn measure(rounds: usize, ways: &mut [(&str, &mut dyn FnMut() -> Duration)]) {
    let mut times: Vec<Vec<f64>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            times.push(way().as_secs_f64());
        }
    }
    let base = ways.iter().position(|(name, _)| *name == VALUES);
    for ((name, _), of_it) in ways.iter().zip(&times) {
        let ratio = base.map(|base| median(of_it.iter().zip(&times[base]).map(|(it, base)| it / base).collect()));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:>8.2} of that into values"));
        println!("  {name:<34}{:>10.1} ms{ratio}", median(of_it.clone()) * 1e3);
    }
}

/// Reads a database of the world, checks each record's checksum, and shows its body.
fn scan(dir: &Path, database: &str, see: impl Fn(&[u8])) -> Duration {
    let start = Instant::now();
    lmdb::each(dir, database, |_, record| {
        // The header has 48 bytes; its checksum stands at 40, and takes itself and the chain as zero. `docs/file-format.md`
        let crc = crc32c::crc32c_append(crc32c::crc32c(&record[..32]), &[0; 12]);
        assert_eq!(crc32c::crc32c_append(crc, &record[44..]).to_le_bytes(), record[40..44], "a checksum");
        see(&record[48..]);
        true
    });
    start.elapsed()
}

fn pass_over(body: &[u8]) {
    rmp_serde::from_slice::<IgnoredAny>(body).expect("MessagePack");
}

fn into_value(body: &[u8]) {
    std::hint::black_box(rmp_serde::from_slice::<rmpv::Value>(body).expect("MessagePack"));
}

/// Reads the world as it is committed.
fn read(dir: &Path, hash: &str) -> Duration {
    let start = Instant::now();
    let image = Reader::open(dir).and_then(|reader| reader.image(&mut TickReplay::new())).expect("an image");
    let time = start.elapsed();
    assert_eq!(world_hash(&image), hash, "the same world");
    time
}

/// Wakes the world, and closes it when the clock stands.
fn wake(dir: &Path, whole: bool) -> Duration {
    let start = Instant::now();
    let (awakened, alembic) = open(dir, None, SENT_AT, &mut TickReplay::new(), || {}).expect("a world");
    let time = start.elapsed();
    assert_eq!(awakened.report.damages.is_empty(), whole, "{:?}", awakened.report.damages);
    alembic.close();
    time
}

fn verify(dir: &Path) -> Duration {
    let start = Instant::now();
    let report = Reader::open(dir).and_then(|reader| reader.verify(&mut TickReplay::new())).expect("a report");
    let time = start.elapsed();
    assert_eq!(report.damages, []);
    time
}

/// Makes a world: its first messages make the objects, each further one sets a slot of one. At its end all are snapshotted.
fn make(dir: &Path, messages: u64, objects: u64) {
    let new = NewWorld { world_id: WORLD, objects: genesis_objects().expect("the first image") };
    let (awakened, alembic) = open(dir, Some(new), SENT_AT, &mut TickReplay::new(), || {}).expect("a world");
    let mut writer = Writer { alembic, next: awakened.next_sequence, together: Vec::new() };
    let x = Name::new("x").expect("a name");
    let mut made: Vec<Object> = Vec::new();
    for at in 0..messages {
        let count = (objects - made.len() as u64).min(MADE_AT_ONCE);
        if count > 0 {
            let message = Envelope::id_of(WORLD, writer.next);
            let from = made.len();
            for counter in 0..count {
                let id = ObjectId::derived(WORLD, message, counter as u32);
                let before = made.last().map(|object| object.id);
                made.push(small_object(id, before));
            }
            let changes = made[from..].iter().map(|object| Change::Create(Box::new(object.clone()), None)).collect();
            writer.say(Target::Name("architect".into()), "make", "n", count as f64, changes);
        } else {
            let object = &mut made[(at * STRIDE % objects) as usize];
            let before = object.slots.get("x").cloned();
            let after = Some(Slot::value(Value::Number(at as f64)));
            let change = Change::SetSlot { id: object.id, slot: x.clone(), place: 0, before, after };
            object.as_mut().apply(&change);
            writer.say(Target::Id(object.id), "set", "x", at as f64, vec![change]);
        }
    }
    writer.settle();
    let snapshots = made.into_iter().map(|object| (object.id, Some(Snapshot::Object(object)))).collect();
    writer.alembic.snapshot(snapshots);
    writer.alembic.close();
}

/// No name, one parent, and three own slots: two numbers and a reference.
fn small_object(id: ObjectId, before: Option<ObjectId>) -> Object {
    let mut object = Object::new(id);
    object.parents.push(ObjectId::proto());
    let following = before.map_or(Value::Nil, Value::Object);
    for (name, value) in [("x", Value::Number(0.0)), ("y", Value::Number(0.0)), ("following", following)] {
        object.slots.push(Name::new(name).expect("a name"), Slot::value(value));
    }
    object
}

/// Hands messages over as a frame does: some together, and their outcomes when they are durable.
struct Writer {
    alembic: Alembic,
    next: u64,
    /// Outcomes of the messages that are handed over.
    together: Vec<(u64, Outcome)>,
}

impl Writer {
    fn say(&mut self, target: Target, selector: &str, parameter: &str, value: f64, changes: Vec<Change>) {
        let sequence = self.next;
        self.next += 1;
        let name = |text| Name::new(text).expect("a name");
        let envelope = Envelope {
            message_id: Envelope::id_of(WORLD, sequence),
            correlation_id: None,
            sender_id: "console".into(),
            target,
            selector: name(selector),
            args: vec![Argument { name: Some(name(parameter)), value: Value::Number(value).into() }],
            issued_at: SENT_AT + sequence,
            retries: None,
        };
        self.alembic.append_envelope(sequence, envelope).expect("room");
        self.together.push((sequence, Outcome::Completed { result: Value::Nil, changes, logs: Vec::new() }));
        if self.together.len() as u64 == TOGETHER {
            self.settle();
        }
    }

    /// Waits until the messages are durable, and hands their outcomes over.
    fn settle(&mut self) {
        let last = self.next - 1;
        while !self.together.is_empty() {
            if answer(&self.alembic).0.last() == Some(&last) {
                for (sequence, outcome) in self.together.drain(..) {
                    self.alembic.append_outcome(sequence, outcome, Vec::new(), Vec::new());
                }
            }
        }
    }
}
