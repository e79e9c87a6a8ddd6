//! What a turn costs, and what a send, a read and a write cost in it, against plain Luau in the same process; and the same
//! loops in CPython, where that is found.

use crate::{ROUNDS, envelope, median, name};
use living_workbench::language::{Limits, NoServices, TurnRequest, Vm, genesis_objects};
use living_workbench::object::{
    Argument, Envelope, Image, MethodVersion, Object, ObjectId, Origin, Outcome, Slot, Target, Value,
};
use mlua::{Function, Lua};
use std::process::Command;
use std::time::Instant;
use uuid::Uuid;

/// Operations in one round.
const OPERATIONS: u32 = 100_000;
/// Turns in one round.
const TURNS: u32 = 10_000;

/// The body of a method of an object, and of a function of a plain table, with `n` operations each.
struct Pair {
    what: &'static str,
    ours: &'static str,
    plain: &'static str,
    /// The most times that ours may cost.
    asked: Option<f64>,
}

const PAIRS: [Pair; 7] = [
    Pair {
        what: "send",
        ours: "for i = 1, n do self:nothing() end",
        plain: "for i = 1, n do t:nothing() end",
        asked: Some(2.0),
    },
    Pair {
        what: "send, 1 parent up",
        ours: "for i = 1, n do self:nothing_1() end",
        plain: "for i = 1, n do t:nothing() end",
        asked: None,
    },
    Pair {
        what: "send, 8 parents up",
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
];

/// The loops in Python: nanoseconds of a send, and of an increment by a send.
const PYTHON: &str = "
import time, statistics
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
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        loop(Thing(), OPERATIONS)
        rounds.append((time.perf_counter() - start) * 1e9 / OPERATIONS)
    return statistics.median(rounds)
print(nanos(send), nanos(increment))
";

/// Prints the section.
pub(crate) fn print() {
    println!("in a turn, per operation, against the same on a plain Luau table without metering:");
    let mut world = World::new();
    let nanos = PAIRS.map(|pair| compare(&mut world, &pair));
    let [ours, of_one, of_eight, .., increment] = nanos;
    let levels = median(of_one.iter().zip(&of_eight).map(|(one, eight)| eight / one).collect());
    println!("  a send found 8 parents up costs {levels:.2} times one found 1 parent up");
    match python() {
        Some([send, increments]) => {
            let (sent, incremented) = (median(ours), median(increment));
            println!("  send in CPython        {send:>7.1} ns   {:.2} times ours", send / sent);
            println!("  increment in CPython   {increments:>7.1} ns   {:.2} times ours", increments / incremented);
        }
        None => println!("  python3 was not found"),
    }
    turn_overhead(&mut world);
}

/// Prints one line; answers the nanoseconds of each round of ours.
fn compare(world: &mut World, pair: &Pair) -> Vec<f64> {
    let plain = plain_luau(&world.plain, pair.plain);
    let selector = format!("run_{}", PAIRS.iter().position(|other| other.what == pair.what).unwrap_or_default());
    let argument = Argument { name: None, value: Value::Number(f64::from(OPERATIONS)).into() };
    let envelope = envelope(&selector, vec![argument]);
    let (mut ours_ns, mut plain_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain_ns.push(nanos(OPERATIONS, || plain.call::<()>(OPERATIONS).expect("it runs")));
        ours_ns.push(nanos(OPERATIONS, || world.turn(&envelope)));
    }
    let ratio = median(ours_ns.iter().zip(&plain_ns).map(|(ours, plain)| ours / plain).collect());
    let asked = pair.asked.map_or_else(String::new, |asked| format!("   asked: {asked} at most"));
    println!(
        "  {:<20} {:>7.1} ns   plain {:>7.1} ns   {ratio:.1} times{asked}",
        pair.what,
        median(ours_ns.clone()),
        median(plain_ns)
    );
    ours_ns
}

/// A turn of an empty method against a call of an empty function from Rust.
fn turn_overhead(world: &mut World) {
    let plain: Function = world.plain.load("return function() end").eval().expect("plain Luau");
    let envelope = Envelope { target: Target::Id(ObjectId::genesis("thing")), ..envelope("nothing", Vec::new()) };
    let (mut ours_ns, mut plain_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain_ns.push(nanos(TURNS, || (0..TURNS).for_each(|_| plain.call::<()>(()).expect("it runs"))));
        ours_ns.push(nanos(TURNS, || (0..TURNS).for_each(|_| world.turn(&envelope))));
    }
    let ratio = median(ours_ns.iter().zip(&plain_ns).map(|(ours, plain)| ours / plain).collect());
    println!(
        "a turn of an empty method {:.0} ns, a call of an empty function from Rust {:.0} ns: {ratio:.1} times   asked: 5 at most",
        median(ours_ns),
        median(plain_ns)
    );
}

fn nanos(operations: u32, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e9 / f64::from(operations)
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

    fn turn(&mut self, envelope: &Envelope) {
        let request = TurnRequest { world_id: Uuid::nil(), sequence: 1, envelope };
        let outcome = self.vm.turn(&self.image, &request, &mut NoServices);
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
    let program = PYTHON.replace("ROUNDS", &ROUNDS.to_string()).replace("OPERATIONS", &OPERATIONS.to_string());
    let output = Command::new("python3").args(["-I", "-c", &program]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut figures = text.split_whitespace().map(str::parse::<f64>);
    Some([figures.next()?.ok()?, figures.next()?.ok()?])
}
