//! What a turn costs, and what a send, a read and a write cost in it, against plain Luau in the same process; and the same
//! loops in CPython, where that is found.

use crate::{ROUNDS, envelope, median, name};
use living_workbench::language::{Limits, NoServices, TurnRequest, Vm, genesis_objects};
use living_workbench::object::{
    Argument, Envelope, Image, MethodVersion, Object, ObjectId, Origin, Outcome, Slot, Target, Value,
};
use mlua::{Function, Lua};
use std::process::Command;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Operations in one turn, and turns between two looks at the clock.
const OPERATIONS: u32 = 10_000;
const TURNS: u32 = 500;
/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(4);

/// The body of a method of an object, and of a function of a plain table, with `n` operations each.
struct Pair {
    what: &'static str,
    ours: &'static str,
    plain: &'static str,
    /// The most times that ours may cost.
    asked: Option<f64>,
}

/// Sends that find their method in the first of a chain of parents, and in the eighth.
const NEAR: &str = "send, 1 parent up";
const FAR: &str = "send, 8 parents up";

const PAIRS: [Pair; 9] = [
    Pair {
        what: "send",
        ours: "for i = 1, n do self:nothing() end",
        plain: "for i = 1, n do t:nothing() end",
        asked: Some(2.0),
    },
    Pair {
        what: NEAR,
        ours: "for i = 1, n do self:nothing_1() end",
        plain: "for i = 1, n do t:nothing() end",
        asked: None,
    },
    Pair {
        what: FAR,
        ours: "for i = 1, n do self:nothing_8() end",
        plain: "for i = 1, n do t:nothing() end",
        asked: None,
    },
    Pair {
        what: "slot read",
        ours: "local s = 0 for i = 1, n do s += self.x end",
        plain: "local s = 0 for i = 1, n do s += t.x end",
        asked: Some(2.5),
    },
    Pair {
        what: "slot write",
        ours: "for i = 1, n do self.x = i end",
        plain: "for i = 1, n do t.x = i end",
        asked: Some(8.0),
    },
    Pair {
        what: "slot write, object",
        ours: "for i = 1, n do self.o = self end",
        plain: "for i = 1, n do t.o = t end",
        asked: None,
    },
    Pair {
        what: "increment",
        ours: "for i = 1, n do self:increment() end",
        plain: "for i = 1, n do t:increment() end",
        asked: Some(3.5),
    },
    Pair {
        what: "math.sin",
        ours: "local s = 0 for i = 1, n do s += math.sin(i) end",
        plain: "local s = 0 for i = 1, n do s += math.sin(i) end",
        asked: None,
    },
    Pair {
        what: "math.pow",
        ours: "local s = 0 for i = 1, n do s += math.pow(i, 0.3) end",
        plain: "local s = 0 for i = 1, n do s += math.pow(i, 0.3) end",
        asked: None,
    },
];

/// The same loops in Python: nanoseconds of a send, and of an increment by a send.
const PYTHON: &str = "
import time
class Thing:
    def __init__(self):
        self.n = 0
    def nothing(self):
        pass
    def increment(self):
        self.n += 1
def send(self, n):
    for i in range(n):
        self.nothing()
def increment(self, n):
    for i in range(n):
        self.increment()
def nanos(loop):
    loop(Thing(), OPERATIONS)
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < ROUND:
        loop(Thing(), OPERATIONS)
        runs += 1
    return (time.perf_counter() - start) * 1e9 / OPERATIONS / runs
print(nanos(send), nanos(increment))
";

/// Prints the section.
pub(crate) fn print() {
    println!("in a turn, per operation, against the same on a plain Luau table without metering:");
    let mut world = World::new();
    for pair in &PAIRS {
        let plain = plain_luau(&world.plain, pair.plain);
        let compared = in_turns(
            &mut world,
            |world| world.operations(pair.what),
            |_| nanos(OPERATIONS, || plain.call::<()>(OPERATIONS).expect("it runs")),
        );
        let asked = pair.asked.map_or_else(String::new, |asked| format!("   asked: {asked} at most"));
        println!(
            "  {:<20} {:>6.1} ns   plain {:>6.1} ns   {:.1} times{asked}",
            pair.what, compared.ours, compared.other, compared.times
        );
    }
    let levels = in_turns(&mut world, |world| world.operations(FAR), |world| world.operations(NEAR));
    println!("  {FAR:<20} {:.2} times a {NEAR}   asked: 1", levels.times);
    if python().is_none() {
        println!("  python3 was not found");
    } else {
        for (place, what) in ["send", "increment"].into_iter().enumerate() {
            let compared =
                in_turns(&mut world, |world| world.operations(what), |_| python().map_or(f64::NAN, |ns| ns[place]));
            println!(
                "  {what:<20} {:>6.1} ns   CPython {:>4.1} ns, {:.2} times ours",
                compared.ours,
                compared.other,
                1.0 / compared.times
            );
        }
    }
    let empty: Function = world.plain.load("return function() end").eval().expect("plain Luau");
    let envelope = Envelope { target: Target::Id(ObjectId::genesis("thing")), ..envelope("nothing", Vec::new()) };
    let turns = in_turns(
        &mut world,
        |world| nanos(TURNS, || (0..TURNS).for_each(|_| world.turn(&envelope))),
        |_| nanos(TURNS, || (0..TURNS).for_each(|_| empty.call::<()>(()).expect("it runs"))),
    );
    println!(
        "a turn of an empty method {:.0} ns, a call of an empty function from Rust {:.0} ns: {:.1} times   asked: 5 at most",
        turns.ours, turns.other, turns.times
    );
}

/// Medians of rounds: nanoseconds of both sides, and how many times ours is the other.
struct Compared {
    ours: f64,
    other: f64,
    times: f64,
}

/// Measures both sides in turns, so that what slows the machine down for a while slows both.
fn in_turns(world: &mut World, ours: impl Fn(&mut World) -> f64, other: impl Fn(&mut World) -> f64) -> Compared {
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (ours(world), other(world))).collect();
    Compared {
        ours: median(rounds.iter().map(|(ours, _)| *ours).collect()),
        other: median(rounds.iter().map(|(_, other)| *other).collect()),
        times: median(rounds.iter().map(|(ours, other)| ours / other).collect()),
    }
}

/// Nanoseconds of an operation, of which each run has so many. Runs until a round is over: rounds of both sides last equally
/// long, or what else the machine does would fall more often into those of the slower side.
fn nanos(operations: u32, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < ROUND {
        run();
        runs += 1;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(operations) / f64::from(runs)
}

/// A VM and an image with `thing`, whose parents are a chain of eight; and plain Luau.
struct World {
    vm: Vm,
    image: Image,
    plain: Lua,
}

impl World {
    fn new() -> Self {
        let mut image = Image::default();
        genesis_objects().expect("the first image").into_iter().for_each(|object| image.insert(object));
        let mut above = ObjectId::proto();
        for level in (1..=8).rev() {
            let mut parent = Object::new(ObjectId::genesis(&format!("parent_{level}")));
            parent.parents = vec![above];
            parent.slots.push(name(&format!("nothing_{level}")), method("function(self) end", &[]));
            above = parent.id;
            image.insert(parent);
        }
        let mut thing = Object::new(ObjectId::genesis("thing"));
        thing.name = Some(name("thing"));
        thing.parents = vec![above];
        for slot in ["x", "n"] {
            thing.slots.push(name(slot), Slot::value(Value::Number(1.0)));
        }
        thing.slots.push(name("nothing"), method("function(self) end", &[]));
        thing.slots.push(name("increment"), method("function(self) self.n += 1 end", &[]));
        for (place, pair) in PAIRS.iter().enumerate() {
            let source = format!("function(self, n) {} end", pair.ours);
            thing.slots.push(name(&format!("run_{place}")), method(&source, &["n"]));
        }
        image.insert(thing);
        let limits = Limits { fuel: i64::MAX, ..Limits::default() };
        Self { vm: Vm::new(limits).expect("a VM"), image, plain: Lua::new() }
    }

    /// Nanoseconds of one operation of a pair.
    fn operations(&mut self, what: &str) -> f64 {
        let place = PAIRS.iter().position(|pair| pair.what == what).expect("a pair");
        let argument = Argument { name: None, value: Value::Number(f64::from(OPERATIONS)).into() };
        let envelope = envelope(&format!("run_{place}"), vec![argument]);
        nanos(OPERATIONS, || self.turn(&envelope))
    }

    /// As a frame runs it.
    fn turn(&mut self, envelope: &Envelope) {
        let request = TurnRequest { world_id: Uuid::nil(), sequence: 1, envelope };
        let (outcome, _) = self.vm.turn_that_posts(&self.image, &request, &mut NoServices, usize::MAX);
        assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}");
    }
}

fn method(source: &str, params: &[&str]) -> Slot {
    Slot::method(MethodVersion {
        number: 1,
        follows: 0,
        params: params.iter().map(|param| name(param)).collect(),
        source: source.to_string(),
        doc: String::new(),
        origin: Origin {
            author: "bench".into(),
            instruction: String::new(),
            contract: Vec::new(),
            verdicts: Vec::new(),
            sequence: 0,
        },
    })
}

fn plain_luau(lua: &Lua, body: &str) -> Function {
    let methods = "nothing = function(t) end, increment = function(t) t.n += 1 end";
    let source = format!("local t = {{ x = 1, n = 1, {methods} }} return function(n) {body} end");
    lua.load(source).eval().expect("plain Luau")
}

fn python() -> Option<[f64; 2]> {
    let round = ROUND.as_secs_f64().to_string();
    let program = PYTHON.replace("OPERATIONS", &OPERATIONS.to_string()).replace("ROUND", &round);
    let output = Command::new("python3").args(["-I", "-c", &program]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut figures = text.split_whitespace().map(str::parse::<f64>);
    Some([figures.next()?.ok()?, figures.next()?.ok()?])
}
